"""`andon report`: where the page of a monitoring window is, and what it says first. Reads only, draws nothing."""

import html
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from andon.cli.options import Json, OnePipeline
from andon.cli.output import people, print_json
from andon.cli.setup import data_time, pipelines, settings
from validation.errors import DefinitionError

_HEAD = 100_000  # bytes at the beginning of a page among which its title is
_TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A page: its file, what it says in a sentence ("" when it is not ours), and how many pages are kept."""

    pipeline: str
    page: Path
    says: str
    kept: int


def report(
    pipeline: OnePipeline,
    *,
    window: Annotated[
        str | None, typer.Option("--window", metavar="MOMENT", help="The window's start; the newest when left out.")
    ] = None,
    json: Json = False,
) -> None:
    """Where the report of a monitoring window is: performance, drift, what moved, and what Andon does about it."""
    from tasks.page_files import LATEST, reports_folder

    place = settings()
    pipelines(pipeline, place)
    kept = sorted(path for path in reports_folder(place, pipeline).glob("*.html") if path.name != LATEST)
    if not kept and window is None:
        nothing = f"no window of {pipeline} has a page yet; judge the windows that are due: andon monitor {pipeline}"
        print_json(None) if json else people().print(nothing)
        return
    page = kept[-1] if window is None else _page_of(window, kept, pipeline)
    found = Report(pipeline=pipeline, page=page, says=_title(page), kept=len(kept))
    if json:
        print_json(found)
        return
    people().print(Text(found.says), soft_wrap=True)
    people().print(Text(f"Open it in a browser: {found.page.as_uri()}", style="bold"), soft_wrap=True)
    if len(kept) > 1:
        more = f"{len(kept)} windows, {_window(kept[0])} to {_window(kept[-1])}: andon report {pipeline} --window ..."
        people().print(Text(more, style="dim"))


def _page_of(window: str, kept: list[Path], pipeline: str) -> Path:
    """DefinitionError, with what there is, for a window without a page below home."""
    from tasks.page_files import page_name

    start = data_time(window)
    name = page_name(start) if start else ""
    found = next((path for path in kept if path.name == name), None)
    if found is None:
        there = f"there are pages of {_window(kept[0])} to {_window(kept[-1])}" if kept else "there is none"
        raise DefinitionError(
            f"no page of {pipeline} for the window from {window!r}; {there}; older ones lie in MLflow, in the run of "
            "the champion of that time, below windows/"
        )
    return found


def _window(page: Path) -> str:
    return page.stem


def _title(page: Path) -> str:
    with page.open("rb") as file:
        head = file.read(_HEAD).decode(errors="replace")
    found = _TITLE.search(head)
    return html.unescape(found[1]) if found else ""
