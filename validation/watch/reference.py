"""What a reference is: counts per bin and window of each feature, and how they are written as compact JSON."""

import json
import zlib
from base64 import b85decode, b85encode
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Kind = Literal["number", "category"]
NORMAL_QUARTILE_RANGE = 1.349  # interquartile range of a standard normal: makes it an estimate of the sd


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """One feature in one window: rows in each bin (numbers) or in each level and "other" (categories), and nulls.

    `novel`: rows whose level the reference never had; of a reference window: that occurs in no other window.
    `low`, `high`: least and largest finite value of a number.
    """

    bins: tuple[int, ...]
    nulls: int
    novel: int = 0
    low: float | None = None
    high: float | None = None

    @property
    def present(self) -> int:
        """Rows that are not null."""
        return sum(self.bins)

    @property
    def rows(self) -> int:
        """All rows."""
        return self.present + self.nulls


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureProfile:
    """One feature in the reference. Bin i of a number holds values in (edges[i - 1], edges[i]].

    `levels` are counted one by one; `known` are the other levels that occur, None when there are too many of them.
    `singletons`: levels that occur in one row only. `windows`: oldest first, empty ones included. `centre`, `scale`:
    median and spread of all values.
    """

    name: str
    kind: Kind
    windows: tuple[Counts, ...]
    edges: tuple[float, ...] = ()
    levels: tuple[str, ...] = ()
    known: tuple[str, ...] | None = ()
    singletons: int = 0
    centre: float | None = None
    scale: float | None = None

    @property
    def bins(self) -> int:
        """How many bins its windows are counted in."""
        return 1 + len(self.edges if self.kind == "number" else self.levels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """All features, over windows of `every_seconds` that end at `until` (ISO 8601); tens of kB as JSON."""

    until: str
    every_seconds: float
    features: tuple[FeatureProfile, ...]

    @property
    def starts(self) -> tuple[datetime, ...]:
        """When each reference window starts, oldest first."""
        until, every = datetime.fromisoformat(self.until), timedelta(seconds=self.every_seconds)
        windows = max((len(feature.windows) for feature in self.features), default=0)
        return tuple(until - (windows - index) * every for index in range(windows))

    def to_json(self) -> str:
        """Compact JSON text, the windows' counts packed; `from_json` gives an equal value back."""
        features = [
            {f.name: getattr(feature, f.name) for f in fields(feature)}
            | {"windows": _windows_packed(feature), "known": _known_packed(feature.known)}
            for feature in self.features
        ]
        raw = {"until": self.until, "every_seconds": self.every_seconds, "features": features}
        return json.dumps(raw, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Profile":
        """Read what `to_json` wrote, also from before the counts were packed."""
        raw = json.loads(text)
        features = [
            _thaw(FeatureProfile, item | {"windows": _windows(item), "known": _known(item["known"])})
            for item in raw["features"]
        ]
        return cls(until=raw["until"], every_seconds=raw["every_seconds"], features=tuple(features))


def _windows_packed(feature: FeatureProfile) -> dict[str, Any]:
    """How many windows, and their numbers as compressed bytes in base 85: of whole numbers the changes from window to
    window, which are small, then the floats; in planes of bytes, of which most are zero.
    """
    rows = [[*counts.bins, counts.nulls, counts.novel] for counts in feature.windows]
    table = np.array(rows, dtype=np.int64).reshape(-1, feature.bins + 2)
    ends = np.array([[counts.low, counts.high] for counts in feature.windows], dtype=np.float64).reshape(-1, 2)
    changes = np.diff(table, axis=0, prepend=0)
    small = (changes << 1) ^ (changes >> 63)  # zigzag: those below zero are small, too
    return {"count": len(rows), "packed": _squeezed(_planes(small) + _planes(ends.view(np.int64)))}


def _windows(item: Mapping[str, Any]) -> tuple[Counts, ...]:
    written = item["windows"]
    if isinstance(written, list):
        return tuple(_thaw(Counts, counts) for counts in written)
    bins = 1 + len(item["edges"] if item["kind"] == "number" else item["levels"])
    data, end = _expanded(written["packed"]), 8 * written["count"] * (bins + 2)
    small = _from_planes(data[:end], bins + 2)
    table = np.cumsum((small >> 1) ^ -(small & 1), axis=0).tolist()
    ends = _from_planes(data[end:], 2).view(np.float64).tolist()
    return tuple(
        Counts(bins=tuple(row[:-2]), nulls=row[-2], novel=row[-1], low=finite(low), high=finite(high))
        for row, (low, high) in zip(table, ends, strict=True)
    )


def _known_packed(known: tuple[str, ...] | None) -> dict[str, str] | tuple[str, ...] | None:
    return {"packed": _squeezed(json.dumps(known).encode())} if known else known


def _known(written: Any) -> tuple[str, ...] | None:
    found = json.loads(_expanded(written["packed"])) if isinstance(written, dict) else written
    return None if found is None else tuple(found)


def _squeezed(data: bytes) -> str:
    return b85encode(zlib.compress(data, 9)).decode("ascii")


def _expanded(text: str) -> bytes:
    return zlib.decompress(b85decode(text))


def _planes(table: npt.NDArray[np.int64]) -> bytes:
    """Column by column the first bytes of all numbers, then the second bytes of all, and so on."""
    columns = np.ascontiguousarray(table.T.astype("<i8"))
    return columns.view(np.uint8).reshape(-1, 8).T.tobytes()


def _from_planes(data: bytes, width: int) -> npt.NDArray[np.int64]:
    """The table of `width` columns that `_planes` wrote."""
    numbers = np.ascontiguousarray(np.frombuffer(data, dtype=np.uint8).reshape(8, -1).T).view("<i8")
    return np.ascontiguousarray(numbers.reshape(width, -1).T, dtype=np.int64)


def finite(value: float | None) -> float | None:
    """The number, never as -0.0; None for what is none."""
    return None if value is None or not np.isfinite(value) else value + 0.0


def _thaw(kind: type[Any], raw: Mapping[str, Any]) -> Any:
    """A frozen value from its JSON: lists become tuples again. What an older version wrote may lack fields."""
    known = {f.name: raw[f.name] for f in fields(kind) if f.name in raw}
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in known.items()})
