import io
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from validation.batch_profile import QUANTILES, BatchProfile, ColumnProfile, profile_batch
from validation.batch_sample import MAX_ROWS, MIN_ROWS, take_sample

MONDAY = datetime(2013, 1, 7, tzinfo=UTC)
HOUR = timedelta(hours=1)


def profiled(frame: pl.DataFrame, *, key: str = "id", time: str = "at") -> BatchProfile:
    return profile_batch(frame.lazy(), schema=frame.schema, key=key, time=time, name="monday.parquet")


def column(values: Any, dtype: Any = None) -> ColumnProfile:
    """The profile of one column, called x."""
    frame = pl.DataFrame({"x": pl.Series(values, dtype=dtype)}).with_row_index("id").with_columns(at=pl.lit(MONDAY))
    return profiled(frame).columns[1]


FLIGHTS = pl.DataFrame(
    {
        "id": [1, 2, 3, 4],
        "at": [MONDAY, MONDAY + HOUR, MONDAY + 3 * HOUR, None],
        "carrier": ["UA", "UA", None, "B6"],
        "distance": [100.5, 200.0, float("nan"), 400.0],
        "_batch": [7, 7, 7, 7],
    },
    schema_overrides={"at": pl.Datetime("us", "UTC")},
)


def test_a_batch_in_a_few_numbers() -> None:
    quarter = tuple((str(key), 0.25) for key in (1, 2, 3, 4))
    assert profiled(FLIGHTS) == BatchProfile(
        name="monday.parquet",
        rows=4,
        digest=profiled(FLIGHTS).digest,
        since="2013-01-07T00:00:00+00:00",
        until="2013-01-07T03:00:00+00:00",
        step_seconds=5_400.0,
        columns=(
            ColumnProfile(
                name="id", kind="text", nulls=0, seen=4, distinct=4, quantiles=(1.0,) * 9, shares=quarter,
                shapes=(("9", 1.0),),
            ),
            ColumnProfile(
                name="carrier", kind="text", nulls=1, seen=3, distinct=2, quantiles=(2.0,) * 9,
                shares=(("UA", 0.6666667), ("B6", 0.3333333)), shapes=(("A", 0.6666667), ("A9", 0.3333333)),
            ),
            ColumnProfile(
                name="distance", kind="number", nulls=1, seen=3, distinct=3,
                quantiles=(100.5, 100.5, 100.5, 100.5, 200.0, 400.0, 400.0, 400.0, 400.0),
                shares=(("100.5", 0.3333333),),
            ),
        ),
    )  # fmt: skip
    assert profiled(FLIGHTS).span_seconds == 3 * 3_600


def text(value: str, *, nulls: int = 0, seen: int = 1, shape: str = "a") -> ColumnProfile:
    """Of a column of one text only."""
    lengths = (float(len(value)),) * len(QUANTILES)
    return ColumnProfile(
        name="x", kind="text", nulls=nulls, seen=seen, distinct=1, quantiles=lengths, shares=((value, 1.0),),
        shapes=((shape, 1.0),),
    )  # fmt: skip


def number(value: float, *, kind: Literal["number", "moment"] = "number", nulls: int = 0) -> ColumnProfile:
    """Of a column of one number only."""
    quantiles, shares = (value,) * len(QUANTILES), ((f"{value:g}", 1.0),)
    return ColumnProfile(name="x", kind=kind, nulls=nulls, seen=1, distinct=1, quantiles=quantiles, shares=shares)


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        (["a", "a"], pl.Categorical, text("a", seen=2)),
        (["a", None], pl.Enum(["b", "a"]), text("a", nulls=1)),
        ([True], pl.Boolean, text("true")),
        ([MONDAY + HOUR], pl.Datetime("ms", "UTC"), number(3_600.0, kind="moment")),
        ([datetime(2013, 1, 6, 23)], pl.Datetime("us"), number(-3_600.0, kind="moment")),  # noqa: DTZ001
        ([date(2013, 1, 6), None], pl.Date, number(-86_400.0, kind="moment", nulls=1)),
        ([HOUR, None], pl.Duration("ms"), number(3_600.0, nulls=1)),
        (["1.25"], pl.Decimal(10, 2), number(1.25)),
        ([7], pl.UInt8, number(7.0)),
        ([float("inf"), 1.0], pl.Float32, number(1.0)),
        ([[1], None], pl.List(pl.Int64), ColumnProfile(name="x", kind="other", nulls=1)),
        ([None], pl.Float64, ColumnProfile(name="x", kind="number", nulls=1)),
        ([None], pl.String, ColumnProfile(name="x", kind="text", nulls=1)),
    ],
)
def test_every_type_has_its_profile(values: Any, dtype: Any, expected: ColumnProfile) -> None:
    assert column(values, dtype) == expected


@pytest.mark.parametrize(
    ("value", "shape"),
    [("N12345", "A9"), ("2013-01-07", "9-9-9"), ("Élan  vital", "Aa a"), ("", ""), ("a@b.de", "a@a.a"), ("٣", "9")],
)
def test_the_shape_of_a_text_is_its_runs(value: str, shape: str) -> None:
    assert column([value]).shapes == ((shape, 1.0),)


