"""Predictions where decisions are taken: each batch once, in the log, the file and the table, by the champion alone."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import polars as pl
import pytest

from andon.processes import environment, free_port, start_scorer
from flows.ingest import ingest
from flows.reconcile import reconcile
from flows.score import score
from modelling import bundle
from storage import tables
from storage.outbox import runs_in
from storage.prediction_log import read_predictions
from storage.publishing.stamp import stamped
from tasks.champions import bundle_folder, champion_bundle
from tasks.history import undelivered
from tasks.leases import holding
from tasks.score_delivery import deliver
from tasks.score_run import ScoreRun, begin
from tests.flows.world import POLICIES, World, at_once, day
from validation.deeds import Scored
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
    proof = file.drop("ts", "prediction", "prediction_id", "snapshot").unique()
    assert proof.rows() == [("bikes-6", "bikes", "6", 0, "1", 1, day(1, 31))]
    assert file["snapshot"].unique().to_list() == [item.subject for item in world.ledger.verdicts(kind="snapshot")]
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
    batch, site = world.ledger.batches("bikes", kind="rows")[5], world.site
    champion = world.ledger.champion("bikes")
    assert champion is not None
    run = begin(site, batch, champion, day(1, 31))
    run.outbox.put(0, scored_by_hand(world, run))
    assert deliver(site, run.outbox, run.manifest, only=["files"]).pending == ()
    file = world.lake / "scores" / "bikes" / "bikes-6.parquet"
    was = file.read_bytes()
    score("bikes", as_of=day(2, 1))
    assert file.read_bytes() == was
    assert set(delivered(world).filter(pl.col("run_id") == "bikes-6")["prediction"]) == {1.0}
    assert (delivered(world).height, world.told("score")) == (336, UNSCORED)
    assert runs_in(site.lake, "bikes") == ()


def scored_by_hand(world: World, run: ScoreRun) -> pl.DataFrame:
    return stamped(world.rows(5).select("ts", prediction=pl.lit(1.0)), run.manifest.run, run.manifest.stamp)


def test_a_run_ends_with_the_champion_that_it_began_with(later: World) -> None:
    """The second champion was promoted in the middle of it."""
    first = later.ledger.champions("bikes")[0]
    begin(later.site, later.ledger.batches("bikes", kind="rows")[4], first, day(1, 31))
    score("bikes", as_of=day(2, 14))
    made = delivered(later)
    answered = made.group_by("run_id").agg(pl.col("model_version", "epoch", "scored_at").unique()).sort("run_id")
    assert answered.rows() == [
        ("bikes-5", ["1"], [1], [day(1, 31)]),
        *((f"bikes-{number}", ["2"], [2], [day(2, 14)]) for number in (6, 7, 8)),
    ]
    mine = made.filter(pl.col("run_id") == "bikes-5")["prediction"]
    rows = later.rows(4)
    old = bundle.load(bundle_folder(later.site, first.change), sha256=first.change.bundle_sha256)
    np.testing.assert_allclose(mine, old.predict(rows), rtol=1e-12)


def test_a_channel_that_fails_holds_up_nothing_and_is_finished_by_the_sweep(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.define(f"{POLICIES} delivery=Delivery(files='scores/bikes', table='bike_scores', database='bike_scores'),")
    blocked = world.home / "database"
    blocked.write_text("this is a file, and no folder")
    database = blocked / "delivery.db"
    monkeypatch.setenv("ANDON_DELIVERY_DATABASE", f"sqlite:///{database}")
    verdicts = score("bikes", as_of=day(1, 31))
    scored = [item for item in verdicts if isinstance(item, Scored)]
    assert [(item.outcome, item.pending, len(item.delivered)) for item in scored] == [("pending", ("database",), 2)] * 2
    assert "database waits: " in scored[0].reasons[1]
    assert delivered(world).height == 336
    assert runs_in(world.site.lake, "bikes") == ("bikes-5", "bikes-6")

    again = reconcile("bikes", as_of=day(1, 31))
    told = "predictions of 2 batches wait for database; that is done by this sweep"
    assert told in [reason for item in again for reason in item.reasons]
    assert world.told("delivery") == [], "what changes nothing is not written down"

    blocked.unlink()
    blocked.mkdir()
    reconcile("bikes", as_of=day(2, 1))
    assert world.told("delivery") == [("5", "delivered"), ("6", "delivered")]
    assert [undelivered(world.ledger, "bikes"), runs_in(world.site.lake, "bikes")] == [(), ()]
    with closing(sqlite3.connect(database)) as connection:
        counts = connection.execute("SELECT count(*), count(DISTINCT prediction_id) FROM bike_scores").fetchone()
    assert counts == (336, 336)
    assert delivered(world).height == 336
    assert score("bikes", as_of=day(2, 1)) == ()


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
