"""A training process may crash in each of the known ways: its parent gets an error with a sentence, and lives."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from enum import Enum, StrEnum
from pathlib import Path
from types import MappingProxyType

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from modelling.isolation import Limits, isolated
from modelling.spec import Spec
from modelling.training import fit
from tests.unit import isolation_jobs as jobs
from tests.unit.modelling_world import FAST, pipeline_in, rides
from validation.errors import ContractError, TrainingFailedError

PLENTY = Limits(seconds=60)
TIGHT = Limits(seconds=60, memory_mb=400)
_PARENT = """
import sys
from pathlib import Path
from tests.unit.isolation_jobs import wait_in_a_child
wait_in_a_child(Path(sys.argv[1]))
"""
FRAME = pl.DataFrame(
    {"day": [date(2024, 1, 1), None], "stop": ["a", None], "wind": [float("nan"), 1.5], "late": [True, None]},
    schema_overrides={"stop": pl.Enum(["b", "a"]), "wind": pl.Float32},
)


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    return pipeline_in(tmp_path).spec


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def eventually(true: Callable[[], bool], *, within: float = 30.0) -> bool:
    end = time.monotonic() + within
    while not true() and time.monotonic() < end:
        time.sleep(0.02)
    return true()


def test_frames_values_and_models_come_back_as_they_went(spec: Spec) -> None:
    model = fit(spec, rides(500), FAST, seed=1, threads=1)
    given = {"frame": FRAME, "again": [FRAME], "numbers": np.arange(3.0), "engine": model.engine}
    found = isolated(jobs.echoed, given, limits=PLENTY)
    assert isinstance(found, dict)
    assert_frame_equal(found["frame"], FRAME)
    assert found["again"][0] is found["frame"]
    assert found["numbers"].tolist() == [0.0, 1.0, 2.0]
    matrix = model.matrix(rides(50, seed=2))
    assert np.array_equal(found["engine"].predict(matrix), model.engine.predict(matrix))


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGSEGV, "its process was ended by SIGSEGV: nothing was said; look into the inputs"),
        (signal.SIGKILL, r"its process was killed \(SIGKILL\): the machine had no memory left, .*; free memory"),
    ],
)
def test_a_signal_is_an_error_that_names_it(number: int, words: str) -> None:
    with pytest.raises(TrainingFailedError, match=words):
        isolated(jobs.end_by, number, limits=PLENTY)


def test_an_abort_in_native_code_is_an_error_with_its_last_words() -> None:
    with pytest.raises(TrainingFailedError, match=r"was ended by SIGABRT: .*Unsupported Arrow type"):
        isolated(jobs.give_lightgbm_an_enum, limits=PLENTY)


@pytest.mark.parametrize("fill", [jobs.fill_with_numpy, jobs.fill_with_polars])
def test_asking_for_more_memory_than_allowed_is_an_error_with_the_limit(fill: Callable[[], object]) -> None:
    with pytest.raises(TrainingFailedError, match=r"more memory than the 400 MB .* allow more, Training\(memory_mb"):
        isolated(fill, limits=TIGHT)


@pytest.mark.slow
def test_native_code_that_does_not_look_whether_it_got_its_memory_is_told_with_the_limit() -> None:
    """LightGBM ends with std::bad_alloc or, in a thread of OpenMP's, by SIGSEGV."""
    with pytest.raises(TrainingFailedError, match=r"400 MB.*allow more, Training\(memory_mb"):
        isolated(jobs.fill_with_lightgbm, limits=TIGHT)


def test_within_the_limit_a_model_is_the_one_that_is_fitted_here(spec: Spec) -> None:
    """Also without pandas and pyarrow, which the process goes without."""
    from modelling.prepared import prepare

    ready, rows = prepare(spec, rides(500))
    found = isolated(fit, ready, rows, FAST, seed=1, threads=1, limits=TIGHT)
    assert found.text == fit(spec, rides(500), FAST, seed=1, threads=1).text


def test_lightgbm_is_loaded_without_what_it_does_not_need() -> None:
    assert isolated(jobs.loaded, limits=PLENTY) == set()


def test_no_memory_for_openblas_is_told_as_such() -> None:
    with pytest.raises(TrainingFailedError, match=r"more memory than the 400 MB .* allow more, Training\(memory_mb"):
        isolated(jobs.fail_as_openblas, limits=TIGHT)


def test_a_disk_that_is_full_for_the_job_is_an_error_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(TrainingFailedError, match=rf"^no room left in {tmp_path}; free some, or set TMPDIR$"):
        isolated(jobs.echoed, jobs.Filling(tmp_path), limits=PLENTY)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("file", "frame"), [("outcome.half", False), ("outcome-0.arrow", True)])
