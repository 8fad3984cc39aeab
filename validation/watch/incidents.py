"""One incident for one trouble: when it opens, when there is something new to tell of it, and when it is over. Pure.

Of what is found in each window, next to nothing is news. So an incident is told when it opens, when a feature or a
cause is found that was not told before or when Andon does something else about it, and when it is over.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, ClassVar, Literal

from validation.verdict import Verdict

IncidentKind = Literal["drift", "bad data", "quality", "silence", "unreadable data", "rollout", "serving"]
IncidentOutcome = Literal["opened", "changed", "closed"]
Severity = Literal["a person must act", "a person should look", "Andon acts"]
TOP = 5  # features, files or sentences told of an incident
_ID_DIGITS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong now, in words for people. `about`: the window's start, or what else it was found in.

    `names`: the features or files of which the `lines` tell, worst first; at most `TOP` of each are kept. `cause`: the
    probable one; `doing`: what Andon does about it, and what a person should. `since`: an ISO moment, "" if not known;
    `windows`: in how many it was seen. A sentence that changes with every window belongs into `lines` or `title`: a
    new `cause` or `doing` is told.
    """

    kind: IncidentKind
    about: str
    title: str
    cause: str
    doing: str
    severity: Severity
    lines: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    since: str = ""
    windows: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "lines", self.lines[:TOP])
        object.__setattr__(self, "names", self.names[:TOP])


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident(Verdict):
    """outcome: "opened", "changed" or "closed"; `subject` is the incident's id, the same in all its rows.

    `told`: names and causes that were told of it so far; `opened_at` in data time. `seen`: the newest row of the
    ledger that was looked at. `over`: why it is closed.
    """

    kind: ClassVar[str] = "incident"

    finding: Finding
    told: tuple[str, ...]
    opened_at: datetime
    link: str = ""
    over: str = ""
    seen: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert(Verdict):
    """A channel was told of an incident (`subject`), outcome "delivered" or "failed"; the reason has no secret.

    `row`: the number of the incident's row that was told; `attempt` counts from 1. `is_final`: nobody tries it again.
    """

    kind: ClassVar[str] = "alert"

    channel: str
    row: int
    attempt: int
    is_final: bool = False


def next_incidents(
    open_: Sequence[Incident],
    findings: Sequence[Finding],
    *,
    pipeline: str,
    as_of: datetime,
    link: str = "",
    over: Mapping[IncidentKind, str] | None = None,
) -> tuple[Incident, ...]:
    """What is to be recorded, in the order of `findings`, then what is over; empty when there is no news.

    `open_`: the newest rows of the open incidents, of the kinds that were looked for: one without a finding is over, by
    the sentence that `over` has for its kind. At most one incident of a kind is open: of several findings of a kind
    the first counts.
    """
    known = {incident.finding.kind: incident for incident in open_}
    found = {finding.kind: finding for finding in reversed(findings)}
    news = (
        _next(known.get(kind), found[kind], pipeline=pipeline, as_of=as_of, link=link)
        for kind in dict.fromkeys(finding.kind for finding in findings)
    )
    ended = (
        _closed(incident, (over or {}).get(kind, "it was not seen any more"), as_of=as_of, link=link)
        for kind, incident in known.items()
        if kind not in found
    )
    return (*(item for item in news if item is not None), *ended)


def still_open(rows: Iterable[Incident]) -> tuple[Incident, ...]:
    """Of incidents' rows, oldest first, the newest of each incident that is not closed."""
    newest = {row.subject: row for row in rows}
    return tuple(row for row in newest.values() if row.outcome != "closed")


def restored(body: Mapping[str, Any]) -> Incident:
    """The incident's row again, from the JSON values that the ledger has of it."""
    finding = _known(Finding, body["finding"])
    moments = {name: datetime.fromisoformat(body[name]) for name in ("data_time", "opened_at")}
    return Incident(**{**_known(Incident, body), **moments, "finding": Finding(**finding)})


def folded(rows: Sequence[Incident]) -> tuple[Incident, ...]:
    """The same news in as few rows as tell it: of each incident one that opens or changes it, and one that closes it.

    For several windows that are looked at in one go.
    """
    kept: dict[tuple[str, bool], Incident] = {}
    for row in rows:
        place = (row.subject, row.outcome == "closed")
        before = kept.get(place)
        kept[place] = replace(row, outcome=before.outcome) if before else row
    return tuple(kept.values())


def _known(kind: type[Finding | Incident], body: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the fields; JSON has lists where they have tuples."""
    names = {field.name for field in fields(kind)}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in body.items() if name in names}


def _next(before: Incident | None, finding: Finding, *, pipeline: str, as_of: datetime, link: str) -> Incident | None:
    told = before.told if before else ()
    new = tuple(item for item in (*finding.names, finding.cause) if item not in told)
    if before is not None and not new and finding.doing == before.finding.doing:
        return None
    return Incident(
        pipeline=pipeline,
        subject=before.subject if before else _identity(pipeline, finding, as_of),
        outcome="changed" if before else "opened",
        reasons=_sentences(finding),
        data_time=as_of,
        finding=finding,
        told=(*told, *new),
        opened_at=before.opened_at if before else as_of,
        link=link or (before.link if before else ""),
    )


def _closed(before: Incident, why: str, *, as_of: datetime, link: str) -> Incident:
    link = link or before.link
    return replace(before, outcome="closed", reasons=(why,), data_time=as_of, over=why, link=link)


def _sentences(finding: Finding) -> tuple[str, ...]:
    return (*finding.lines, f"probable cause: {finding.cause}", f"what is done: {finding.doing}")


def _identity(pipeline: str, finding: Finding, as_of: datetime) -> str:
    what = "|".join((finding.kind, finding.about, as_of.isoformat()))
    digest = hashlib.sha256(what.encode()).hexdigest()[:_ID_DIGITS]
    return f"{pipeline}-{finding.kind.replace(' ', '-')}-{as_of:%Y%m%dT%H%M}-{digest}"
