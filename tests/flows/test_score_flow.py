"""Predictions where decisions are taken: each batch once, in the log, the file and the table, by the champion alone."""

from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest

from andon.processes import environment, free_port, start_scorer
from flows.ingest import ingest
from flows.score import score
from storage import tables
from storage.prediction_log import read_predictions
from storage.publish import Stamp, stamped
from tasks.champions import champion_bundle
from tasks.leases import holding
from tests.flows.world import World, at_once, day
from validation.errors import NoChampionError, ServiceDownError

# The last hour of batch 5 had no label yet when the champion was trained; what came before is history.
UNSCORED = [("5", "scored"), ("6", "scored")]


def logged(world: World) -> pl.DataFrame:
    site = world.site
    return read_predictions(site.lake.predictions("bikes"), site.pipeline.raw_schema, key=("ts",), time="ts")


def delivered(world: World) -> pl.DataFrame:
    table = tables.scan(world.site.lake.delivery("bike_scores"), world.site.lake.remote)
    assert table is not None
    return table.collect().sort("ts")


def expected(world: World, number: int) -> np.ndarray:
    found = champion_bundle(world.site)
    assert found is not None
    return found[1].predict(world.rows(number))


def test_a_batch_is_in_the_log_the_file_and_the_table_with_its_proof(world: World) -> None:
    verdicts = score("bikes", as_of=day(1, 31))
    assert [(item.subject, item.outcome) for item in verdicts] == world.told("score") == UNSCORED
    file = pl.read_parquet(world.lake / "scores" / "bikes" / "bikes-6.parquet")
    assert file["ts"].to_list() == world.rows(5)["ts"].to_list()
    np.testing.assert_allclose(file["prediction"], expected(world, 5), rtol=1e-12)
    proof = file.drop("ts", "prediction", "prediction_id").unique()
    assert proof.rows() == [("1", "bikes-6", "bikes", 1, day(1, 31))]
    assert delivered(world).filter(pl.col("run_id") == "bikes-6").select(file.columns).equals(file)
    newest = logged(world).filter(pl.col("ts") >= day(1, 31))
    assert newest.select("ts", "prediction", "prediction_id").equals(file.select("ts", "prediction", "prediction_id"))
    assert newest.select(world.rows(5).columns).equals(world.rows(5))


def test_running_again_or_twice_at_once_scores_nothing_twice(world: World) -> None:
    found = at_once(*[lambda: score("bikes", as_of=day(1, 31))] * 2)
    assert all(isinstance(verdicts, tuple) for verdicts in found), found
    score("bikes", as_of=day(1, 31))  # what both have left to the other
    assert score("bikes", as_of=day(1, 31)) == ()
    assert sorted(world.told("score")) == UNSCORED
    assert (logged(world).height, delivered(world).height, delivered(world)["ts"].n_unique()) == (336, 336, 336)


def test_a_delivery_that_was_not_written_down_is_completed_and_not_repeated(world: World) -> None:
    """As after a crash in the middle of a batch: its file was there, neither table nor ledger knew of it."""
    before = pl.DataFrame({"ts": world.rows(5)["ts"], "prediction": [1.0] * 168, "run_id": ["bikes-6"] * 168})
    file = world.lake / "scores" / "bikes" / "bikes-6.parquet"
    file.parent.mkdir(parents=True)
    champion = world.ledger.champion("bikes")
    assert champion is not None
    stamp = Stamp(pipeline="bikes", version="1", epoch=champion.epoch, scored_at=day(1, 31))
    stamped(before, stamp, run_id="bikes-6").write_parquet(file)
    was = file.read_bytes()
    score("bikes", as_of=day(1, 31))
    assert file.read_bytes() == was
    assert set(delivered(world).filter(pl.col("run_id") == "bikes-6")["prediction"]) == {1.0}
    assert (delivered(world).height, world.told("score")) == (336, UNSCORED)


def test_while_another_scores_the_batch_is_left_to_it(world: World) -> None:
    with holding(world.site, "score"):
        verdicts = score("bikes", as_of=day(1, 31))
    assert [item.reasons[0] for item in verdicts] == [
        "another process is scoring; batch 5 is next",
        "another process is scoring; batch 6 is next",
    ]
    assert world.told("score") == []


def test_a_new_champion_scores_what_comes_and_nothing_again(later: World) -> None:
    score("bikes", as_of=day(2, 14))
    assert [subject for subject, _ in later.told("score")] == ["5", "6", "7", "8"]
    assert set(delivered(later)["model_version"]) == {"2"}
    assert set(delivered(later)["epoch"]) == {2}
    assert score("bikes", as_of=day(2, 14)) == ()


def test_without_a_champion_there_are_no_predictions(empty: World) -> None:
    empty.land(0, 1)
    ingest("bikes", as_of=day(1, 3))
    with pytest.raises(NoChampionError, match="'bikes' has no champion yet; train one first: andon retrain bikes"):
        score("bikes", as_of=day(1, 3))
    assert score(as_of=day(1, 3)) == ()
    assert not (empty.lake / "predictions").exists()


@pytest.fixture
def scorer(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    port = free_port()
    env = environment(world.site.settings, prefect_port=free_port(), scorer_port=port)
    process = start_scorer(world.home, port, env=env)
    monkeypatch.setenv("ANDON_SCORER_URL", env["ANDON_SCORER_URL"])
    yield env["ANDON_SCORER_URL"]
    process.stop()


def test_through_the_scorer_the_predictions_are_the_same(world: World, scorer: str) -> None:
    import httpx

    while httpx.get(f"{scorer}/bikes/version", trust_env=False).json()["version"] != "1":
        pass
    verdicts = score("bikes", as_of=day(1, 31), through="scorer")
    assert [(item.subject, item.outcome) for item in verdicts] == UNSCORED
    file = pl.read_parquet(world.lake / "scores" / "bikes" / "bikes-6.parquet")
    np.testing.assert_allclose(file["prediction"], expected(world, 5), rtol=1e-9)
    assert file["model_version"].unique().to_list() == ["1"]
    newest = logged(world).filter(pl.col("ts") >= day(1, 31))
    assert newest["prediction_id"].to_list() == file["prediction_id"].to_list()


@pytest.mark.slow  # two retries, seconds apart
def test_a_scorer_that_is_down_delays_the_batch_and_loses_nothing(world: World) -> None:
    with pytest.raises(ServiceDownError, match=r"the scorer at .* does not answer"):
        score("bikes", as_of=day(1, 31), through="scorer")
    assert (world.told("score"), world.ledger.leases("bikes")) == ([], ())
    score("bikes", as_of=day(1, 31))
    assert world.told("score") == UNSCORED
