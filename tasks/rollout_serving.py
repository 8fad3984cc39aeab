"""What people must know of a new champion and of who serves it, as findings: a champion that was found to be worse, a
scorer that refuses it, is degraded, or has fallen silent.

A scorer that nobody has ever seen is none: in embedded use there is no trouble without one. Who was seen to answer and
is silent for long is missed for a day; after that it is taken to be switched off.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from registry.ledger import Recorded
from registry.rollout_words import WATCH
from tasks.history import paused
from tasks.incidents import open_incidents
from tasks.live import scorer_status
from tasks.rollout_memo import Memo, read_memo, write_memo
from tasks.site import Site
from validation.watch.incidents import Finding, IncidentKind

PATIENCE = timedelta(minutes=10)  # a scorer is started anew, or moved, in less
SWITCHED_OFF = timedelta(days=1)
UNSETTLED = timedelta(minutes=1)  # so long it may be degraded, by a ledger that is started anew
OVER: Mapping[IncidentKind, str] = {
    "rollout": "another version serves now",
    "serving": "the scorer serves again, or is not missed any more",
}


def findings(site: Site) -> Iterator[Finding]:
    """What is wrong now."""
    yield from _of_the_champion(site)
    yield from _of_the_scorer(site)


def _of_the_champion(site: Site) -> Iterator[Finding]:
    """By the newest word on a watched champion, while it serves, or the one that was put back in its place."""
    champion = site.ledger.champion(site.name)
    row = next(iter(site.ledger.verdicts(site.name, kind="probation", limit=1)), None)
    if champion is None or row is None or row.outcome not in ("roll back", "told"):
        return
    back = champion.epoch == int(row.body["epoch"]) + 1 and champion.change.actor == WATCH
    if back or champion.epoch == row.body["epoch"]:
        yield _found(row, back=back, cord=paused(site.ledger, site.name))


def _found(row: Recorded, *, back: bool, cord: str | None) -> Finding:
    version, before = row.subject, str(row.body["previous"])
    told, doing = row.outcome == "told", f"it is to be rolled back to version {before}, and the next sweep tries again"
    if told:
        doing = row.reasons[-1]
    elif back:
        doing = f"version {before} serves again; version {version} is not promoted any more for a while"
    elif cord is not None:
        doing = (
            f"the cord is pulled ({cord}), so a person must act: andon rollback {row.pipeline} --why ...; once it is "
            f"released, the next sweep rolls back to version {before}"
        )
    return Finding(
        kind="rollout",
        about=f"version {version}, epoch {row.body['epoch']}",
        title=f"version {version} is worse than it was proven to be: {'rolled back' if back else 'it still serves'}",
        lines=row.reasons[:1],
        names=(str(row.body["found"]),),
        cause=_CAUSES.get(str(row.body["found"]), "not known"),
        doing=doing,
        severity="a person should look" if back else "a person must act",
        since=row.data_time.isoformat(),
    )


_CAUSES = {
    "errors": "requests hold something that this version cannot answer, or its surroundings have changed",
    "latency": "it is larger than the one before, or its features cost more",
    "quality": "what it was proven on is not what it is asked now",
}


def _of_the_scorer(site: Site) -> Iterator[Finding]:
    status, memo, now = scorer_status(site), read_memo(site), site.ledger.now()
    then = memo.seen(status, now)
    if then != memo:
        write_memo(site, then)
    if status is None:
        yield from _silent(site, then, now)
    elif status.startswith("refused"):
        yield _scorer(site, "the scorer refuses the champion", status, "its bundle, or what the scorer runs on")
    elif status.startswith("degraded") and then.degraded_since and now - then.degraded_since >= UNSETTLED:
        yield _scorer(site, "the scorer is degraded", status, "the ledger, or the model store, does not answer it")


def _silent(site: Site, memo: Memo, now: datetime) -> Iterator[Finding]:
    if memo.answered_at is not None and PATIENCE <= now - memo.answered_at < SWITCHED_OFF:
        since = f"it has not answered since {memo.answered_at:%Y-%m-%d %H:%M} UTC"
        yield _scorer(site, "the scorer does not answer any more", since, "it has died, or the network to it has")
    elif memo.answered_at is not None and now - memo.answered_at < PATIENCE:
        yield from (incident.finding for incident in open_incidents(site, "serving"))  # nothing new is known


def _scorer(site: Site, title: str, line: str, cause: str) -> Finding:
    return Finding(
        kind="serving",
        about=site.settings.scorer_url,
        title=title,
        lines=(line,),
        names=(title,),
        cause=cause,
        doing=f"what served before goes on where it can; see its log, and: andon check, andon status {site.name}",
        severity="a person must act",
    )
