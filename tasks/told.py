"""What the ledger says of past windows: who reigned, what was found; and where a second look finds something else."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from registry.ledger import Champion, Recorded
from tasks.site import Site
from validation.watch.drift import DriftVerdict
from validation.watch.performance import PerformanceVerdict
from validation.watch.trigger import Reason

NO_REASON = "no reason to retrain"  # so says a report by which nothing was asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the ledger has of these windows: champions by epoch, drift verdicts by window, the rest in order."""

    champions: tuple[Champion, ...]
    drift: Mapping[str, Recorded]
    performance: tuple[Recorded, ...]
    reports: tuple[Recorded, ...]

    def reigning(self, end: datetime, found: Recorded | None) -> Champion:
        """The champion when `found` was recorded; without it, before the window's end in data time.

        NOTE: who is crowned at the very moment comes after the monitor of that moment.
        """
        if found is not None:
            until = [item for item in self.champions if item.recorded_at <= found.recorded_at]
        else:
            until = [item for item in self.champions if item.change.data_time < end]
        return (until or self.champions)[-1 if until else 0]

    def performance_after(self, end: datetime, every: timedelta) -> Recorded | None:
        """Of the first monitor that ran at the window's end or in the course of the next window."""
        return next((item for item in self.performance if end <= item.data_time < end + every), None)

    def report_of(self, row: Recorded) -> Recorded | None:
        """The report that has this row in it."""
        return next((item for item in self.reports if item.seq > row.seq), None)


def told_of(site: Site) -> Told:
    """Read it from the ledger."""
    drift, performance, reports = (
        site.ledger.verdicts(site.name, kind=kind) for kind in ("drift", "performance", "watch")
    )
    return Told(
        champions=site.ledger.champions(site.name),
        drift={item.subject: item for item in drift},
        performance=performance,
        reports=reports,
    )


def drift_differs(now: DriftVerdict, then: Recorded | None) -> tuple[str, ...]:
    """Of the window's drift verdicts. `then`: the ledger's."""
    if then is None:
        return ("the ledger has no drift verdict on this window",)
    if now.outcome == then.outcome:
        return ()
    why = f": {then.reasons[0]}" if then.reasons else ""
    return (f"drift was {then.outcome} then and is {now.outcome} now{why}",)


def performance_differs(now: PerformanceVerdict | None, then: Recorded | None) -> tuple[str, ...]:
    """Of the performance verdicts after the window; where one of them is missing there is nothing to compare."""
    if now is None or then is None or now.outcome == then.outcome:
        return ()
    same = now.snapshot == then.body["snapshot"]
    why = "the same rows and labels by other rules" if same else "other rows or labels, or another definition"
    return (f"the champion was {then.outcome!r} then and is {now.outcome!r} now ({why}): {then.reasons[0]}",)


def report_differs(reason: Reason | None, report: Recorded | None) -> tuple[str, ...]:
    """`report`: of the monitor that saw what the reason rests on.

    Only one way: where a reason is gone, so is the verdict that it rested on, and that is told already.
    """
    if reason is None or report is None or NO_REASON not in report.reasons[0]:
        return ()
    return ("then there was no reason to retrain, now there would be one",)
