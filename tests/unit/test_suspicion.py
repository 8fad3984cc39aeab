import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from validation.errors import DefinitionError
from validation.suspicion import BatchProfile, Suspicion, profile_batch, suspect
from validation.units import CLOCKS, CONVERSIONS, SIGN, Conversion

START = datetime(2013, 1, 7, tzinfo=UTC)
WEEK = timedelta(days=7)
ROWS = 300


def flights(week: int, *, seed: int = 1, rows: int = ROWS) -> pl.DataFrame:
    """A week in which nothing is wrong: distances differ little, temperatures follow the season."""
    rng = np.random.default_rng([seed, week])
    at = START + week * WEEK
    return pl.DataFrame(
        {
            "id": [f"{week}-UA-{number}" for number in range(rows)],
            "at": [at + number * WEEK / rows for number in range(rows)],
            "distance": (rng.lognormal(0, 0.05) * rng.lognormal(6.7, 0.6, rows)).round(),
            "temp": 50 + 25 * np.sin(week / 8) + rng.normal(0, 3) + rng.normal(0, 8, rows),
            "pressure": 1_013 + rng.normal(0, 4) + rng.normal(0, 6, rows),
            "carrier": rng.choice(["UA", "B6", "DL", "AA"], rows, p=[0.4, 0.3, 0.2, 0.1]),
            "origin": rng.choice(["EWR", "JFK", "LGA"], rows),
            "tailnum": [f"N{number}" for number in rng.integers(100, 99_999, rows)],
            "visib": np.minimum(10, rng.gamma(6, 3, rows).round()),
        }
    ).with_columns(
        sold_at=pl.col("at") - pl.duration(minutes=pl.lit(rng.gamma(3, 20, rows))),
        seats=pl.when(pl.lit(rng.random(rows)) > 0.15).then(pl.lit(rng.integers(20, 400, rows))),
    )


def profiled(frame: pl.DataFrame, *, name: str = "") -> BatchProfile:
    return profile_batch(frame.lazy(), schema=frame.schema, key="id", time="at", name=name)


WEEKS = [profiled(flights(week), name=f"week {week}") for week in range(20)]
NOW = flights(20)


def judged(*changes: pl.Expr, previous: Sequence[BatchProfile] = WEEKS, **policy: Any) -> tuple[str, ...]:
    """What is said of the twentieth week with these changes."""
    return suspect(profiled(NOW.with_columns(*changes)), previous, policy=Suspicion(**policy))


def share(of: float) -> pl.Expr:
    """The first part of the rows."""
    return pl.int_range(pl.len()) < of * pl.len()


# Policy


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"min_batches": 4}, "suspicion.min_batches must be at least 5, got 4"),
        ({"batches": 7}, "suspicion.batches must be at least min_batches (8), got 7"),
        ({"min_rows": 0}, "suspicion.min_rows must be at least 1, got 0"),
        ({"distance": 1.0}, "suspicion.distance must be above 1, got 1.0"),
        ({"distance": float("nan")}, "suspicion.distance must be above 1, got nan"),
        ({"nulls": 0.0}, "suspicion.nulls must be a share in (0, 1], got 0.0"),
        ({"stuck": 1.1}, "suspicion.stuck must be a share in (0, 1], got 1.1"),
        ({"unseen": -0.1}, "suspicion.unseen must be a share in (0, 1], got -0.1"),
        ({"batches": "20"}, "suspicion.batches must be a whole number, got '20'"),
    ],
)
def test_a_wrong_policy_cannot_exist(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=f"^{re.escape(message)}$"):
        Suspicion(**fields)


def test_bounds_are_allowed_and_one_name_is_a_list_of_one() -> None:
    policy = Suspicion(min_batches=5, batches=5, min_rows=1, nulls=1.0, stuck=1.0, unseen=1.0, ignore="temp")  # type: ignore[arg-type]
    assert policy.ignore == ("temp",)


# Nothing is wrong


