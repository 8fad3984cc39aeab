"""The bikes' contract and features on made-up hours; what the target consists of is never an input."""

from pathlib import Path

import polars as pl
import pytest
from pandera.errors import SchemaErrors

from demo.data import prepare_bikes, sample_bikes
from pipelines.bikes import PIPELINE, Bikes, features


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    replay = prepare_bikes(sample_bikes(days=14, seed=7), tmp_path_factory.mktemp("landing"))
    return pl.read_parquet(replay.weeks[1].batch)


def test_a_week_of_hours_keeps_the_contract(week: pl.DataFrame) -> None:
    assert week.height == 168
    assert Bikes.validate(week, lazy=True).equals(week)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"temp": pl.lit(1.5)}, "in_range"),
        ({"weathersit": pl.lit(5, pl.Int64)}, "isin"),
        ({"hour": (pl.col("hour") + 1) % 24}, "clock_and_calendar_agree"),
        ({"weekday": (pl.col("weekday") + 1) % 7}, "clock_and_calendar_agree"),
        ({"workingday": 1 - pl.col("workingday")}, "holidays_are_free"),
        ({"ts": pl.col("ts").first()}, "field_uniqueness"),
    ],
)
def test_each_rule_catches_what_it_names(week: pl.DataFrame, change: dict[str, pl.Expr], rule: str) -> None:
    with pytest.raises(SchemaErrors) as caught:
        Bikes.validate(week.with_columns(**change), lazy=True)
    assert any(rule in check for check in caught.value.failure_cases["check"])


def test_the_parts_of_the_target_are_neither_asked_for_nor_used(week: pl.DataFrame) -> None:
    parts = {"rentals", "casual", "registered"}
    assert not parts & PIPELINE.raw_schema.keys()
    assert not parts & PIPELINE.inputs.keys()
    assert features(week.lazy()).collect().height == week.height


def test_labels_become_known_an_hour_later_and_land_a_week_later(tmp_path: Path) -> None:
    hours = sample_bikes(days=14, seed=7)
    replay = prepare_bikes(hours, tmp_path)
    files = [week.labels for week in replay.weeks if week.labels] + [replay.closing_labels]
    labels = pl.concat([pl.read_parquet(file) for file in files])
    assert labels["rentals"].to_list() == hours["rentals"].to_list()
    assert (labels["known_at"] - labels["ts"]).dt.total_minutes().unique().to_list() == [60]
    assert [week.label for week in replay.weeks] == ["2010-W52", "2011-W01", "2011-W02"]


def test_the_sample_is_the_same_for_the_same_seed() -> None:
    assert sample_bikes(days=3, seed=1).equals(sample_bikes(days=3, seed=1))
    assert not sample_bikes(days=3, seed=1).equals(sample_bikes(days=3, seed=2))
