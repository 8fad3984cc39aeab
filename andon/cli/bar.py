"""A bar on the terminal for work that counts rows: how many are done, how fast, and how long the rest takes."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from andon.cli.output import people, working


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
