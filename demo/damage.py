"""What goes wrong with uploads, done on purpose to some weeks of the replay. Pure: bytes in, bytes out.

No flight is lost by it: broken rows come on top of the good ones, and a broken file comes beside the good one. Weather
is lost: for that, older weather stands in.
"""

import io
import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import polars as pl

_WEEKS_BETWEEN = 5
_BAD_SHARE = 0.03


class Damage(StrEnum):
    """What is wrong with an upload."""

    OUT_OF_RANGE = "out-of-range rows"
    WRONG_TYPES = "wrong types"
    TRUNCATED = "truncated file"
    DUPLICATE = "duplicate upload"
    WEATHER = "broken weather"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A file that arrives."""

    name: str
    data: bytes


def plan(weeks: Sequence[str], *, seed: int) -> dict[str, Damage]:
    """Which weeks are damaged, and how: about every fifth; from five weeks on, each kind at least once."""
    chance = random.Random(seed)
    count = min(len(weeks), max(len(Damage), len(weeks) // _WEEKS_BETWEEN))
    kinds = [kind for _ in range(count // len(Damage) + 1) for kind in chance.sample(list(Damage), len(Damage))]
    # One week out of each of `count` stretches of about the same length.
    bounds = [len(weeks) * part // count for part in range(count + 1)] if count else []
    hit = [weeks[chance.randrange(start, end)] for start, end in pairwise(bounds)]
    return dict(zip(hit, kinds, strict=False))


def arrivals(name: str, data: bytes, damage: Damage | None, *, seed: int) -> tuple[Arrival, ...]:
    """The files that arrive for a week whose good file (Parquet) is `data`: itself, and what the damage makes of it."""
    good = Arrival(name=name, data=data)
    match damage:
        case None | Damage.WEATHER:
            return (good,)
        case Damage.OUT_OF_RANGE:
            return (Arrival(name=name, data=_parquet(out_of_range(_frame(data), seed=seed))),)
        case Damage.WRONG_TYPES:
            return good, Arrival(name=_beside(name, "export"), data=_parquet(wrong_types(_frame(data))))
        case Damage.TRUNCATED:
            return good, Arrival(name=_beside(name, "upload"), data=truncated(data))
        case Damage.DUPLICATE:
            return good, Arrival(name=_beside(name, "again"), data=data)


def observed(data: bytes, damage: Damage | None, *, seed: int) -> bytes:
    """The week's file of weather observations: as it was made, or what the damage makes of it."""
    return _parquet(soaked(_frame(data), seed=seed)) if damage is Damage.WEATHER else data


def out_of_range(flights: pl.DataFrame, *, seed: int, share: float = _BAD_SHARE) -> pl.DataFrame:
    """The flights and, on top, impossible ones: negative distances, two days in the air, a carrier and a clock that do
    not exist. `share`: of the flights.
    """
    bad = flights.sample(max(4, round(flights.height * share)), seed=seed)
    which = pl.int_range(pl.len()) % 4
    impossible = bad.with_columns(
        pl.col("flight_id") + "-damaged",
        distance=pl.when(which == 0).then(-pl.col("distance")).otherwise("distance"),
        block_minutes=pl.when(which == 1).then(pl.col("block_minutes") + 2 * 24 * 60).otherwise("block_minutes"),
        carrier=pl.when(which == 2).then(pl.lit("??")).otherwise("carrier"),
        hour=pl.when(which == 3).then(pl.col("hour") + 24).otherwise("hour"),
    )
    return pl.concat([flights, impossible])


def soaked(weather: pl.DataFrame, *, seed: int, share: float = _BAD_SHARE) -> pl.DataFrame:
    """The observations, of which `share` say 140 % humidity: they are lost, and flights have to do with older ones."""
    hit = pl.int_range(pl.len()).shuffle(seed) < weather.height * share
    return weather.with_columns(humid=pl.when(hit).then(140.0).otherwise("humid"))


def wrong_types(flights: pl.DataFrame) -> pl.DataFrame:
    """The flights as a spreadsheet would have exported them: distances as text."""
    return flights.with_columns(pl.format("{} mi", "distance").alias("distance"))


def truncated(data: bytes) -> bytes:
    """The first part of a file whose upload was cut off."""
    return data[: len(data) * 2 // 3]


def _beside(name: str, what: str) -> str:
    stem, _, suffix = name.rpartition(".")
    return f"{stem}_{what}.{suffix}"  # "_" sorts after ".": the good file is always taken first


def _frame(data: bytes) -> pl.DataFrame:
    return pl.read_parquet(io.BytesIO(data))


def _parquet(frame: pl.DataFrame) -> bytes:
    frame.write_parquet(buffer := io.BytesIO())
    return buffer.getvalue()
