"""The ledger's state machines, pure: from a row as it is to the row as it becomes, or the error. No adapter differs."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar

from registry.chain import clean, utc
from registry.ledger import Champion, Change, ChangeKind, Intent, Lease, Recorded
from validation.errors import LeaseLostError, RefusedError, RegistryError, StaleEpochError
from validation.verdict import Verdict

_OUTCOMES: dict[ChangeKind, str] = {
    "promotion": "promoted", "forced": "forced", "adoption": "adopted", "rollback": "rolled_back",
}  # fmt: skip
_DEEDS: dict[ChangeKind, str] = {
    "promotion": "promoted", "forced": "promoted by force", "adoption": "adopted", "rollback": "put back",
}  # fmt: skip
_LONGEST_WHY = 200
RETRAIN = "retrain"
FREE = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion(Verdict):
    """A version became champion: by the gate ("promoted"), by a person past the gate ("forced"), or after its alias
    was moved by hand ("adopted").
    """

    kind: ClassVar[str] = "promotion"

    change: Change
    epoch: int
    from_version: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback(Promotion):
    """An earlier champion was put back."""

    kind: ClassVar[str] = "rollback"


def crowned(current: Champion | None, change: Change, *, expected_epoch: int, now: datetime) -> Champion:
    """The next row of the champions; StaleEpochError when `current` is not of the expected epoch."""
    epoch = current.epoch if current else 0
    if epoch != expected_epoch:
        raise StaleEpochError(
            f"{change.pipeline!r} is at epoch {epoch}, expected {expected_epoch}: {_who_was_first(current)}; look at "
            f"it and decide again: andon history {change.pipeline}"
        )
    change = replace(
        change,
        data_time=utc(change.data_time, field="data_time"),
        trained_until=utc(change.trained_until, field="trained_until"),
    )
    return Champion(
        epoch=epoch + 1, change=change, from_version=current.change.version if current else None, recorded_at=now
    )


def announcement(champion: Champion) -> Verdict:
    """The verdict that tells of a new champion."""
    change = champion.change
    verdict = Rollback if change.kind == "rollback" else Promotion
    return verdict(
        pipeline=change.pipeline,
        subject=change.version,
        outcome=_OUTCOMES[change.kind],
        reasons=(change.why,),
        data_time=change.data_time,
        change=change,
        epoch=champion.epoch,
        from_version=champion.from_version,
    )


def check_unanswered(question: int, asked: Recorded | None, answer: Recorded | None) -> None:
    """RegistryError when nothing was `asked` under this number; RefusedError when it has an `answer`."""
    if asked is None:
        raise unknown("verdict", f"no. {question}")
    if answer is not None:
        why = f", because {'; '.join(answer.reasons)}" if answer.reasons else ""
        raise RefusedError(
            f"question {question} about {asked.pipeline} {asked.subject} has its answer: {answer.outcome}, by "
            f"{answer.actor} at {answer.recorded_at:%Y-%m-%d %H:%M:%S} UTC{why[:300]}; see it: "
            f"andon show {asked.pipeline} --verdict {answer.seq}"
        )


def opened(*, intent_id: str, pipeline: str, reason: str, data_time: datetime, now: datetime) -> Intent:
    """A new intent."""
    return Intent(
        id=intent_id,
        pipeline=pipeline,
        reason=clean(reason),
        data_time=utc(data_time, field="data_time"),
        state="open",
        attempt=0,
        until=None,
        condition="",
        outcome="",
        created_at=now,
        changed_at=now,
    )


def claimed(intent: Intent, lease: Lease, *, now: datetime) -> Intent | None:
    """Open, or claimed under an older token -> claimed with attempt + 1; None otherwise. `lease` was checked."""
    if (lease.pipeline, lease.activity) != (intent.pipeline, RETRAIN):
        raise RefusedError(
            f"intent {intent.id} is claimed under the lease ({intent.pipeline}, {RETRAIN}), "
            f"got ({lease.pipeline}, {lease.activity}); acquire that one"
        )
    abandoned = intent.state == "claimed" and intent.token is not None and intent.token < lease.token
    if intent.state != "open" and not abandoned:
        return None
    return replace(intent, state="claimed", attempt=intent.attempt + 1, token=lease.token, changed_at=now)


def closed(intent: Intent, *, outcome: str, now: datetime) -> Intent:
    """Any state -> closed; the first outcome stays."""
    if intent.state == "closed":
        return intent
    return replace(intent, state="closed", outcome=outcome, token=None, until=None, condition="", changed_at=now)


def deferred(intent: Intent, *, until: datetime | None, condition: str, now: datetime) -> Intent:
    """Any state but closed -> deferred, for something that can be waited for."""
    _refuse_closed(intent)
    if until is None and not condition:
        raise RefusedError(f"intent {intent.id} cannot wait for nothing; give a moment (until) or a condition")
    until = until and utc(until, field="until")
    return replace(intent, state="deferred", until=until, condition=condition, token=None, changed_at=now)


def reopened(intent: Intent, *, now: datetime) -> Intent:
    """Any state but closed -> open."""
    _refuse_closed(intent)
    if intent.state == "open":
        return intent
    return replace(intent, state="open", until=None, condition="", token=None, changed_at=now)


def taken(current: Lease | None, wish: Lease, *, now: datetime) -> Lease | None:
    """`wish` with the next token, or None while another holder is alive; one that asks again fences its older self."""
    if not wish.holder:
        raise RefusedError(f"a lease of {wish.pipeline!r} needs a holder's name; pass e.g. the flow run's id")
    if current and current.holder not in (FREE, wish.holder) and current.expires_at > now:
        return None
    return replace(wish, token=current.token + 1 if current else 1)


def held(current: Lease | None, lease: Lease) -> bool:
    """Whether `lease` is still the holder's: it has the newest token and was not released."""
    return current is not None and (current.holder, current.token) == (lease.holder, lease.token)


