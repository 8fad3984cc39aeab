"""Inputs that were others when they were asked: what was filled in or corrected after the outcome is no input.

The prediction log holds each row as it was scored; a training row of the same key may have been delivered anew since.
Most corrections are harmless. One that tells the target better than what was known then has learned of the outcome.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl

from modelling.inputs import inputs_of
from modelling.leak_scores import binned, differing, sample_rows
from modelling.leak_target import Target, target_of
from modelling.leaks import Leak, with_remedy
from modelling.spec import Spec

MIN_ROWS = 500  # that were scored and are trained on: two AUCs of the same rows then differ by 0.1 for a reason
MOST_ROWS = 20_000
MIN_SHARE = 0.02  # of them, that have another value now
MIN_GAIN = 0.1  # of AUC or R^2, that the value of now tells more than that of then


def changed_since_scored(spec: Spec, frame: pl.DataFrame, served: pl.DataFrame) -> tuple[Leak, ...]:
    """The inputs whose values of now tell the target much better than those that were scored; () when none does, or
    hardly a row of `frame` was scored.

    `frame`: raw labelled rows; `served`: raw rows as they were asked, of any keys; of several of a key the first. What
    the log leaves out or hashes must be so in both.
    """
    keys, row = list(spec.key), "_row"
    asked = served.unique(keys, keep="first", maintain_order=True).select(*keys, *_others(spec, served))
    both = frame.with_row_index(row).select(row, *keys).join(asked, on=keys, how="inner").sort(row).tail(MOST_ROWS)
    if both.height < MIN_ROWS or both.drop(row).equals(frame[both[row]].select(both.drop(row).columns)):
        return ()
    rows = frame[both[row]]
    now = inputs_of(spec, rows).drop(*spec.training.trusted, strict=False)
    then = inputs_of(spec, both)
    target = target_of(spec, rows[spec.target], sample_rows(rows.height, wanted=rows.height)[1])
    return tuple(_changed(now, then, target))


def _others(spec: Spec, served: pl.DataFrame) -> list[str]:
    return [name for name in spec.raw_schema if name in served.columns and name not in spec.key]


def _changed(now: pl.DataFrame, then: pl.DataFrame, target: Target) -> Iterator[Leak]:
    for column in now:
        share = differing(column, then[column.name])
        if share < MIN_SHARE:
            continue
        told, before = (_told(series, target) for series in (column, then[column.name]))
        if not told - before >= MIN_GAIN:
            continue
        sentence = (
            f"input {column.name!r} has learned of the outcome: {share:.0%} of {column.len():,} rows had another value "
            f"when they were scored, and it tells the target better now ({'AUC' if target.classes else 'R^2'} "
            f"{told:.3f} against {before:.3f})"
        )
        yield Leak(column=column.name, kind="future", score=told, sentence=with_remedy(sentence, column.name))


def _told(column: pl.Series, target: Target) -> float:
    bins = binned(column)
    return target.told_by(column, bins, np.ones(bins.size, np.bool_))
