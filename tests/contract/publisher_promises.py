"""What every channel of delivery promises (storage/publishing/port.py); test_publishers.py holds each of them to it."""

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Protocol

import polars as pl
import pytest

from storage.publishing.port import Channel, Frames, Published, Run
from storage.publishing.stamp import STAMP, Stamp, stamped
from validation.errors import DefinitionError, RefusedError

BEGAN = datetime(2013, 4, 8, 12, tzinfo=UTC)
KEY = ("id",)


class World(Protocol):
    """A place to deliver to, new and empty. `replaces`: a newer run takes its partition over."""

    replaces: bool

    def channel(self) -> Channel:
        """A new channel to it."""
        ...

    def rows(self) -> list[dict[str, Any]]:
        """All rows that a reader sees now, by run and id; read by other means than ours where there are any."""
        ...


def run(run_id: str = "r1", partition: str = "day 1", sequence: int = 0, pipeline: str = "bikes") -> Run:
    return Run(pipeline=pipeline, run_id=run_id, partition=partition, sequence=sequence)


def rows_of(run: Run, count: int = 3, *, p: float = 0.5, first: int = 0) -> pl.DataFrame:
    ids = [f"k{number}" for number in range(first, first + count)]
    plain = pl.DataFrame({"id": ids, "prediction": [p] * count}, schema={"id": pl.String, "prediction": pl.Float64})
    stamp = Stamp(version="7", epoch=3, snapshot="5e8a", scored_at=BEGAN)
    return stamped(plain, run, stamp, first=first)


