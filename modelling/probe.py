"""The probe: a cheap refit that tells what retraining would gain, on rows that neither it nor the champion has seen."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from modelling.model import Model
from modelling.recipes import Recipe
from modelling.rungs.ladder import Tried, ladder
from modelling.spec import Spec
from modelling.splits import Fold, just_after, split


def probe(  # noqa: PLR0913 - those of split and of ladder
    spec: Spec,
    frame: pl.DataFrame,
    *,
    recipe: Recipe,
    evidence: str | timedelta,
    gap: str | timedelta,
    since: datetime,
    seed: int,
    threads: int,
    earlier: Sequence[Tried] = (),
) -> Model | None:
    """The ladder's choice by `earlier` windows, fitted on the mature rows before the evidence: the newest span, never
    before `since`. Without such windows it uses the rows as the champion's `recipe` does. One fit.

    `since` is the champion's `trained_until`. None while the probe would know no row that the champion does not know:
    its regret would then be chance. The evidence rows are `split(..., holdout=evidence, train="all",
    holdout_from=since).holdout` of the same frame.
    """
    parts = split(frame, time=spec.time, holdout=evidence, gap=gap, train="all", holdout_from=since)
    end = just_after(frame, time=spec.time)
    if parts.shortfall or parts.trained_until <= since or end is None:
        return None
    moments = frame[spec.time]
    fold = Fold(
        start=parts.holdout_start,
        stop=end,
        train=np.flatnonzero((moments < parts.trained_until).to_numpy()),
        validation=np.flatnonzero((moments >= parts.holdout_start).to_numpy()),
    )
    found = ladder(
        spec,
        frame,
        recipe,
        folds=[fold],
        seed=seed,
        threads=threads,
        purpose="evidence",
        earlier=earlier,
    )
    return found.evidence.newest
