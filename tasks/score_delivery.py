"""Delivering what was scored: by each channel, whatever becomes of the others, until all of them have it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from registry.ledger import Lease
from storage.outbox import Manifest, Outbox, outbox_of, run_id_of, runs_in
from storage.publishing.channels import Outcome, channels, publish_all
from tasks.history import Undelivered, undelivered, unscored
from tasks.site import Site
from tasks.telling import note
from validation.deeds import Delivered
from validation.failpoints import reached

_LONGEST_REASON = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What became of a run: the `places` that have it, the channels (`pending`) that wait, and `why` they do."""

    places: tuple[str, ...]
    pending: tuple[str, ...]
    why: tuple[str, ...]


def deliver(site: Site, outbox: Outbox, manifest: Manifest, *, only: Sequence[str] | None = None) -> Delivery:
    """Send the run by the pipeline's channels, or `only` by those of these names; never raises for a channel."""
    wanted = channels(
        site.pipeline.delivery,
        lake=site.lake,
        database=site.settings.delivery,
        key=site.pipeline.spec.key,
        work=site.work,
    )
    chosen = [channel for channel in wanted if only is None or channel.name in only]
    outcomes = publish_all(manifest.run, outbox.predictions(manifest), chosen)
    waiting = [outcome for outcome in outcomes if outcome.published is None]
    return Delivery(
        places=tuple(outcome.published.place for outcome in outcomes if outcome.published),
        pending=tuple(outcome.channel for outcome in waiting),
        why=tuple(_why(outcome) for outcome in waiting),
    )


def unfinished_deliveries(site: Site) -> str:
    """What is left to do, as a sentence; empty when nothing is."""
    if waiting := undelivered(site.ledger, site.name):
        channels = sorted({name for item in waiting for name in item.channels})
        return f"predictions of {len(waiting)} batches wait for {', '.join(channels)}"
    coming = {run_id_of(site.name, batch.number) for batch in unscored(site.ledger, site.name)}
    left = set(runs_in(site.lake, site.name)) - coming
    return f"the outboxes of {len(left)} runs that are done were left behind" if left else ""


def finish(site: Site, as_of: datetime, lease: Lease) -> Iterator[Delivered]:
    """Try again what waits, and take away the outboxes of runs that are done; a verdict for each that waited.

    What changed nothing is told, and not written down again: a channel may be down for days.
    """
    for waiting in undelivered(site.ledger, site.name):
        verdict = _deliver_again(site, waiting, as_of)
        if verdict.delivered or verdict.pending != waiting.channels:
            note(site, verdict, lease=lease)
            reached("score.finished")
        yield verdict
    clear(site)


def clear(site: Site) -> None:
    """Remove the outboxes that nobody waits for: all channels have what was in them."""
    waiting = {item.run_id for item in undelivered(site.ledger, site.name)}
    coming = {batch.number for batch in unscored(site.ledger, site.name)}
    for run_id in runs_in(site.lake, site.name):
        outbox = outbox_of(site.lake, site.name, run_id, work=site.work)
        manifest = outbox.manifest()
        if manifest is None or (run_id not in waiting and manifest.batch not in coming):
            outbox.remove()


def _deliver_again(site: Site, waiting: Undelivered, as_of: datetime) -> Delivered:
    outbox = outbox_of(site.lake, site.name, waiting.run_id, work=site.work)
    manifest = outbox.manifest()
    if manifest is None:
        gone = f"the outbox {outbox.folder} is gone: what waited for {', '.join(waiting.channels)} stands in the log of"
        return _verdict(site, waiting, "failed", (f"{gone} predictions alone",), as_of)
    done = deliver(site, outbox, manifest, only=waiting.channels)
    reached("score.redelivered")
    if not done.pending:
        told = f"to {', '.join(done.places)}" if done.places else "nowhere: the definition has no such channel any more"
        late = (f"the {manifest.rows:,} predictions of batch {waiting.batch} are delivered late {told}",)
        return _verdict(site, waiting, "delivered", late, as_of, places=done.places)
    return _verdict(site, waiting, "pending", done.why, as_of, places=done.places, pending=done.pending)


def _verdict(
    site: Site,
    waiting: Undelivered,
    outcome: str,
    reasons: tuple[str, ...],
    as_of: datetime,
    *,
    places: tuple[str, ...] = (),
    pending: tuple[str, ...] = (),
) -> Delivered:
    return Delivered(
        pipeline=site.name,
        subject=str(waiting.batch),
        outcome=outcome,
        reasons=reasons,
        data_time=as_of,
        run_id=waiting.run_id,
        delivered=places,
        pending=pending,
    )


def _why(outcome: Outcome) -> str:
    retried = "the next sweep tries again" if outcome.passes else "each sweep tries again, when that is mended"
    return f"{outcome.channel} waits: {outcome.error[:_LONGEST_REASON]}; {retried}"