def test_values_that_are_rare_are_not_kept() -> None:
    """A profile is no place for names and addresses; the share of a most frequent value that is rare counts as 0."""
    found = column([f"person{number}@example.com" for number in range(201)])
    assert (found.shares, found.top, found.distinct) == ((), 0.0, 201)
    assert column([*["x"] * 1, *(str(number) for number in range(199))]).top == pytest.approx(0.005)


def test_a_batch_without_rows_has_a_profile() -> None:
    found = profiled(FLIGHTS.clear())
    assert (found.rows, found.since, found.span_seconds, found.step_seconds) == (0, None, 0.0, None)
    assert [each.seen for each in found.columns] == [0, 0, 0]


def test_a_profile_is_plain_json_of_a_few_kilobytes() -> None:
    rng = np.random.default_rng(1)
    numbers = {f"x{index}": rng.normal(0, 10**index, 500) for index in range(10)}
    texts = {f"c{index}": rng.choice([f"level {level}" for level in range(40)], 500) for index in range(10)}
    frame = pl.DataFrame({"id": range(500), "at": [MONDAY] * 500, **numbers, **texts})
    profile = profiled(frame)
    assert BatchProfile.from_json(profile.to_json()) == profile
    assert json.loads(profile.to_json())["rows"] == 500
    assert len(profile.to_json()) < 9_000


# The digest


def test_the_digest_is_of_the_content_whatever_the_file(tmp_path: Path) -> None:
    """Sorted otherwise, in other row groups, compressed otherwise, as CSV, or with columns of Andon's own: the same."""
    whole = FLIGHTS.drop_nulls("at").with_columns(pl.col("distance").fill_nan(None))
    whole.reverse().write_parquet(tmp_path / "a.parquet", compression="gzip", row_group_size=1)
    csv = io.BytesIO(whole.drop("_batch").write_csv().encode())
    files = [
        pl.read_parquet(tmp_path / "a.parquet"),
        pl.read_csv(csv, schema=pl.Schema({name: dtype for name, dtype in whole.schema.items() if name != "_batch"})),
        whole.with_columns(_batch=8, carrier=pl.col("carrier").cast(pl.Categorical)),
    ]
    assert {profiled(file).digest for file in files} == {profiled(whole).digest}


@pytest.mark.parametrize(
    "changed",
    [
        FLIGHTS.with_columns(distance=pl.when(pl.col("id") == 4).then(400.001).otherwise("distance")),
        FLIGHTS.with_columns(carrier=pl.col("carrier").reverse()),
        FLIGHTS.with_columns(carrier=pl.col("carrier").fill_null("")),
        FLIGHTS.head(3),
        pl.concat([FLIGHTS, FLIGHTS.tail(1)]),
    ],
    ids=["a cell", "values of other rows", "a null", "a row less", "a row twice"],
)
def test_the_digest_changes_with_the_content(changed: pl.DataFrame) -> None:
    assert profiled(changed).digest != profiled(FLIGHTS).digest


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.floats(width=32) | st.none(), st.sampled_from(["a", "B", None]))),
    st.randoms(use_true_random=False),
)
def test_the_order_of_rows_changes_nothing(rows: list[tuple[int, float | None, str | None]], random: Any) -> None:
    schema = {"id": pl.Int64, "x": pl.Float64, "c": pl.String}
    frame = pl.DataFrame(rows, schema=schema, orient="row").with_columns(at=MONDAY + HOUR * pl.col("id"))
    shuffled = list(range(len(rows)))
    random.shuffle(shuffled)
    assert profiled(frame[shuffled]) == profiled(frame)


# The sample


def many(rows: int) -> pl.DataFrame:
    rng = np.random.default_rng(3)
    return pl.DataFrame(
        {
            "id": np.arange(rows),
            "at": [MONDAY] * rows,
            "x": rng.lognormal(0, 1, rows),
            "c": rng.choice(["a", "b"], rows, p=[0.9, 0.1]),
        }
    ).with_columns(x=pl.when(pl.col("id") % 4 > 0).then("x"))


def test_a_large_batch_is_profiled_by_a_sample_that_does_not_depend_on_its_order() -> None:
    frame = many(120_000)
    found = profiled(frame)
    assert profiled(pl.concat(list(frame.reverse().iter_slices(7_000)), rechunk=False)) == found
    x, c = found.columns[1], found.columns[2]
    assert (found.rows, x.nulls) == (120_000, 30_000)
    assert MAX_ROWS / 2 < c.seen <= MAX_ROWS
    ranks = [(frame["x"].drop_nulls() <= value).mean() for value in x.quantiles]
    assert ranks == pytest.approx(QUANTILES, abs=0.015)
    assert c.top == pytest.approx(0.9, abs=0.015)


def test_a_wide_batch_has_a_smaller_sample() -> None:
    frame = pl.DataFrame({f"x{index}": range(3_000) for index in range(5_000)}).with_columns(at=pl.lit(MONDAY))
    sample = take_sample(frame.lazy(), frame.schema, time="at")
    assert MIN_ROWS / 2 < sample.frame.height <= MIN_ROWS


def test_the_same_rows_again_and_again_do_not_fill_the_memory() -> None:
    """They have the same hash, so they cannot be told apart by it."""
    frame = pl.concat([FLIGHTS] * 20_000)
    found = profiled(frame)
    assert found.rows == 80_000
    assert found.columns[1].seen <= MAX_ROWS
    assert dict(found.columns[1].shares) == pytest.approx({"UA": 2 / 3, "B6": 1 / 3}, abs=0.01)
