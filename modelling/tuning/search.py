"""Look for a better recipe, judged on the newest rows, within a budget: see `hunt` for how, `bench` for on what.

The result is never worse on the validation rows than a start that was found before; whether it is better on later ones
is the gate's question. Never sees the gate's holdout: the caller passes training rows only.
"""

import hashlib
import time
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import polars as pl

from modelling.recipes import Recipe
from modelling.spec import Search, Spec
from modelling.tuning.bench import bench_of
from modelling.tuning.field import Field, Watch
from modelling.tuning.hunt import hunted
from modelling.tuning.results import Clock, Curves, Incumbent, Place, Progress, SearchResult
from modelling.tuning.space import space_of
from modelling.tuning.study import open_book
from validation.durations import span


def search(  # noqa: PLR0913 - what it is told before, and whom it tells meanwhile
    spec: Spec,
    frame: pl.DataFrame,
    *,
    start: Recipe,
    policy: Search,
    gap: str | timedelta,
    study: Place | None = None,
    progress: Progress | None = None,
    incumbent: Incumbent | None = None,
    clock: Clock = time.monotonic,
) -> SearchResult:
    """Try recipes until `policy.budget_trials` are done, nothing more is to be gained, or time is over: so early that
    the fit of the result on all rows of `frame`, which follows, ends within `policy.budget_seconds` too (at least half
    of them are the search's own).

    `gap` is the labels' delay, kept between the rows that train and those that judge. `study`: where trials are kept;
    a search that was killed does not repeat those that were done. `progress` is told after each leg of a
    trial, `incumbent` each recipe that is better than all before (its rounds so far, its loss, and its trees'
    text when asked).
    """
    began = clock()
    space = space_of(spec, policy)
    bench = bench_of(spec, frame, start=start, policy=policy, gap=gap)
    if bench is None:
        return SearchResult(
            recipe=start, trials=(), seconds=clock() - began, ended="there are too few rows to divide in time"
        )
    book = open_book(study, space, seed=policy.seed, about=_about(spec, frame, start, policy, gap=gap))
    watch = Watch(clock=clock, began=began, prepared=clock() - began, progress=progress, incumbent=incumbent)
    field = Field(bench=bench, book=book, watch=watch)
    with closing(book):
        hunted(field, space)
    return _result(field, start, lowest_rate=space.rates[0])


def _result(field: Field, start: Recipe, *, lowest_rate: float) -> SearchResult:
    best, watch, recipe = field.best if field.settled else None, field.watch, start
    if best is not None:
        recipe = field.bench.scaled(replace(best.recipe, rounds=best.best_round))
        recipe = field.lowered(recipe, lowest_rate)
    return SearchResult(
        recipe=recipe,
        trials=tuple(arm.best for arm in field.arms),
        seconds=watch.clock() - watch.began,
        cost=field.cost,
        ended="; ".join(filter(None, (field.ended, field.book.trouble))),
        curves=Curves(train=best.train, validation=tuple(best.losses)) if best else Curves(),
    )


def _about(spec: Spec, frame: pl.DataFrame, start: Recipe, policy: Search, *, gap: str | timedelta) -> str:
    """A digest of all that decides what a search finds: the problem, the rows with all their columns, and the gap."""
    schema = [(name, str(dtype)) for name, dtype in frame.schema.items()]
    told = (spec.training, spec.task, spec.metric, tuple(spec.raw_schema), start, policy, span(gap), schema)
    digest = hashlib.sha256(repr(told).encode())
    # NOTE: a category's number may be another one in the next process.
    told_rows = frame.with_columns(pl.col(pl.Categorical).cast(pl.String))
    digest.update(told_rows.hash_rows(seed=0).to_numpy().tobytes())
    return digest.hexdigest()[:16]
