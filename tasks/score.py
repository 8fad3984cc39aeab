"""Scoring one accepted batch: ask the champion, log, deliver, and only then write it down.

A repetition is harmless: the log counts the first prediction of a key, a delivery is made once per batch.
"""

from datetime import UTC, datetime

import polars as pl
from prefect import task

from registry.ledger import Batch, Champion
from storage import tables
from storage.prediction_log import PredictionLog
from storage.publish import Delivered, Stamp, deliver, stamped
from tasks.asking import ask_scorer
from tasks.champions import champion_bundle
from tasks.events import announce
from tasks.history import unscored
from tasks.leases import holding
from tasks.lookups import looked_up
from tasks.policies import IDEMPOTENT_IO
from tasks.site import Site, open_sites
from tasks.snapshots import BATCH_COLUMN
from tasks.telling import log, note
from validation.deeds import Scored, skipped
from validation.errors import NoChampionError
from validation.failpoints import reached
from validation.verdict import Verdict

_KNOWN_AT = "_known_at"
_EVER = datetime.max.replace(tzinfo=UTC)


def sites_with_champion(pipeline: str | None) -> tuple[Site, ...]:
    """The site of one pipeline (NoChampionError when it has no champion), or of all that have one."""
    sites = tuple(site for site in open_sites(pipeline) if site.ledger.champion(site.name) is not None)
    if pipeline and not sites:
        raise NoChampionError(f"{pipeline!r} has no champion yet; train one first: andon retrain {pipeline}")
    return sites


def batches_to_score(site: Site) -> tuple[Batch, ...]:
    """Accepted batches without predictions, oldest first."""
    return unscored(site.ledger, site.name)


@task(task_run_name="score batch {batch.number}", **IDEMPOTENT_IO)
def score_batch(site: Site, batch: Batch, as_of: datetime, *, through: str) -> Verdict:
    """Score, log and deliver one batch under the pipeline's score lease; returns what was done."""
    with holding(site, "score") as lease:
        champion = site.ledger.champion(site.name)
        if lease is None or champion is None:
            return skipped("score", site.name, f"another process is scoring; batch {batch.number} is next", as_of)
        if batch not in unscored(site.ledger, site.name):
            return skipped("score", site.name, f"another process has scored batch {batch.number} meanwhile", as_of)
        rows = _rows_of(site, batch)
        reached("score.started")
        predicted = _through_scorer(site, rows) if through == "scorer" else _through_engine(site, rows, batch)
        reached("score.predicted")
        delivered = _deliver(site, champion, predicted, batch, as_of)
        reached("score.delivered")
        verdict = _scored(site, batch, predicted, delivered, as_of=as_of, through=through)
        note(site, verdict, lease=lease)
        reached("score.recorded")
    announce("window.scored", site.name, batch=batch.number, as_of=as_of.isoformat())
    return verdict


def _rows_of(site: Site, batch: Batch) -> pl.DataFrame:
    table = tables.scan(site.lake.curated(site.name), site.lake.remote)
    assert table is not None, "an accepted batch is in the table"  # noqa: S101 - the ledger says so
    mine = table.filter(pl.col(BATCH_COLUMN) == batch.number).sort(site.pipeline.spec.time, *site.pipeline.spec.key)
    rows = mine.select(*site.pipeline.source_schema, _KNOWN_AT).collect()
    # What had come in when they came, and not now: a repetition scores the same, and training sees what was scored.
    return looked_up(site, rows.lazy(), as_known_at=_EVER).select(list(site.pipeline.raw_schema)).collect()


def _through_scorer(site: Site, rows: pl.DataFrame) -> pl.DataFrame:
    """Key, time, prediction, and who answered, as the scorer returned and logged it."""
    parts = [
        _identity(site, chunk).with_columns(
            pl.Series("prediction", answer.predictions),
            pl.lit(answer.version).alias("model_version"),
            pl.format("{}-{}", pl.lit(answer.prediction_id), pl.int_range(pl.len())).alias("prediction_id"),
        )
        for chunk, answer in ask_scorer(site, rows)
    ]
    return pl.concat(parts)


def _through_engine(site: Site, rows: pl.DataFrame, batch: Batch) -> pl.DataFrame:
    """The same, by the champion's bundle in this process; logged here."""
    found = champion_bundle(site)
    assert found is not None, "the caller has seen a champion"  # noqa: S101 - and champions are never taken away
    champion, bundle = found
    version, run = champion.change.version, f"{site.name}-{batch.number}"
    predictions = bundle.predict(rows)
    with PredictionLog(site.lake.predictions(site.name), site.pipeline.raw_schema) as written:
        if not written.write(version, rows, predictions, prediction_id=run, at=site.ledger.now()):
            log.warning("%s: the predictions of batch %s could not be logged", site.name, batch.number)
    return _identity(site, rows).with_columns(
        pl.Series("prediction", predictions.tolist()),
        pl.lit(version).alias("model_version"),
        pl.format("{}-{}", pl.lit(run), pl.int_range(pl.len())).alias("prediction_id"),
    )


def _identity(site: Site, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(list(dict.fromkeys([*site.pipeline.spec.key, site.pipeline.spec.time])))


def _deliver(site: Site, champion: Champion, predicted: pl.DataFrame, batch: Batch, as_of: datetime) -> Delivered:
    where = site.pipeline.delivery
    run = f"{site.name}-{batch.number}"
    stamp = Stamp(pipeline=site.name, version=champion.change.version, epoch=champion.epoch, scored_at=as_of)
    return deliver(
        stamped(predicted, stamp, run_id=run),
        run_id=run,
        files=site.lake.delivery(where.files) if where.files else None,
        table=site.lake.delivery(where.table) if where.table else None,
        remote=site.lake.remote,
        work=site.work,
    )


def _scored(
    site: Site, batch: Batch, predicted: pl.DataFrame, delivered: Delivered, *, as_of: datetime, through: str
) -> Scored:
    versions = tuple(predicted["model_version"].unique().sort())
    places = tuple(str(place) for place in (delivered.file, delivered.table) if place)
    told = f"{predicted.height:,} rows of {batch.name} were scored by version {', '.join(versions)}"
    return Scored(
        pipeline=site.name,
        subject=str(batch.number),
        outcome="scored",
        reasons=(f"{told} and delivered to {len(places)} places",),
        data_time=as_of,
        rows=predicted.height,
        versions=versions,
        span=batch.span,
        through=through,
        delivered=places,
    )
