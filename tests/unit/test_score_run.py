"""A run of scoring, part by part: the predictions are LightGBM's own for all rows at once, whatever came in between."""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import lightgbm
import msgspec
import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from benchmarks.batch_world import NAME, accept, install, rows_of, speak_of
from registry.ledger import Champion
from storage.outbox import Manifest, runs_in
from storage.prediction_log import read_predictions
from tasks.champions import champion_bundle
from tasks.history import undelivered
from tasks.score import told_of
from tasks.score_delivery import Delivery, clear, deliver
from tasks.score_run import ScoreRun, begin, fill
from tasks.site import Site
from validation.errors import RegistryError

NOW = datetime(2026, 2, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with a champion of nine trees and no batch."""
    before = dict(os.environ)
    home = tmp_path_factory.mktemp("loans") / "home"
    install(home, trees=9, training_rows=3_000)
    yield home
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def site(installed: Path, tmp_path: Path) -> Site:
    """A copy of it, with partitions of 400 rows."""
    site = speak_of(shutil.copytree(installed, tmp_path / "home"))
    return replace(site, settings=site.settings.model_copy(update={"score_rows": 400}))


def bring(site: Site, rows: pl.DataFrame) -> ScoreRun:
    """The run of a batch of these rows, planned by the champion."""
    path = site.work / "landed.parquet"
    rows.write_parquet(path)
    return begin(site, accept(site, path), champion(site), NOW)


def champion(site: Site) -> Champion:
    found = site.ledger.champion(NAME)
    assert found is not None
    return found


def by_lightgbm(site: Site, rows: pl.DataFrame) -> NDArray[np.float64]:
    """All rows at once, by LightGBM's own Python package."""
    found = champion_bundle(site)
    assert found is not None
    (text,) = (site.settings.home / "bundles" / NAME).glob("*/model.txt")
    matrix = found[1].model.encoding.encode(found[1].inputs(rows))
    return np.asarray(lightgbm.Booster(model_file=str(text)).predict(matrix, num_threads=1))


def outgoing(run: ScoreRun) -> pl.DataFrame:
    return pl.concat(run.outbox.predictions(run.manifest).parts())


def logged(site: Site) -> pl.DataFrame:
    folder, schema = site.lake.predictions(NAME), site.pipeline.raw_schema
    return read_predictions(folder, schema, key=("id",), time="at")


def test_all_parts_together_are_lightgbms_predictions_for_all_rows(site: Site) -> None:
    rows = rows_of(0, 2_000).drop("bad")
    odd = rows.with_columns(c0=pl.when(pl.col("id") % 7 == 0).then(pl.lit("never seen")).otherwise("c0"))
    run = bring(site, odd)
    fill(run, through="engine")
    assert len(run.manifest.partitions) == 6
    made = outgoing(run)
    assert made["at"].is_sorted()
    assert made["prediction_id"].to_list() == [f"{NAME}-1-{number}" for number in range(2_000)]
    np.testing.assert_allclose(made.sort("id")["prediction"], by_lightgbm(site, odd), rtol=0, atol=1e-12)
    kept = logged(site)
    assert kept.select("id", "prediction", "prediction_id").equals(
        made.sort("at", "id").select("id", "prediction", "prediction_id")
    )
    assert kept.sort("id").select(odd.columns).equals(odd)


def test_a_part_that_is_there_is_not_scored_again_and_the_log_has_each_row_once(site: Site) -> None:
    run = bring(site, rows_of(0, 1_000).drop("bad"))
    fill(run, through="engine")
    first = run.outbox.read(0)
    run.outbox.put(0, first.with_columns(prediction=pl.lit(9.0)))
    run.outbox.objects.remove(run.outbox.folder / "part-00001.parquet")
    again = begin(site, site.ledger.batches(NAME, kind="rows")[0], champion(site), NOW.replace(month=3))
    assert again.manifest == run.manifest
    assert again.outbox.missing(again.manifest) == (1,)
    fill(again, through="engine")
    assert outgoing(again).filter(pl.col("prediction") == 9.0).height == first.height
    assert pl.concat(map(pl.read_parquet, site.lake.predictions(NAME).glob("*.parquet")))["id"].n_unique() == 1_000


def test_rows_of_one_moment_are_scored_in_pieces(site: Site) -> None:
    rows = rows_of(0, 1_500).drop("bad").with_columns(at=pl.lit(NOW, pl.Datetime("us", "UTC")))
    run = bring(site, rows)
    assert {(part.first, part.last, part.pieces) for part in run.manifest.partitions} == {(NOW, NOW, 4)}
    fill(run, through="engine")
    made = outgoing(run).sort("id")
    assert made["id"].to_list() == list(range(1_500))
    np.testing.assert_allclose(made["prediction"], by_lightgbm(site, rows), rtol=0, atol=1e-12)


def test_rows_in_no_order_of_time_are_sorted_out_in_one_pass(site: Site) -> None:
    (site.work / f"scatter-{NAME}").mkdir()  # as a killed process leaves it
    (site.work / f"scatter-{NAME}" / "0.arrows").touch()
    ordered = rows_of(0, 120_000).select("id", "at").with_row_index()
    chaos = ordered.sample(fraction=1, shuffle=True, seed=5).head(3_000)
    rows = rows_of(0, 3_000).drop("bad").with_columns(at=chaos["at"])
    run = bring(site, rows)
    assert len(run.manifest.partitions) == 8
    fill(run, through="engine")
    made = outgoing(run)
    assert made["at"].is_sorted()
    np.testing.assert_allclose(made.sort("id")["prediction"], by_lightgbm(site, rows), rtol=0, atol=1e-12)
    assert [path.name for path in site.work.iterdir()] == ["landed.parquet"]


def test_a_batch_without_rows_is_delivered_as_such(site: Site) -> None:
    run = bring(site, rows_of(0, 1).drop("bad").clear())
    fill(run, through="engine")
    assert (run.manifest.rows, outgoing(run).height) == (0, 0)
    done = deliver(site, run.outbox, run.manifest)
    assert done.pending == ()
    assert pl.read_parquet(site.settings.home / "lake" / "scores" / NAME / f"{NAME}-1.parquet").height == 0


def test_what_is_delivered_is_what_the_outbox_holds(site: Site) -> None:
    run = bring(site, rows_of(0, 1_000).drop("bad"))
    fill(run, through="engine")
    assert deliver(site, run.outbox, run.manifest, only=["files"]) == Delivery(
        places=(str(site.lake.delivery(f"scores/{NAME}/{NAME}-1.parquet")),), pending=(), why=()
    )
    file = pl.read_parquet(site.settings.home / "lake" / "scores" / NAME / f"{NAME}-1.parquet")
    assert file.equals(outgoing(run))


def test_rows_that_are_not_those_of_the_plan_stop_the_run(site: Site) -> None:
    run = bring(site, rows_of(0, 1_000).drop("bad"))
    first = msgspec.structs.replace(run.manifest.partitions[0], rows=7)
    other = msgspec.structs.replace(run.manifest, partitions=(first, *run.manifest.partitions[1:]))
    with pytest.raises(
        RegistryError, match=r"where 7 lay when run loans-1 began; remove the folder .*, and score again"
    ):
        fill(ScoreRun(site=site, manifest=other, outbox=run.outbox, bundle=run.bundle), through="engine")


def test_a_run_that_another_polars_has_cut_begins_again_unless_it_is_whole(site: Site) -> None:
    run = bring(site, rows_of(0, 1_000).drop("bad"))
    old: Manifest = msgspec.structs.replace(run.manifest, cut_by="0.1", scored_at=NOW.replace(month=1))
    (batch,) = site.ledger.batches(NAME, kind="rows")
    run.outbox.remove()
    run.outbox.begin(old)
    again = begin(site, batch, champion(site), NOW)
    assert again.manifest == msgspec.structs.replace(run.manifest, began_at=again.manifest.began_at)
    fill(again, through="engine")
    run.outbox.objects.remove(run.outbox.folder / "run.json")
    run.outbox.begin(old)
    assert begin(site, batch, champion(site), NOW).manifest == old


def test_an_outbox_that_nobody_waits_for_is_cleared_away(site: Site) -> None:
    run = bring(site, rows_of(0, 100).drop("bad"))
    clear(site)
    assert runs_in(site.lake, NAME) == (f"{NAME}-1",), "the batch is to be scored yet"
    fill(run, through="engine")
    (batch,) = site.ledger.batches(NAME, kind="rows")
    waiting = Delivery(places=("here",), pending=("database",), why=("database waits: it is away",))
    site.ledger.record(told_of(run, batch, waiting, through="engine"), actor="test")
    clear(site)
    assert runs_in(site.lake, NAME) == (f"{NAME}-1",), "a channel waits for it"
    (item,) = undelivered(site.ledger, NAME)
    assert (item.batch, item.channels) == (1, ("database",))
    assert re.fullmatch(r"batch 1 waits for database since 20\d\d-.*: .*database waits: it is away.*", item.sentence)
    site.ledger.record(told_of(run, batch, replace(waiting, pending=()), through="engine"), actor="test")
    clear(site)
    assert (runs_in(site.lake, NAME), undelivered(site.ledger, NAME)) == ((), ())
