"""A contract that was inferred is Python that runs, accepts its own sample, and refuses what is plainly wrong."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandera.polars as pa
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandera.errors import SchemaErrors

from andon.catalogue import load_module
from validation.inference import as_python, infer

MONDAY = datetime(2013, 4, 1, tzinfo=UTC)
TRIPS = pl.DataFrame(
    {
        "trip_id": [f"T{number:06}" for number in range(1_000)],
        "started_at": [MONDAY + timedelta(minutes=number) for number in range(1_000)],
        "zone": [("north", "south", "east")[number % 3] for number in range(1_000)],
        "distance": [float(number % 97) for number in range(1_000)],
        "seats": [None if number % 20 == 0 else number % 5 + 1 for number in range(1_000)],
        "free": [number % 2 == 0 for number in range(1_000)],
    },
    schema_overrides={"started_at": pl.Datetime("us", "UTC")},
)


def contract_of(sample: pl.DataFrame, folder: Path) -> Any:
    file = folder / "contract.py"
    file.write_text(as_python(infer(sample), name="Contract", source="sample.parquet"), encoding="utf-8")
    return load_module(file).Contract


def test_it_reads_like_a_contract_that_a_person_wrote() -> None:
    assert as_python(infer(TRIPS), name="Trips", source="trips.parquet") == (
        '''"""The contract of trips.parquet, as 1,000 rows say it. Read it, and correct what you know better."""

from typing import Annotated

import pandera.polars as pa
import polars as pl

# The largest share of nulls that a batch may have: twice what was seen.
NULL_CEILINGS = {"seats": 0.11}


class Trips(pa.DataFrameModel):
    """Each row by trip_id; event time: started_at."""

    trip_id: str = pa.Field(unique=True, str_matches='^[A-Z][0-9]{6}$')
    started_at: Annotated[pl.Datetime, "us", "UTC"]
    zone: str = pa.Field(isin=['east', 'north', 'south'])
    distance: float = pa.Field(ge=0.0, le=150.0)
    seats: int = pa.Field(nullable=True, ge=0, le=7)  # 5.0% null
    free: bool

    @pa.dataframe_check
    @classmethod
    def has_few_nulls(cls, data: pa.PolarsData) -> pl.LazyFrame:
        """No column has more nulls than its ceiling."""
        shares = [pl.col(name).null_count() <= most * pl.len() for name, most in NULL_CEILINGS.items()]
        return data.lazyframe.select(pl.all_horizontal(shares))
'''
    )


def test_it_accepts_its_own_sample(tmp_path: Path) -> None:
    contract_of(TRIPS, tmp_path).validate(TRIPS, lazy=True)


@pytest.mark.parametrize(
    "wrong",
    [
        TRIPS.with_columns(distance=pl.col("distance") * 1_000),
        TRIPS.with_columns(zone=pl.lit("west")),
        TRIPS.with_columns(trip_id=pl.lit("T000001")),
        TRIPS.with_columns(trip_id=pl.col("trip_id").str.to_lowercase()),
        TRIPS.with_columns(seats=pl.lit(None, pl.Int64)),
        TRIPS.with_columns(free=pl.lit(None, pl.Boolean)),
        TRIPS.drop("zone"),
        TRIPS.with_columns(pl.col("seats").cast(pl.Float64)),
    ],
)
def test_it_refuses_what_is_plainly_wrong(wrong: pl.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(SchemaErrors):
        contract_of(TRIPS, tmp_path).validate(wrong, lazy=True)


@pytest.mark.parametrize(
    ("values", "pattern"),
    [
        ([f"{number:08x}-0000-4000-8000-000000000000" for number in range(50)], r"^[0-9a-f]{8}-"),
        ([f"person{number}@example.org" for number in range(50)], r"^[^@\s]+@"),
        ([f"2013-01-{number % 28 + 1:02}" for number in range(50)], r"^\d{4}-\d{2}-\d{2}$"),
        ([f"AB.{number:03}" for number in range(50)], r"^[A-Z]{2}\.[0-9]{3}$"),
        ([*(f"N{number:02}" for number in range(40)), *(f"X{number}" for number in range(10))], r"^(?:[A-Z][0-9]"),
    ],
)
def test_texts_of_a_form_become_a_pattern(values: list[str], pattern: str) -> None:
    ((check, found),) = infer(pl.DataFrame({"code": values})).columns[0].checks
    assert check == "str_matches"
    assert found.startswith(pattern.removesuffix("$"))


def test_texts_without_a_form_have_a_length() -> None:
    words = ["a", "bb c", "Ddd 9!", "éé", "5f-", "x_Y", *("q" * number for number in range(3, 50))]
    (column,) = infer(pl.DataFrame({"text": words})).columns
    assert column.checks == (("str_length", {"min_value": 1, "max_value": 98}),)


def test_a_key_of_two_columns_is_found_when_none_is_enough() -> None:
    times = [MONDAY + timedelta(hours=number // 2) for number in range(40)]
    sample = pl.DataFrame({"origin": ["JFK", "LGA"] * 20, "observed_at": times})
    assert infer(sample).key == ("origin", "observed_at")


def test_without_a_key_it_says_so() -> None:
    sample = pl.DataFrame({"zone": ["north", "south"] * 20})
    assert infer(sample).key == ()
    assert "No key was found" in as_python(infer(sample), name="Zones", source="zones.csv")


def test_names_that_python_cannot_say_get_an_alias(tmp_path: Path) -> None:
    sample = pl.DataFrame({"dep. time": [1, 2, 3], "class": [1.0, 2.0, 3.0]})
    contract_of(sample, tmp_path).validate(sample)


def test_types_of_all_kinds_come_back_as_they_were(tmp_path: Path) -> None:
    sample = pl.DataFrame(
        {
            "day": [date(2013, 1, 1)] * 3,
            "local": [datetime(2013, 1, 1)] * 3,  # noqa: DTZ001 - a clock without a zone
            "small": pl.Series([1, 2, 3], dtype=pl.Int8),
            "tags": [["a"], [], ["b", "c"]],
            "nothing": pl.Series([None] * 3, dtype=pl.Float32),
        }
    )
    schema = contract_of(sample, tmp_path).to_schema()
    assert {name: column.dtype.type for name, column in schema.columns.items()} == dict(sample.schema)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)),
            st.one_of(st.none(), st.integers(-(2**62), 2**62)),
            st.one_of(st.none(), st.text(max_size=6)),
            st.booleans(),
        ),
        min_size=1,
        max_size=60,
    )
)
def test_whatever_the_sample_it_is_accepted(rows: list[tuple[Any, ...]]) -> None:
    schema = {"number": pl.Float64, "count": pl.Int64, "text": pl.String, "flag": pl.Boolean}
    sample = pl.DataFrame(rows, schema=schema, orient="row").with_columns(pl.col("number").fill_nan(None))
    text = as_python(infer(sample), name="Contract", source="sample")
    made: dict[str, Any] = {"__name__": "made"}
    exec(text, made)  # noqa: S102 - our own text
    contract: type[pa.DataFrameModel] = made["Contract"]
    contract.validate(sample, lazy=True)
