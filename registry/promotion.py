"""Changing the champion: first the ledger decides, then the store's alias follows. Judges nothing: the gate did.

A lost race, a crash or an unreachable store leaves the ledger's word standing; `repair_alias` mends the rest.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from registry.ledger import Champion, Change, Lease, Ledger
from registry.store import ModelStore
from validation.errors import AndonError, NoChampionError, StaleEpochError
from validation.failpoints import reached
from validation.verdict import Verdict

_RACES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionVerdict(Verdict):
    """The alias could not follow the ledger ("failed"); reconcile repairs it."""

    kind: ClassVar[str] = "projection"


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedAlias:
    """The alias said `found` ("" for nothing) and not what the ledger says; `sentence` tells it to people."""

    found: str
    sentence: str


def promote(
    ledger: Ledger, store: ModelStore, *, change: Change, expected_epoch: int, lease: Lease | None = None
) -> Champion:
    """Crown `change.version`, then point the alias at it; StaleEpochError when somebody else was first.

    Repeating it is safe: the version that is champion already, by the same intent, is returned as it is. An alias that
    cannot be set is no error: a verdict of kind "projection" tells it, and reconcile repairs it.
    """
    try:
        champion = _standing(ledger, change) or ledger.crown(change, expected_epoch=expected_epoch, lease=lease)
    except StaleEpochError:
        twin = _standing(ledger, change)  # this promotion's own twin may have been first
        if twin is None:
            raise
        champion = twin
    reached("promotion.crowned")
    _project(ledger, store, champion, actor=change.actor)
    reached("promotion.projected")
    return champion


def roll_back(
    ledger: Ledger,
    store: ModelStore,
    *,
    pipeline: str,
    to: str | None = None,
    why: str,
    actor: str,
    data_time: datetime,
    only_epoch: int | None = None,
) -> Champion:
    """Put an earlier champion back: the version `to`, or the one that `previous` names. Waits for no lease.

    The target is chosen once: when somebody promotes at the same moment, the version known to be good still wins, not
    the one that was just rolled back from. NoChampionError when there is no such version; the version that is champion
    already is returned as it is. `only_epoch`: of the one reign that is to be ended; StaleEpochError when it is over.
    """
    target = rollback_target(ledger, pipeline=pipeline, to=to)
    change = Change(
        pipeline=pipeline,
        kind="rollback",
        version=target.version,
        bundle_sha256=target.bundle_sha256,
        trained_until=target.trained_until,
        why=why,
        data_time=data_time,
        actor=actor,
    )
    champion = _put_back(ledger, change) if only_epoch is None else ledger.crown(change, expected_epoch=only_epoch)
    reached("rollback.crowned")
    _project(ledger, store, champion, actor=actor)
    reached("rollback.projected")
    return champion


def rollback_target(ledger: Ledger, *, pipeline: str, to: str | None = None) -> Change:
    """The change that `roll_back` would put back, so that its bundle can be proven to work first.

    NoChampionError, with the versions that there are, when there is none.
    """
    history = ledger.champions(pipeline)
    if not history:
        raise NoChampionError(f"{pipeline!r} has no champion yet; train one first: andon retrain {pipeline}")
    known = {champion.change.version: champion.change for champion in history}
    version = previous(history) if to is None else to
    if version is None:
        raise NoChampionError(
            f"{pipeline!r} has no champion before version {history[-1].change.version} to go back to; "
            f"name one of {', '.join(known)} (--to), or stop the line: andon pause {pipeline}"
        )
    if version not in known:
        raise NoChampionError(
            f"version {version} of {pipeline!r} was never champion; roll back to one of {', '.join(known)}"
        )
    return known[version]


def previous(history: Sequence[Champion]) -> str | None:
    """The version to roll back to by default, None when there is none.

    It is the champion before the newest one, without those that were rolled back from since they were promoted: after
    1, 2, 3 and a rollback to 2, the previous one is 1.
    """
    trail: list[str] = []
    for champion in history:
        version = champion.change.version
        if champion.change.kind == "rollback":
            condemned = trail.pop() if trail else None
            if version in trail:  # what was jumped over is not gone back to, either
                del trail[len(trail) - 1 - trail[::-1].index(version) :]
            trail = [kept for kept in trail if kept != condemned]
        trail.append(version)
    earlier = [version for version in trail if version != trail[-1]]
    return earlier[-1] if earlier else None


def repair_alias(ledger: Ledger, store: ModelStore, pipeline: str) -> MovedAlias | None:
    """Make the alias say what the ledger says; tells what was wrong, None when nothing was."""
    moved = moved_alias(ledger, store, pipeline)
    if moved is not None:
        champion = ledger.champion(pipeline)
        store.project(pipeline, champion.change.version if champion else None)
    return moved


def moved_alias(ledger: Ledger, store: ModelStore, pipeline: str) -> MovedAlias | None:
    """What is wrong with the alias, None when nothing is; changes nothing."""
    champion = ledger.champion(pipeline)
    wanted = champion.change.version if champion else None
    found = store.projected(pipeline)
    if found == wanted:
        return None
    return MovedAlias(
        found=found or "",
        sentence=f"the alias champion of {pipeline!r} said {_named(found)}, the ledger says {_named(wanted)}: alias "
        f"repaired; whoever moved it and meant it: andon adopt {pipeline} --why ...",
    )


def _standing(ledger: Ledger, change: Change) -> Champion | None:
    """The newest row, when it is what `change` asks for."""
    champion = ledger.champion(change.pipeline)
    if champion is None:
        return None
    wanted = (change.kind, change.version, change.intent)
    return champion if (champion.change.kind, champion.change.version, champion.change.intent) == wanted else None


def _put_back(ledger: Ledger, change: Change) -> Champion:
    """Crown over whoever is champion by now; StaleEpochError after several lost races."""
    for _ in range(_RACES):
        current = ledger.champion(change.pipeline)
        if current and current.change.version == change.version:
            return current
        with suppress(StaleEpochError):
            return ledger.crown(change, expected_epoch=current.epoch if current else 0)
    raise StaleEpochError(
        f"somebody else promoted or rolled back {change.pipeline!r} {_RACES} times in a row; stop the line first: "
        f"andon pause {change.pipeline}"
    )


def _project(ledger: Ledger, store: ModelStore, champion: Champion, *, actor: str) -> None:
    """Point the alias at the newest champion: `champion`, or who was crowned since."""
    change = (ledger.champion(champion.change.pipeline) or champion).change
    try:
        store.project(change.pipeline, change.version)
    except AndonError as error:
        failed = ProjectionVerdict(
            pipeline=change.pipeline,
            subject=change.version,
            outcome="failed",
            reasons=(f"version {change.version} is champion, but its alias could not be set: {error}",),
            data_time=change.data_time,
        )
        ledger.record(failed, actor=actor)


def _named(version: str | None) -> str:
    return f"version {version}" if version else "nothing"
