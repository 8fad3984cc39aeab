"""What was set aside waits for a person: released it is judged again, dropped it is gone; the ledger keeps why."""

import json
from datetime import datetime
from typing import Any

import polars as pl
import pytest

from andon.cli import main
from flows.ingest import ingest
from storage import tables
from tasks.release import drop, held, release
from tasks.snapshots import take_snapshot
from tests.flows.test_ingest_flow import with_bad_rows
from tests.flows.world import POLICIES, World, day
from validation.errors import DefinitionError, RefusedError

MONDAY = day(1, 10)
LENIENT = """
    contract=pa.DataFrameSchema({
        name: pa.Column(column.dtype, pa.Check.ge(0) if name == "temp" else None, nullable=True)
        for name, column in BIKES.contract.to_schema().columns.items()
    }),
"""


def curated(world: World) -> pl.DataFrame:
    table = tables.scan(world.site.lake.curated("bikes"), world.site.lake.remote)
    return pl.DataFrame() if table is None else table.collect()


def waiting(world: World) -> list[tuple[str, int, str]]:
    return [(item.batch.kind, item.batch.number, item.batch.state) for item in held(world.site)]


def mend_the_contract(world: World, more: str = "") -> None:
    """Whatever the weather and the clock say is accepted from now on."""
    world.define(POLICIES + LENIENT + more)
    file = world.home / "pipelines" / "bikes.py"
    file.write_text("import pandera.polars as pa\n" + file.read_text())


def test_bad_rows_are_taken_in_when_the_contract_was_mended(empty: World) -> None:
    empty.put("bikes", "week.parquet", with_bad_rows(empty.rows(1)))
    ingest("bikes", as_of=MONDAY)
    assert waiting(empty) == [("rows", 1, "accepted")]
    mend_the_contract(empty)
    taken, told = release(empty.site, "rows", 1, why="the sensor was right", as_of=MONDAY)
    assert (taken.outcome, told.kind, told.outcome, told.reasons) == (
        "accept", "release", "released", ("the sensor was right",),
    )  # fmt: skip
    assert waiting(empty) == []
    rows = curated(empty)
    assert rows.sort("ts").drop("_batch", "_known_at").equals(with_bad_rows(empty.rows(1)).sort("ts"))
    assert rows.filter(pl.col("_batch") == 2).height == 3


def test_what_still_breaks_the_contract_stays_set_aside_under_its_new_number(empty: World) -> None:
    empty.put("bikes", "week.parquet", with_bad_rows(empty.rows(1)))
    ingest("bikes", as_of=MONDAY)
    verdicts = release(empty.site, "rows", 1, why="try again", as_of=MONDAY)
    assert [verdict.outcome for verdict in verdicts] == ["quarantine", "released"]
    assert waiting(empty) == [("rows", 2, "accepted")]
    assert curated(empty).height == 165


def test_a_refused_file_that_is_refused_again_stays_where_it_was(empty: World) -> None:
    empty.put("bikes", "spoilt.parquet", empty.rows(1).with_columns(temp=pl.lit(2.0)))
    ingest("bikes", as_of=MONDAY)
    verdicts = release(empty.site, "rows", 1, why="try again", as_of=MONDAY)
    assert [verdict.outcome for verdict in verdicts] == ["refuse", "still refused"]
    assert waiting(empty) == [("rows", 1, "refused")]


def test_a_refused_file_is_judged_again(empty: World) -> None:
    empty.put("bikes", "spoilt.parquet", empty.rows(1).with_columns(temp=pl.lit(2.0)))
    ingest("bikes", as_of=MONDAY)
    assert curated(empty).is_empty()
    mend_the_contract(empty)
    taken, _ = release(empty.site, "rows", 1, why="temperatures are degrees now", as_of=MONDAY)
    assert taken.outcome == "accept"
    assert curated(empty).height == 168
    assert waiting(empty) == []


def test_dropped_is_gone_and_told(empty: World) -> None:
    empty.put("bikes", "week.parquet", with_bad_rows(empty.rows(1)))
    ingest("bikes", as_of=MONDAY)
    told = drop(empty.site, "rows", 1, why="not worth it", as_of=MONDAY)
    assert (told.outcome, told.reasons) == ("dropped", ("not worth it",))
    assert waiting(empty) == []
    assert empty.told("release") == [("week.parquet", "dropped")]
    with pytest.raises(RefusedError, match=r"nothing of batch 1 \(week.parquet\) is set aside"):
        drop(empty.site, "rows", 1, why="again", as_of=MONDAY)


def test_a_batch_or_kind_that_is_not_there_is_named(empty: World) -> None:
    with pytest.raises(DefinitionError, match="bikes has no batch 7 of rows; see: andon quarantine list bikes"):
        release(empty.site, "rows", 7, why="?", as_of=MONDAY)
    with pytest.raises(DefinitionError, match="bikes takes in labels, rows, not 'tables'"):
        release(empty.site, "tables", 1, why="?", as_of=MONDAY)


