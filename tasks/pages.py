"""A page for each window that was judged: written below home, put beside the champion's model, linked in Prefect.

The verdicts stand in the ledger whatever becomes of their pages: one that cannot be drawn stops nothing.
"""

import logging
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.context import FlowRunContext

from andon.pages.story import Headline, WindowStory
from andon.pages.window_page import window_page
from tasks import page_files
from tasks.looking import Looked
from tasks.page_facts import known
from tasks.page_files import LATEST, newest_page, page_name, reports_folder, write_pages
from tasks.page_story import story
from tasks.policies import PLAIN
from tasks.site import Site
from tasks.watch import Watch
from validation.errors import AndonError

log = logging.getLogger("andon")
_BESIDE_THE_MODEL = "windows"


@task(task_run_name="pages", **PLAIN)
def show_windows(watch: Watch, looked: Sequence[Looked], as_of: datetime) -> str:
    """One page for each of the windows, oldest first; the link of the newest that there is, "" when there is none.

    The link is MLflow's where it is a server, else the file's. What goes wrong is told in the log, and no more.
    """
    site = watch.site
    try:
        if stories := _stories(site, looked, as_of):
            return _show(site, stories)
        page = newest_page(site.settings, site.name)
        return page.as_uri() if page else ""
    except Exception:  # a page is never a reason to stop watching
        log.warning("%s: the pages of %s windows could not be drawn", site.name, len(looked), exc_info=True)
        return ""


def _stories(site: Site, looked: Sequence[Looked], as_of: datetime) -> dict[str, WindowStory]:
    """By the name of the page's file; of no more windows than there are pages kept."""
    facts = known(site, as_of) if looked else None
    if facts is None:
        return {}
    newest = looked[-page_files.KEPT :]
    return {page_name(datetime.fromisoformat(item.verdict.subject)): story(facts, item, as_of) for item in newest}


def _show(site: Site, stories: dict[str, WindowStory]) -> str:
    pages = {name: window_page(told) for name, told in stories.items()}
    folder = reports_folder(site.settings, site.name)
    write_pages(folder, pages)
    *_, (newest, told) = stories.items()
    page = _attach(site, {**pages, LATEST: pages[newest]}, version=told.champion)
    link = f"{page}/{_BESIDE_THE_MODEL}/{newest}" if page else (folder / newest).as_uri()
    _tell_prefect(site, told, link=link, path=folder / newest)
    log.info("%s: the page of %s: %s", site.name, told.window, link)
    return link


def _attach(site: Site, pages: dict[str, str], *, version: str) -> str:
    """Beside the champion's model, all at once; where people see them there, "" where they cannot."""
    files = {f"{_BESIDE_THE_MODEL}/{name}": page.encode() for name, page in pages.items()}
    try:
        return site.store.attach(site.name, version, files)
    except AndonError as error:
        log.warning("%s: the pages are below home only: %s", site.name, error)
        return ""


def _tell_prefect(site: Site, told: WindowStory, *, link: str, path: Path) -> None:
    """The verdict and the link in Prefect's UI. NOTE: a browser opens no file from there, so a path is shown as one."""
    if FlowRunContext.get() is None:
        return
    where = f"[Open the page]({link})" if link.startswith("http") else f"The page, a file: `{path}`"
    create_markdown_artifact(
        key=f"window-{site.name}"[:200].lower().replace("_", "-"),
        markdown=f"## {site.name}, {told.window}\n\n{_in_markdown(told.headline)}\n\n{where}\n",
        description=told.headline.what[:200],
    )


def _in_markdown(headline: Headline) -> str:
    since = f"**Since**: {_plain(headline.since)}\n\n" if headline.since else ""
    doing = _plain(headline.doing)
    return f"**{headline.tone.capitalize()}**: {_plain(headline.what)}\n\n{since}**What Andon does**: {doing}"


def _plain(text: str) -> str:
    """Names and values come from data: nothing in them becomes a picture, a link or a tag."""
    return re.sub(r"([\\`*_\[\]<>!|#])", r"\\\1", text)
