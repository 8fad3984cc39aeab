"""Into the shadow: a challenger that the gate has passed, and to which a person has agreed where one was to be asked,
answers live rows silently before it may take over. Its intent waits meanwhile.

Approval comes first, the shadow last: between a person's yes and the promotion lies nothing but what rules can judge.
"""

from contextlib import suppress
from datetime import datetime, timedelta

from registry.ledger import Intent, Lease, Recorded
from tasks.rows import as_verdict
from tasks.site import Site
from tasks.telling import note
from validation.durations import span
from validation.errors import RefusedError
from validation.failpoints import reached
from validation.rollout_verdict import ShadowVerdict

SHADOW = "its time in the shadow"  # an intent's condition while its challenger answers silently


def goes_first(site: Site, judged: Recorded) -> bool:
    """Whether the version of the gate's verdict is to answer in the shadow: the definition wants it, it is meant, and
    there is a champion to answer in the meantime.
    """
    wanted = site.pipeline.rollout.shadow is not None and judged.body.get("mode") != "dry_run"
    return wanted and bool(judged.body["champion_version"]) and site.ledger.champion(site.name) is not None


def shadow_of(site: Site, judged: Recorded) -> Recorded | None:
    """The newest word on the time in the shadow that this verdict of the gate led to; None: it has had none."""
    rows = site.ledger.verdicts(site.name, kind="shadow", subject=judged.subject)
    return next((row for row in reversed(rows) if row.body["gate"] == judged.seq), None)


def into_shadow(site: Site, intent: Intent, judged: Recorded, *, lease: Lease | None, why: str = "") -> Recorded:
    """Let it answer in the shadow; the intent waits. Once for each verdict of the gate: who comes again gets the first.

    `why`: of the person who has agreed.
    """
    known = shadow_of(site, judged)
    row = known or note(site, _started(site, intent, judged, why), lease=lease)
    reached("shadow.started")
    if row.outcome == "started":
        until = datetime.fromisoformat(row.body["until"])
        with suppress(RefusedError):  # something has become of it at this moment, and the intent is closed
            site.ledger.defer(intent.id, until=until, condition=SHADOW, lease=lease)
    return row


def as_shadow(row: Recorded) -> ShadowVerdict:
    """The row as the verdict that it is."""
    return as_verdict(row, ShadowVerdict)


def _started(site: Site, intent: Intent, judged: Recorded, why: str) -> ShadowVerdict:
    champion = site.ledger.champion(site.name)
    # Data time goes on at least as fast as the clock: a person may have taken days to answer.
    since = judged.data_time + (site.ledger.now() - judged.recorded_at)
    until = since + span(site.pipeline.rollout.shadow or timedelta())
    told = f"version {judged.subject} answers in the shadow until {until:%Y-%m-%d %H:%M}, then it takes over"
    return ShadowVerdict(
        pipeline=site.name,
        subject=judged.subject,
        outcome="started",
        reasons=(f"{told} unless something speaks against it", *([why] if why else [])),
        data_time=since,
        intent=intent.id,
        gate=judged.seq,
        bundle_sha256=str(judged.body["bundle_sha256"]),
        trained_until=datetime.fromisoformat(judged.body["trained_until"]),
        epoch=champion.epoch if champion else 0,
        since=since,
        until=until,
    )
