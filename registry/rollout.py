"""Who answers in the shadow, by the ledger's word alone: light enough for a supervisor to ask every second."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from registry.ledger import Champion, Change, Ledger, Recorded

Role = Literal["challenger", "previous"]
STARTED = "started"


@dataclass(frozen=True, slots=True, kw_only=True)
class InShadow:
    """A version whose answers are written down and not returned. `change` is what `cached_bundle` fetches it by.

    `since` and `until` in data time. NOTE: it is in the shadow until the ledger says otherwise, not by anybody's clock:
    the sweep sees that `until` is past. `role` "challenger": it may take over; "previous": it may have to come back.
    """

    change: Change
    since: datetime
    until: datetime
    role: Role

    @property
    def version(self) -> str:
        """Its version."""
        return self.change.version

    @property
    def bundle_sha256(self) -> str:
        """Of its bundle's bytes."""
        return self.change.bundle_sha256


def in_shadow(ledger: Ledger, pipeline: str) -> tuple[InShadow, ...]:
    """Who answers in the shadow now, beside the champion: nobody, a challenger, the previous champion, or both."""
    champion = ledger.champion(pipeline)
    return (*_challenger(ledger, pipeline, champion), *_previous(ledger, pipeline, champion))


def standing_shadow(ledger: Ledger, pipeline: str) -> Recorded | None:
    """The row by which a challenger went into the shadow, while nothing has become of it."""
    return _newest(ledger, pipeline, "shadow", (STARTED,))


def standing_probation(ledger: Ledger, pipeline: str) -> Recorded | None:
    """The row by which a champion is watched, or waits for labels, while nothing has become of it."""
    return _newest(ledger, pipeline, "probation", (STARTED, "waits for labels"))


def _challenger(ledger: Ledger, pipeline: str, champion: Champion | None) -> Iterator[InShadow]:
    row = standing_shadow(ledger, pipeline)
    if row is None or row.body["epoch"] != (champion.epoch if champion else 0):
        return
    change = Change(
        pipeline=pipeline,
        kind="promotion",
        version=row.subject,
        bundle_sha256=str(row.body["bundle_sha256"]),
        trained_until=datetime.fromisoformat(row.body["trained_until"]),
        why=row.reasons[0],
        data_time=row.data_time,
        actor=row.actor,
        intent=row.body["intent"],
        evidence=row.body["gate"],
    )
    yield _at(row, change, "challenger")


def _previous(ledger: Ledger, pipeline: str, champion: Champion | None) -> Iterator[InShadow]:
    row = _newest(ledger, pipeline, "probation", (STARTED,))
    if row is None or champion is None or row.body["epoch"] != champion.epoch:
        return
    reigns = {reign.change.version: reign.change for reign in ledger.champions(pipeline)}
    if (previous := reigns.get(str(row.body["previous"]))) is not None:
        yield _at(row, previous, "previous")


def _at(row: Recorded, change: Change, role: Role) -> InShadow:
    since, until = (datetime.fromisoformat(row.body[name]) for name in ("since", "until"))
    return InShadow(change=change, since=since, until=until, role=role)


def _newest(ledger: Ledger, pipeline: str, kind: str, outcomes: tuple[str, ...]) -> Recorded | None:
    rows = ledger.verdicts(pipeline, kind=kind, limit=1)
    return rows[0] if rows and rows[0].outcome in outcomes else None
