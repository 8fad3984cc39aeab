"""The keeper: what others wrote becomes Parquet, is scored by the shadows exactly once, and never waits for them."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from storage.compaction import compact, is_kept
from storage.entries import Logged
from storage.log_check import log_files, unreadable
from storage.log_keeper import MAX_UNSCORED, LogKeeper, Shadow, ShadowFigures, read_shadow
from storage.logged import _parts
from storage.masking import LogPolicy
from storage.prediction_log import MAX_WAITING, PredictionLog, read_predictions
from storage.segment import taken
from tests.unit.test_segment import dirty_bytes, on_a_disk

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SCHEMA: dict[str, pl.DataType] = {"id": pl.Int64(), "at": pl.Datetime("us", "UTC"), "x": pl.Float64()}
DOUBLE = Shadow(version="8", predict=lambda rows: (rows["x"] * 2).to_numpy())


def answer(log: PredictionLog, number: int, *, rows: int = 1) -> bool:
    """`rows` rows, logged `number` microseconds after 1970, with the x `number`."""
    columns: list[list[Any]] = [[number] * rows, [EPOCH] * rows, [float(number)] * rows]
    return log.append("7", columns, [0.5] * rows, prediction_id=f"r{number}", at_us=number)


def ids(folder: Path) -> list[str]:
    found = read_predictions(folder, SCHEMA, key=("prediction_id",), time="at")
    return sorted(found["prediction_id"])


def ids_in_files(folder: Path) -> list[str]:
    """Before the first of each key is taken: what lies in two files would be here twice."""
    return [one for part in _parts(folder) for one in part.select("prediction_id").collect()["prediction_id"]]


def names(folder: Path, suffix: str) -> list[str]:
    return sorted(path.stem for path in folder.glob(f"*{suffix}"))


def look(folder: Path, *shadows: Shadow) -> dict[str, ShadowFigures]:
    """One keeper's whole life."""
    keeper = LogKeeper(folder, shadows=lambda: shadows)
    keeper.start()
    keeper.stop()
    assert keeper.waiting == 0
    return keeper.figures


@contextmanager
def kept(folder: Path, *shadows: Shadow, seconds: float = 0.02) -> Iterator[LogKeeper]:
    keeper = LogKeeper(folder, shadows=lambda: shadows, shadow_seconds=seconds, tick_seconds=0.02, sync_seconds=0.02)
    keeper.start()
    try:
        yield keeper
    finally:
        keeper.stop()


