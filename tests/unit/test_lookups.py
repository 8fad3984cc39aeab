"""Online lookups: a request with the contract's own columns is answered as training would fill the rest."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from andon.catalogue import load as load_pipeline
from andon.settings import Settings
from modelling.bundle import Bundle, load, write
from modelling.training import fit
from registry.ledger import Ledger
from registry.memory import MemoryLedger
from serving.lookups import LookupTables
from serving.requests.decoding import RowsDecoder
from serving.requests.rows import Rows
from storage.lake import Lake as Places
from tasks.lookups import looked_up
from tasks.site import Site
from tests.fakes import FolderStore
from tests.unit.lake_world import Lake, Seen, day
from tests.unit.modelling_world import FAST
from validation.errors import ServiceDownError

DEFINITION = """
from typing import Annotated

import pandera.polars as pa
import polars as pl

from andon import Labels, Lookup, Pipeline, Source, Table


class Trips(pa.DataFrameModel):
    trip_id: str
    started_at: Annotated[pl.Datetime, "us", "UTC"]
    distance: float
    zone: str = pa.Field(nullable=True)


class Weather(pa.DataFrameModel):
    zone: str
    observed_at: Annotated[pl.Datetime, "us", "UTC"]
    temp: float = pa.Field(nullable=True)
    visib: float


