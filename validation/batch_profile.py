"""What a batch looks like, in a few numbers for each column: what the next batches are compared with. Judges nothing.

Rows, nulls, span and digest are exact; all else is told by a sample of at most 10,000 rows (`batch_sample`). Numbers
are profiled by their quantiles, texts by their values, lengths and shapes ("A9" for "N12345"), moments by how far they
lie from the row's own time; of nested columns only the nulls are counted.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from validation.batch_sample import take_sample

Kind = Literal["number", "text", "moment", "other"]
Shares = tuple[tuple[str, float], ...]

QUANTILES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
LEVELS = 20  # most frequent values of a text that are kept
LEAST_SHARE = 0.005  # rarer values are not kept: a profile is no place for names and addresses
SHAPES = 5
SHAPE_ROWS = 2_000  # regular expressions are slow
MAX_LENGTH = 60  # characters of a value that are kept
DIGITS = 7  # significant ones that are kept of a number
_RUNS = ((r"\p{Lu}+", "A"), (r"\p{Ll}+", "a"), (r"\p{Nd}+", "9"), (r"\s+", " "))


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnProfile:
    """One column of one batch. `nulls`: exact; `seen`: values in the sample, of which all else tells.

    `distinct`: different values; `shares`: the most frequent values that are not rare, the most frequent first (of a
    number or moment only that one). `quantiles`: 1, 5, 10, 25, 50, 75, 90, 95 and 99 % of a number, of the seconds by
    which a moment lies after the row's time, of a text's length in characters. `shapes`: of a text.
    """

    name: str
    kind: Kind
    nulls: int
    seen: int = 0
    distinct: int = 0
    quantiles: tuple[float, ...] = ()
    shares: Shares = ()
    shapes: Shares = ()

    @property
    def top(self) -> float:
        """Share of the most frequent value, in [0, 1]; 0 when all are rare."""
        return self.shares[0][1] if self.shares else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchProfile:
    """One batch; a few kB as JSON. `name`: as a person knows it. `since`, `until`: first and last moment, ISO 8601.

    `step_seconds`: typical time from one moment of the sample to the next. `digest`: equal for the same rows in any
    order and any file format, whatever columns that start with "_" hold.
    """

    name: str
    rows: int
    digest: str
    since: str | None
    until: str | None
    step_seconds: float | None
    columns: tuple[ColumnProfile, ...]

    @property
    def span_seconds(self) -> float:
        """Time from the first moment to the last; 0 when there is none."""
        if self.since is None or self.until is None:
            return 0.0
        return (datetime.fromisoformat(self.until) - datetime.fromisoformat(self.since)).total_seconds()

    def to_json(self) -> str:
        """Compact JSON text; `from_json` gives an equal value back."""
        return json.dumps(asdict(self), separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "BatchProfile":
        """Read what `to_json` wrote."""
        raw = json.loads(text)
        return cls(**{**raw, "columns": tuple(_thaw(column) for column in raw["columns"])})


def profile_batch(
    rows: pl.LazyFrame, *, schema: Mapping[str, Any], key: str | Sequence[str], time: str, name: str = ""
) -> BatchProfile:
    """Profile a batch in one pass and bounded memory. `schema`: the contract's columns with their Polars types.

    Columns of the key are profiled as texts, whatever their type: an identifier has no unit.
    """
    own = pl.Schema({column: dtype for column, dtype in schema.items() if not column.startswith("_")})
    sample = take_sample(rows, own, time=time)
    keys = {key} if isinstance(key, str) else set(key)
    values = [_values(sample.frame, column, time=time, keys=keys) for column in own if column != time]
    shapes = _shapes([each for each in values if isinstance(each.dtype, pl.String)])
    return BatchProfile(
        name=name,
        rows=sample.rows,
        digest=sample.digest,
        since=None if sample.since is None else sample.since.isoformat(),
        until=None if sample.until is None else sample.until.isoformat(),
        step_seconds=_step(sample.frame[time]),
        columns=tuple(_profile(each, nulls=sample.nulls[each.name], shapes=shapes) for each in values),
    )


def _values(frame: pl.DataFrame, column: str, *, time: str, keys: set[str]) -> pl.Series:
    """A column as it is profiled: text, time after the row's own (Duration), number (Float64), or empty."""
    values = frame[column]
    dtype = values.dtype
    if isinstance(dtype, pl.Boolean | pl.String) or (column in keys and not dtype.is_nested()):
        return values.cast(pl.String)
    if isinstance(dtype, pl.Datetime | pl.Date):
        return (_microseconds(values) - _microseconds(frame[time])).cast(pl.Duration("us"))
    if isinstance(dtype, pl.Duration):
        return values.dt.total_microseconds().cast(pl.Float64) / 1e6
    return values.cast(pl.Float64) if dtype.is_numeric() else values.clear()