def wait_until(happens: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def test_closed_segments_and_those_of_the_dead_become_parquet_and_living_ones_are_left(tmp_path: Path) -> None:
    with PredictionLog(tmp_path, SCHEMA, rotate_rows=2, compacting=False) as log:
        for number in range(5):
            answer(log, number)
        assert (log.waiting, len(names(tmp_path, ".segment")), names(tmp_path, ".parquet")) == (2, 3, [])
        look(tmp_path)
        assert (log.waiting, len(names(tmp_path, ".segment")), len(names(tmp_path, ".parquet"))) == (0, 1, 2)
        assert ids(tmp_path) == [f"r{number}-0" for number in range(5)]
    assert len(names(tmp_path, ".segment")) == 1, "nobody compacts now"
    with kept(tmp_path):
        wait_until(lambda: len(names(tmp_path, ".parquet")) == 3)
    assert ids(tmp_path) == [f"r{number}-0" for number in range(5)]


def test_while_a_keeper_runs_other_logs_leave_their_segments_to_it(tmp_path: Path) -> None:
    """Or rows would become Parquet that no shadow has seen."""
    assert not is_kept(tmp_path)
    with kept(tmp_path, DOUBLE):
        wait_until(lambda: is_kept(tmp_path))
        with PredictionLog(tmp_path, SCHEMA) as batch:
            answer(batch, 1)
        wait_until(lambda: names(tmp_path, ".parquet"))
    assert not is_kept(tmp_path)
    assert read_shadow(tmp_path, "8")["prediction"].to_list() == [2.0]
    with PredictionLog(tmp_path, SCHEMA) as batch:
        answer(batch, 2)
    assert names(tmp_path, ".segment") == []


def test_a_shadow_scores_each_row_once_also_of_segments_that_still_grow(tmp_path: Path) -> None:
    with kept(tmp_path, DOUBLE) as keeper, PredictionLog(tmp_path, SCHEMA, rotate_rows=7, compacting=False) as log:
        for number in range(20):
            answer(log, number)
            if number % 3 == 0:
                wait_until(lambda upto=number: read_shadow(tmp_path, "8").height == upto + 1)  # type: ignore[misc]
    found = read_shadow(tmp_path, "8")
    assert found.schema == {
        "prediction_id": pl.String(),
        "logged_at": pl.Datetime("us", "UTC"),
        "prediction": pl.Float64(),
        "outcome": pl.String(),
        "answered_by": pl.String(),
    }
    assert found.rows() == [(f"r{n}-0", EPOCH + timedelta(microseconds=n), 2.0 * n, "scored", "7") for n in range(20)]
    figures = keeper.figures["8"]
    assert (figures.scored, figures.failed, figures.skipped) == (20, 0, 0)
    assert figures.seconds > 0
    assert sorted(path.stem for path in tmp_path.glob("shadow/8/*.parquet")) == names(tmp_path, ".parquet")


def test_shadow_scores_are_read_by_a_span_of_the_moment_at_which_rows_were_logged(tmp_path: Path) -> None:
    with PredictionLog(tmp_path, SCHEMA, rotate_rows=2, compacting=False) as log:
        for number in (3, 1, 2, 0, 4):
            answer(log, number)
    look(tmp_path, DOUBLE)
    since, until = EPOCH + timedelta(microseconds=1), EPOCH + timedelta(microseconds=3)
    assert read_shadow(tmp_path, "8", since=since, until=until)["prediction_id"].to_list() == ["r1-0", "r2-0"]
    assert read_shadow(tmp_path, "8", since=since)["prediction_id"].to_list() == ["r1-0", "r2-0", "r3-0", "r4-0"]
    assert read_shadow(tmp_path, "9").rows() == []
    assert read_shadow(tmp_path, "8", until=EPOCH).schema == read_shadow(tmp_path, "8").schema


def test_a_row_that_was_logged_twice_has_one_score_the_first(tmp_path: Path) -> None:
    """As the log itself counts the first."""
    for number in range(2):
        with PredictionLog(tmp_path, SCHEMA, compacting=False) as log:
            log.append("7", [[1], [EPOCH], [1.0 - number]], [0.5], prediction_id="same", at_us=5 - number)
    look(tmp_path, DOUBLE)
    assert read_shadow(tmp_path, "8").select("logged_at", "prediction").rows() == [
        (EPOCH + timedelta(microseconds=4), 0)
    ]


def test_several_classes_give_a_list_per_row(tmp_path: Path) -> None:
    shadow = Shadow(version="8", predict=lambda rows: np.full((rows.height, 2), 0.5))
    with PredictionLog(tmp_path, SCHEMA, compacting=False) as log:
        answer(log, 1, rows=2)
    look(tmp_path, shadow)
    assert read_shadow(tmp_path, "8")["prediction"].to_list() == [[0.5, 0.5]] * 2


def failing(_rows: pl.DataFrame) -> NDArray[Any]:
    raise KeyError("of a person's features")


def panicking(_rows: pl.DataFrame) -> NDArray[Any]:
    raise pl.exceptions.PanicException("polars gave up")


@pytest.mark.parametrize(
    "predict", [failing, panicking, lambda rows: np.zeros(rows.height + 1), lambda _: "no numbers"]
)
def test_a_shadow_that_fails_is_counted_and_stops_neither_the_log_nor_other_shadows(
    tmp_path: Path, predict: Callable[[pl.DataFrame], NDArray[Any]]
) -> None:
    with PredictionLog(tmp_path, SCHEMA, compacting=False) as log:
        answer(log, 1, rows=3)
    figures = look(tmp_path, Shadow(version="9", predict=predict), DOUBLE)
    assert (figures["9"].scored, figures["9"].failed) == (0, 3)
    assert figures["8"].scored == 3
    assert read_shadow(tmp_path, "9").select("prediction", "outcome").rows() == [(None, "failed")] * 3
    assert (len(ids(tmp_path)), names(tmp_path, ".segment")) == (3, [])


def test_rows_that_a_shadow_cannot_take_cost_the_others_nothing_and_asking_has_a_limit(tmp_path: Path) -> None:
    calls: list[int] = []

    def picky(rows: pl.DataFrame) -> NDArray[Any]:
        calls.append(rows.height)
        if rows["x"].is_in([3.0, 700.0]).any():
            raise ValueError("3 and 700 are too much")
        return rows["x"].to_numpy()

    def never(rows: pl.DataFrame) -> NDArray[Any]:
        calls.append(rows.height)
        raise ValueError("nothing suits it")

    with PredictionLog(tmp_path, SCHEMA, compacting=False) as log:
        for number in range(1_000):
            answer(log, number)
    figures = look(tmp_path, Shadow(version="8", predict=picky))
    found = read_shadow(tmp_path, "8")
    assert found.filter(outcome="failed")["prediction_id"].to_list() == ["r3-0", "r700-0"]
    assert found.filter(outcome="scored")["prediction"].to_list() == [n for n in range(1_000) if n not in (3, 700)]
    assert (figures["8"].scored, figures["8"].failed, len(calls) <= 42) == (998, 2, True)
    calls.clear()
    figures = look(tmp_path, Shadow(version="9", predict=never))
    assert figures == {}, "what is Parquet is not asked for any more"
    with PredictionLog(tmp_path, SCHEMA, compacting=False) as log:
        for number in range(1_000, 2_000):
            answer(log, number)
    figures = look(tmp_path, Shadow(version="9", predict=never))
    assert (figures["9"].scored, figures["9"].failed, len(calls) <= 130) == (0, 1_000, True)


def test_a_shadow_that_recovers_has_scores_from_then_on_and_what_failed_is_not_asked_again(tmp_path: Path) -> None:
    calls: list[int] = []

    def at_first_fails(rows: pl.DataFrame) -> NDArray[Any]:
        calls.append(rows.height)
        if len(calls) == 1:
            raise ValueError("not yet")
        return rows["x"].to_numpy()

    shadow = Shadow(version="8", predict=at_first_fails)
    with PredictionLog(tmp_path, SCHEMA, compacting=False) as log:
        answer(log, 1)
        look(tmp_path, shadow)
        assert read_shadow(tmp_path, "8")["prediction"].to_list() == [None]
        answer(log, 2, rows=2)
        look(tmp_path, shadow)
    look(tmp_path, shadow)
    assert calls == [1, 2]
    assert read_shadow(tmp_path, "8")["prediction"].to_list() == [None, 2.0, 2.0]


def test_where_the_log_masks_what_a_shadow_needs_it_is_not_asked(tmp_path: Path) -> None:
    policy = LogPolicy(left_out=("x",))
    with PredictionLog(tmp_path, SCHEMA, keep=policy, compacting=False) as log:
        answer(log, 1)
    knows_x = Shadow(version="8", predict=lambda rows: rows["x"].to_numpy(), needs=frozenset({"id", "x"}))
    of_all = Shadow(version="9", predict=lambda rows: rows["id"].to_numpy())
    without = Shadow(version="10", predict=lambda rows: rows["id"].to_numpy(), needs=frozenset({"id"}))
    figures = look(tmp_path, knows_x, of_all, without)
    told = {version: (each.scored, each.skipped) for version, each in figures.items()}
    assert told == {"8": (0, 1), "9": (0, 1), "10": (1, 0)}
    found = [read_shadow(tmp_path, version).select("prediction", "outcome").row(0) for version in told]
    assert found == [(None, "skipped"), (None, "skipped"), (1.0, "scored")]


def test_where_the_log_lacks_what_a_shadow_needs_it_is_not_asked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A challenger that asks for a column more than the champion did: that proves nothing against it."""
    with PredictionLog(tmp_path, SCHEMA, compacting=False) as log:
        answer(log, 1)
    needs_more = Shadow(version="8", predict=failing, needs=frozenset({"x", "more"}))
    figures = look(tmp_path, needs_more)["8"]
    assert (figures.scored, figures.failed, figures.skipped) == (0, 0, 1)
    assert "rows are not scored: the log does not hold more" in caplog.text


def test_a_shadow_that_is_too_slow_is_left_out_until_the_log_has_caught_up(tmp_path: Path) -> None:
    with PredictionLog(tmp_path, SCHEMA, rotate_rows=1, compacting=False) as log:
        for number in range(MAX_UNSCORED + 4):
            answer(log, number)
    figures = look(tmp_path, DOUBLE)["8"]
    assert (figures.scored, figures.skipped) == (MAX_UNSCORED, 4)
    assert read_shadow(tmp_path, "8")["prediction"].null_count() == 4
    assert len(ids(tmp_path)) == MAX_UNSCORED + 4


def test_more_closed_segments_than_may_wait_drop_rows_and_the_keeper_ends_that(tmp_path: Path) -> None:
    with PredictionLog(tmp_path, SCHEMA, rotate_rows=1, compacting=False) as log:
        kept_rows = [number for number in range(MAX_WAITING + 5) if answer(log, number)]
        assert kept_rows == list(range(MAX_WAITING))
        assert (log.written, log.dropped, log.waiting) == (MAX_WAITING, 5, MAX_WAITING)
        with PredictionLog(tmp_path, SCHEMA, compacting=False) as later:
            assert later.waiting == MAX_WAITING, "what the dead left counts, too"
            assert not answer(later, 1_000)
        look(tmp_path)
        assert log.waiting == 0
        wait_until(lambda: answer(log, 2_000))
    assert ids(tmp_path) == sorted(f"r{number}-0" for number in [*kept_rows, 2_000])


def test_a_keeper_that_was_killed_after_the_scores_or_after_parquet_doubles_nothing(tmp_path: Path) -> None:
    with PredictionLog(tmp_path, SCHEMA, compacting=False) as log:
        answer(log, 1)
    (segment,) = tmp_path.glob("*.segment")
    content = segment.read_bytes()
    look(tmp_path, DOUBLE)
    for also_parquet in (True, False):
        segment.write_bytes(content)
        if not also_parquet:
            segment.with_suffix(".parquet").unlink()
        assert look(tmp_path, DOUBLE) == {}, "nothing was left to be scored"
        assert (ids(tmp_path), names(tmp_path, ".segment")) == (["r1-0"], [])
        assert read_shadow(tmp_path, "8")["prediction"].to_list() == [2.0]


def unreadable_segment(folder: Path) -> Path:
    """Of one writer's, in which answers have two shapes; its name is the first."""
    with PredictionLog(folder, SCHEMA, compacting=False) as log:
        answer(log, 0)
        log.append("8", [[1], [EPOCH], [1.0]], [[0.5, 0.5]], prediction_id="list", at_us=1)
    (segment,) = folder.glob("*.segment")
    return segment.rename(folder / f"0-dead{segment.suffix}")


def test_a_segment_that_cannot_be_read_is_set_aside_told_and_stops_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = unreadable_segment(tmp_path)
    content = bad.read_bytes()
    with PredictionLog(tmp_path, SCHEMA, compacting=False) as log:
        answer(log, 1)
        assert log.waiting == 1
    figures = look(tmp_path, DOUBLE)
    look(tmp_path, DOUBLE)
    assert (figures["8"].scored, len(names(tmp_path, ".parquet"))) == (1, 1)
    (aside,) = tmp_path.glob("*.segment")
    assert (aside.name, aside.read_bytes()) == ("0-dead.unreadable.segment", content)
    assert [(one.name, one.why[:62]) for one in unreadable(log_files(tmp_path))] == [
        (aside.name, "cannot be read: the records of 0-dead.unreadable.segment make ")
    ]
    assert caplog.text.count("cannot be read and is set aside") == 1
    with PredictionLog(tmp_path, SCHEMA) as later:
        assert later.waiting == 0, "nobody waits for it"


def test_a_segment_that_cannot_be_read_and_is_still_written_keeps_no_other_from_its_scores(tmp_path: Path) -> None:
    bad = unreadable_segment(tmp_path)
    with taken(bad) as ours, kept(tmp_path, DOUBLE), PredictionLog(tmp_path, SCHEMA, compacting=False) as log:
        assert ours
        answer(log, 1)
        wait_until(lambda: read_shadow(tmp_path, "8").height)
    assert read_shadow(tmp_path, "8")["prediction"].to_list() == [2.0]


@pytest.mark.parametrize("trouble", [TypeError, pl.exceptions.PanicException, OSError])
def test_whatever_is_in_the_way_of_a_segment_it_stays_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, trouble: type[BaseException]
) -> None:
    def beforehand(_path: Path, _content: Logged) -> None:
        raise trouble("not now")

    with PredictionLog(tmp_path, SCHEMA, compacting=False) as log:
        answer(log, 1)
    assert [compact(tmp_path, beforehand=beforehand) for _ in range(3)] == [1, 1, 1]
    assert caplog.text.count(f"stays a segment for now: {trouble.__name__}: not now") == 1
    assert (compact(tmp_path), ids(tmp_path), names(tmp_path, ".segment")) == (0, ["r1-0"], [])


