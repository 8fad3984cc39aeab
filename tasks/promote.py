"""Changing champions: the ledger decides by compare-and-set, the alias follows, the scorer sees it by itself."""

from datetime import datetime
from typing import Any

from prefect import task

from modelling.loadcheck import check_in_fresh_process
from registry.ledger import Change, Lease
from registry.promotion import promote, roll_back, rollback_target
from registry.rules import announcement
from tasks.champions import bundle_folder
from tasks.events import announce
from tasks.history import paused
from tasks.leases import holding
from tasks.policies import PLAIN
from tasks.site import Site
from tasks.telling import log
from validation.errors import NoChampionError, RefusedError
from validation.failpoints import reached
from validation.verdict import Verdict


@task(task_run_name="promote version {change.version}", **PLAIN)
def crown(site: Site, change: Change, *, epoch: int, lease: Lease) -> None:
    """Make the version champion if the epoch is still the one of the champion that it was compared with."""
    promote(site.ledger, site.store, change=change, expected_epoch=epoch, lease=lease)
    reached("retrain.promoted")
    announce("champion.promoted", site.name, version=change.version, as_of=change.data_time.isoformat())


def promote_version(site: Site, version: str, why: str, as_of: datetime) -> Verdict:
    """Promote by hand what the gate has passed: a version whose promotion was overtaken, or never finished."""
    _check_why(why, site.name)
    if (reason := paused(site.ledger, site.name)) is not None:
        raise RefusedError(f"{site.name!r} is paused ({reason}); nothing is promoted until: andon resume {site.name}")
    body = _passed(site, version)
    with holding(site, "retrain") as lease:
        if lease is None:
            raise RefusedError(f"a retrain of {site.name!r} is running; wait for it: andon status {site.name}")
        current = site.ledger.champion(site.name)
        if current is not None and current.change.version == version:
            raise RefusedError(f"version {version} of {site.name!r} is champion already; nothing is to be done")
        change = Change(
            pipeline=site.name,
            kind="promotion",
            version=version,
            bundle_sha256=body["bundle_sha256"],
            trained_until=datetime.fromisoformat(body["trained_until"]),
            why=why,
            data_time=as_of,
            actor=site.actor,
        )
        epoch = current.epoch if current else 0
        champion = promote(site.ledger, site.store, change=change, expected_epoch=epoch, lease=lease)
    announce("champion.promoted", site.name, version=version, as_of=as_of.isoformat())
    return announcement(champion)


def roll_back_to(site: Site, to: str | None, why: str, as_of: datetime) -> Verdict:
    """Put back an earlier champion, once a fresh process has loaded it and got its golden answers."""
    _check_why(why, site.name)
    target = rollback_target(site.ledger, pipeline=site.name, to=to)
    current = site.ledger.champion(site.name)
    if current is not None and current.change.version == target.version:
        raise RefusedError(f"version {target.version} of {site.name!r} is champion already; nothing is to be done")
    checked = check_in_fresh_process(bundle_folder(site, target), target.bundle_sha256)
    if not checked.ok:
        raise RefusedError(
            f"version {target.version} of {site.name!r} does not load and answer ({checked.error}); name another one: "
            f"andon history {site.name}"
        )
    champion = roll_back(
        site.ledger, site.store, pipeline=site.name, to=target.version, why=why, actor=site.actor, data_time=as_of
    )
    log.info("%s: rolled back to version %s (epoch %s): %s", site.name, champion.change.version, champion.epoch, why)
    announce("champion.rolled_back", site.name, version=champion.change.version, as_of=as_of.isoformat())
    return announcement(champion)


def _check_why(why: str, name: str) -> None:
    if not why.strip():
        raise RefusedError(f"say why the champion of {name!r} is changed: --why 'the reason, for those who come after'")


def _passed(site: Site, version: str) -> dict[str, Any]:
    """The gate's verdict on the version; it must be "promote"."""
    judged = site.ledger.verdicts(site.name, kind="gate", subject=version)
    if not judged:
        raise NoChampionError(f"the gate has judged no version {version!r} of {site.name!r}: andon history {site.name}")
    if judged[-1].outcome != "promote":
        raise RefusedError(
            f"the gate's verdict on version {version} of {site.name!r} is {judged[-1].outcome!r}: "
            f"{judged[-1].reasons[0]}"
        )
    return dict(judged[-1].body)