@pytest.mark.parametrize("seed", range(5))
def test_weeks_in_which_nothing_is_wrong_are_not_suspect(seed: int) -> None:
    weeks = [profiled(flights(week, seed=seed)) for week in range(40)]
    assert [suspect(week, weeks[:number], policy=Suspicion()) for number, week in enumerate(weeks)] == [()] * 40


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(5, 12), st.sampled_from([(-3, 6), (-305, 306)]), st.data())
def test_a_batch_like_an_earlier_one_is_suspect_as_its_duplicate_only(
    seed: int, count: int, scales: tuple[int, int], data: st.DataObject
) -> None:
    """Whatever the history is: heavy tails, constants, nulls, texts, the ends of what a number can be."""
    rng = np.random.default_rng(seed)
    history = [
        profiled(
            pl.DataFrame(
                {
                    "id": np.arange(60) + 100 * number,
                    "at": [START + number * WEEK] * 60,
                    "x": np.clip(rng.standard_cauchy(60), -100, 100) * 10.0 ** rng.integers(*scales),
                    "y": rng.integers(-40, -38, 60) * rng.integers(0, 2),
                    "c": rng.choice(list("abcdef"), 60),
                    "n": pl.Series(rng.normal(0, 1, 60)).set(pl.Series(rng.random(60) < rng.random()), None),
                }
            ),
            name=f"batch {number}",
        )
        for number in range(count)
    ]
    again = data.draw(st.sampled_from(history))
    policy = Suspicion(min_batches=5)
    assert suspect(replace(again, digest="other"), history, policy=policy) == ()
    assert suspect(again, history, policy=policy) == (
        f"holds exactly the 60 rows of {again.name}; probably the same data under another name",
    )


COLUMNS: dict[str, Callable[[np.random.Generator, int], Any]] = {
    "numbers": lambda rng, rows: rng.normal(0, 1, rows) * 10.0 ** rng.integers(-300, 300),
    "whole": lambda rng, rows: rng.integers(-3, 3, rows) * rng.integers(0, 2),
    "ends": lambda rng, rows: rng.choice([0.0, -0.0, np.inf, -np.inf, np.nan, 1.7e308, 5e-324], rows),
    "levels": lambda rng, rows: rng.choice([f" {level}É" for level in range(rng.integers(1, 9))], rows),
    "names": lambda rng, rows: [f"{number:x}" for number in rng.integers(0, 10 ** rng.integers(1, 12), rows)],
    "flags": lambda rng, rows: rng.random(rows) < rng.random(),
    "nothing": lambda _, rows: [None] * rows,
    "moments": lambda rng, rows: [START + timedelta(seconds=float(s)) for s in rng.normal(0, 1e6, rows)],
}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.data())
def test_whatever_comes_there_is_an_answer_and_profiles_from_json_give_the_same(seed: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(seed)
    kinds = data.draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=4))
    batches = []
    for number in range(9):
        rows = int(rng.choice([50, 60, 400]))
        other = data.draw(st.sampled_from([*COLUMNS, None])) if number == 8 else None
        made = {f"c{at}": pl.Series(COLUMNS[other or kind](rng, rows)) for at, kind in enumerate(kinds)}
        at = [START + number * WEEK + timedelta(seconds=second) for second in range(rows)]
        batches.append(profiled(pl.DataFrame({"id": np.arange(rows), "at": at, **made})))
    found = suspect(batches[-1], batches[:-1], policy=Suspicion(nulls=0.01, stuck=0.01, unseen=0.01, distance=1.01))
    again = [BatchProfile.from_json(batch.to_json()) for batch in batches]
    assert found == suspect(again[-1], again[:-1], policy=Suspicion(nulls=0.01, stuck=0.01, unseen=0.01, distance=1.01))
    assert all(isinstance(sentence, str) and sentence for sentence in found)


def test_the_order_of_rows_changes_nothing() -> None:
    changed = NOW.with_columns(pl.col("distance") * 1.609344)
    shuffled = changed.sample(fraction=1, shuffle=True, seed=1)
    assert suspect(profiled(shuffled), WEEKS, policy=Suspicion()) == suspect(
        profiled(changed), WEEKS, policy=Suspicion()
    )


def test_what_a_person_has_released_is_usual_from_then_on() -> None:
    kilometres = NOW.with_columns(pl.col("distance") * 1.609344)
    again = flights(21).with_columns(pl.col("distance") * 1.609344)
    assert suspect(profiled(kilometres), WEEKS, policy=Suspicion())
    assert suspect(profiled(again), [*WEEKS, profiled(kilometres)], policy=Suspicion()) == ()


