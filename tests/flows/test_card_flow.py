"""The model card that a retrain leaves beside its version: what it says must be what the ledger and the bundle say."""

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from modelling import bundle
from tests.flows.world import World


def words_of(page: str) -> str:
    without = re.sub(r"<style.*?</style>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", without)))


@pytest.fixture
def run(later: World) -> Any:
    """The run of version 2 in MLflow."""
    from mlflow import MlflowClient

    client = MlflowClient(later.site.settings.mlflow)
    return client.get_run(client.get_model_version("bikes", "2").run_id or "")


def test_the_card_of_a_version_tells_what_was_judged_and_of_which_bytes(later: World, run: Any, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    gate = later.ledger.verdicts("bikes", kind="gate", subject="2")[-1]
    place = MlflowClient(later.site.settings.mlflow).download_artifacts(
        run.info.run_id, "model_card.html", str(tmp_path)
    )
    page = Path(place).read_text(encoding="utf-8")
    told = words_of(page)
    assert f"model {gate.body['bundle_sha256'][:12]}" in told
    saved = f"It saves {gate.body['gain_share']:.1%} of the loss of version 1 on {gate.body['rows']:,} later rows"
    assert f"{saved}: it is proven to be better." in told
    assert f"{gate.body['challenger_loss']:,.1f}" in told
    assert all(reason in told for reason in gate.reasons)
    assert f"{gate.body['rows']:,} rows from" in told
    assert "registered is its refit on all mature rows until" in told
    model = bundle.load(later.site.store.fetch("bikes", "2", into=tmp_path / "fetched")).model
    shown = [name for name in model.encoding.names if f"<h3>{name}</h3>" in page]
    assert len(shown) == min(6, len(model.encoding.names)), "the effects of the inputs that move it most"
    for sentence in ("this model", "champion, version 1", "best constant", "the label's unit", "rows used"):
        assert sentence in told
    assert "<script" not in page
    assert not re.search(r"""(src|href)=|url\(|@import""", page), "it needs nothing from elsewhere"


def test_the_run_has_the_metrics_of_the_same_rows_side_by_side(later: World, run: Any) -> None:
    gate = later.ledger.verdicts("bikes", kind="gate", subject="2")[-1]
    metrics = run.data.metrics
    steering = later.site.pipeline.spec.metric
    assert metrics[f"evidence.{steering}"] == pytest.approx(gate.body["challenger_loss"])
    assert metrics[f"champion.{steering}"] == pytest.approx(gate.body["champion_loss"])
    assert metrics[f"constant.{steering}"] == pytest.approx(gate.body["baseline_loss"])
    assert metrics["evidence.rmse"] == pytest.approx(metrics["evidence.l2"] ** 0.5)