def check(current: Lease | None, lease: Lease) -> None:
    """LeaseLostError unless `lease` is still the holder's."""
    if held(current, lease):
        return
    now_held = f"{current.holder} holds it with token {current.token}" if current and current.holder else "it is free"
    raise LeaseLostError(
        f"{lease.holder} lost the lease ({lease.pipeline}, {lease.activity}) of token {lease.token}, {now_held}; "
        "nothing was written: stop, and let reconcile go on"
    )


def freed(lease: Lease) -> Lease:
    """The row of a lease that nobody holds; it stays, so that tokens only grow."""
    return replace(lease, holder=FREE)


def expiry(now: datetime, ttl: timedelta) -> datetime:
    """When a lease ends that is taken or extended now."""
    if ttl <= timedelta(0):
        raise RefusedError(f"a lease must live longer than nothing, got {ttl}; set ANDON_LEASE_SECONDS above 0")
    return now + ttl


def unknown(what: str, name: str) -> RegistryError:
    """The error for an intent or batch that the ledger does not know."""
    return RegistryError(f"the ledger knows no {what} {name}; is ANDON_LEDGER_URL the right one?")


def _who_was_first(champion: Champion | None) -> str:
    """What became of the champion that the caller knew."""
    if champion is None:
        return "the ledger knows of no champion"
    change, when = champion.change, f"{champion.recorded_at:%Y-%m-%d %H:%M:%S} UTC"
    over = f" over version {champion.from_version}" if champion.from_version else ""
    return (
        f"version {change.version} was {_DEEDS[change.kind]}{over} by {change.actor} at {when} "
        f"({change.why[:_LONGEST_WHY]})"
    )


def _refuse_closed(intent: Intent) -> None:
    if intent.state == "closed":
        raise RefusedError(f"intent {intent.id} is closed ({intent.outcome}); ask for a new retrain")
