"""Does an input know what it cannot know when it is asked? Decides nothing: it tells, and the retrain stops."""

# ruff: noqa: ARG001 - the body is on its way
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from modelling.spec import Spec

Kind = Literal["copy", "future", "too good", "sum", "overlap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """What gives the target away: `column` (an input; of "overlap" the key, of "sum" the first of several).

    `score`: how surely, in [0, 1]; what it is of, `sentence` says, for people, with the remedy at its end.
    """

    column: str
    kind: Kind
    score: float
    sentence: str


def find_leaks(
    spec: Spec,
    frame: pl.DataFrame,
    *,
    trusted: Sequence[str] = (),
    holdout: pl.DataFrame | None = None,
) -> tuple[Leak, ...]:
    """The inputs of these training rows that know too much, surest first; () when none is suspicious.

    `frame`: labelled rows in order of time (raw or prepared, as `spec` says). `trusted`: inputs that are not
    questioned, besides `spec.training.trusted`. `holdout`: only its keys are looked at (for rows that are in both).
    """
    return ()


def in_words(leaks: Sequence[Leak]) -> str:
    """The sentences of the first few, for a verdict's reason."""
    return "; ".join(leak.sentence for leak in leaks[:3])