def test_a_disk_that_is_full_for_the_outcome_is_an_error_with_its_place(file: str, *, frame: bool) -> None:
    with pytest.raises(TrainingFailedError, match=rf"^no room left in {tempfile.gettempdir()}; free some, or set"):
        isolated(jobs.find_the_disk_full, file, frame=frame, limits=PLENTY)


@pytest.mark.parametrize(("wanted", "found"), [(None, "passive"), ("active", "active")])
def test_threads_that_wait_leave_the_processor_to_others_unless_the_user_says_otherwise(
    wanted: str | None, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if wanted:
        monkeypatch.setenv("OMP_WAIT_POLICY", wanted)
    assert isolated(jobs.surroundings, limits=PLENTY)["OMP_WAIT_POLICY"] == found


def test_the_deadline_ends_the_process() -> None:
    told: list[int] = []
    with pytest.raises(TrainingFailedError, match=r"it was not done within 2 s and was ended; allow more, Training"):
        isolated(jobs.tell_and_wait, 60.0, limits=Limits(seconds=2), progress=lambda pid, _: told.append(pid))
    assert not is_alive(told[0])


def test_what_is_done_in_time_counts_however_long_it_takes_to_tell_of_it() -> None:
    told: list[int] = []

    def slowly(number: int, **_: str) -> None:
        told.append(number)
        time.sleep(2.1)

    assert isolated(jobs.count, 5, limits=Limits(seconds=2), progress=slowly) == 5
    assert told == [0], "what is left when the time is over is not told"


def test_names_and_mappings_of_a_definition_that_the_process_cannot_load_go_plain() -> None:
    class Columns(StrEnum):
        AT = "at"

    class Older(str, Enum):  # noqa: UP042 - whose str() is "Older.AT"
        AT = "at"

    given = (Columns.AT, Older.AT, MappingProxyType({Columns.AT: MappingProxyType({"wind": 1})}), "plain")
    found = isolated(jobs.echoed, given, limits=PLENTY)
    assert found == ("at", "at", {"at": {"wind": 1}}, "plain")


def test_errors_of_ours_and_of_python_are_raised_and_those_of_libraries_told() -> None:
    with pytest.raises(ContractError, match=r"^column 'wind' is gone") as raised:
        isolated(jobs.refuse, "column 'wind' is gone", limits=PLENTY)
    assert "in refuse" in raised.value.__notes__[0]
    with pytest.raises(ZeroDivisionError, match="division or modulo by zero"):
        isolated(divmod, 1, 0, limits=PLENTY)
    with pytest.raises(TrainingFailedError, match=r"^LightGBMError: bin 3 is not there"):
        isolated(jobs.raise_of_a_library, limits=PLENTY)


def test_an_end_without_an_answer_is_an_error_even_when_the_process_says_that_all_is_well() -> None:
    with pytest.raises(TrainingFailedError, match="its process ended with code 0 and no answer"):
        isolated(os._exit, 0, limits=PLENTY)


def test_progress_is_repeated_in_order_and_one_that_raises_ends_the_process() -> None:
    told: list[int] = []
    assert (
        isolated(jobs.count, 50, limits=PLENTY, progress=lambda number, words: told.append(number + len(words))) == 50
    )
    assert told == [10_000 + number for number in range(50)]

    def stop(pid: int, _place: str) -> None:
        told[:] = [pid]
        raise ContractError("the lease was lost")

    with pytest.raises(ContractError, match="the lease was lost"):
        isolated(jobs.tell_and_wait, 60.0, limits=PLENTY, progress=stop)
    assert not is_alive(told[0])


def test_what_a_job_started_ends_with_it() -> None:
    pid = isolated(jobs.leave_a_child, limits=PLENTY)
    assert eventually(lambda: not is_alive(pid))


def test_several_at_once_in_threads_have_processes_of_their_own() -> None:
    with ThreadPoolExecutor(2) as pool:
        pids = list(pool.map(lambda _: isolated(os.getpid, limits=PLENTY), range(2)))
    assert len({*pids, os.getpid()}) == 3


def test_a_parent_that_is_killed_leaves_neither_process_nor_rows_behind(tmp_path: Path) -> None:
    note, places = tmp_path / "pid", tmp_path / "places"
    places.mkdir()
    parent = subprocess.Popen(
        [sys.executable, "-P", "-c", _PARENT, str(note)], env={**os.environ, "TMPDIR": str(places)}
    )
    assert eventually(lambda: note.exists() and bool(note.read_text()))
    pid = int(note.read_text())
    assert is_alive(pid)
    assert len(list(places.iterdir())) == 1
    parent.kill()
    parent.wait()
    assert eventually(lambda: not is_alive(pid))
    assert eventually(lambda: not list(places.iterdir()))
