"""Reading the prediction log: of a span of event time only the files and row groups that may have rows of it.

Which ones, their Parquet statistics say. The first logged prediction of a key counts, wherever it lies: so of the other
files the key is read as well, where one of the span's keys may be in it.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from storage.segment import META, SUFFIX, read_segment

PARQUET = ".parquet"
_FILE, _ROW = "_file", "_row"  # which row was logged first, where the moment is the same
_LOGGED_AT = "logged_at"


def read_predictions(
    folder: Path,
    schema: Mapping[str, pl.DataType],
    *,
    key: Sequence[str],
    time: str,
    since: datetime | None = None,
    until: datetime | None = None,
) -> pl.DataFrame:
    """One prediction per key, the first that was logged, of rows with `since` <= `time` < `until`; by time and key.

    A key whose first prediction lies outside of the span is not in it. Columns: prediction_id, version, logged_at,
    prediction (Float64; a list of them for several classes), then those of `schema`. A column that a file lacks, or
    holds in a type that cannot be converted, is null there.
    """
    wanted = pl.Schema({**META, "prediction": pl.Float64(), **schema})
    parts = [
        _aligned(part, wanted).with_columns(pl.lit(number, pl.UInt32).alias(_FILE))
        for number, part in enumerate(_parts(folder))
    ]
    inside = [part.filter(_inside(time, since, until)) for part in parts]
    found = pl.collect_all(inside, engine="streaming")
    if not any(rows.height for rows in found):
        return found[0].select(wanted.names()) if found else pl.DataFrame(schema=wanted)
    rows = pl.concat([rows for rows in found if rows.height])
    order = list(dict.fromkeys((time, *key)))
    places = rows.lazy().select(_LOGGED_AT, _FILE, _ROW, *order, _at=pl.row_index())
    first = _first_of_each(places, key).collect()
    if time not in key and (since or until):
        first = _without_earlier(first, [part.filter(_outside(time, since, until)) for part in parts], key)
    return rows[first.sort(order)["_at"]].select(wanted.names())


def find_predictions(folder: Path, prediction_id: str) -> tuple[Mapping[str, Any], ...]:
    """The rows of this id, or of the request that has it, by id; of a row that was logged twice the first."""
    found: dict[str, Mapping[str, Any]] = {}
    mine = pl.col("prediction_id").str.replace(r"-\d+$", "") == prediction_id
    for part in _parts(folder):
        for row in part.drop(_ROW).filter(mine | (pl.col("prediction_id") == prediction_id)).collect().to_dicts():
            known = found.get(row["prediction_id"])
            if known is None or row[_LOGGED_AT] < known[_LOGGED_AT]:
                found[row["prediction_id"]] = row
    exact = found.get(prediction_id)
    return (exact,) if exact else tuple(found[name] for name in sorted(found, key=_place_in_request))


def count_requests(folder: Path) -> int:
    """How many requests were answered: each gave all of its rows one id, and a number after a hyphen."""
    request = pl.col("prediction_id").str.replace(r"-\d+$", "").unique()
    requests = pl.collect_all([part.select(request) for part in _parts(folder)])
    return pl.concat(requests).n_unique() if requests else 0


def extent(folder: Path, *, time: str) -> tuple[datetime, datetime] | None:
    """The first and last event time that was predicted for; None when there is none."""
    ends = [part.select(first=pl.col(time).min(), last=pl.col(time).max()) for part in _parts(folder)]
    found = pl.concat(pl.collect_all(ends)).drop_nulls() if ends else None
    return (min(found["first"]), max(found["last"])) if found is not None and found.height else None


def _place_in_request(prediction_id: str) -> int:
    return int(prediction_id.rpartition("-")[2])


def _inside(time: str, since: datetime | None, until: datetime | None) -> pl.Expr:
    """In this form Parquet statistics can tell that a row group has no such row."""
    bounds = [] if since is None else [pl.col(time) >= since]
    bounds += [] if until is None else [pl.col(time) < until]
    return pl.all_horizontal(bounds) if bounds else pl.lit(value=True)


def _outside(time: str, since: datetime | None, until: datetime | None) -> pl.Expr:
    """All the others; a row without a time lies in no span."""
    beyond = [pl.col(time).is_null()]
    beyond += [] if since is None else [pl.col(time) < since]
    beyond += [] if until is None else [pl.col(time) >= until]
    return pl.any_horizontal(beyond)


def _first_of_each(rows: pl.LazyFrame, key: Sequence[str]) -> pl.LazyFrame:
    """On the few columns that decide: half the time of sorting all of them."""
    return rows.sort(_LOGGED_AT, _FILE, _ROW).unique(subset=key, keep="first", maintain_order=True)


def _without_earlier(first: pl.DataFrame, outside: Sequence[pl.LazyFrame], key: Sequence[str]) -> pl.DataFrame:
    """Those whose key was not logged before with a time outside of the span."""
    columns = [_LOGGED_AT, _FILE, _ROW, *key]
    may_be = pl.col(_LOGGED_AT) <= first[_LOGGED_AT].max()
    for name in key:
        values = first[name]
        if _has_range(values.dtype) and not values.null_count():
            may_be &= pl.col(name).is_between(pl.lit(values.min()), pl.lit(values.max()))
    others = pl.concat([part.filter(may_be).select(columns) for part in outside])
    same = others.join(first.lazy().select(key), on=list(key), how="semi", nulls_equal=True).collect(engine="streaming")
    everyone = pl.concat([first.select(*columns, "_at"), same.with_columns(_at=pl.lit(None, first.schema["_at"]))])
    left = everyone.lazy().pipe(_first_of_each, key).filter(pl.col("_at").is_not_null()).select("_at").collect()
    return first.join(left, on="_at", how="semi")


def _parts(folder: Path) -> Iterator[pl.LazyFrame]:
    """Each file with its rows' numbers, in a fixed order; of Parquet nothing is read yet."""
    # NOTE: segments are listed first, or one that becomes Parquet in between would be in neither list.
    segments = sorted(folder.glob(f"*{SUFFIX}"))
    parquets = sorted(folder.glob(f"*{PARQUET}"))
    for path in parquets:
        yield _scan(path)
    for path in segments:
        if path.with_suffix(PARQUET) not in parquets and (part := _read_moving(path)) is not None:
            yield part


def _scan(path: Path) -> pl.LazyFrame:
    return pl.scan_parquet(path, row_index_name=_ROW, glob=False)


def _read_moving(segment: Path) -> pl.LazyFrame | None:
    """The rows of a segment, or of the Parquet file that it has become since it was listed."""
    try:
        frame = read_segment(segment)
    except FileNotFoundError:
        parquet = segment.with_suffix(PARQUET)
        return _scan(parquet) if parquet.exists() else None
    return None if frame is None else frame.lazy().with_row_index(_ROW)


def _aligned(part: pl.LazyFrame, wanted: pl.Schema) -> pl.LazyFrame:
    has = part.collect_schema()

    def column(name: str, dtype: pl.DataType) -> pl.Expr:
        if name not in has:
            return pl.lit(None, dtype).alias(name)
        is_it = name == "prediction" or has[name] == dtype  # a cast would hide the column's statistics
        return pl.col(name) if is_it else pl.col(name).cast(dtype, strict=False)

    return part.select(_ROW, *(column(name, dtype) for name, dtype in wanted.items()))


def _has_range(dtype: pl.DataType) -> bool:
    """Are the statistics' smallest and largest those of the values? Not of floats (nan), not of categories."""
    return dtype == pl.String or dtype.is_integer() or dtype.is_temporal()