def days_of_bikes(world: World, count: int) -> None:
    """Each day in a file of its own."""
    rows = pl.concat([world.rows(number) for number in range(len(world.weeks))])
    for number, (_, part) in zip(
        range(count), rows.group_by(pl.col("ts").dt.date(), maintain_order=True), strict=False
    ):
        world.put("bikes", f"{number:02}.parquet", part)


@pytest.fixture
def suspicious(empty: World) -> World:
    """Thirty days, then one whose humidity came in percent, of a contract that lets it pass."""
    mend_the_contract(empty, more="source=replace(BIKES.source, max_age=None), suspicion=Suspicion(min_rows=20),")
    days_of_bikes(empty, 31)
    landing = empty.lake / "landing" / "bikes" / "30.parquet"
    pl.read_parquet(landing).with_columns(pl.col("humidity") * 100).write_parquet(landing)
    return empty


def test_a_strange_batch_is_held_out_of_snapshots_until_it_is_released(suspicious: World) -> None:
    verdicts = ingest("bikes", as_of=day(2, 1))
    assert [verdict.subject for verdict in verdicts if verdict.outcome == "suspect"] == ["30.parquet"]
    (strange,) = (verdict for verdict in verdicts if verdict.outcome == "suspect")
    assert "humidity" in strange.reasons[0]
    assert waiting(suspicious) == [("rows", 31, "suspect")]
    assert snapshot_batches(suspicious, day(2, 2)) == 30
    (told,) = release(suspicious.site, "rows", 31, why="percent it is", as_of=day(2, 2))
    assert told.outcome == "released"
    assert snapshot_batches(suspicious, day(2, 3)) == 31
    assert waiting(suspicious) == []


@pytest.mark.slow  # thirty files, as the test before it
def test_a_strange_batch_that_is_dropped_never_counts_and_its_keys_can_come_again(suspicious: World) -> None:
    ingest("bikes", as_of=day(2, 1))
    drop(suspicious.site, "rows", 31, why="wrong unit", as_of=day(2, 1))
    assert snapshot_batches(suspicious, day(2, 3)) == 30
    spoilt = pl.read_parquet(suspicious.lake / "landing" / "bikes" / "30.parquet")
    suspicious.put("bikes", "30-again.parquet", spoilt.with_columns(pl.col("humidity") / 100))
    (verdict,) = ingest("bikes", as_of=day(2, 1))
    assert (verdict.outcome, snapshot_batches(suspicious, day(2, 3))) == ("accept", 31)


def snapshot_batches(world: World, as_of: datetime) -> int:
    """How many days of rows a snapshot holds."""
    labels = pl.concat([pl.read_parquet(week.labels) for week in world.weeks if week.labels])
    if not (world.lake / "labels").exists():
        world.put("bike_rentals", "all.parquet", labels.filter(pl.col("known_at") < day(2, 1)))
        ingest("bikes", as_of=day(2, 1))
    snapshot = take_snapshot.fn(world.site, as_of)
    assert snapshot is not None
    return snapshot.rows["ts"].dt.date().n_unique()


def andon(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main([*arguments])
    out, err = capsys.readouterr()
    return int(left.value.code or 0), out, err


def test_the_commands_tell_a_person_and_a_machine(empty: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert andon(capsys, "quarantine", "list")[2] == "nothing is set aside\n"
    empty.put("bikes", "week.parquet", with_bad_rows(empty.rows(1)))
    empty.put("bikes", "text.parquet", empty.rows(2).with_columns(pl.col("temp").cast(pl.String)))
    ingest("bikes", as_of=MONDAY)
    capsys.readouterr()
    _, _, told = andon(capsys, "quarantine", "list", "bikes")
    assert "refused file" in told
    assert "bad rows" in told
    listed: list[dict[str, Any]] = json.loads(andon(capsys, "quarantine", "list", "--json")[1])
    assert [(item["batch"], item["file"], item["what"]) for item in listed] == [
        (1, "text.parquet", "refused file"),
        (2, "week.parquet", "bad rows"),
    ]
    assert "column 'temp' retyped (breaking): Float64" in andon(capsys, "quarantine", "show", "bikes", "1")[2]
    assert "clock_and_calendar_agree" in andon(capsys, "quarantine", "show", "bikes", "2")[2]
    code, out, _ = andon(capsys, "quarantine", "release", "bikes", "1", "--why", "try", "--json")
    assert (code, json.loads(out)[-1]["outcome"]) == (1, "still refused")
    assert andon(capsys, "quarantine", "drop", "bikes", "2", "--why", "enough")[0] == 0
    code, _, told = andon(capsys, "quarantine", "show", "bikes", "2")
    assert (code, "nothing of batch 2" in told) == (1, True)
