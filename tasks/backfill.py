"""Looking back: what would the monitor have decided about past windows, by the rules and labels of now? Writes nothing.

The labels are those that were known at the end of each window; the champion is the one that reigned then.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from tasks.site import Site
from validation.verdict import Verdict
from validation.watch.drift import DriftVerdict
from validation.watch.performance import PerformanceVerdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Recomputed(Verdict):
    """A past window judged again; outcome "would ask" (for a retrain) or "no reason". Never written to the ledger.

    `champion_version`: who reigned then. `by`: what the reason would have rested on, "" without one. `differs`: where
    the ledger, which decided then, says something else; empty where it says the same or nothing.
    """

    kind: ClassVar[str] = "recomputed"

    champion_version: str
    drift: DriftVerdict
    performance: PerformanceVerdict | None
    by: str = ""
    differs: tuple[str, ...] = ()


def recompute(site: Site, since: datetime | None, until: datetime | None, as_of: datetime) -> tuple[Verdict, ...]:
    """Each window of [since, until) that has predictions and was over by `as_of`, oldest first, judged again.

    DefinitionError for a span that is none, ContractError when nothing was predicted in it, NoChampionError when it
    lies before the first champion.
    """
    raise NotImplementedError