def _microseconds(moments: pl.Series) -> pl.Series:
    return moments.cast(pl.Datetime("us", getattr(moments.dtype, "time_zone", None))).dt.timestamp("us")


def _shapes(texts: Sequence[pl.Series]) -> pl.DataFrame:
    """Runs of capitals as "A", of small letters as "a", of digits as "9", of spaces as one; of the first rows."""
    shape = pl.all()
    for run, letter in _RUNS:
        shape = shape.str.replace_all(run, letter)
    frame = pl.DataFrame(texts).head(SHAPE_ROWS)
    return frame.select(shape) if texts else frame


def _profile(values: pl.Series, *, nulls: int, shapes: pl.DataFrame) -> ColumnProfile:
    if isinstance(values.dtype, pl.String):
        return _of_text(values.drop_nulls(), nulls=nulls, shapes=shapes[values.name].drop_nulls())
    if isinstance(values.dtype, pl.Duration):
        return _of_numbers(values.dt.total_microseconds() / 1e6, nulls=nulls, kind="moment")
    if isinstance(values.dtype, pl.Float64):
        return _of_numbers(values, nulls=nulls, kind="number")
    return ColumnProfile(name=values.name, kind="other", nulls=nulls)


def _of_numbers(values: pl.Series, *, nulls: int, kind: Kind) -> ColumnProfile:
    numbers = values.to_numpy()
    finite = np.sort(numbers[np.isfinite(numbers)] + 0.0)  # and no -0.0, which comes where it stood
    if not len(finite):
        return ColumnProfile(name=values.name, kind=kind, nulls=nulls)
    starts = np.flatnonzero(np.diff(finite, prepend=np.nan) != 0)
    lengths = np.diff(starts, append=len(finite))
    top = int(lengths.argmax())
    counts = ((f"{finite[starts[top]]:.{DIGITS}g}", int(lengths[top])),)
    return ColumnProfile(
        name=values.name,
        kind=kind,
        nulls=nulls,
        seen=len(finite),
        distinct=len(starts),
        quantiles=_quantiles(finite),
        shares=_shares(counts, rows=len(finite)),
    )


def _of_text(values: pl.Series, *, nulls: int, shapes: pl.Series) -> ColumnProfile:
    texts = values.to_list()
    if not texts:
        return ColumnProfile(name=values.name, kind="text", nulls=nulls)
    counts = Counter(texts)
    return ColumnProfile(
        name=values.name,
        kind="text",
        nulls=nulls,
        seen=len(texts),
        distinct=len(counts),
        quantiles=_quantiles(np.sort([len(text) for text in texts])),
        shares=_shares(_most_frequent(counts, LEVELS), rows=len(texts)),
        shapes=_shares(_most_frequent(Counter(shapes.to_list()), SHAPES), rows=max(1, len(shapes))),
    )


def _most_frequent(counts: Mapping[str, int], most: int) -> Sequence[tuple[str, int]]:
    """The most frequent first, ties by value."""
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:most]


def _shares(counts: Sequence[tuple[str, int]], *, rows: int) -> Shares:
    return tuple((value[:MAX_LENGTH], _short(count / rows)) for value, count in counts if count >= LEAST_SHARE * rows)


def _quantiles(ordered: npt.NDArray[Any]) -> tuple[float, ...]:
    """Values at the ranks of QUANTILES: real values of the column, none in between."""
    ranks = np.ceil(np.array(QUANTILES) * len(ordered)).astype(int) - 1
    return tuple(_short(value) for value in ordered[ranks.clip(0)])


def _step(moments: pl.Series) -> float | None:
    """Median time between neighbouring moments of the sample."""
    steps = np.diff(np.unique(_microseconds(moments.drop_nulls()).to_numpy()))
    return _short(float(np.median(steps)) / 1e6) if len(steps) else None


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _thaw(raw: dict[str, Any]) -> ColumnProfile:
    pairs = {part: tuple((value, share) for value, share in raw[part]) for part in ("shares", "shapes")}
    return ColumnProfile(**{**raw, **pairs, "quantiles": tuple(raw["quantiles"])})
