"""The model card that a retrain leaves beside its version: what it says must be what the ledger and the bundle say."""

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from modelling import bundle
from modelling.explain import EFFECTS
from tests.flows.world import World


def words_of(page: str) -> str:
    without = re.sub(r"<style.*?</style>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", without)))


def run_of(world: World, version: str) -> Any:
    """A version's run in MLflow, and MLflow's client."""
    from mlflow import MlflowClient

    client = MlflowClient(world.site.settings.mlflow)
    return client, client.get_run(client.get_model_version("bikes", version).run_id or "")


def card_of(world: World, version: str, folder: Path) -> str:
    client, run = run_of(world, version)
    folder.mkdir(exist_ok=True)
    place = client.download_artifacts(run.info.run_id, "model_card.html", str(folder))
    return Path(place).read_text(encoding="utf-8")


def test_the_card_of_a_version_tells_what_was_judged_and_of_which_bytes(later: World, tmp_path: Path) -> None:
    gate = later.ledger.verdicts("bikes", kind="gate", subject="2")[-1]
    page = card_of(later, "2", tmp_path)
    told = words_of(page)
    assert f"model {gate.body['bundle_sha256'][:12]}" in told
    saved = f"It saves {gate.body['gain_share']:.1%} of the loss of version 1 on {gate.body['rows']:,} later rows"
    assert f"{saved}: it is proven to be better." in told
    assert f"{gate.body['challenger_loss']:,.1f}" in told
    assert all(reason in told for reason in gate.reasons)
    assert f"{gate.body['rows']:,} rows from" in told
    assert "registered is its refit on all mature rows until" in told
    assert "none was found of these:" in told
    model = bundle.load(later.site.store.fetch("bikes", "2", into=tmp_path / "fetched")).model
    shown = [name for name in model.encoding.names if f"<h3>{name}</h3>" in page]
    assert len(shown) == EFFECTS, "of the inputs that move it most"
    for sentence in (
        "this model",
        "champion, version 1",
        "linear model",
        "best constant",
        "the label's unit",
        "rows used",
    ):
        assert sentence in told
    assert "<script" not in page
    assert not re.search(r"(src|href)=|url\(|@import", page), "it needs nothing from elsewhere"


def test_a_search_stands_in_a_run_of_its_own_and_in_the_card(later: World, tmp_path: Path) -> None:
    """The first model was searched for; the second was not, and its card says so."""
    (trained, *_) = [row for row in later.ledger.verdicts("bikes", kind="training") if row.body["searched"]]
    client, version = run_of(later, "1")
    found = client.search_runs([version.info.experiment_id], "tags.study like '%'")
    assert [run.data.tags["mlflow.parentRunId"] for run in found] == [version.info.run_id]
    history = client.get_metric_history(found[0].info.run_id, "trial_loss")
    assert [point.value for point in sorted(history, key=lambda point: point.step)] == trained.body["losses"]
    first, second = (words_of(card_of(later, version, tmp_path / version)) for version in "12")
    assert re.search(r"\d trials? in \d+ s; trial 0 is where it started", first)
    assert "where it started" not in second
    assert all("later rows, which it has not seen" in told for told in (first, second)), "learning curves"


def test_the_run_has_the_metrics_of_the_same_rows_side_by_side(later: World) -> None:
    gate = later.ledger.verdicts("bikes", kind="gate", subject="2")[-1]
    metrics = run_of(later, "2")[1].data.metrics
    steering = later.site.pipeline.spec.metric
    assert metrics[f"evidence.{steering}"] == pytest.approx(gate.body["challenger_loss"])
    assert metrics[f"champion.{steering}"] == pytest.approx(gate.body["champion_loss"])
    assert metrics[f"constant.{steering}"] == pytest.approx(gate.body["baseline_loss"])
    assert metrics["linear.l2"] < metrics["constant.l2"]
    assert metrics["evidence.rmse"] == pytest.approx(metrics["evidence.l2"] ** 0.5)
