"""What a window's page tells, gathered from the ledger: read once for all pages of a run. Writes nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from andon.pages import words
from andon.pages.story import OpenIncident, Point
from registry.ledger import Champion, Recorded
from registry.records import is_of_reign
from tasks.history import KEPT
from tasks.incidents import news, open_incidents
from tasks.responses import response
from tasks.rows import as_verdict
from tasks.site import Site
from tasks.windows import told_windows
from validation.durations import span
from validation.watch.alarms import Response, drift_findings, quality_finding
from validation.watch.drift import DriftVerdict
from validation.watch.incidents import Finding, Incident, IncidentKind
from validation.watch.performance import PerformanceVerdict
from validation.watch.windows import WindowVerdict

POINTS = 60  # windows in the charts
_OF_OTHERS: tuple[IncidentKind, ...] = ("silence", "unreadable data")  # incidents that no window's verdict tells of


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Known:
    """What the ledger says of a pipeline now. `drift`: rows by window's start, oldest first; `mine`: those verdicts
    that were judged under the present champion. `windows`: the newest verdict on each; `compared`: with the probe.
    """

    site: Site
    champion: Champion
    drift: Mapping[datetime, Recorded]
    mine: tuple[DriftVerdict, ...]
    windows: Mapping[datetime, WindowVerdict]
    compared: tuple[PerformanceVerdict, ...]
    champions: tuple[Champion, ...]
    incidents: tuple[Incident, ...]
    reply: Response

    @property
    def every(self) -> timedelta:
        """Length of a window."""
        return span(self.site.pipeline.monitor.every)


def known(site: Site, as_of: datetime) -> Known | None:
    """Read the ledger; None while there is no champion, under whom nothing is judged."""
    champion, ledger = site.ledger.champion(site.name), site.ledger
    if champion is None:
        return None
    rows = ledger.verdicts(site.name, kind="drift", limit=KEPT)
    drift = {datetime.fromisoformat(row.subject): row for row in rows}
    mine = [row for _, row in sorted(drift.items()) if is_of_reign(row, champion)]
    windows = {datetime.fromisoformat(start): verdict for start, verdict in told_windows(site).items()}
    compared = ledger.verdicts(site.name, kind="performance", limit=KEPT)
    return Known(
        site=site,
        champion=champion,
        drift=dict(sorted(drift.items())),
        mine=tuple(as_verdict(row, DriftVerdict) for row in mine),
        windows=dict(sorted(windows.items())),
        compared=tuple(as_verdict(row, PerformanceVerdict) for row in compared),
        champions=ledger.champions(site.name),
        incidents=_open(site, as_of),
        reply=response(site, champion),
    )


def findings(facts: Known, start: datetime) -> tuple[Finding, ...]:
    """What was alarming as this window was the newest, and what labels prove by now."""
    policy = facts.site.pipeline.drift
    windows = [item for item in facts.mine if datetime.fromisoformat(item.subject) <= start]
    found = drift_findings(windows, facts.reply, clear_after=policy.clear_after)
    others = tuple(item.finding for item in facts.incidents if item.finding.kind in _OF_OTHERS)
    newest = _newest_comparison(facts)
    proven = quality_finding(newest, facts.reply) if newest else None
    return (*found, *([proven] if proven else []), *others)


def labels(facts: Known) -> str:
    """What labels say of the present champion, where they prove nothing against it."""
    newest = _newest_comparison(facts)
    if newest is None or newest.outcome == "need evidence":
        return "labels cannot tell of this champion yet"
    return "labels prove nothing against the champion"


def points(facts: Known, start: datetime) -> tuple[Point, ...]:
    """The windows up to the one that begins at `start`, oldest first."""
    starts = sorted(moment for moment in {*facts.drift, *facts.windows, start} if moment <= start)[-POINTS:]
    compared = dict(_compared(facts, starts))
    crowned = dict(_crowned(facts, starts))
    return tuple(
        Point(
            start=moment,
            label=words.day(moment, year=False),
            crowned=crowned.get(moment, ""),
            **_quality(facts.windows.get(moment)),
            **_probe(compared.get(moment)),
        )
        for moment in starts
    )


def told_incidents(facts: Known) -> tuple[OpenIncident, ...]:
    """What is open, in words."""
    return tuple(
        OpenIncident(
            title=item.finding.title,
            since=_day(item.finding.since) or words.day(item.opened_at),
            lines=item.finding.lines,
            cause=item.finding.cause,
            doing=item.finding.doing,
        )
        for item in facts.incidents
    )


def _newest_comparison(facts: Known) -> PerformanceVerdict | None:
    """Of the present champion with its probe."""
    newest = facts.compared[-1] if facts.compared else None
    return newest if newest and newest.champion_version == facts.champion.change.version else None


def _open(site: Site, as_of: datetime) -> tuple[Incident, ...]:
    """Also those that are about to be told: the page is drawn before them, since they link to it."""
    found = {item.subject: item for item in open_incidents(site, "drift", "bad data", "quality", *_OF_OTHERS)}
    found.update({item.subject: item for item in news(site, as_of)})
    return tuple(item for item in found.values() if item.outcome != "closed")


def _compared(facts: Known, starts: Sequence[datetime]) -> Iterator[tuple[datetime, PerformanceVerdict]]:
    """Each comparison at the window in which its evidence ends; the newest one of a window counts."""
    evidence = span(facts.site.pipeline.monitor.evidence)
    for verdict in facts.compared:
        end = min(datetime.fromisoformat(verdict.subject) + evidence, verdict.data_time)
        within = [moment for moment in starts if moment < end]
        if within and end <= within[-1] + facts.every:
            yield within[-1], verdict


def _crowned(facts: Known, starts: Sequence[datetime]) -> Iterator[tuple[datetime, str]]:
    """Each champion at the first window that begins when it was crowned, or later."""
    for champion in facts.champions:
        after = [moment for moment in starts if moment >= champion.change.data_time]
        if after and (after[0] != starts[0] or champion.change.data_time == starts[0]):
            yield after[0], champion.change.version


def _quality(verdict: WindowVerdict | None) -> dict[str, float | None]:
    if verdict is None:
        return {}
    said = verdict.estimate
    return {
        "loss": verdict.loss,
        "coverage": verdict.coverage,
        "bias": verdict.bias,
        "bias_lower": verdict.bias_lower,
        "bias_upper": verdict.bias_upper,
        "estimate": said.loss if said else None,
        "estimate_lower": said.lower if said else None,
        "estimate_upper": said.upper if said else None,
    }


def _probe(verdict: PerformanceVerdict | None) -> dict[str, float | None]:
    """Bounds as shares of the champion's loss, as the regret is."""
    if verdict is None or verdict.regret_share is None or not verdict.champion_loss:
        return {}
    loss = verdict.champion_loss
    return {
        "probe": verdict.probe_loss,
        "regret_share": verdict.regret_share,
        "regret_lower": None if verdict.lower is None else verdict.lower / loss,
        "regret_upper": None if verdict.upper is None else verdict.upper / loss,
    }


def _day(moment: str) -> str:
    try:
        return words.day(datetime.fromisoformat(moment))
    except ValueError:
        return moment
