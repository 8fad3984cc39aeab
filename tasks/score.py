"""Scoring one accepted batch: by partitions into the outbox, then by each channel, and only then it is written down.

A repetition is harmless: it goes on where the outbox ends, the log has each row once, a delivery is made once per run.
"""

from datetime import datetime

from prefect import task

from registry.ledger import Batch
from tasks.events import announce
from tasks.history import unscored
from tasks.leases import holding
from tasks.policies import IDEMPOTENT_IO
from tasks.score_delivery import Delivery, deliver, finish, unfinished_deliveries
from tasks.score_run import ScoreRun, begin, fill
from tasks.site import Site, open_sites
from tasks.telling import note
from validation.deeds import Scored, skipped
from validation.errors import NoChampionError
from validation.failpoints import reached
from validation.verdict import Verdict


def sites_with_champion(pipeline: str | None) -> tuple[Site, ...]:
    """The site of one pipeline (NoChampionError when it has no champion), or of all that have one."""
    sites = tuple(site for site in open_sites(pipeline) if site.ledger.champion(site.name) is not None)
    if pipeline and not sites:
        raise NoChampionError(f"{pipeline!r} has no champion yet; train one first: andon retrain {pipeline}")
    return sites


def score_new(site: Site, as_of: datetime, *, through: str) -> list[Verdict]:
    """Score what has no predictions yet, batch by batch."""
    return [score_batch(site, batch, as_of, through=through) for batch in unscored(site.ledger, site.name)]


@task(task_run_name="score batch {batch.number}", **IDEMPOTENT_IO)
def score_batch(site: Site, batch: Batch, as_of: datetime, *, through: str) -> Verdict:
    """Score, log and deliver one batch under the pipeline's score lease; returns what was done."""
    with holding(site, "score") as lease:
        champion = site.ledger.champion(site.name)
        if lease is None or champion is None:
            return skipped("score", site.name, f"another process is scoring; batch {batch.number} is next", as_of)
        if batch not in unscored(site.ledger, site.name):
            return skipped("score", site.name, f"another process has scored batch {batch.number} meanwhile", as_of)
        reached("score.started")
        run = begin(site, batch, champion, as_of)
        reached("score.planned")
        fill(run, through=through)
        reached("score.predicted")
        delivery = deliver(site, run.outbox, run.manifest)
        reached("score.delivered")
        verdict = told_of(run, batch, delivery, through=through)
        note(site, verdict, lease=lease)
        reached("score.recorded")
        if not delivery.pending:
            run.outbox.remove()
    announce("window.scored", site.name, batch=batch.number, as_of=as_of.isoformat())
    return verdict


@task(task_run_name="finish deliveries of {site.name}", **IDEMPOTENT_IO)
def finish_deliveries(site: Site, as_of: datetime) -> tuple[Verdict, ...]:
    """Bring what some channel waits for, and clear up; nothing while another process scores."""
    if not unfinished_deliveries(site):
        return ()
    with holding(site, "score") as lease:
        return () if lease is None else tuple(finish(site, as_of, lease))


def told_of(run: ScoreRun, batch: Batch, delivery: Delivery, *, through: str) -> Scored:
    """What is written down of a run that is whole, when each channel had its turn."""
    manifest, versions = run.manifest, run.outbox.versions(run.manifest)
    told = f"{manifest.rows:,} rows of {batch.name} were scored by version {', '.join(versions) or manifest.version}"
    return Scored(
        pipeline=manifest.pipeline,
        subject=str(batch.number),
        outcome="pending" if delivery.pending else "scored",
        reasons=(f"{told} and delivered to {len(delivery.places)} places", *delivery.why),
        data_time=manifest.scored_at,
        rows=manifest.rows,
        versions=versions or (manifest.version,),
        span=batch.span,
        through=through,
        delivered=delivery.places,
        run_id=manifest.run_id,
        pending=delivery.pending,
    )
