"""What looking for drift costs: Andon's counts and verdict, NannyML, Evidently, and Polars' least and largest values.

    python -m benchmarks.drift [--rows 1_000_000] [--repeat 5] [--only "ours memory,limit memory"] [--quick]

20 numbers and 10 categories with 2 to 1,000 levels, as many rows in the reference as in the window; then ours alone at
ten times the rows, and at 1,000 columns. Every run is a fresh process, the modes take turns. README.md says what is
compared with what.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import drift_report, environments, show, stock
from benchmarks.measure import Run, run

_SECONDS = 5_400.0
_PEERS = {"nannyml": (environments.NANNYML, "univariate"), "evidently": (environments.EVIDENTLY, "preset")}
_BOTH = ("ours memory", "limit memory", "ours parquet", "limit parquet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """The rows of a reference and of a window, their columns, and the ways that look at them.

    `warm`: how often a way is repeated in its process, after the time that is cold.
    """

    name: str
    reference: int
    window: int
    numbers: int
    categories: int
    ways: Sequence[str]
    warm: int


def main() -> None:
    options = _options()
    raw: dict[str, list[Run]] = {}
    for size in _sizes(options.rows):
        ways = [way for way in size.ways if not options.only or _named(size, way) in options.only]
        if ways:
            raw |= _measured(size, ways, folder=options.folder, repeat=options.repeat)
    drift_report.finish(raw, rows=options.rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the reference and of the window")
    parser.add_argument("--repeat", type=int, default=5, help="processes of each mode; a peer has one")
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], help="these modes, by comma")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "andon-benchmarks")
    parser.add_argument("--quick", action="store_true", help="20,000 rows, one process")
    options = parser.parse_args()
    if options.quick:
        options.rows, options.repeat = 20_000, 1
    return options


def _sizes(rows: int) -> tuple[Size, ...]:
    usual = {"reference": rows, "numbers": 20, "categories": 10}
    return (
        Size(name="", window=rows, ways=(*_BOTH, *_PEERS), warm=5, **usual),
        Size(name="long", window=10 * rows, ways=("ours parquet", "limit parquet"), warm=1, **usual),
        Size(name="wide", reference=rows // 10, window=rows // 10, numbers=700, categories=300, ways=_BOTH, warm=2),
    )


def _named(size: Size, way: str) -> str:
    return f"{way} {size.name}".strip()


def _measured(size: Size, ways: Sequence[str], *, folder: Path, repeat: int) -> dict[str, list[Run]]:
    """The profile first, which ours reads; then the ways in turns, each in a fresh process."""
    reference, window = (_rows(folder, size, what) for what in ("reference", "current"))
    profile = reference.with_suffix(".json")
    made = _ours("profile memory", [reference, profile], times=0)
    runs: dict[str, list[Run]] = {_named(size, "profile"): [made], **{_named(size, way): [] for way in ways}}
    with show.steps(repeat * len(ways), "warming up") as bar:
        for turn in range(repeat):
            for way in (*ways[turn % len(ways) :], *ways[: turn % len(ways)]):
                bar.update(bar.task_ids[0], description=_named(size, way))
                stock.warm([window])
                if way not in _PEERS:
                    runs[_named(size, way)].append(_ours(way, [window, profile], times=size.warm))
                elif not turn:
                    runs[_named(size, way)].append(_peer(way, [reference, window]))
                bar.advance(bar.task_ids[0])
    return runs


def _rows(folder: Path, size: Size, what: str) -> Path:
    """A file with the rows, made by a process of its own unless it is there."""
    rows = size.reference if what == "reference" else size.window
    path = folder / "drift" / f"{what}-{rows}-{size.numbers}-{size.categories}.parquet"
    if not path.exists():
        sizes = [str(number) for number in (rows, size.numbers, size.categories)]
        subprocess.run([sys.executable, "-m", "benchmarks.drift_data", what, path, *sizes], check=True)
    return path


def _ours(way: str, files: Sequence[Path], *, times: int) -> Run:
    return run([sys.executable, "-m", "benchmarks.drift_modes", way, *files, str(times)], seconds=_SECONDS)


def _peer(name: str, files: Sequence[Path]) -> Run:
    environment, way = _PEERS[name]
    python, script = environments.python_of(environment), environments.script(f"drift_with_{name}")
    return run([python, "-W", "ignore", script, way, *files], seconds=_SECONDS)


if __name__ == "__main__":
    main()