def test_scores_that_cannot_be_read_are_made_again(tmp_path: Path) -> None:
    with PredictionLog(tmp_path, SCHEMA, compacting=False) as log:
        answer(log, 1)
        look(tmp_path, DOUBLE)
        (scores,) = tmp_path.glob("shadow/8/*.parquet")
        scores.write_bytes(b"broken")
        answer(log, 2)
    look(tmp_path, DOUBLE)
    assert read_shadow(tmp_path, "8")["prediction"].to_list() == [2.0, 4.0]


def test_a_keeper_outlives_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    folder = tmp_path / "predictions"
    folder.write_text("a file in the way")
    with kept(folder):
        time.sleep(0.1)
        folder.unlink()
        with PredictionLog(folder, SCHEMA, compacting=False) as log:
            answer(log, 1)
        wait_until(lambda: names(folder, ".parquet"))
        wait_until(lambda: is_kept(folder))


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("who", ["keeper", "log"])
def test_what_is_answered_is_on_the_disk_soon_without_a_word_of_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    """A host that dies loses what was answered since; a file system cannot be killed here, its debts can be read."""
    if not on_a_disk(tmp_path):
        pytest.skip("the folder for temporary files lies in memory")
    monkeypatch.setattr("storage.prediction_log.SYNC_SECONDS", 0.0)
    folder = tmp_path / "predictions"
    with ExitStack() as stack:
        if who == "keeper":
            stack.enter_context(kept(folder))
        log = stack.enter_context(PredictionLog(folder, SCHEMA, compacting=who == "log"))
        for number in range(200):
            answer(log, number)
        (segment,) = folder.glob("*.segment")
        wait_until(lambda: dirty_bytes(segment) == 0)


