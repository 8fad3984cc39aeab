"""What a snapshot is made of: enough to take it again from the lake, and to see whether it still is the same."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from validation.errors import RegistryError


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """One snapshot in numbers; JSON values only.

    `digest`: of all values, `columns`: of each column's (shortened); `id`: of digest and `definition`, the pipeline's
    fingerprint. `batches`: by kind ("rows", "labels", reference tables) the accepted numbers that counted, as in
    "1-7,9". `since`, `until`: event time of the first and the last row. `unlabelled`: mature rows without a label,
    `missing`: those beyond the grace; `coverage`: labelled share of the mature rows, None without any.
    """

    pipeline: str
    id: str
    digest: str
    definition: str
    as_of: datetime
    as_known_at: datetime
    batches: dict[str, str]
    since: datetime | None
    until: datetime | None
    rows: int
    unlabelled: int
    missing: int
    coverage: float | None
    matures_after_seconds: float
    grace_seconds: float
    columns: dict[str, str]


def as_ranges(numbers: Iterable[int]) -> str:
    """The numbers in order, neighbours together: "1-3,7"; "" for none."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def numbers_in(ranges: str) -> tuple[int, ...]:
    """The inverse of `as_ranges`."""
    try:
        bounds = [[int(bound) for bound in part.split("-")] for part in ranges.split(",") if part]
        return tuple(number for first, *last in bounds for number in range(first, (last or [first])[0] + 1))
    except ValueError as cause:
        raise RegistryError(f"batches must be ranges like 1-3,7, got {ranges!r}; is this ledger whole?") from cause


def is_within(number: int, ranges: str) -> bool:
    """Whether the batch of this number counted; quick also for long ranges."""
    bounds = (part.partition("-") for part in ranges.split(",") if part)
    return any(int(first) <= number <= int(last or first) for first, _, last in bounds)
