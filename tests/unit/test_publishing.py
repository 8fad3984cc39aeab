"""Publishing: what a run is, what stands in each row, channels that do not hold up one another; files and tables."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from pydantic import SecretStr

from andon.places import Delivery
from storage import tables
from storage.address import Address
from storage.lake import Lake
from storage.publishing.channels import Outcome, channels, publish_all
from storage.publishing.files import FilesChannel
from storage.publishing.port import Channel, Frames, Predictions, Published, Run
from storage.publishing.stamp import STAMP, Stamp, stamped
from storage.publishing.table import TableChannel
from storage.remote import Remote
from validation.errors import DefinitionError, RefusedError, ServiceDownError

SCORED_AT = datetime(2013, 4, 8, tzinfo=UTC)
STAMP_10 = Stamp(version="10", epoch=3, snapshot="5e8a", scored_at=SCORED_AT)
RUN = Run(pipeline="flights", run_id="flights-7", partition="batch 7")
PREDICTIONS = pl.DataFrame({"flight_id": ["a", "b"], "prediction": [0.2, 0.7]})
LOCAL = Remote()


def frames(run: Run = RUN) -> Frames:
    return Frames([stamped(PREDICTIONS, run, STAMP_10)])


def again(number: int, *, partition: str = "batch 7") -> Run:
    return Run(pipeline="flights", run_id=f"flights-{partition}-{number}", partition=partition, sequence=number)


def test_each_row_says_which_decision_stands_behind_it() -> None:
    rows = stamped(PREDICTIONS, RUN, STAMP_10, first=100)
    assert rows.rows(named=True)[1] == {
        "flight_id": "b",
        "prediction": 0.7,
        "prediction_id": "flights-7-101",
        "run_id": "flights-7",
        "pipeline": "flights",
        "partition": "batch 7",
        "sequence": 0,
        "model_version": "10",
        "epoch": 3,
        "snapshot": "5e8a",
        "scored_at": SCORED_AT,
    }
    assert {name: rows.schema[name] for name in STAMP} == STAMP


def test_what_the_scorer_said_itself_is_left_as_it_is() -> None:
    own: dict[str, list[object]] = {
        "model_version": ["9", "10"],
        "prediction_id": ["p", "q"],
        "epoch": [2, 3],
        "snapshot": ["old", "new"],
    }
    rows = stamped(PREDICTIONS.with_columns(*(pl.Series(name, values) for name, values in own.items())), RUN, STAMP_10)
    assert rows.select(list(own)).to_dict(as_series=False) == own


@pytest.mark.parametrize("name", ["run_id", "pipeline", "partition", "sequence", "scored_at"])
def test_a_column_of_the_datas_own_is_not_overwritten(name: str) -> None:
    with pytest.raises(DefinitionError, match=f"columns {name}, which each delivery adds; rename"):
        stamped(PREDICTIONS.with_columns(pl.lit("x").alias(name)), RUN, STAMP_10)


@pytest.mark.parametrize("run_id", ["", "../x", "a/b", "..", ".hidden", "a\nb", "x" * 201])
def test_a_run_id_that_is_no_file_name_is_refused(run_id: str) -> None:
    with pytest.raises(DefinitionError, match="run_id"):
        Run(pipeline="flights", run_id=run_id, partition="batch 7")


@pytest.mark.parametrize(("partition", "sequence"), [("", 0), ("x" * 201, 0), ("a\0b", 0), ("a", -1), ("a", 2**63)])
def test_other_parts_of_a_run_are_looked_at_too(partition: str, sequence: int) -> None:
    with pytest.raises(DefinitionError, match=r"partition|sequence"):
        Run(pipeline="flights", run_id="r1", partition=partition, sequence=sequence)


def test_the_definition_names_the_channels(tmp_path: Path) -> None:
    def named(delivery: Delivery) -> list[str]:
        url = SecretStr(f"sqlite:///{tmp_path}/delivery.db")
        return [
            channel.name
            for channel in channels(delivery, lake=Lake(tmp_path), database=url, key=["flight_id"], work=tmp_path)
        ]

    assert named(Delivery()) == []
    assert named(Delivery(database="scores")) == ["database"]
    assert named(Delivery(files="a/b", table="c", database="scores")) == ["files", "table", "database"]
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_cannot_be_holds_up_no_other_channel(tmp_path: Path) -> None:
    delivery = Delivery(files="files", table="table", database="scores")
    found = channels(
        delivery, lake=Lake(tmp_path), database=SecretStr("nonsense"), key=["flight_id"], work=tmp_path / "work"
    )
    *well, database = publish_all(RUN, frames(), found)
    assert [outcome.published and outcome.published.rows for outcome in well] == [2, 2]
    assert (database.channel, database.published, database.passes) == ("database", None, False)
    assert database.error.startswith("ANDON_DELIVERY_DATABASE must be postgresql://")


class Failing:
    name = "files"

    def __init__(self, error: Exception) -> None:
        self.error = error

    def publish(self, run: Run, predictions: Predictions) -> Published:  # noqa: ARG002
        raise self.error


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ServiceDownError("down; try again"), Outcome(channel="files", error="down; try again", passes=True)),
        (RefusedError("no; mend it"), Outcome(channel="files", error="no; mend it", passes=False)),
        (
            ValueError("with a secret"),
            Outcome(
                channel="files",
                error="ValueError, which is not foreseen; the log tells more, the next sweep tries again",
                passes=True,
            ),
        ),
    ],
)
def test_whatever_a_channel_raises_the_next_has_its_turn(tmp_path: Path, error: Exception, outcome: Outcome) -> None:
    table: Channel = TableChannel(Address.of(tmp_path / "table"), LOCAL, tmp_path / "work")
    failed, published = publish_all(RUN, frames(), [Failing(error), table])
    assert failed == outcome
    assert published.published is not None


def test_a_file_is_whole_and_alone_in_its_folder(tmp_path: Path) -> None:
    channel = FilesChannel(Address.of(tmp_path / "files"), LOCAL, tmp_path / "work")
    place = tmp_path / "files" / "flights-7.parquet"
    assert channel.publish(RUN, frames()) == Published(place=str(place), rows=2)
    assert pl.read_parquet(place).equals(frames().frames[0])
    assert [path.name for path in place.parent.iterdir()] == ["flights-7.parquet"]
    assert list((tmp_path / "work").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "files").write_text("no folder")
    with pytest.raises(ServiceDownError, match=r"writing .* failed: .*; make room, or see that the folder"):
        FilesChannel(Address.of(tmp_path / "files"), LOCAL, tmp_path / "work").publish(RUN, frames())


def test_what_killed_publishers_left_is_taken_away_after_a_day(tmp_path: Path) -> None:
    new, old, other = (tmp_path / name for name in ("delivery-1.parquet", "delivery-2.parquet", "mine.parquet"))
    for path in (new, old, other):
        path.write_bytes(b"")
    for path in (old, other):
        os.utime(path, (time.time() - 90_000,) * 2)
    FilesChannel(Address.of(tmp_path / "files"), LOCAL, tmp_path).publish(RUN, frames())
    assert sorted(path.name for path in tmp_path.glob("*.parquet")) == ["delivery-1.parquet", "mine.parquet"]


class Delivered:
    """A Delta table of deliveries."""

    def __init__(self, folder: Path) -> None:
        self.place, self.work = Address.of(folder / "table"), folder / "work"
        self.work.mkdir()

    def send(self, run: Run) -> Published:
        return TableChannel(self.place, LOCAL, self.work).publish(run, frames(run))

    def runs(self) -> list[tuple[str | None, int]]:
        table = tables.scan(self.place, LOCAL)
        assert table is not None
        return table.group_by("run_id").len().sort("run_id").collect().rows()


@pytest.fixture
def delivered(tmp_path: Path) -> Delivered:
    return Delivered(tmp_path)


def test_a_partition_is_replaced_in_a_file_that_upkeep_has_made_of_many(delivered: Delivered) -> None:
    for number in range(4):
        delivered.send(again(0, partition=f"batch {number}"))
    tidied = tables.maintain(delivered.place, LOCAL, work=delivered.work, min_files=2, retention=timedelta(0))
    assert tidied == tables.Maintained(compacted=4, into=1, deleted=4)
    delivered.send(again(1, partition="batch 2"))
    names = ["flights-batch 0-0", "flights-batch 1-0", "flights-batch 2-1", "flights-batch 3-0"]
    assert delivered.runs() == [(name, 2) for name in names]
    assert delivered.send(again(0, partition="batch 2")).repeated
    assert list(delivered.work.iterdir()) == []


def test_upkeep_in_the_middle_of_a_publish_doubles_and_loses_no_row(delivered: Delivered) -> None:
    class Compacting(Frames):
        def parts(self) -> Iterator[pl.DataFrame]:
            tables.maintain(delivered.place, LOCAL, work=delivered.work, min_files=2)
            yield from super().parts()

    for number in range(3):
        delivered.send(again(0, partition=f"batch {number}"))
    newer = again(1, partition="batch 1")
    TableChannel(delivered.place, LOCAL, delivered.work).publish(newer, Compacting(frames(newer).frames))
    assert delivered.runs() == [(name, 2) for name in ("flights-batch 0-0", "flights-batch 1-1", "flights-batch 2-0")]


def test_a_table_of_before_partitions_gains_the_columns_and_keeps_its_rows(delivered: Delivered) -> None:
    """And its runs are known: a repetition of one of them writes nothing."""
    old = frames().frames[0].drop("partition", "sequence", "snapshot").lazy()
    tables.append(delivered.place, old, markers=["delivery/flights-7/1"], remote=LOCAL, work=delivered.work)
    assert delivered.send(RUN) == Published(place=str(delivered.place), rows=2, repeated=True)
    delivered.send(again(1))
    assert delivered.runs() == [("flights-7", 2), ("flights-batch 7-1", 2)]
    assert tables.maintain(delivered.place, LOCAL, work=delivered.work, min_files=2).into == 1
    assert delivered.runs() == [("flights-7", 2), ("flights-batch 7-1", 2)]


def test_a_table_that_another_tool_has_cut_into_partitions_is_refused(delivered: Delivered) -> None:
    from deltalake import write_deltalake

    write_deltalake(str(delivered.place), frames().frames[0].to_arrow(), partition_by=["pipeline"])
    with pytest.raises(RefusedError, match="name a new table"):
        delivered.send(again(1))


def test_a_table_takes_the_types_that_delta_keeps(delivered: Delivered) -> None:
    lists = frames().frames[0].with_columns(pl.Series("prediction", [[0.2, 0.8], [1.0, 0.0]]))
    TableChannel(delivered.place, LOCAL, delivered.work).publish(RUN, Frames([lists]))
    table = tables.scan(delivered.place, LOCAL)
    assert table is not None
    assert table.collect().equals(lists)