@pytest.mark.parametrize("growth", [0.8, 1.0, 1.25])
def test_a_trend_goes_on(growth: float) -> None:
    weeks = [profiled(flights(week).with_columns(pl.col("distance") * growth**week)) for week in range(30)]
    assert [suspect(week, weeks[:number], policy=Suspicion()) for number, week in enumerate(weeks)] == [()] * 30


def test_a_code_that_changes_once_in_a_while_is_no_unit_and_no_stuck_value() -> None:
    weeks = [profiled(flights(week).with_columns(season=week // 13 + 1)) for week in range(30)]
    assert [suspect(week, weeks[:number], policy=Suspicion()) for number, week in enumerate(weeks)] == [()] * 30


# Units


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (
            pl.col("distance") * 1.609344,
            (
                "distance: looks like kilometres where miles came before (times 1.609) "
                "or kilometres per hour where knots came before (times 1.852): "
                "its median is 1,400 where 763 to 925 were before"
            ),
        ),
        (
            pl.col("distance") / 1_000,
            (
                "distance: looks like thousands (or kilometres, kilograms) where ones (or metres, grams) came before "
                "(times 0.001): its median is 0.87 where 763 to 925 were before"
            ),
        ),
        (
            pl.col("pressure") / 33.86389,
            (
                "pressure: looks like inches of mercury where hectopascals came before (times 0.02953): "
                "its median is 30.07 where 1,008 to 1,023 were before"
            ),
        ),
        (
            pl.col("temp") + 273.15,
            (
                "temp: looks like kelvin where degrees Celsius came before (plus 273.1): "
                "its median is 335.8 where 49.92 to 77.84 were before"
            ),
        ),
        (
            -pl.col("pressure"),
            (
                "pressure: looks like their negatives where the values came before (times -1): "
                "its median is -1,018 where 1,008 to 1,023 were before"
            ),
        ),
        (
            pl.col("pressure") * 17,
            (
                "pressure: its unit has probably changed, as it has kept its shape (times 17.08): "
                "its median is 17,310 where 1,008 to 1,023 were before"
            ),
        ),
        (
            pl.col("pressure") + 500,
            (
                "pressure: its unit has probably changed, as it has kept its shape (plus 504.7): "
                "its median is 1,518 where 1,008 to 1,023 were before"
            ),
        ),
        (
            pl.col("visib") * 1.609344,
            (
                "visib: looks like kilometres where miles came before (times 1.609): "
                "its most frequent value is 16.09 where it was 10"
            ),
        ),
        (
            pl.col("sold_at") - timedelta(hours=5),
            (
                "sold_at: looks like another one (-5 hours) where one time zone came before (minus 18,000): "
                "its median is -21,240 where -3,479 to -2,950 were before"
            ),
        ),
    ],
)
def test_a_change_of_unit_is_named(change: pl.Expr, found: str) -> None:
    assert judged(change) == (found,)


def test_one_hour_is_summer_time() -> None:
    assert judged(pl.col("sold_at") - timedelta(hours=1)) == ()


def test_a_small_factor_is_no_unit() -> None:
    """Prices rise, and flights become longer."""
    assert judged(pl.col("distance") * 1.3, pl.col("pressure") * 1.4) == ()


@pytest.mark.parametrize("conversion", [*CONVERSIONS, *CLOCKS, SIGN], ids=str)
def test_a_conversion_and_its_inverse_are_nothing(conversion: Conversion) -> None:
    quantiles = np.array([1.0, 2.0, 4.0])
    there = np.sort(quantiles * conversion.factor + conversion.offset)
    assert conversion.back(there) == pytest.approx(quantiles)
    assert conversion.inverse.inverse.factor == pytest.approx(conversion.factor)
    assert conversion.inverse.back(quantiles) == pytest.approx(there)


# Nulls, stuck values, places, writing


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (
            pl.when(~share(0.3)).then("pressure").alias("pressure"),
            (
                "pressure: 30.0% of its values are missing where none were before; "
                "a part of the source was probably not delivered"
            ),
        ),
        (
            pl.when(~share(0.3)).then("seats").alias("seats"),
            (
                "seats: 39.3% of its values are missing where 11.3% to 21.0% were before; "
                "a part of the source was probably not delivered"
            ),
        ),
        (
            pl.lit(None, pl.Float64).alias("pressure"),
            "pressure: all of its values are missing where at most 0.0% were before; it was probably not delivered",
        ),
        (
            pl.when(share(0.4)).then(51.5).otherwise("temp").alias("temp"),
            (
                "temp: 40.0% of its values are '51.5' where the most frequent value made up less than 0.5% before; "
                "a sensor or an export probably hangs at this value"
            ),
        ),
        (
            pl.lit("N1").alias("tailnum"),
            (
                "tailnum: 100.0% of its values are 'N1' where the most frequent value made up 0.0% to 0.7% before; "
                "a sensor or an export probably hangs at this value"
            ),
        ),
        (
            pl.col("carrier").str.to_lowercase(),
            (
                "carrier: 100.0% of its values are known ones in another case, such as 'ua' where 'UA' came before; "
                "the export has probably changed"
            ),
        ),
        (
            pl.col("carrier") + "  ",
            (
                "carrier: 100.0% of its values are known ones with other spaces around them, such as 'UA  ' where 'UA' "
                "came before; the export has probably changed"
            ),
        ),
        (
            pl.when(share(0.6)).then(pl.lit("ZZ")).otherwise("carrier").alias("carrier"),
            (
                "carrier: 60.0% of its values were never seen before, such as 'ZZ' where 'UA' came; "
                "another column's values, another source or another coding"
            ),
        ),
        (
            pl.col("tailnum").str.to_lowercase(),
            (
                "tailnum: 100.0% of its values have a shape that was never seen, 'a9' where 'A9' came "
                "(A: capitals, a: small letters, 9: digits); another column's values, another source or another coding"
            ),
        ),
    ],
)
def test_what_is_strange_about_a_column_is_named(change: pl.Expr, found: str) -> None:
    assert judged(change) == (found,)


