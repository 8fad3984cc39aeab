"""Rows that came more than once: which of the incoming ones did, and which version of a key holds.

Keys are looked for by a hash of 64 bits, in passes of bounded memory; where two hashes meet, keys are compared.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from storage.address import Address
from storage.delta import open_table, rows_of, schema_of, served
from storage.remote import Remote

_BATCH, _KNOWN_AT = "_batch", "_known_at"
_HASH, _CONTENT, _TURN = "_hash", "_content", "_turn"
_RANGED_TYPES = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.String, pl.Date, pl.Datetime)
# A hash takes about 60 bytes in a join or a group; where all meet, a key with what belongs to it some 200.
ROWS_IN_A_PASS = 3_000_000


def repeats(
    place: Address,
    rows: pl.LazyFrame,
    *,
    key: Sequence[str],
    batch_numbers: Collection[int],
    remote: Remote,
    rows_in_a_pass: int = ROWS_IN_A_PASS,
) -> pl.DataFrame:
    """Those of `rows` whose key came before: in the table, by a batch that is not among `batch_numbers`, or in `rows`
    itself, by a batch with a lower number.

    `batch_numbers`: the batches that are being written, so that a repetition judges as the first attempt did, and any
    that do not count. Returns key, `_batch` and `same`: do all columns without a leading underscore have the values of
    the version right before (the newest in the table, then batch by batch)? By a hash of 64 bits. `rows` is read
    several times: let it be a scan. Memory grows with the rows that repeat, not with `rows` or the table. A table with
    other columns or types has none of them; it will not take `rows` either.
    """
    key, schema = list(key), pl.Schema(rows.collect_schema())
    facts = rows.select(*_facts(key, schema)).collect(engine="streaming").row(0, named=True)
    old = _earlier(place, schema, remote).filter(
        ~pl.col(_BATCH).is_in(list(batch_numbers)), *_within(key, schema, facts)
    )
    passes = _passes(facts["rows"], rows_in_a_pass, _hashed(rows, key), _hashed(old, key, _BATCH))
    meetings = (_meeting(incoming, known, has_several=facts["batches"] > 1) for incoming, known in passes)
    parts = (_compared(rows, old, met, key) for met in _merged(meetings, rows_in_a_pass))
    nothing = pl.DataFrame(schema={**{name: schema[name] for name in [*key, _BATCH]}, "same": pl.Boolean()})
    with served(place, what="reading"):
        return pl.concat([nothing, *parts])


def among(found: pl.DataFrame, *, key: Sequence[str]) -> pl.Expr:
    """Is a row one of `found`, by key and `_batch`? NOTE: a join would say the same, and take thrice the memory."""
    columns = [*key, _BATCH]
    return pl.struct(columns).is_in(found.select(columns).to_struct().implode())


def newest(
    table: pl.LazyFrame,
    *,
    key: Sequence[str],
    accepted: Collection[int],
    as_known_at: datetime,
    rows_in_a_pass: int = ROWS_IN_A_PASS,
) -> pl.LazyFrame:
    """The rows of the `accepted` batches that were known at `as_known_at`; of several with a key the one of the batch
    with the highest number. Reads the keys at once, and the rest when it is collected.
    """
    moment = pl.lit(as_known_at, pl.Datetime("us", "UTC"))
    rows = table.filter(pl.col(_BATCH).is_in(list(accepted)), pl.col(_KNOWN_AT) <= moment)
    older = _older(rows, list(key), rows_in_a_pass)
    return rows if older.is_empty() else rows.filter(~among(older, key=key))


def _facts(key: list[str], schema: pl.Schema) -> Iterator[pl.Expr]:
    yield from (pl.len().alias("rows"), pl.col(_BATCH).n_unique().alias("batches"))
    for number, name in enumerate(key):
        if isinstance(schema[name], _RANGED_TYPES):
            values = pl.col(name)
            yield from (values.min().alias(f"low{number}"), values.max().alias(f"high{number}"))
            yield values.null_count().alias(f"nulls{number}")


def _within(key: list[str], schema: pl.Schema, facts: Mapping[str, Any]) -> Iterator[pl.Expr]:
    """Equal keys lie between the same bounds: by these whole files are left out."""
    for number, name in enumerate(key):
        if isinstance(schema[name], _RANGED_TYPES):
            low, high = (pl.lit(facts[f"{side}{number}"], schema[name]) for side in ("low", "high"))
            between = pl.col(name).is_between(low, high)
            yield between | pl.col(name).is_null() if facts[f"nulls{number}"] else between


def _earlier(place: Address, schema: pl.Schema, remote: Remote) -> pl.LazyFrame:
    table = open_table(place, remote)
    if table is None or dict(schema_of(table)) != dict(schema):
        return pl.LazyFrame(schema=schema)
    return rows_of(table, place, remote)


def _hashed(rows: pl.LazyFrame, key: list[str], *columns: str | pl.Expr) -> pl.LazyFrame:
    return rows.select(pl.struct(key).hash().alias(_HASH), *columns)


def _passes(count: int, rows_in_a_pass: int, *frames: pl.LazyFrame) -> Iterator[tuple[pl.LazyFrame, ...]]:
    passes = max(1, -(-count // rows_in_a_pass))
    for number in range(passes):
        yield tuple(frame.filter(pl.col(_HASH) % passes == number) for frame in frames)


def _meeting(incoming: pl.LazyFrame, known: pl.LazyFrame, *, has_several: bool) -> pl.DataFrame:
    """The hashes that came before, each with the batches that brought it into the table."""
    met = known.join(incoming, on=_HASH, how="semi").unique()
    if has_several:
        met = pl.concat([met, _twice(incoming).with_columns(pl.lit(None, pl.Int64).alias(_BATCH))])
    return met.collect(engine="streaming")


def _merged(meetings: Iterable[pl.DataFrame], rows_in_a_pass: int) -> Iterator[pl.DataFrame]:
    """Not too many at a time, and not many times: each comparison reads all rows."""
    waiting: list[pl.DataFrame] = []
    for met in meetings:
        waiting.append(met)
        if sum(part.height for part in waiting) >= rows_in_a_pass:
            yield pl.concat(waiting)
            waiting = []
    if any(part.height for part in waiting):
        yield pl.concat(waiting)


def _twice(hashes: pl.LazyFrame) -> pl.LazyFrame:
    return hashes.group_by(_HASH).len().filter(pl.col("len") > 1).select(_HASH)


def _compared(rows: pl.LazyFrame, old: pl.LazyFrame, met: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """Each key's versions one below the other, the table's newest first: a row repeats the one above with its key."""
    brought = old.filter(pl.col(_BATCH).is_in(met[_BATCH].drop_nulls().unique().to_list()))
    before = _contents(brought, met, key).sort(_BATCH).unique(key, keep="last", maintain_order=True)
    versions = (
        before.with_columns(pl.lit(0).alias(_TURN)),
        _contents(rows, met, key).with_columns(pl.lit(1).alias(_TURN)),
    )
    ordered = pl.concat(versions).sort(*key, _TURN, _BATCH)
    has_key_of_above = (pl.col(name).eq_missing(pl.col(name).shift()) for name in key)
    repeated = pl.all_horizontal(pl.int_range(pl.len()) > 0, pl.col(_TURN) == 1, *has_key_of_above)
    same = (pl.col(_CONTENT) == pl.col(_CONTENT).shift()).alias("same")
    return ordered.select(*key, _BATCH, same, repeated.alias(_TURN)).filter(_TURN).drop(_TURN)


def _contents(rows: pl.LazyFrame, met: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """NOTE: contents that differ have the same hash once in 2**64 comparisons; whole rows would not fit in memory."""
    columns = sorted(name for name in rows.collect_schema() if not name.startswith("_"))
    mine = rows.filter(pl.struct(key).hash().is_in(met[_HASH].unique().implode()))
    return mine.select(*key, _BATCH, pl.struct(columns).hash().alias(_CONTENT)).collect(engine="streaming")


def _older(rows: pl.LazyFrame, key: list[str], rows_in_a_pass: int) -> pl.DataFrame:
    """Key and batch of each version that a later one replaces."""
    schema, count = rows.collect_schema(), rows.select(pl.len()).collect(engine="streaming").item()
    passes = _passes(count, rows_in_a_pass, _hashed(rows, key))
    met = _merged((_twice(hashes).collect(engine="streaming") for (hashes,) in passes), rows_in_a_pass)
    nothing = pl.DataFrame(schema={name: schema[name] for name in [*key, _BATCH]})
    return pl.concat([nothing, *(_replaced(rows, part, key) for part in met)])


def _replaced(rows: pl.LazyFrame, met: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """The versions of a key one below the other: the one above is replaced."""
    mine = rows.filter(pl.struct(key).hash().is_in(met[_HASH].implode())).select(*key, _BATCH)
    is_key_of_below = (pl.col(name).eq_missing(pl.col(name).shift(-1)) for name in key)
    ordered = mine.collect(engine="streaming").sort(*key, _BATCH)
    return ordered.filter(pl.col(_BATCH) < pl.col(_BATCH).shift(-1), *is_key_of_below)