def test_requests_of_many_threads_are_all_kept_and_none_twice(tmp_path: Path) -> None:
    with PredictionLog(tmp_path, SCHEMA, rotate_rows=100, compacting=False) as log, kept(tmp_path):
        with ThreadPoolExecutor(8) as pool:
            kept_all = list(pool.map(lambda number: answer(log, number), range(2_000)))
        assert all(kept_all)
        assert (log.written, log.dropped) == (2_000, 0)
    assert sorted(ids_in_files(tmp_path)) == sorted(f"r{number}-0" for number in range(2_000))


def test_a_reader_sees_each_row_once_whatever_is_written_and_compacted_meanwhile(tmp_path: Path) -> None:
    ended = threading.Event()

    def write() -> None:
        with PredictionLog(tmp_path, SCHEMA, rotate_rows=40, compacting=False) as log:
            number = 0
            while not ended.is_set():
                answered.append(number) if answer(log, number) else None
                number += 1
                time.sleep(0.0005)

    answered: list[int] = []
    with kept(tmp_path, DOUBLE), ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        try:
            while len(answered) < 400:
                certain = len(answered)
                found = ids_in_files(tmp_path)
                scores = read_shadow(tmp_path, "8")
                assert len(set(found)) == len(found) >= certain
                assert {f"r{number}-0" for number in answered[:certain]} <= set(found)
                assert scores["prediction_id"].n_unique() == scores.height
        finally:
            ended.set()
        writing.result()
    assert len(ids_in_files(tmp_path)) == len(answered) == read_shadow(tmp_path, "8").height
    assert read_shadow(tmp_path, "8")["prediction"].null_count() == 0
