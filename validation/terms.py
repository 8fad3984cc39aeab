"""What a batch is judged by, and what the judgement says: plain values, nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from validation.asking import Outcome
from validation.errors import DefinitionError
from validation.fields import check_types
from validation.verdict import Verdict

MAX_AHEAD = timedelta(days=31)  # how far after the data time a row may lie


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """How many bad rows a batch may have before all of it is refused.

    `max_bad_share`: share of rows, in [0, 1]; `per_rule`: the same for single rules, by the rule's name
    ("distance.greater_than", "flight_id.unique", "carrier.not_null"; for a dataframe check, its function's name).
    """

    max_bad_share: float = 0.05
    per_rule: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_types(self, part="quarantine")
        for name, share in {"max_bad_share": self.max_bad_share, **self.per_rule}.items():
            if not 0 <= share <= 1:
                raise DefinitionError(f"quarantine.{name} must be a share in [0, 1], got {share}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a batch is judged by. `contract`: a pandera.polars DataFrameModel or DataFrameSchema.

    `key` and `time`: the columns that every row needs. `max_age`: of the newest row, None for any; `max_ahead`: how far
    after the data time a row may lie.
    """

    contract: Any
    policy: Quarantine
    key: tuple[str, ...]
    time: str
    max_age: timedelta | None = None
    max_ahead: timedelta = MAX_AHEAD


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleCount:
    """How many rows break a rule, with at most five of them as text."""

    name: str
    rows: int
    sample: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractVerdict(Verdict):
    """outcome: "accept", "quarantine" (some rows set aside), "refuse", "duplicate", or "suspect" (held back).

    `rows_quarantined`: rows that go to the quarantine with the names of the rules that they break; of a refused
    batch, too, of which no row is accepted. `rules`: broken rules only, the most broken first. `warnings`: of rules
    that only warn. `suspicions`: why a valid batch is strange. `fingerprint`: of the contract that was asked.
    """

    kind: ClassVar[str] = "contract"

    rows_in: int = 0
    rows_accepted: int = 0
    rows_quarantined: int = 0
    rules: tuple[RuleCount, ...] = ()
    warnings: tuple[str, ...] = ()
    suspicions: tuple[str, ...] = ()
    fingerprint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """A verdict and its rows. `good`: the contract's columns, in its order, NaN made null; empty when refused.

    `bad`: the dead letter, None when there is none: the batch's own columns and values, `_row` (0-based position) and
    `_rules` (names of broken rules). `outcomes`: what each rule said, in the contract's order.
    """

    verdict: ContractVerdict
    good: pl.LazyFrame
    bad: Path | None
    outcomes: tuple[Outcome, ...] = ()
