"""The probe: a cheap refit that tells what retraining would gain, on rows that neither it nor the champion has seen."""

from datetime import datetime, timedelta

import polars as pl

from modelling.recipes import Recipe
from modelling.spec import Spec
from modelling.splits import split
from modelling.training import Model, fit


def probe(
    spec: Spec,
    frame: pl.DataFrame,
    *,
    recipe: Recipe,
    evidence: str | timedelta,
    gap: str | timedelta,
    since: datetime,
    seed: int,
    threads: int,
) -> Model | None:
    """Fit the champion's `recipe` on the mature rows before the evidence: the newest span, never before `since`.

    `since` is the champion's `trained_until`. None while the probe would know no row that the champion does not know:
    its regret would then be chance. The evidence rows are `split(..., holdout=evidence, train="all",
    holdout_from=since).holdout` of the same frame.
    """
    parts = split(frame, time=spec.time, holdout=evidence, gap=gap, train="all", holdout_from=since)
    if parts.shortfall or parts.trained_until <= since:
        return None
    return fit(spec, parts.train, recipe, seed=seed, threads=threads)
