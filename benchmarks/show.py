"""Figures of repeated runs, for people on stderr and for programs as one line of JSON on stdout."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks.measure import Run

_WIDTH = 120  # where no terminal says one
CONSOLE = Console(stderr=True, width=None if sys.stderr.isatty() else _WIDTH)
_COSTS = ("cpu_s", "wall_s", "process_cpu_s", "peak_mb", "max_rss_mb")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The medians of a mode's runs; `cpu_spread`: (highest - lowest) / median of its CPU seconds.

    `agree`: did every run find what is broken, as far as the tool tells it? `failed`: why there are no figures.
    """

    runs: int
    cpu_s: float
    wall_s: float
    process_cpu_s: float
    peak_mb: float
    max_rss_mb: float
    cpu_spread: float
    agree: bool
    failed: str


def figures(runs: Sequence[Run], truth: Mapping[str, Any]) -> Figures:
    """Of the runs of one mode; one that failed leaves the mode without figures."""
    failed = next((run.failed for run in runs if run.failed), "")
    costs = {name: median(getattr(run, name) for run in runs) for name in _COSTS}
    cpu = [run.cpu_s for run in runs]
    return Figures(
        **costs,
        runs=len(runs),
        cpu_spread=(max(cpu) - min(cpu)) / costs["cpu_s"] if costs["cpu_s"] else 0.0,
        agree=not failed and all(agrees(run.found, truth) for run in runs),
        failed=failed,
    )


def agrees(found: Mapping[str, Any], truth: Mapping[str, Any]) -> bool:
    """Is all that was told true? What is not told, or None, is not asked."""
    told = {name: value for name, value in found.items() if name in truth and value is not None}
    return bool(told) and all(truth[name] == value for name, value in told.items())


def ratio(of: Figures | None, to: Figures | None, name: str = "cpu_s") -> float | None:
    """None while one of the two was not run, or failed."""
    if of is None or to is None or of.failed or to.failed:
        return None
    return round(float(getattr(of, name) / getattr(to, name)), 3)


@contextmanager
def steps(total: int, what: str) -> Iterator[Progress]:
    """A progress bar on stderr; `bar.update(0, advance=1, description=...)` moves it."""
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn(), TextColumn(""))
    with Progress(*columns, console=CONSOLE, transient=True) as bar:
        bar.add_task(what, total=total)
        yield bar


def table(title: str, rows: Iterable[tuple[str, Figures]], *, base: Figures | None) -> None:
    """Print the modes; "times" is the CPU time as a multiple of `base`'s."""
    shown = Table("", "CPU s", "times", "spread", "wall s", "peak MB", "max RSS MB", "agrees", title=title)
    for column in shown.columns:
        column.justify, column.no_wrap = "right", True
    for name, got in rows:
        if got.failed:
            shown.add_row(name, "failed")
            CONSOLE.print(f"{name} failed: {got.failed.strip().splitlines()[-1]}")
            continue
        shown.add_row(
            name, f"{got.cpu_s:.2f}", f"{ratio(got, base) or '':}", f"{got.cpu_spread:.0%}", f"{got.wall_s:.2f}",
            f"{got.peak_mb:,.0f}", f"{got.max_rss_mb:,.0f}", "yes" if got.agree else "NO",
        )  # fmt: skip
    CONSOLE.print(shown)


def finish(answer: Mapping[str, Any], raw: Mapping[str, Figures]) -> None:
    """Print the JSON: the answers, every median, and how busy the machine was."""
    medians = {name: _rounded(asdict(got)) for name, got in raw.items()}
    print(json.dumps({**answer, "raw": medians, "load_average": os.getloadavg(), "cpus": os.cpu_count()}))


def _rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in values.items()}