@pytest.mark.parametrize(
    ("before", "now", "how"),
    [
        ("Zürich", "ZÃ¼rich", "in another encoding"),
        ("42", "0042", "with other leading zeros"),
        ("42", "42.0", "with or without decimals"),
        ("EWR", '"EWR"', "in other quotes"),
        ("EWR", "ewr ", "in another case and with other spaces around them"),
    ],
)
def test_values_that_are_written_otherwise_are_told_from_new_ones(before: str, now: str, how: str) -> None:
    weeks = [profiled(flights(week).with_columns(origin=pl.lit(before))) for week in range(20)]
    (found,) = judged(pl.lit(now).alias("origin"), previous=weeks)
    assert found.startswith(f"origin: 100.0% of its values are known ones {how}, such as {now!r} where {before!r} came")


@pytest.mark.parametrize(
    "change",
    [
        pl.when(~share(0.09)).then("pressure").alias("pressure"),
        pl.when(share(0.25)).then(51.5).otherwise("temp").alias("temp"),
        pl.when(share(0.25)).then(pl.lit("ZZ")).otherwise("carrier").alias("carrier"),
        pl.when(share(0.45)).then(pl.lit("ZZ")).otherwise("carrier").alias("carrier"),
    ],
    ids=["some nulls", "some equal values", "a new carrier", "a large new carrier"],
)
def test_a_little_is_not_strange(change: pl.Expr) -> None:
    assert judged(change) == ()


@pytest.mark.parametrize(("rows", "held"), [(60, False), (200, True)])
def test_of_few_rows_some_more_are_missing_by_chance(rows: int, held: bool) -> None:  # noqa: FBT001
    weeks = [profiled(flights(week, rows=rows)) for week in range(20)]
    some = flights(20, rows=rows).with_columns(pl.when(~share(0.11)).then("pressure").alias("pressure"))
    assert bool(suspect(profiled(some), weeks, policy=Suspicion())) is held


def test_new_values_where_all_were_rare_are_named() -> None:
    """Of texts that occur once or twice no value is kept, so there is none to show."""
    levels = [f"{letter}{digit}" for letter in "ABCDEFGHIJ" for digit in range(9)]
    early = [profiled(flights(week).with_columns(origin=pl.Series(levels[:3] * 100))) for week in range(12)]
    late = [
        profiled(flights(week).with_columns(origin=pl.Series(str(number) for number in range(300))))
        for week in (12, 13)
    ]
    now = NOW.with_columns(origin=pl.Series(["new", "newer"] * 150))
    (found,) = suspect(profiled(now), [*early, *late], policy=Suspicion())
    assert found == (
        "origin: 100.0% of its values were never seen before, such as 'new' where 'A0' came; "
        "another column's values, another source or another coding"
    )


