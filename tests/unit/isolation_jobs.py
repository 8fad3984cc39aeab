"""What training processes do in tests: functions that a fresh process can import."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from modelling.isolation import Limits, isolated
from modelling.isolation_child import UNNEEDED
from validation.errors import ContractError

ONE_PROCESS = Limits(seconds=60)


def echoed(value: object) -> object:
    return value


def end_by(number: int) -> None:
    os.kill(os.getpid(), number)


def refuse(words: str) -> None:
    raise ContractError(words)


def panic(words: str) -> None:
    raise pl.exceptions.PanicException(words)


def raise_of_a_library() -> None:
    import lightgbm

    raise lightgbm.basic.LightGBMError("bin 3 is not there")


def give_lightgbm_an_enum() -> None:
    """Aborts in C++: research/tuning.md, 3."""
    import lightgbm

    column = pl.Series("stop", ["a", "b"] * 50, dtype=pl.Enum(["a", "b"]))
    lightgbm.Dataset(pl.DataFrame([column]), np.arange(100.0)).construct()


def fill_with_numpy() -> int:
    return len(np.ones(10**9))


def fill_with_polars() -> int:
    return pl.int_range(10**9, eager=True).len()


def fill_with_lightgbm() -> None:
    """64 MB of rows, binned into far more: what fails to get memory is C++."""
    import lightgbm

    rows = np.random.default_rng(1).random((200_000, 40))
    sets = [lightgbm.Dataset(rows, rows[:, 0], params={"max_bin": 60_000, "verbosity": -1}) for _ in range(50)]
    for made in sets:
        lightgbm.train({"num_leaves": 60_000, "verbosity": -1, "min_data_in_leaf": 1}, made, num_boost_round=1)


def tell_and_wait(seconds: float, *, progress: Callable[..., None]) -> None:
    progress(os.getpid(), sys.executable)
    time.sleep(seconds)


def leave_a_child() -> int:
    """Its number; it holds all that this process had open."""
    pid = os.fork()
    if not pid:
        time.sleep(60)
        os._exit(0)
    return pid


def count(to: int, *, progress: Callable[..., None]) -> int:
    for number in range(to):
        progress(number, words="x" * 10_000)
    return to


def loaded() -> set[str]:
    """What of the unneeded was imported along with lightgbm."""
    import lightgbm  # noqa: F401

    return {name for name in UNNEEDED if sys.modules.get(name) is not None}


def wait_in_a_child(note: Path) -> None:
    """For a process that is to be killed: its child tells, in `note`, who it is."""
    isolated(tell_and_wait, 60.0, limits=ONE_PROCESS, progress=lambda pid, _place: note.write_text(str(pid)))


class Filling:
    """Whoever packs it finds the disk of `place` full when it then writes the parcel."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[type[Path], tuple[str]]:
        (folder,) = self.place.glob("andon-training-*")
        (folder / "job.half").symlink_to("/dev/full")
        return Path, (str(self.place),)


def find_the_disk_full(file: str, *, frame: bool) -> object:
    """What it answers is written to `file` of the folder of this process."""
    (Path(sys.argv[1]) / file).symlink_to("/dev/full")
    return pl.DataFrame({"wind": [1.0]}) if frame else 1


def fail_as_openblas() -> None:
    """Its own words: tests/unit/test_isolation.py asks for their meaning."""
    os.write(2, b"OpenBLAS error: Memory allocation still failed after 10 retries, giving up.\n")
    os._exit(1)


def surroundings() -> dict[str, str]:
    return dict(os.environ)


def held(frame: pl.DataFrame) -> tuple[float, float, set[str]]:
    """The sum of the frame, the MB of anonymous memory of the process, and what `loaded` finds then."""
    total = frame.sum().sum_horizontal()[0]
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    anonymous = next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))
    return total, anonymous / 1_024, loaded()
