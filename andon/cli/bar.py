"""Bars on the terminal: for work that counts rows, how many are done, how fast, and how long the rest takes; for
training, what it is doing, the best loss so far and the time that is left.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from andon.cli.output import people, working

if TYPE_CHECKING:
    from tasks.watchers import Step


class _Pace(ProgressColumn):
    """Rows done, of how many, and how many a second; nothing before anything is counted."""

    def render(self, task: Task) -> Text:
        if not task.total:
            return Text()
        speed = f", {task.speed:,.0f} a second" if task.speed else ""
        return Text(f"{task.completed:,.0f} of {task.total:,.0f} rows{speed}")


@contextmanager
def counting_rows(doing: str) -> Iterator[None]:
    """As `working`, on a terminal with a bar of what is counted meanwhile (see tasks/progress.py)."""
    console = people()
    if not console.is_terminal:
        with working(doing):
            yield
        return
    from tasks.watchers import watched

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), _Pace(), TimeRemainingColumn())
    with redirect_stdout(sys.stderr), Progress(*columns, console=console, transient=True) as bar:
        shown = bar.add_task(doing, total=None)
        known = doing

        def show(what: str, count: int, total: int) -> None:
            nonlocal known
            if what != known:  # another batch: its own pace
                bar.reset(shown, description=what, total=total, completed=count)
                known = what
            bar.update(shown, completed=count, total=total)

        with watched(show):
            yield


class _Known(ProgressColumn):
    """The best loss so far and the seconds that are left, where these are known."""

    def render(self, task: Task) -> Text:
        best, left = task.fields.get("best"), task.fields.get("left")
        parts = ([] if best is None else [f"best {best:.5f}"]) + ([] if left is None else [f"{left:.0f} s left"])
        return Text(", ".join(parts))


@contextmanager
def showing_training(doing: str) -> Iterator[None]:
    """As `working`, on a terminal with a bar of what the training process does meanwhile."""
    console = people()
    if not console.is_terminal:
        with working(doing):
            yield
        return
    from tasks.watchers import training_watched

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), _Known())
    with redirect_stdout(sys.stderr), Progress(*columns, console=console, transient=True) as bar:
        shown = bar.add_task(doing, total=None)

        def show(step: "Step") -> None:
            total = 1.0 if step.share > 0 else None  # a beginning without an end in sight only moves
            words = f"{step.what}: {step.doing}"
            bar.update(shown, description=words, total=total, completed=step.share, best=step.best, left=step.left)

        with training_watched(show):
            yield