def test_columns_that_changed_places_are_named() -> None:
    assert judged(pl.col("origin").alias("carrier"), pl.col("carrier").alias("origin")) == (
        "carrier and origin have probably changed places: each looks like the other did before",
    )
    ring = [pl.col("temp").alias("distance"), pl.col("pressure").alias("temp"), pl.col("distance").alias("pressure")]
    (found,) = judged(*ring)
    assert found == (
        "distance, temp, pressure: the columns have probably changed places, as each looks like the next one did before"
    )


def test_columns_that_rise_together_have_not_changed_places() -> None:
    """Each comes to look like the next one did, but the last like none."""
    warmer = [(pl.col("temp") + 60 * depth).alias(f"temp_{depth}") for depth in range(4)]
    weeks = [profiled(flights(week).with_columns(warmer)) for week in range(20)]
    hot = [(pl.col("temp") + 60 * (depth + 1)).alias(f"temp_{depth}") for depth in range(4)]
    assert not [found for found in judged(*hot, previous=weeks) if "changed places" in found]


# Batches


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (29, "has 29 rows where 300 to 300 were before; it is probably a part of a batch, or several in one"),
        (3_001, "has 3,001 rows where 300 to 300 were before; it is probably a part of a batch, or several in one"),
    ],
)
def test_a_batch_of_quite_another_size_is_named(rows: int, found: str) -> None:
    assert suspect(profiled(flights(20, rows=rows)), WEEKS, policy=Suspicion()) == (found,)
    within = 30 if rows < ROWS else 3_000
    assert suspect(profiled(flights(20, rows=within)), WEEKS, policy=Suspicion()) == ()


def test_a_batch_of_quite_another_span_is_named() -> None:
    day = NOW.with_columns(at=START + 20 * WEEK + (pl.col("at") - START - 20 * WEEK) / 11)
    assert suspect(profiled(day), WEEKS, policy=Suspicion())[0] == (
        "spans 15:13:19 (h:mm:ss) where batches spanned 6 days, 23:26:24 to 6 days, 23:26:24 before; "
        "it is probably a part of a batch, or several in one"
    )


def test_the_same_content_under_another_name_is_a_duplicate_however_long_ago() -> None:
    policy = Suspicion(batches=8)
    assert suspect(replace(WEEKS[3], name="again"), WEEKS, policy=policy) == (
        "holds exactly the 300 rows of week 3; probably the same data under another name",
    )
    assert suspect(WEEKS[3], [replace(WEEKS[3], name="")], policy=policy) == (
        "holds exactly the 300 rows of an earlier batch; probably the same data under another name",
    )


@pytest.mark.parametrize(("count", "held"), [(7, False), (8, True)])
def test_before_there_are_enough_batches_nothing_is_said(count: int, held: bool) -> None:  # noqa: FBT001
    assert bool(judged(pl.col("distance") * 1_000, previous=WEEKS[:count])) is held


@pytest.mark.parametrize(("count", "held"), [(2, False), (3, True)])
def test_a_column_without_any_value_is_named_much_earlier(count: int, held: bool) -> None:  # noqa: FBT001
    assert bool(judged(pl.lit(None, pl.Float64).alias("temp"), previous=WEEKS[:count])) is held


def test_what_is_not_looked_at_is_not_named() -> None:
    kilometres = pl.col("distance") * 1.609344
    assert judged(kilometres, ignore=("distance",)) == ()
    assert judged(kilometres, enabled=False) == ()
    assert judged(kilometres, min_rows=ROWS + 1) == ()
    assert judged(kilometres, distance=100.0) == ()
    assert judged(pl.lit(None, pl.Float64).alias("temp"), ignore=("temp",)) == ()
    assert suspect(profiled(NOW.clear()), WEEKS, policy=Suspicion()) == ()


def test_a_column_that_is_new_or_of_another_kind_is_not_compared() -> None:
    assert judged(pl.lit(3.5).alias("new"), pl.col("temp").cast(pl.String)) == ()


def test_of_very_many_findings_the_first_are_told() -> None:
    def wide(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(pl.col("pressure").alias(f"p{number}") for number in range(30))

    weeks = [profiled(wide(flights(week))) for week in range(20)]
    found = suspect(profiled(wide(NOW).with_columns(pl.col("^p[0-9]+$") * 10)), weeks, policy=Suspicion())
    assert (len(found), found[-1]) == (21, "and 10 findings more of this kind")
