"""What a model must never do, declared on the contract's raw columns: move the wrong way, or heed what it must not.

The declarations and what was found; `modelling/behaviour.py` asks the model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import polars as pl

from validation.errors import DefinitionError
from validation.fields import check_types

Value = bool | int | float | str | date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Monotone:
    """When `column` rises and all else stays, the prediction must not fall ("increasing") or rise ("decreasing").

    Each row's value is raised by `step` times the column's interquartile range (at least by 1 in a column of whole
    numbers), never beyond the largest value of the rows; or, with `values`, the row gets each of them in rising order.
    A row is a violation when its prediction moves the wrong way by more than `tolerance` (in the prediction's unit: a
    probability, or the label's unit). Up to `max_violations` (share of the moved rows) are accepted.
    """

    column: str
    direction: Literal["increasing", "decreasing"]
    step: float = 0.5
    values: tuple[float, ...] = ()
    tolerance: float = 0.01
    max_violations: float = 0.05

    def __post_init__(self) -> None:
        _check(self, part="gate.checks: Monotone")
        if self.direction not in ("increasing", "decreasing"):
            raise DefinitionError(f'{self}: direction must be "increasing" or "decreasing", got {self.direction!r}')
        if not 0 < self.step < float("inf"):
            raise DefinitionError(f"{self}: step must be a number above 0, got {self.step}")
        if any(isinstance(value, bool) or not isinstance(value, int | float) for value in self.values):
            raise DefinitionError(f"{self}: values must be numbers, got {self.values}")
        if self.values and (len(self.values) < 2 or list(self.values) != sorted(set(self.values))):
            raise DefinitionError(f"{self}: values must be two or more numbers in rising order, got {self.values}")

    def __str__(self) -> str:
        return f"{self.direction} in {self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invariant:
    """The prediction must not depend on `column`.

    Each row gets each of `values` (None: a null) in turn; without `values` the rows swap theirs among themselves. A
    row is a violation when its prediction changes by more than `tolerance` (in the prediction's unit; of several
    classes the one that changes most). Up to `max_violations` (share of the changed rows) are accepted.
    """

    column: str
    values: tuple[Value, ...] = ()
    tolerance: float = 0.01
    max_violations: float = 0.05

    def __post_init__(self) -> None:
        _check(self, part="gate.checks: Invariant")
        if len(set(map(repr, self.values))) != len(self.values):
            raise DefinitionError(f"{self}: values must differ, got {self.values}")

    def __str__(self) -> str:
        return f"invariant to {self.column}"


Check = Monotone | Invariant


@dataclass(frozen=True, slots=True, kw_only=True)
class BehaviourResult:
    """What a check found: `violations` is the share of `rows` (those that were changed) that broke it."""

    check: str
    ok: bool
    violations: float
    reason: str
    rows: int = 0


def check_columns(checks: Sequence[Check], raw_schema: Mapping[str, pl.DataType], *, task: str = "binary") -> None:
    """DefinitionError when a check names no raw column, or one whose type it cannot move."""
    for check in checks:
        if check.column not in raw_schema:
            raise DefinitionError(
                f"gate.checks, {check}: it must be a column of the contract ({', '.join(raw_schema)}), "
                f"got {check.column!r}"
            )
        dtype = raw_schema[check.column]
        if isinstance(check, Monotone) and not dtype.is_numeric():
            raise DefinitionError(f"gate.checks, {check}: the column must be of numbers, it is {dtype}")
        if isinstance(check, Monotone) and task == "multiclass":
            raise DefinitionError(f"gate.checks, {check}: several classes have no direction; use Invariant")
        for value in check.values:
            _check_value(check, value, dtype)


def _check(check: Check, *, part: str) -> None:
    check_types(check, part=part)
    if not check.column:
        raise DefinitionError(f"{part}.column must name a column of the contract, got ''")
    if not isinstance(check.values, tuple):
        raise DefinitionError(f"{part}.values must be a tuple, got {check.values!r}")
    if not 0 <= check.tolerance < float("inf"):
        raise DefinitionError(f"{part}.tolerance must be 0 or more, got {check.tolerance}")
    if not 0 <= check.max_violations < 1:
        raise DefinitionError(f"{part}.max_violations must be a share in [0, 1), got {check.max_violations}")


def _check_value(check: Check, value: Value, dtype: pl.DataType) -> None:
    try:
        pl.Series([value], dtype=dtype, strict=True)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as cause:
        raise DefinitionError(f"gate.checks, {check}: {value!r} is no value of a column of {dtype}") from cause
