"""A definition is checked when it is made, and its fingerprint changes exactly when it does."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

import pandera.polars as pa
import polars as pl
import pytest

from andon import (
    DefinitionError,
    Delivery,
    Drift,
    Gate,
    Governor,
    Labels,
    Monitor,
    Quarantine,
    Retrain,
    Search,
    Serving,
    Source,
)
from andon.pipeline import _RESERVED
from andon.places import STAMPED
from storage.publishing.stamp import STAMP
from storage.segment import META
from tests.unit.definitions import LABELS, SOURCE, define, features


class LocalTime(pa.DataFrameModel):
    trip_id: str
    started_at: pl.Datetime
    distance: float


class Leaky(pa.DataFrameModel):
    trip_id: str
    started_at: Annotated[pl.Datetime, "us", "UTC"]
    late: bool


class Stamped(pa.DataFrameModel):
    trip_id: str
    started_at: Annotated[pl.Datetime, "us", "UTC"]
    partition: str


class Reserved(pa.DataFrameModel):
    trip_id: str
    started_at: Annotated[pl.Datetime, "us", "UTC"]
    version: int
    batch: int = pa.Field(alias="_batch")


def source(**changes: Any) -> Source:
    return Source(**{"path": SOURCE.path, "time": SOURCE.time, "key": SOURCE.key, **changes})


def labels(**changes: Any) -> Labels:
    return Labels(**{"path": LABELS.path, "target": LABELS.target, **changes})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: define(name="Trips"), "pipeline 'Trips': name must be lower-case letters"),
        (lambda: define(name="t" * 41), "at most 40"),
        (lambda: define(task="ranking"), "task must be one of binary, multiclass, regression, got 'ranking'"),
        (lambda: define(metric="l2"), "metric of a binary task must be one of logloss, brier, got 'l2'"),
        (lambda: define(contract=object()), "contract must be a pandera.polars DataFrameModel"),
        (lambda: define(contract=LocalTime), r"source.time must be Datetime\('us', 'UTC'\), 'started_at' is Datetime"),
        (lambda: define(contract=Leaky), "labels.target 'late' must not be a contract's column: it would leak"),
        (lambda: define(source=source(time="begun")), r"source.time must be a column of the contract \(trip_id, "),
        (lambda: define(source=source(key=("trip_id", "leg"))), "source.key must be a column .* got 'leg'"),
        (lambda: define(gate=Gate(slices=("color",))), "gate.slices must be columns .* got 'color'"),
        (lambda: define(features=lambda trips: trips.select("nowhere")), "features fails on an empty frame"),
        (lambda: define(features=lambda trips: trips.select("trip_id")), "at least one column besides key and time"),
        (lambda: define(features=lambda trips: trips.with_columns(late=1)), "features returns 'late', the target: it"),
        (lambda: define(features=lambda trips: trips.with_columns(prediction=1)), "features returns 'prediction'"),
        (lambda: define(features=lambda trips: trips.collect()), "features must return a LazyFrame, got a DataFrame"),
        (
            lambda: define(
                contract=Stamped,
                features=lambda trips: trips.with_columns(hour=1),
                source=source(key=("trip_id", "partition")),
                delivery=Delivery(database="trip_scores"),
            ),
            "'partition' is what a delivered row says of its origin; rename the key or time column",
        ),
        (lambda: define(name=7), "name must be a text, got 7"),
        (lambda: define(source="landing/*.parquet"), "source must be a Source, got 'landing"),
        (lambda: define(gate=None), "gate must be a Gate, got None"),
        (lambda: define(labels=labels(path=source().path)), "labels.path must be another one than source.path"),
        (lambda: define(contract=Reserved), "contract: version, _batch: Andon's own columns have such names"),
        (
            lambda: define(serving=Serving(log_leave_out=("trip_id",))),
            "serving.log_leave_out must name columns of distance, zone; got 'trip_id'",
        ),
        (
            lambda: define(serving=Serving(log_hash=("started_at",))),
            "serving.log_hash must name columns of distance, zone; got 'started_at'",
        ),
        (lambda: define(serving=Serving(log_leave_out=("hour",))), "serving.log_leave_out must name .*; got 'hour'"),
        (
            lambda: define(serving=Serving(log_hash=("distance",))),
            "serving.log_hash takes strings, 'distance' is Float64: leave it out",
        ),
        (lambda: define(serving=None), "serving must be a Serving, got None"),
        (lambda: define(quarantine=Quarantine(per_rule={"zone.isin": 0})), r"names 'zone.isin', the .* distance.great"),
        (
            lambda: define(features=lambda trips: trips.with_columns(at="started_at")),
            r"features returns 'at' as Datetime.*: convert or drop it",
        ),
    ],
)
def test_a_pipeline_that_is_wrong_names_itself_the_field_and_what_is_allowed(
    make: Callable[[], object], message: str
) -> None:
    with pytest.raises(DefinitionError, match=message) as caught:
        make()
    assert str(caught.value).startswith("pipeline ")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: source(path="/landing/*.parquet"), "source.path must be a glob below the lake"),
        (lambda: source(path="landing/../../etc"), "source.path must be a glob below the lake"),
        (lambda: source(path="gs://bucket/*.parquet"), "source.path: folders below the lake and s3:// are read"),
        (lambda: source(path=""), "source.path must be a glob"),
        (lambda: source(key=()), "source.key and source.time must name columns"),
        (lambda: source(max_age="soon"), "source.max_age must be a duration like '7d'"),
        (lambda: source(max_ahead="0d"), "source.max_ahead must be longer than nothing"),
        (lambda: source(key=5), "source.key must name a column, or several in a tuple, got 5"),
        (lambda: source(path=None), "source.path must be a text, got None"),
        (lambda: labels(known_at="late", target="late"), "must be two columns, both are 'late'"),
        (lambda: Delivery(files="../../etc"), "delivery.files must be a folder below the lake like 'scores/flights'"),
        (lambda: Delivery(table="s3://bucket/scores"), "delivery.table must be a folder below the lake"),
        (lambda: Delivery(database="Scores"), "delivery.database must be a table's name of lower-case letters"),
        (lambda: Delivery(database="x; drop"), "delivery.database must be a table's name of lower-case letters"),
        (lambda: Delivery(database="s" * 41), "delivery.database must be a table's name of lower-case letters"),
        (lambda: Gate(alpha="0.2"), "gate.alpha must be a number, got '0.2'"),  # type: ignore[arg-type]
        (lambda: Gate(alpha=True), "gate.alpha must be a number, got True"),
        (lambda: Monitor(reference_windows=1.5), "must be a whole number, got 1.5"),  # type: ignore[arg-type]
        (lambda: Search(budget_seconds=None), "search.budget_seconds must be a number"),  # type: ignore[arg-type]
        (lambda: labels(matures_after="0d"), "labels.matures_after must be longer than nothing"),
        (lambda: labels(grace="7 days"), "labels.grace must be a duration"),
        (lambda: labels(min_coverage=1.01), r"labels.min_coverage must be a share in \[0, 1\], got 1.01"),
        (lambda: Quarantine(max_bad_share=-0.1), "quarantine.max_bad_share must be a share"),
        (lambda: Quarantine(per_rule={"distance": 2}), "quarantine.distance must be a share"),
        (lambda: Monitor(reference_windows=0), "monitor.reference_windows must be at least 1"),
        (lambda: Monitor(min_regret=1), "monitor.min_regret must be a share"),
        (lambda: Monitor(alpha=0.5), "monitor.alpha must be in"),
        (lambda: Drift(alpha=0), "drift.alpha must be in"),
        (lambda: Drift(min_windows=2), "drift.min_windows must be at least 3"),
        (lambda: Drift(raise_on=4), "drift.raise_on must be 1, 2 or 3"),
        (lambda: Drift(clear_after=0), "drift.clear_after must be at least 1"),
        (lambda: Gate(min_gain=1), "gate.min_gain must be a share"),
        (lambda: Gate(alpha=0.5), "gate.alpha must be in"),
        (lambda: Gate(slices="carrier"), "gate.slices must be a tuple of column names"),  # type: ignore[arg-type]
        (lambda: Gate(min_blocks=1), "gate.min_blocks must be at least 2"),
        (lambda: Gate(max_latency_ms=0), "gate.max_latency_ms must be above 0"),
        (lambda: Governor(cooldown="-1d"), "governor.cooldown must be a duration"),
        (lambda: Governor(max_per_month=0), "governor.max_per_month must be at least 1"),
        (lambda: Retrain(train="some"), "retrain.train must be a duration"),
        (lambda: Retrain(holdout=timedelta(0)), "retrain.holdout must be longer than nothing"),
        (lambda: Search(budget_seconds=0), "search.budget_seconds must be above 0"),
        (lambda: Search(rounds=0), "search.rounds must be at least 1"),
        (lambda: Serving(on_unknown="guess"), "serving.on_unknown must be one of missing, refuse, got 'guess'"),  # type: ignore[arg-type]
        (lambda: Serving(log_share=-0.001), r"serving.log_share must be a share in \[0, 1\], got -0.001"),
        (lambda: Serving(log_share=1.001), r"serving.log_share must be a share in \[0, 1\], got 1.001"),
        (lambda: Serving(log_share="all"), "serving.log_share must be a number, got 'all'"),  # type: ignore[arg-type]
        (lambda: Serving(log_hash="zone"), "serving.log_hash must be a tuple of column names"),  # type: ignore[arg-type]
        (
            lambda: Serving(log_leave_out=("zone", "name"), log_hash=("zone",)),
            "serving: 'zone' is both left out and hashed; choose one",
        ),
    ],
)
def test_a_part_that_is_wrong_cannot_be_made(make: Callable[[], object], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: labels(min_coverage=0),
        lambda: labels(min_coverage=1),
        lambda: Quarantine(max_bad_share=1),
        lambda: define(quarantine=Quarantine(per_rule={"trip_id.not_null": 0})),
        lambda: Gate(min_gain=0, min_blocks=2),
        lambda: Drift(min_windows=3, raise_on=3, clear_after=1),
        lambda: define(name="t" * 40),
        lambda: define(serving=Serving(log_share=0, log_leave_out=("distance",), log_hash=("zone",))),
        lambda: Serving(log_share=1, on_unknown="refuse"),
    ],
)
def test_the_last_allowed_value_is_allowed(make: Callable[[], object]) -> None:
    make()


def test_the_columns_of_the_prediction_log_are_reserved() -> None:
    assert set(META) | {"prediction"} == _RESERVED


def test_a_definition_prints_as_json_values() -> None:
    printed = json.loads(define(gate=Gate(slices=("zone",))).to_json())
    assert printed["name"] == "trips"
    assert printed["metric"] == "logloss"
    assert printed["source"] == {**printed["source"], "key": ["trip_id"], "time": "started_at", "max_age": None}
    assert printed["labels"]["matures_after"] == 86_400.0
    assert printed["gate"]["slices"] == ["zone"]
    assert printed["features"] == "features"
    assert printed["contract"] == "Trips"


def test_columns_of_the_log_may_be_given_as_a_list_and_are_kept_as_a_tuple() -> None:
    listed = Serving(log_leave_out=["zone"], log_hash=["name"])  # type: ignore[arg-type]
    assert listed == Serving(log_leave_out=("zone",), log_hash=("name",))
    assert json.loads(define(serving=Serving(log_leave_out=("zone",))).to_json())["serving"] == {
        "on_unknown": "missing",
        "log_share": 1.0,
        "log_leave_out": ["zone"],
        "log_hash": [],
    }


def test_the_inputs_are_what_features_returns_without_key_and_time() -> None:
    assert list(define().inputs) == ["distance", "zone", "hour"]


def test_the_fingerprint_is_stable() -> None:
    assert define().fingerprint == define().fingerprint
    assert re.fullmatch("[0-9a-f]{64}", define().fingerprint)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "rides"},
        {"gate": Gate(alpha=0.1)},
        {"labels": labels(matures_after="2d")},
        {"serving": Serving(log_leave_out=("distance",))},
        {"features": lambda trips: features(trips).with_columns(weekday=pl.col("started_at").dt.weekday())},
    ],
)
def test_the_fingerprint_follows_every_part_of_the_definition(changes: dict[str, Any]) -> None:
    assert define(**changes).fingerprint != define().fingerprint


def test_the_fingerprint_follows_the_rules_of_the_contract() -> None:
    class Stricter(pa.DataFrameModel):
        trip_id: str = pa.Field(unique=True)
        started_at: Annotated[pl.Datetime, "us", "UTC"]
        distance: float = pa.Field(ge=0, le=100)
        zone: str

    class Laxer(pa.DataFrameModel):
        trip_id: str = pa.Field(unique=True)
        started_at: Annotated[pl.Datetime, "us", "UTC"]
        distance: float = pa.Field(ge=0)
        zone: str

    Stricter.__qualname__ = Laxer.__qualname__ = "Trips"
    assert define(contract=Stricter).fingerprint != define(contract=Laxer).fingerprint


def test_bundled_features_need_a_file() -> None:
    space: dict[str, Any] = {}
    exec("def features(trips):\n    return trips", space)  # noqa: S102 - as typed at a prompt
    with pytest.raises(DefinitionError, match="features must be defined in a file"):
        _ = define(features=space["features"]).module_source


def test_the_names_that_a_delivery_takes_are_those_of_its_stamp() -> None:
    assert tuple(STAMP) == STAMPED
