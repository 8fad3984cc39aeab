"""From landed files to a committed table: Andon, with digests, quarantine and ledger, beside the plain way without.

    python -m benchmarks.ingest [--rows 10_000_000] [--files 1_000] [--repeat 3] [--only ours,plain] [--folder SCRATCH]

One large file, and many small ones. Plain: read_parquet, pandera (eager, lazy=True), write_delta; for small files in a
loop, and, as a control, all of them as one frame. Every run is a fresh process with a fresh home; the modes take turns.
`ours` is the work of the task without Prefect, `ours_flow` the whole flow with a real server, run once.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import show, stock
from benchmarks.measure import Run, run
from benchmarks.server import prefect_server
from benchmarks.show import Figures, ratio

_SECONDS = 3_600.0
_WAYS = (
    ("ours", "ours", "large"),
    ("plain", "plain", "large"),
    ("ours_many", "ours", "small"),
    ("plain_many", "plain", "small"),
    ("plain_together_many", "plain_together", "small"),
    ("ours_flow", "ours_flow", "large"),
    ("ours_flow_many", "ours_flow", "small"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """One way to take in these files. `has_server`: it needs Prefect's, and is run once."""

    name: str
    way: str
    files: Sequence[Path]
    has_server: bool = False


def main() -> None:
    options = _options()
    modes = _modes(options)
    runs = _measured(modes, folder=options.folder, repeat=options.repeat)
    raw = {mode.name: show.figures(runs[mode.name], _truth(mode.files)) for mode in modes}
    show.table(f"one file of {options.rows:,} rows; {options.files:,} small files", raw.items(), base=None)
    told = answer(raw, rows=options.rows, files=options.files)
    show.finish({**told, "written": {name: dict(done[-1].found) for name, done in runs.items()}}, raw)


def answer(raw: Mapping[str, Figures], *, rows: int, files: int) -> dict[str, object]:
    """The figures that are asked for; None for what was not run."""
    ours, plain, many = raw.get("ours"), raw.get("plain"), raw.get("ours_many")
    return {
        "benchmark": "ingest",
        "rows": rows,
        "files": files,
        "speed_vs_plain": ratio(plain, ours),
        "peak_vs_plain": ratio(ours, plain, "peak_mb"),
        "small_files_per_s": None if many is None or many.failed else round(files / many.wall_s, 1),
        "small_files_per_cpu_s": None if many is None or many.failed else round(files / many.cpu_s, 1),
        "small_files_speed_vs_plain": ratio(raw.get("plain_many"), many),
        "small_files_speed_vs_all_as_one": ratio(raw.get("plain_together_many"), many),
        "flow_vs_task": ratio(raw.get("ours_flow"), ours),
        "agree": {name: got.agree for name, got in raw.items()},
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000, help="of the large file")
    parser.add_argument("--files", type=int, default=1_000, help="small ones")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], help="these modes, by comma")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "andon-benchmarks")
    return parser.parse_args()


def _modes(options: argparse.Namespace) -> list[Mode]:
    """The modes that are asked for; data are made for these alone."""
    chosen = [mode for mode in _WAYS if not options.only or mode[0] in options.only]
    kinds = {kind for _, _, kind in chosen}
    files = {
        "large": stock.orders(options.folder, rows=options.rows, numbers=[0]) if "large" in kinds else [],
        "small": stock.many_orders(options.folder, files=options.files) if "small" in kinds else [],
    }
    return [Mode(name=name, way=way, files=files[kind], has_server=way == "ours_flow") for name, way, kind in chosen]


def _truth(files: Sequence[Path]) -> dict[str, Any]:
    told = stock.truth(files)
    return {"committed": told["rows"] - told["bad_rows"]}


def _measured(modes: Sequence[Mode], *, folder: Path, repeat: int) -> dict[str, list[Run]]:
    turns = [mode for turn in range(repeat) for mode in modes if not (turn and mode.has_server)]
    runs: dict[str, list[Run]] = {mode.name: [] for mode in modes}
    with show.steps(len(turns), "warming up") as bar:
        for mode in turns:
            bar.update(bar.task_ids[0], description=mode.name)
            stock.warm(mode.files)
            runs[mode.name].append(_run(mode, folder / "home"))
            bar.advance(bar.task_ids[0])
    return runs


def _run(mode: Mode, home: Path) -> Run:
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    try:
        with prefect_server(home / "prefect") if mode.has_server else nullcontext() as env:
            command: list[str | Path] = [
                sys.executable,
                "-m",
                "benchmarks.ingest_modes",
                mode.way,
                home / "andon",
                *mode.files,
            ]
            return run(command, seconds=_SECONDS, env=env)
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
