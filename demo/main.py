"""`andon demo`: a year of New York departures through the whole loop, on this machine, and what came of it."""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from andon.processes import Stack
from andon.settings import Settings
from demo import controls
from demo.damage import plan
from demo.data import prepare_flights
from demo.load import Load
from demo.replay import LoopBrokenError, Replayer
from demo.report import as_html, as_table, in_a_line, in_a_sentence
from demo.scores import Losses, judge
from demo.stage import fresh, in_process_flows, leave_the_driving_to_the_replay
from demo.summary import summarise
from demo.timeline import Summary, WeekStory
from demo.weeks import Replay, asked
from storage.lake import write_whole

PIPELINE = "flights"
FIRST = 13  # weeks of history before the first champion: the first quarter
SEED = 2013
_FILE_WIDTH = 150
_TITLE = "Andon: New York departures of 2013, replayed"


@dataclass(slots=True, kw_only=True)
class _Told:
    """What the replay has to show when it ends."""

    replayer: Replayer
    stories: list[WeekStory] = field(default_factory=list)
    controls: subprocess.Popen[bytes] | None = None


def run(folder: Path, weeks: int | None) -> int:
    """Replay `weeks` weeks (None: the rest of the year) into `folder`, emptied first. 0, or 1 when the loop broke."""
    began, console, settings = time.monotonic(), _console(), fresh(folder.absolute())
    try:
        with _progress(console) as bar:
            summary, stories = _replay(settings, weeks, bar=bar, began=began)
    except LoopBrokenError as error:
        console.print(f"[red]The loop broke:[/red] {error}\nLogs: {settings.home / 'logs'}")
        return 1
    _report(summary, stories, console=console, home=settings.home, shown=folder)
    return 1 if summary.requests_failed else 0


def _replay(settings: Settings, weeks: int | None, *, bar: Progress, began: float) -> tuple[Summary, list[WeekStory]]:
    task = bar.add_task("preparing the year's files", total=None)
    year = prepare_flights(settings.home / "source")
    last = min(len(year.weeks), FIRST + (weeks or len(year.weeks))) - 1
    prepared = time.monotonic()
    with Stack(settings, schedules=False, tell=lambda text: bar.update(task, description=text)) as stack:
        os.environ.update(stack.env)
        leave_the_driving_to_the_replay()
        started = time.monotonic()
        with in_process_flows(), Load(f"{stack.scorer_url}/{PIPELINE}/invocations", seed=SEED) as load:
            told = _weeks(year, last, load, bar=bar, task=task)
        bar.update(task, description="waiting for the controls")
        compared = controls.finish(told.controls, home=settings.home)
    bar.update(task, description="counting")
    site, seconds = told.replayer.site, told.replayer.seconds
    losses = judge(site, compared)
    seconds.update({"prepare": prepared - began, "start": started - prepared})
    total = time.monotonic() - began
    return summarise(site, told.stories, losses, load, seconds=seconds, total=total), _judged(told.stories, losses)


def _weeks(year: Replay, last: int, load: Load, *, bar: Progress, task: TaskID) -> _Told:
    """History first, then week by week; the controls are started as soon as there is a first champion."""
    from tasks.champions import bundle_folder
    from tasks.site import open_sites

    (site,) = open_sites(PIPELINE)
    landing = (site.lake.root / "landing").path
    replayer = Replayer(site=site, landing=landing, load=load, seed=SEED, tell=lambda _: None)
    told = _Told(replayer=replayer)
    damage = plan([week.label for week in year.weeks[FIRST : last + 1]], seed=SEED)
    bar.update(task, total=last + 1)
    for index, week in enumerate(year.weeks[: last + 1]):
        replayer.tell = lambda text, label=week.label: bar.update(task, description=f"{label}: {text}")  # type: ignore[misc]
        if index < FIRST:
            replayer.history(week)
        else:
            told.stories.append(replayer.week(week, damage.get(week.label)))
            load.rows = asked(year, index, site.pipeline.lookups)
        if index == FIRST:
            champion = bundle_folder(site, site.ledger.champions(PIPELINE)[0].change)
            told.controls = controls.start(champion, home=site.settings.home, first=FIRST, last=last)
        bar.advance(task)
        if not bar.console.is_terminal:
            bar.console.print(f"{index + 1}/{last + 1} {week.label}: {in_a_line(told.stories[-1:])}")
    bar.update(task, description="the last labels")
    following = year.weeks[last + 1].labels if last + 1 < len(year.weeks) else year.closing_labels
    if following is not None:
        replayer.close(following, year.weeks[last].starts_at + timedelta(days=14))
    return told


def _judged(stories: list[WeekStory], losses: Losses) -> list[WeekStory]:
    names = {"andon": "loss_andon", "never": "loss_never", "weekly": "loss_weekly"}
    found = [{names[name]: loss for name, loss in losses.by_week.get(story.label, {}).items()} for story in stories]
    return [replace(story, **values) for story, values in zip(stories, found, strict=True)]  # type: ignore[arg-type]


def _report(summary: Summary, stories: list[WeekStory], *, console: Console, home: Path, shown: Path) -> None:
    numbers = json.dumps({**asdict(summary), "timeline": [asdict(story) for story in stories]}, indent=2)
    write_whole(home / "summary.json", lambda beside: beside.write_text(numbers, encoding="utf-8"))
    page = as_html(summary, stories, title=_TITLE)
    write_whole(home / "report.html", lambda beside: beside.write_text(page, encoding="utf-8"))
    console.print(as_table(stories))
    console.print(f"\n{in_a_sentence(summary)}")
    console.print(
        f"\nReport: {shown / 'report.html'}   numbers: {shown / 'summary.json'}\n"
        f"Look around:  ANDON_HOME={shown} .venv/bin/andon status\n"
        f"              ANDON_HOME={shown} .venv/bin/andon history flights\n"
        f"              ANDON_HOME={shown} .venv/bin/andon up          (Prefect's UI and the scorer)\n"
        f"              .venv/bin/mlflow ui --backend-store-uri sqlite:///{shown / 'mlflow.db'}",
        highlight=False,
    )


def _console() -> Console:
    """Standard error; wide enough for the timeline where it is a file."""
    return Console(stderr=True) if sys.stderr.isatty() else Console(stderr=True, width=_FILE_WIDTH)


def _progress(console: Console) -> Progress:
    return Progress(
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("weeks"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
        console=console,
    )
