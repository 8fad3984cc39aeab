"""The off-ramp for notebooks does what the flow does, to the byte; and training sees no row that the gate judges by."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from flows.ingest import ingest
from flows.retrain import retrain
from modelling import bundle
from storage.digest import column_digests, frame_digest
from tasks.challengers import train_challenger
from tasks.orders import Order, answering
from tests.flows.world import POLICIES, World, day
from validation.errors import RefusedError
from validation.gate import GateVerdict

UNBEATABLE = POLICIES.replace("min_gain=0.01", "min_gain=0.9")


def test_a_notebook_makes_the_flows_challenger_and_judges_it_alike(world: World, tmp_path: Path) -> None:
    world.define(UNBEATABLE)
    world.land(6)
    ingest("bikes", as_of=day(2, 7))
    pipeline = world.site.pipeline
    rows, champion = pipeline.snapshot("2011-02-07"), pipeline.champion()
    assert champion is not None
    model = pipeline.fit(rows, champion=champion)
    found = pipeline.evaluate(model, rows, against=champion)

    verdict = retrain("bikes", as_of=day(2, 7))
    assert isinstance(verdict, GateVerdict)
    kept = bundle.load(world.site.store.fetch("bikes", verdict.subject, into=tmp_path / "kept"))
    assert (verdict.outcome, kept.model.text) == ("reject", model.text)
    assert found.verdict is not None
    same = ("outcome", "rows", "blocks", "champion_loss", "challenger_loss", "lower", "upper", "baseline_loss")
    assert [getattr(found.verdict, name) for name in same] == [getattr(verdict, name) for name in same]
    (taken, *_) = world.ledger.verdicts("bikes", kind="snapshot", subject=verdict.snapshot)
    assert frame_digest(rows.height, column_digests(rows)) == taken.body["description"]["digest"]


def test_a_definition_that_is_tried_in_a_notebook_needs_no_file(world: World) -> None:
    """The rows are the installation's, the definition is the one at hand."""
    pipeline = replace(world.site.pipeline, features=lambda hours: hours.select("ts", "hour", "temp"))
    model = pipeline.fit(pipeline.snapshot(day(1, 31)))
    assert model.encoding.names == ("hour", "temp")


def test_without_rows_or_a_champion_that_is_said(empty: World) -> None:
    pipeline = empty.site.pipeline
    assert pipeline.champion() is None
    with pytest.raises(RefusedError, match="no accepted row has a mature label yet; land batches and labels"):
        pipeline.snapshot(day(1, 31))


def poisoned(order: Order, since: datetime) -> Order:
    """Wrong labels and other rows' inputs in all rows of `since` and later."""
    spec, rows = order.site.pipeline.spec, order.snapshot.rows
    hit = pl.col(spec.time) >= since
    wrong = {name: pl.col(name).reverse() for name in spec.raw_schema if name not in (*spec.key, spec.time)}
    wrong[spec.target] = 1_000_000 - pl.col(spec.target)
    made = rows.with_columns(
        pl.when(hit).then(value).otherwise(pl.col(name)).alias(name) for name, value in wrong.items()
    )
    assert made.filter(~hit).equals(rows.filter(~hit))
    assert not made.filter(hit).equals(rows.filter(hit))
    return replace(order, snapshot=replace(order.snapshot, rows=made))


def test_training_and_search_see_no_row_that_the_gate_judges_by(world: World) -> None:
    """All that is chosen and grown is the same, whatever stands in the rows held out and in the gap before them."""
    by_trials = POLICIES.replace("budget_seconds=1", "budget_seconds=60")
    world.define(by_trials.replace('holdout="3d"', 'holdout="3d", search_every="1h"'))
    world.land(6)
    ingest("bikes", as_of=day(2, 7))
    with answering(world.site, None, day(2, 7), "by hand") as order:
        assert isinstance(order, Order)
        honest = train_challenger.fn(order)
        seen = honest.split.trained_until
        later = replace(poisoned(order, seen), as_of=order.as_of + timedelta(hours=2))  # a search is due again
        blind = train_challenger.fn(later)
    assert honest.proven is not None
    assert blind.proven is not None
    assert honest.trained.searched
    assert blind.trained.losses == honest.trained.losses
    assert blind.trained.recipe == honest.trained.recipe
    assert blind.proven.text == honest.proven.text
    pipeline, recipe = world.site.pipeline, honest.proven.recipe
    champion = pipeline.champion()
    assert (
        pipeline.fit(later.snapshot.rows, recipe=recipe, champion=champion, search="never").text == honest.proven.text
    )
    reaching = poisoned(order, seen - timedelta(hours=2))
    assert (
        pipeline.fit(reaching.snapshot.rows, recipe=recipe, champion=champion, search="never").text
        != honest.proven.text
    )