def predictions(run: Run, count: int = 3, *, p: float = 0.5) -> Frames:
    """In two parts."""
    return Frames([rows_of(run, count - count // 2, p=p), rows_of(run, count // 2, p=p, first=count - count // 2)])


def told(world: World) -> list[tuple[str, str, float]]:
    """Of each row the run, the id and the prediction."""
    return sorted((row["run_id"], row["id"], row["prediction"]) for row in world.rows())


def expected(*runs: tuple[str, int, float]) -> list[tuple[str, str, float]]:
    return sorted((name, f"k{number}", p) for name, count, p in runs for number in range(count))


@dataclass
class Streamed:
    """Parts that are made when they are asked for. `alive`: the most that were there at once."""

    run: Run
    parts_of: int = 12
    size: int = 200
    fails_after: int | None = None
    alive: int = 0
    _made: "list[weakref.ref[pl.DataFrame]]" = field(default_factory=list)

    @property
    def schema(self) -> pl.Schema:
        return rows_of(self.run, 0).schema

    @property
    def rows(self) -> int:
        return self.parts_of * self.size

    def parts(self) -> Iterator[pl.DataFrame]:
        for number in range(self.parts_of):
            if number == self.fails_after:
                raise RuntimeError("the outbox is gone")
            part = rows_of(self.run, self.size, first=number * self.size)
            self._made.append(weakref.ref(part))
            gc.collect(0)
            self.alive = max(self.alive, sum(made() is not None for made in self._made))
            yield part
            del part


class PublisherPromises:
    """`world`: what is delivered to."""

    def test_rows_arrive_whole_with_what_stands_behind_them(self, world: World) -> None:
        one = run("bikes-7", sequence=4)
        published = world.channel().publish(one, predictions(one))
        assert (published.rows, published.repeated, published.superseded) == (3, False, False)
        assert world.rows()[1] == {
            "id": "k1",
            "prediction": 0.5,
            "prediction_id": "bikes-7-1",
            "run_id": "bikes-7",
            "pipeline": "bikes",
            "partition": "day 1",
            "sequence": 4,
            "model_version": "7",
            "epoch": 3,
            "snapshot": "5e8a",
            "scored_at": BEGAN,
        }
        assert set(world.rows()[0]) == {"id", "prediction", *STAMP}

    def test_a_repetition_changes_nothing_and_says_so(self, world: World) -> None:
        """Also with other numbers, and from a process that never saw the first."""
        first = world.channel().publish(run(), predictions(run()))
        again = world.channel().publish(run(), predictions(run(), 5, p=0.9))
        assert again == Published(place=first.place, rows=3, repeated=True)
        assert told(world) == expected(("r1", 3, 0.5))

    def test_a_newer_run_replaces_its_partition_and_nothing_else(self, world: World) -> None:
        others = [run("r2", "day 2"), run("r3", "day 1", pipeline="flights")]
        for one in (run(), *others, newer := run("r4", sequence=1)):
            world.channel().publish(one, predictions(one, 2 if one is newer else 3))
        kept = [("r2", 3, 0.5), ("r3", 3, 0.5), ("r4", 2, 0.5)]
        assert told(world) == expected(*kept if world.replaces else [("r1", 3, 0.5), *kept])

    def test_an_older_run_that_comes_late_undoes_nothing(self, world: World) -> None:
        newer, older = run("r2", sequence=2), run("r1", sequence=1)
        world.channel().publish(newer, predictions(newer))
        for _ in range(2):
            late = world.channel().publish(older, predictions(older))
            assert late.superseded == world.replaces
        assert told(world) == expected(("r2", 3, 0.5), *([] if world.replaces else [("r1", 3, 0.5)]))

    def test_of_two_with_the_same_sequence_the_later_comer_stands(self, world: World) -> None:
        for one in (run("r2"), run("r1"), run("r2")):
            world.channel().publish(one, predictions(one))
        assert told(world) == expected(("r1", 3, 0.5), *([] if world.replaces else [("r2", 3, 0.5)]))

    def test_a_run_without_rows_empties_its_partition(self, world: World) -> None:
        empty = run("r2", sequence=1)
        world.channel().publish(run(), predictions(run()))
        assert world.channel().publish(empty, predictions(empty, 0)).rows == 0
        assert world.channel().publish(empty, predictions(empty, 0)).repeated
        assert told(world) == ([] if world.replaces else expected(("r1", 3, 0.5)))

    def test_twins_write_a_run_once(self, world: World) -> None:
        done = at_once(lambda number: world.channel().publish(run(), predictions(run(), p=number / 10)), range(4))
        assert sorted(published.repeated for published in done) == [False, True, True, True]
        assert [len(told(world)), len({p for _, _, p in told(world)})] == [3, 1]

    def test_runs_of_a_partition_at_once_leave_the_newest_and_others_are_all_there(self, world: World) -> None:
        runs = [*(run(f"r{n}", sequence=n) for n in range(3)), *(run(f"s{n}", f"day {n + 2}") for n in range(2))]
        at_once(lambda one: world.channel().publish(one, predictions(one)), runs)
        standing = [one.run_id for one in (runs[2:] if world.replaces else runs)]
        assert told(world) == expected(*((name, 3, 0.5) for name in standing))

    def test_a_reader_sees_all_of_a_run_or_nothing(self, world: World) -> None:
        sizes = {f"r{n}": 300 + 100 * n for n in range(4)}
        world.channel().publish(run("r0"), predictions(run("r0"), 300))
        with watching(world) as seen:
            for number in (1, 2, 3):
                one = run(f"r{number}", sequence=number)
                world.channel().publish(one, predictions(one, sizes[one.run_id]))
        assert seen, "the reader never came to read"
        for counts in seen:
            assert all(counts[name] == sizes[name] for name in counts), counts
            assert len(counts) == 1 or not world.replaces, counts

    def test_what_fails_halfway_leaves_nothing_and_can_be_repeated(self, world: World) -> None:
        newer = run("r2", sequence=1)
        world.channel().publish(run(), predictions(run()))
        with pytest.raises(RuntimeError, match="the outbox is gone"):
            world.channel().publish(newer, Streamed(newer, fails_after=5))
        assert told(world) == expected(("r1", 3, 0.5))
        assert world.channel().publish(newer, Streamed(newer)).rows == 2400
        assert len(told(world)) == 2400 + (0 if world.replaces else 3)

    def test_parts_come_and_go_one_by_one(self, world: World) -> None:
        streamed = Streamed(run())
        world.channel().publish(run(), streamed)
        assert 1 <= streamed.alive <= 3
        assert len({row["prediction_id"] for row in world.rows()}) == 2400

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            (lambda rows: rows.drop("epoch"), "not stamped: epoch is missing"),
            (lambda rows: rows.cast({"epoch": pl.Int32}), "not stamped: epoch is Int32"),
            (lambda rows: rows.with_columns(run_id=pl.lit("r2")), "another run_id"),
            (lambda rows: rows.with_columns(partition=pl.lit(None, pl.String)), "another partition"),
        ],
    )
    def test_rows_that_are_not_the_runs_are_refused(
        self, world: World, wrong: Callable[[pl.DataFrame], pl.DataFrame], message: str
    ) -> None:
        with pytest.raises(DefinitionError, match=message):
            world.channel().publish(run(), Frames([wrong(rows_of(run()))]))
        assert told(world) == []

    def test_fewer_rows_than_announced_are_refused(self, world: World) -> None:
        class Short(Frames):
            @property
            def rows(self) -> int:
                return 4

        with pytest.raises(DefinitionError, match="announced 4 rows and brought 3"):
            world.channel().publish(run(), Short([rows_of(run())]))
        assert told(world) == []

    def test_all_kinds_of_columns_arrive_as_they_are(self, world: World) -> None:
        named: dict[str, list[Any]] = {'a"b; --': ["x", 'ü"', None], "select": [1, -(2**62), None]}
        named["Tag ä"] = [date(2013, 1, 1)] * 3
        values = {
            "share": pl.Series([0.1 + 0.2, float("inf"), None]),
            "wall": pl.Series([datetime(2013, 1, 1, 2, 3, 4, 567_890)] * 3),  # noqa: DTZ001
            "yes": pl.Series([True, None, False]),
            "small": pl.Series([1, None, -3], dtype=pl.Int16),
            "classes": pl.Series([[0.25, 0.75], [], None], dtype=pl.List(pl.Float64)),
            **{name: pl.Series(column) for name, column in named.items()},
        }
        world.channel().publish(run(), Frames([rows_of(run()).with_columns(**values)]))
        found = {name: [row[name] for row in world.rows()] for name in values}
        assert found == {name: column.to_list() for name, column in values.items()}

    def test_new_columns_are_added_and_older_rows_have_none(self, world: World) -> None:
        other = run("r2", "day 2")
        world.channel().publish(run(), predictions(run()))
        world.channel().publish(other, Frames([rows_of(other).with_columns(band=pl.lit("high"))]))
        world.channel().publish(third := run("r3", "day 3"), predictions(third))  # the old columns are enough, too
        bands = {row["run_id"]: row.get("band") for row in world.rows()}
        assert bands == {"r1": None, "r2": "high", "r3": None}

    def test_a_changed_type_is_refused_with_a_sentence(self, world: World) -> None:
        other = run("r2", "day 2")
        world.channel().publish(run(), predictions(run()))
        wrong = rows_of(other).with_columns(prediction=pl.lit("high"))
        if not world.replaces:  # each file has types of its own
            return
        with pytest.raises(RefusedError, match=r"other types: 'prediction' is .*; name another table"):
            world.channel().publish(other, Frames([wrong]))
        assert told(world) == expected(("r1", 3, 0.5))


def at_once(act: Callable[[Any], Published], items: Sequence[Any]) -> list[Published]:
    """All of them begin together, each in a thread."""
    ready = threading.Barrier(len(items))

    def begin(item: Any) -> Published:
        ready.wait()
        return act(item)

    with ThreadPoolExecutor(len(items)) as threads:
        return list(threads.map(begin, items))


class watching:  # noqa: N801 - used as a function
    """What a reader counts of each run, again and again, while inside; entered when it has counted once."""

    def __init__(self, world: World) -> None:
        self._world, self._seen, self._ends = world, list[dict[str, int]](), threading.Event()
        self._errors: list[Exception] = []
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> list[dict[str, int]]:
        self._thread.start()
        return self._seen

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()
        assert not self._errors

    def _watch(self) -> None:
        try:
            while not self._ends.is_set():
                counts: dict[str, int] = {}
                for row in self._world.rows():
                    counts[row["run_id"]] = counts.get(row["run_id"], 0) + 1
                self._seen.append(counts)
                time.sleep(0.002)
        except Exception as error:  # noqa: BLE001 - told in the test's thread
            self._errors.append(error)
