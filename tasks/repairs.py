"""The sweep's small repairs: abandoned intents, leases of the dead, a moved alias; and who is waited for.

Everything here can run twice, at once, and at any moment: each repair is a write that the ledger checks.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from prefect import task

from registry.ledger import Intent, Lease
from registry.promotion import moved_alias, repair_alias
from tasks.approval import AWAITING, open_question
from tasks.leases import holding
from tasks.live import described
from tasks.policies import PLAIN
from tasks.site import Site
from tasks.telling import log, note
from validation.deeds import Repair
from validation.errors import RefusedError, RegistryError, ServiceDownError
from validation.failpoints import reached

SWEEP = "reconcile"
_SCORER_LAG = timedelta(seconds=30)
_TWIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is not as it should be. `mend` sets it right, and returns False where that was done meanwhile; it is None
    where a person must act. `found`: see `Repair`.
    """

    subject: str
    why: str
    mend: Callable[[], bool] | None = None
    found: str = ""


@task(task_run_name="repair", **PLAIN)
def repair(site: Site, as_of: datetime) -> tuple[Repair, ...]:
    """Make the small repairs: abandoned intents, dead leases, a moved alias; report a scorer that lags behind.

    Where nothing is wrong, nothing is written. Of two sweeps at once, the second one looks when the first has repaired.
    """
    if next(_findings(site), None) is None:
        return ()
    with _before_or_after_another(site):
        return tuple(verdict for found in _findings(site) if (verdict := _mended(site, found, as_of)))


def waiting(site: Site, as_of: datetime) -> tuple[Repair, ...]:
    """Whose death is likely, and when it will be certain; never written to the ledger. A living holder renews its lease
    three times in its life.
    """
    now, ttl = site.ledger.now(), site.settings.lease_ttl
    silent = [lease for lease in site.ledger.leases(site.name) if now < lease.expires_at < now + ttl / 2]
    return tuple(
        Repair(
            pipeline=site.name,
            subject=lease.activity,
            outcome="waiting",
            reasons=(_doubt(lease),),
            data_time=as_of,
        )
        for lease in silent
        if lease.activity != SWEEP
    )


def at_work(site: Site, activity: str) -> bool:
    """Whether somebody alive holds the lease."""
    return any(lease.activity == activity and _alive(site, lease.expires_at) for lease in site.ledger.leases(site.name))


def _doubt(lease: Lease) -> str:
    return (
        f"{lease.holder} holds the {lease.activity} lease and was not heard of for a while; if it is dead, the first "
        f"sweep after {lease.expires_at:%H:%M:%S} UTC goes on with its work"
    )


@contextmanager
def _before_or_after_another(site: Site) -> Iterator[None]:
    """Not at the same time as another sweep, so that nothing is told twice. Each repair is safe even so: a sweep that
    died, or takes long, is not waited for to its end.
    """
    end = time.monotonic() + _TWIN_SECONDS
    while True:
        with holding(site, SWEEP) as lease:
            if lease is not None or time.monotonic() > end:
                yield
                return
        time.sleep(0.1)


def _findings(site: Site) -> Iterator[Finding]:
    yield from _abandoned_intents(site)
    yield from _dead_leases(site)
    yield from _moved_alias(site)
    yield from _lagging_scorer(site)


def _mended(site: Site, finding: Finding, as_of: datetime) -> Repair | None:
    """Set it right, and tell it; None when somebody was faster, or when the newest report says the same already: a
    sweep comes every few seconds.
    """
    if finding.mend is not None and not finding.mend():
        return None
    verdict = Repair(
        pipeline=site.name,
        subject=finding.subject,
        outcome="repaired" if finding.mend else "reported",
        reasons=(finding.why,),
        data_time=as_of,
        found=finding.found,
    )
    last = site.ledger.verdicts(site.name, kind="repair", subject=finding.subject, limit=1)
    if finding.mend is None and last and last[0].reasons == verdict.reasons:
        return None
    reached("reconcile.mended")
    note(site, verdict)
    return verdict


def _abandoned_intents(site: Site) -> Iterator[Finding]:
    # NOTE: intents first; one that is claimed after leases were read would be taken for abandoned.
    begun = site.ledger.intents(site.name, states=("claimed", "open"))
    dead = bool(begun) and not at_work(site, "retrain")
    wait = partial(site.ledger.defer, until=None, condition=AWAITING)
    for intent in begun:
        died = f"attempt {intent.attempt} died without an answer"
        if dead and open_question(site, intent=intent.id):
            why = f"{died}, but had asked a person for it; the intent waits"
            yield Finding(subject=intent.id, why=why, mend=partial(_set_back, site, intent, wait))
        elif dead and intent.state == "claimed":
            why = f"{died}; the intent is open again"
            yield Finding(subject=intent.id, why=why, mend=partial(_set_back, site, intent, site.ledger.reopen))


def _set_back(site: Site, intent: Intent, to: Callable[[str], object]) -> bool:
    if site.ledger.intent(intent.id) != intent:
        return False
    with suppress(RefusedError):  # closed at this moment
        to(intent.id)
        return True
    return False


def _dead_leases(site: Site) -> Iterator[Finding]:
    for lease in site.ledger.leases(site.name):
        if lease.activity != SWEEP and not _alive(site, lease.expires_at):
            why = f"{lease.holder} held the {lease.activity} lease and is dead; it is free"
            yield Finding(subject=lease.activity, why=why, mend=partial(_free, site, lease))


def _free(site: Site, lease: Lease) -> bool:
    if lease not in site.ledger.leases(site.name):
        return False
    site.ledger.release(lease)
    return True


def _moved_alias(site: Site) -> Iterator[Finding]:
    try:
        moved = moved_alias(site.ledger, site.store, site.name)
    except (ServiceDownError, RegistryError) as error:  # the rest of the sweep does not need the model store
        yield Finding(subject="alias champion", why=str(error))
        return
    if moved is not None:
        yield Finding(subject="alias champion", why=moved.sentence, mend=partial(_project, site), found=moved.found)


def _project(site: Site) -> bool:
    return repair_alias(site.ledger, site.store, site.name) is not None


def _lagging_scorer(site: Site) -> Iterator[Finding]:
    champion = site.ledger.champion(site.name)
    if champion is None or site.ledger.now() - champion.recorded_at < _SCORER_LAG:
        return
    told = described(site)
    if told is None:
        log.info("%s: no scorer answers at %s", site.name, site.settings.scorer_url)
        return
    if (serving := told.get("version")) != champion.change.version:
        why = f"the scorer serves version {serving}, the champion is {champion.change.version}; see its log, restart it"
        yield Finding(subject="scorer", why=why)


def _alive(site: Site, expires_at: datetime) -> bool:
    return expires_at > site.ledger.now()
