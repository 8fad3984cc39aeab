"""What a prediction log may keep: a share of the requests, some columns not at all, of others a keyed hash.

The reference that a monitor compares the log with is masked by the same policy, or the mask would look like drift.
"""

import hmac
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Self

import polars as pl

from andon.settings import Settings
from validation.serving import Serving

_HEX = 32  # characters of a hash that are kept: 128 bits
_REMEMBERED = 50_000  # hashes of values that come again


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPolicy:
    """`share` of the requests is kept; `left_out` columns are null, the strings of `hashed` ones HMAC-SHA256 by `key`.

    The same value has the same hash in all columns and pipelines of one key, so that hashed columns can be joined.
    """

    share: float = 1.0
    left_out: tuple[str, ...] = ()
    hashed: tuple[str, ...] = ()
    key: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        if self.hashed and not self.key:
            raise ValueError("columns are hashed with a key; take Settings.log_key()")

    @classmethod
    def of(cls, serving: Serving, settings: Settings, *, share: float | None = None) -> Self:
        """What a definition asks for, with the key of this installation; `share`: instead of the definition's."""
        return cls(
            share=serving.log_share if share is None else share,
            left_out=serving.log_leave_out,
            hashed=serving.log_hash,
            key=settings.log_key() if serving.log_hash else b"",
        )

    @property
    def masked(self) -> frozenset[str]:
        """The columns of which the log does not hold the values."""
        return frozenset({*self.left_out, *self.hashed})

    def keeps(self, prediction_id: str) -> bool:
        """Is this request among the share? The same id always gives the same answer."""
        return self.share >= 1 or zlib.crc32(prediction_id.encode()) < self.share * 2**32

    def mask(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows as the log keeps them; other columns, and those that are missing here, are not touched."""
        null = [pl.lit(None, rows.schema[name]).alias(name) for name in self.left_out if name in rows.columns]
        hashes = [self._hashed(rows[name]) for name in self.hashed if name in rows.columns]
        return rows.with_columns(*null, *hashes) if null or hashes else rows

    def masker(self, names: Iterable[str]) -> Callable[[Sequence[Sequence[Any]]], list[Sequence[Any]]] | None:
        """The same for plain values, one sequence for each of the named columns; None when there is nothing to mask."""
        places = {name: place for place, name in enumerate(names)}
        empty = [places[name] for name in self.left_out if name in places]
        hashed = [places[name] for name in self.hashed if name in places]
        if not empty and not hashed:
            return None

        def masked(columns: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
            kept = list(columns)
            for place in empty:
                kept[place] = [None] * len(kept[place])
            for place in hashed:
                kept[place] = [None if value is None else keyed_hash(self.key, value) for value in kept[place]]
            return kept

        return masked

    def _hashed(self, values: pl.Series) -> pl.Series:
        return pl.Series(
            values.name,
            [None if value is None else keyed_hash(self.key, value) for value in values.cast(pl.String).to_list()],
            pl.String,
        )


@lru_cache(_REMEMBERED)
def keyed_hash(key: bytes, value: str) -> str:
    """The first 32 hexadecimal characters of HMAC-SHA256 (RFC 2104) over the text in UTF-8."""
    return hmac.digest(key, value.encode(), "sha256").hex()[:_HEX]


def needed_columns(
    features: Callable[[pl.LazyFrame], pl.LazyFrame], raw_schema: Mapping[str, pl.DataType], inputs: Iterable[str]
) -> frozenset[str]:
    """The raw columns without which `features` does not return all of `inputs` in their types: what predictions rest
    on. One that `features` names without using it counts, too.
    """
    wanted = list(inputs)
    whole = features(pl.LazyFrame(schema=dict(raw_schema))).select(wanted).collect_schema()

    def can_do_without(column: str) -> bool:
        rest = {name: dtype for name, dtype in raw_schema.items() if name != column}
        try:
            return features(pl.LazyFrame(schema=rest)).select(wanted).collect_schema() == whole
        except Exception:  # noqa: BLE001 - a person's function may raise anything over a column that is not there
            return False

    return frozenset(name for name in raw_schema if not can_do_without(name))