WEATHER = Table(name="weather", path="landing/weather/*.parquet", contract=Weather, key="zone", time="observed_at")
PIPELINE = Pipeline(
    name="trips",
    source=Source(path="landing/trips/*.parquet", time="started_at", key="trip_id"),
    labels=Labels(path="landing/ends/*.parquet", target="late"),
    contract=Trips,
    lookups=(LOOKUPS),
    features=lambda trips: trips.select("trip_id", "distance", "zone", *COLUMNS),
    task="binary",
)
"""
LOOKUP = 'Lookup(table=WEATHER, on="zone", as_of="started_at", max_age="5d"),'


def site_in(folder: Path, *, lookups: str = LOOKUP) -> Site:
    path = folder / f"trips{len(lookups)}.py"
    columns = '("temp", "visib")' if lookups else "()"
    path.write_text(DEFINITION.replace("LOOKUPS", lookups).replace("COLUMNS", columns))
    return Site(
        pipeline=load_pipeline(path),
        settings=Settings(home=folder),
        ledger=MemoryLedger(),
        store=FolderStore(folder / "store"),
        lake=Places(folder / "lake"),
        actor="test",
    )


def bundle_of(site: Site, folder: Path) -> Bundle:
    numbers = range(200)
    rows = pl.DataFrame(
        {
            "trip_id": [str(number) for number in numbers],
            "started_at": pl.Series([day(number / 10) for number in numbers], dtype=pl.Datetime("us", "UTC")),
            "distance": [float(number % 7) for number in numbers],
            "zone": ["north", "south"] * 100,
            "temp": [float(number % 30) for number in numbers],
            "visib": [10.0] * 200,
            "late": [number % 30 > 12 for number in numbers],
        }
    )
    pipeline = site.pipeline
    model = fit(pipeline.spec, rows, FAST, seed=7, threads=1)
    write(
        folder,
        model=model,
        pipeline=pipeline.name,
        definition=pipeline.module_source,
        definition_hash=pipeline.fingerprint,
        snapshot="s",
        rows=rows,
        profile_json="{}",
    )
    return load(folder)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(site=site_in(tmp_path), work=tmp_path)


@pytest.fixture
def bundle(lake: Lake, tmp_path: Path) -> Bundle:
    return bundle_of(lake.site, tmp_path / "bundle")


def opened(
    bundle: Bundle, lake: Lake, *, every_seconds: float = 1_000.0, like: LookupTables | None = None
) -> LookupTables:
    tables = LookupTables.of(
        bundle, ledger=lambda: lake.site.ledger, lake=lake.site.lake, every_seconds=every_seconds, like=like
    )
    assert tables is not None
    return tables


ASKED = ((2.0, "north"), (9.0, "north"), (2.0, "south"), (2.0, None), (-3.0, "north"))


def request() -> Rows:
    count = len(ASKED)
    moments, zones = [day(at) for at, _ in ASKED], [zone for _, zone in ASKED]
    columns: list[list[Any]] = [
        [str(row) for row in range(count)],
        moments,
        [1.0] * count,
        zones,
        [None] * count,
        [None] * count,
    ]
    return Rows(columns=columns, height=count, absent=("temp", "visib"))


def temps(tables: LookupTables) -> list[float | None]:
    rows = request()
    tables.fill(rows)
    return rows.columns[4]


def test_a_request_is_told_what_training_is_told(lake: Lake, bundle: Bundle) -> None:
    lake.weather(
        Seen("north", day(0), temp=5.0), Seen("north", day(1), temp=6.0), Seen("south", day(3), 7.0), came=day(4)
    )
    lake.weather(Seen("north", day(1), temp=8.0), came=day(5))
    rows, tables = request(), opened(bundle, lake)
    tables.fill(rows)
    trips = bundle.raw_schema.items()
    alone = pl.DataFrame({name: rows.columns[place] for place, (name, _) in enumerate(trips)}, schema=dict(trips))
    trained = looked_up(lake.site, alone.lazy().drop("temp", "visib"), as_known_at=day(9)).collect()
    assert (rows.columns[4], rows.columns[5]) == (trained["temp"].to_list(), trained["visib"].to_list())
    assert rows.columns[4] == [8.0, None, None, None, None]  # found; too old; later; no zone; earlier
    assert tables.trouble == ""
    assert 0 <= tables.age_seconds < 60


def test_a_body_with_the_contracts_own_columns_is_answered_as_the_whole_row_is(lake: Lake, bundle: Bundle) -> None:
    lake.weather(Seen("north", day(1), temp=6.0), came=day(2))
    own = {"trip_id": "7", "started_at": "2013-04-03T00:00:00Z", "distance": 3.0, "zone": "north"}
    decoder = RowsDecoder(
        bundle.raw_schema, required={"trip_id", "started_at"}, looked_up={"weather": {"temp", "visib"}}
    )
    rows = decoder.decode(msgspec.json.encode({"dataframe_records": [own]}))
    assert set(rows.absent) == {"temp", "visib"}
    opened(bundle, lake).fill(rows)
    whole = {**own, "started_at": day(2), "temp": 6.0, "visib": 10.0}
    wanted = bundle.predict(pl.DataFrame([whole], schema=dict(bundle.raw_schema))).tolist()
    assert bundle.predict_values(rows.columns) == pytest.approx(wanted, abs=1e-12)
    rows.columns[4] = [29.0]
    assert bundle.predict_values(rows.columns) != pytest.approx(wanted, abs=1e-3)  # the looked-up value matters


def test_columns_that_the_request_brought_are_left_alone(lake: Lake, bundle: Bundle) -> None:
    lake.weather(Seen("north", day(1), temp=6.0), came=day(4))
    rows = request()
    rows.columns[4], rows.absent = [1.0] * 5, ("visib",)
    opened(bundle, lake).fill(rows)
    assert (rows.columns[4], rows.columns[5][0]) == ([1.0] * 5, 10.0)


def test_a_batch_counts_when_it_is_accepted_and_is_read_once(lake: Lake, bundle: Bundle) -> None:
    lake.weather(Seen("north", day(0), temp=5.0), came=day(1))
    tables = opened(bundle, lake)
    index = tables.held
    tables.refresh()
    assert all(tables.held[asked].index is held.index for asked, held in index.items())
    lake.weather(Seen("north", day(1), temp=6.0), came=day(2))
    assert temps(tables)[0] == 5.0
    tables.refresh()
    assert temps(tables)[0] == 6.0


def test_the_thread_follows_and_ends_with_the_last_reference(lake: Lake, bundle: Bundle) -> None:
    others = _following()
    held = [opened(bundle, lake, every_seconds=0.01)]
    (thread,) = _following() - others
    lake.weather(Seen("north", day(1), temp=6.0), came=day(2))
    _until(lambda: temps(held[0])[0] == 6.0)
    held.clear()
    thread.join(10)
    assert not thread.is_alive()


def test_close_ends_the_thread_and_answers_go_on(lake: Lake, bundle: Bundle) -> None:
    lake.weather(Seen("north", day(1), temp=6.0), came=day(2))
    others = _following()
    tables = opened(bundle, lake)
    (thread,) = _following() - others
    tables.close()
    thread.join(10)
    assert not thread.is_alive()
    assert temps(tables)[0] == 6.0


def test_while_the_ledger_is_down_the_last_good_copy_answers_and_it_is_told(lake: Lake, bundle: Bundle) -> None:
    lake.weather(Seen("north", day(1), temp=6.0), came=day(2))
    down: list[bool] = []

    def ledger() -> Ledger:
        if down:
            raise ServiceDownError("the ledger does not answer; start it")
        return lake.site.ledger

    tables = LookupTables.of(bundle, ledger=ledger, lake=lake.site.lake, every_seconds=1_000)
    assert tables is not None
    down.append(True)
    tables.refresh()
    assert tables.trouble == (
        "the reference tables of trips cannot be read: ServiceDownError: the ledger does not answer; start it"
    )
    assert temps(tables)[0] == 6.0
    after = LookupTables.of(bundle, ledger=ledger, lake=lake.site.lake, every_seconds=1_000, like=tables)
    assert after is not None
    assert (temps(after)[0], after.age_seconds) == (6.0, float("inf"))
    down.clear()
    after.refresh()
    assert (after.trouble, after.age_seconds < 60) == ("", True)


def test_without_ledger_from_the_start_values_are_missing_and_it_is_told(bundle: Bundle, lake: Lake) -> None:
    def ledger() -> Ledger:
        raise ServiceDownError("the ledger does not answer; start it")

    tables = LookupTables.of(bundle, ledger=ledger, lake=lake.site.lake, every_seconds=1_000)
    assert tables is not None
    assert temps(tables) == [None] * 5
    assert "the ledger does not answer" in tables.trouble
    assert tables.age_seconds == float("inf")


def test_a_table_that_is_gone_is_told_and_read_when_it_is_back(lake: Lake, bundle: Bundle, tmp_path: Path) -> None:
    place = tmp_path / "lake" / "tables" / "trips" / "weather"
    lake.weather(Seen("north", day(1), temp=6.0), came=day(2))
    place.rename(tmp_path / "away")
    tables = opened(bundle, lake)
    assert "the ledger names batches of weather, but there is no" in tables.trouble
    (tmp_path / "away").rename(place)
    tables.refresh()
    assert (tables.trouble, temps(tables)[0]) == ("", 6.0)


def test_the_next_bundle_takes_over_what_it_looks_up_alike(lake: Lake, bundle: Bundle) -> None:
    lake.weather(Seen("north", day(1), temp=6.0), came=day(2))
    before = opened(bundle, lake)
    after = opened(bundle, lake, like=before)
    assert [held.index for held in after.held.values()] == [held.index for held in before.held.values()]
    assert temps(after)[0] == 6.0


def test_another_ledger_is_read_anew(lake: Lake, bundle: Bundle) -> None:
    lake.weather(Seen("north", day(1), temp=6.0), came=day(2))
    ledgers = [lake.site.ledger, MemoryLedger()]
    tables = LookupTables.of(bundle, ledger=lambda: ledgers[0], lake=lake.site.lake, every_seconds=1_000)
    assert tables is not None
    del ledgers[0]
    tables.refresh()
    assert temps(tables)[0] is None


def test_a_bundle_that_looks_nothing_up_has_no_tables(tmp_path: Path) -> None:
    site = site_in(tmp_path, lookups="")
    assert LookupTables.of(bundle_of(site, tmp_path / "b"), ledger=lambda: site.ledger, lake=site.lake) is None


def _until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.02)
    pytest.fail("it did not come about in 10 s")


def _following() -> set[threading.Thread]:
    """The threads that follow reference tables; other tests' own may come and go meanwhile."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("lookups of ")}
