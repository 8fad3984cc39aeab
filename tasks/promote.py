"""Changing champions: the ledger decides by compare-and-set, the alias follows, the scorer sees it by itself."""

from datetime import datetime

from prefect import task

from registry.ledger import Champion, Change, Lease, Recorded
from registry.promotion import promote, roll_back, rollback_target
from registry.rules import announcement
from tasks.events import announce
from tasks.leases import holding
from tasks.objections import forcing, objection, replaced, ungranted
from tasks.policies import PLAIN
from tasks.proof import Proven, prove, prove_again
from tasks.showing import show_standing
from tasks.site import Site
from tasks.telling import log
from validation.errors import NoChampionError, RefusedError
from validation.failpoints import reached
from validation.verdict import Verdict


@task(task_run_name="promote version {change.version}", **PLAIN)
def crown(site: Site, change: Change, *, epoch: int, lease: Lease | None) -> None:
    """Make the version champion if the epoch is still the one of the champion that it was compared with.

    RefusedError when these bytes were rolled back from not long ago.
    """
    why_not = objection(site, version=change.version, bundle_sha256=change.bundle_sha256, as_of=change.data_time)
    if why_not is not None:
        raise RefusedError(f"{why_not}; a person who knows better: {forcing(site, change.version)}")
    promote(site.ledger, site.store, change=change, expected_epoch=epoch, lease=lease)
    reached("retrain.promoted")
    announce("champion.promoted", site.name, version=change.version, as_of=change.data_time.isoformat())


def promote_version(site: Site, version: str, why: str, as_of: datetime) -> Verdict:
    """Promote by hand what the gate has passed: a version whose promotion was overtaken, or never finished.

    RefusedError names the rule that objects; NoChampionError for a version that the gate has not judged.
    """
    check_why(why, site.name)
    with holding(site, "retrain") as lease:
        epoch = _not_yet(site, version)
        judged = _newest_verdict(site, version)
        _refuse(site, judged, as_of)
        if lease is None:
            raise RefusedError(f"a retrain of {site.name!r} is running; wait for it: andon status {site.name}")
        change = _by_hand(site, prove(site, version), why, as_of, judged)
        champion = promote(site.ledger, site.store, change=change, expected_epoch=epoch, lease=lease)
    return _told(site, champion)


def force_version(site: Site, version: str, why: str, as_of: datetime) -> Verdict:
    """Break the glass: make the version champion past the gate, the cord, a missing answer and a rollback not long ago.

    Never past the proof that its bundle loads and answers. Waits for no lease. It is marked as forced for ever.
    """
    check_why(why, site.name)
    epoch = _not_yet(site, version)
    judged = site.ledger.verdicts(site.name, kind="gate", subject=version, limit=1)
    change = _by_hand(site, prove(site, version), why, as_of, judged[0] if judged else None, forced=True)
    champion = promote(site.ledger, site.store, change=change, expected_epoch=epoch)
    log.warning("%s: version %s was forced (epoch %s): %s", site.name, version, champion.epoch, why)
    return _told(site, champion)


def roll_back_to(
    site: Site, to: str | None, why: str, as_of: datetime, *, actor: str | None = None, only_epoch: int | None = None
) -> Verdict:
    """Put back an earlier champion, once a fresh process has loaded it and got its golden answers. Waits for no lease.

    Needs the ledger and the bundle, which is on this machine if it served or was compared here; a model store that is
    away is told in the ledger, and reconcile makes it follow. `actor`: who wants it, if not the site's. `only_epoch`:
    see `roll_back`.
    """
    check_why(why, site.name)
    target = rollback_target(site.ledger, pipeline=site.name, to=to)
    current = site.ledger.champion(site.name)
    if current is not None and current.change.version == target.version:
        raise RefusedError(f"version {target.version} of {site.name!r} is champion already; nothing is to be done")
    prove_again(site, target)
    reached("rollback.proven")
    champion = roll_back(
        site.ledger,
        site.store,
        pipeline=site.name,
        to=target.version,
        why=why,
        actor=actor or site.actor,
        data_time=as_of,
        only_epoch=only_epoch,
    )
    log.info("%s: rolled back to version %s (epoch %s): %s", site.name, champion.change.version, champion.epoch, why)
    announce("champion.rolled_back", site.name, version=champion.change.version, as_of=as_of.isoformat())
    show_standing(site)
    return announcement(champion)


def check_why(why: str, name: str) -> None:
    """RefusedError unless a reason is given."""
    if not why.strip():
        raise RefusedError(f"say why the champion of {name!r} is changed: --why 'the reason, for those who come after'")


def _not_yet(site: Site, version: str) -> int:
    """The epoch of the champion, which must not be this version already."""
    current = site.ledger.champion(site.name)
    if current is not None and current.change.version == version:
        raise RefusedError(f"version {version} of {site.name!r} is champion already; nothing is to be done")
    return current.epoch if current else 0


def _newest_verdict(site: Site, version: str) -> Recorded:
    judged = site.ledger.verdicts(site.name, kind="gate", subject=version, limit=1)
    if not judged:
        raise NoChampionError(
            f"the gate has judged no version {version!r} of {site.name!r}: andon history {site.name}; one that is "
            f"registered all the same is promoted past the gate by: {forcing(site, version)}"
        )
    return judged[0]


def _refuse(site: Site, judged: Recorded, as_of: datetime) -> None:
    """RefusedError with the first rule that objects: the gate or a person's no, the cord, a rollback not long ago,
    another champion than the gate knew.
    """
    version, sha256 = judged.subject, str(judged.body["bundle_sha256"])
    why_not = (
        ungranted(site, judged)
        or objection(site, version=version, bundle_sha256=sha256, as_of=as_of)
        or replaced(site, judged)
    )
    if why_not is not None:
        raise RefusedError(f"{why_not}; to pass over this rule, marked for ever: {forcing(site, version)}")


def _by_hand(
    site: Site, proven: Proven, why: str, as_of: datetime, judged: Recorded | None, *, forced: bool = False
) -> Change:
    return Change(
        pipeline=site.name,
        kind="forced" if forced else "promotion",
        version=proven.version,
        bundle_sha256=proven.bundle_sha256,
        trained_until=proven.trained_until,
        why=why,
        data_time=as_of,
        actor=site.actor,
        evidence=judged.seq if judged else None,
    )


def _told(site: Site, champion: Champion) -> Verdict:
    change = champion.change
    announce("champion.promoted", site.name, version=change.version, as_of=change.data_time.isoformat())
    show_standing(site)
    return announcement(champion)
