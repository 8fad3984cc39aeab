"""A run of scoring: which champion scores which partitions of a batch, and one after the other until none is missing.

Everything here can be repeated: the first plan of a run stands, what is scored stays as it is.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling import bundle
from modelling.batches import predictions_of
from modelling.bundle import Bundle
from registry.ledger import Batch, Champion
from storage import tables
from storage.log_parts import keep_part
from storage.masking import LogPolicy
from storage.outbox import Manifest, Outbox, outbox_of, run_id_of
from storage.partitions import Partition, cut, within
from storage.publishing.stamp import stamped
from storage.scatter import is_scattered, scattered
from tasks.asking import ask_scorer
from tasks.champions import bundle_folder
from tasks.lookups import looked_up
from tasks.progress import counting
from tasks.site import Site
from tasks.snapshots import BATCH_COLUMN
from tasks.telling import log
from validation.errors import RegistryError
from validation.failpoints import reached

_KNOWN_AT = "_known_at"
_EVER = datetime.max.replace(tzinfo=UTC)
_MOST_CELLS = 6_000_000  # of a partition: rows with very many columns come fewer at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRun:
    """A run that has begun: its plan, where its parts are, and the champion that scores it."""

    site: Site
    manifest: Manifest
    outbox: Outbox
    bundle: Bundle


def begin(site: Site, batch: Batch, champion: Champion, as_of: datetime) -> ScoreRun:
    """The batch's run: the one that somebody began before, with the champion of then, or a new one with this."""
    outbox = outbox_of(site.lake, site.name, run_id_of(site.name, batch.number), work=site.work)
    known = outbox.manifest()
    if known is not None and known.cut_by != pl.__version__ and outbox.missing(known):
        log.info("%s: run %s was cut by another Polars, and begins again", site.name, known.run_id)
        outbox.remove()
        known = None
    if known is None:
        known = outbox.begin(_plan(site, batch, champion, as_of))
    scoring = next(row for row in site.ledger.champions(site.name) if row.epoch == known.epoch)
    return ScoreRun(site=site, manifest=known, outbox=outbox, bundle=_bundle_of(site, scoring))


def fill(run: ScoreRun, *, through: str) -> None:
    """Score, log and put into the outbox what is missing there, partition by partition."""
    manifest, score = run.manifest, _through_scorer if through == "scorer" else _through_engine
    missing = run.outbox.missing(manifest)
    done = manifest.rows - sum(manifest.partitions[number].rows for number in missing)
    what = f"{manifest.pipeline}: scoring batch {manifest.batch}"
    with _reading(run, missing) as read, counting(what, manifest.rows, done=done) as count:
        partitions = (_partition(run, number, read) for number in missing)
        for number, rows in zip(missing, score(run, missing, partitions), strict=True):
            run.outbox.put(number, rows)
            reached("score.part")
            count(manifest.partitions[number].rows)


def _plan(site: Site, batch: Batch, champion: Champion, as_of: datetime) -> Manifest:
    spec = site.pipeline.spec
    at_most = max(1, min(site.settings.score_rows, _MOST_CELLS // len(site.pipeline.raw_schema)))
    partitions = cut(_batch_rows(site, batch.number), time=spec.time, key=spec.key, at_most=at_most)
    return Manifest(
        pipeline=site.name,
        run_id=run_id_of(site.name, batch.number),
        batch=batch.number,
        sequence=0,
        version=champion.change.version,
        bundle_sha256=champion.change.bundle_sha256,
        epoch=champion.epoch,
        snapshot=_bundle_of(site, champion).manifest.snapshot,
        scored_at=as_of,
        began_at=site.ledger.now(),
        partitions=partitions or (Partition(first=as_of, last=as_of, rows=0),),
    )


def _bundle_of(site: Site, champion: Champion) -> Bundle:
    return _load(bundle_folder(site, champion.change), champion.change.bundle_sha256)


@lru_cache(2)
def _load(folder: Path, sha256: str) -> Bundle:
    """Once for many batches: what has this digest never changes."""
    return bundle.load(folder, sha256=sha256)


def _batch_rows(site: Site, number: int) -> pl.LazyFrame:
    table = tables.scan(site.lake.curated(site.name), site.lake.remote)
    assert table is not None, "an accepted batch is in the table"  # noqa: S101 - the ledger says so
    return table.filter(pl.col(BATCH_COLUMN) == number)


@contextmanager
def _reading(run: ScoreRun, missing: Sequence[int]) -> Iterator[Callable[[int], pl.DataFrame]]:
    """What reads a partition by its number: a filtered scan; of rows in no order of time, what one pass has sorted out.

    NOTE: whoever holds the lease may take away what a dead process has left.
    """
    site, spec = run.site, run.site.pipeline.spec
    parts = {number: run.manifest.partitions[number] for number in missing}
    rows = _batch_rows(site, run.manifest.batch).select(*site.pipeline.source_schema, _KNOWN_AT)
    if not is_scattered(rows, list(parts.values()), time=spec.time):
        scans = {number: rows.filter(within(part, time=spec.time, key=spec.key)) for number, part in parts.items()}
        yield lambda number: scans[number].collect(engine="streaming")
        return
    folder = site.work / f"scatter-{site.name}"
    shutil.rmtree(folder, ignore_errors=True)
    with scattered(rows, parts, time=spec.time, key=spec.key, folder=folder) as read:
        yield read


def _partition(run: ScoreRun, number: int, read: Callable[[int], pl.DataFrame]) -> pl.DataFrame:
    """Its rows by time and key, with what is looked up for them: of what had come in when they came, and not now. So a
    repetition scores the same, and training sees what was scored.
    """
    site, part, spec = run.site, run.manifest.partitions[number], run.site.pipeline.spec
    rows = read(number).sort(spec.time, *spec.key)
    if rows.height != part.rows:
        raise RegistryError(
            f"{site.name}: {rows.height:,} rows of batch {run.manifest.batch} lie where {part.rows:,} lay when run "
            f"{run.manifest.run_id} began; remove the folder {run.outbox.folder}, and score again"
        )
    return looked_up(site, rows.lazy(), as_known_at=_EVER).select(list(site.pipeline.raw_schema)).collect()


def _through_engine(
    run: ScoreRun, numbers: Sequence[int], partitions: Iterable[pl.DataFrame]
) -> Iterator[pl.DataFrame]:
    """The partitions' rows for the channels, predicted in this process by the run's own champion, and logged."""
    predicted = predictions_of(run.bundle, partitions, threads=len(os.sched_getaffinity(0)))
    for number, (rows, predictions) in zip(numbers, predicted, strict=True):
        made = _stamped(run, _identity(run.site, rows).with_columns(_series(predictions)), number)
        _log(run, number, rows, made)
        reached("score.logged")
        yield made


def _through_scorer(
    run: ScoreRun, numbers: Sequence[int], partitions: Iterable[pl.DataFrame]
) -> Iterator[pl.DataFrame]:
    """The same, as the scorer returned and logged it: who answered, it says itself."""
    for number, rows in zip(numbers, partitions, strict=True):
        parts = [
            _identity(run.site, chunk).with_columns(
                pl.Series("prediction", answer.predictions),
                pl.lit(answer.version).alias("model_version"),
                pl.format("{}-{}", pl.lit(answer.prediction_id), pl.int_range(pl.len())).alias("prediction_id"),
            )
            for chunk, answer in ask_scorer(run.site, rows)
        ]
        yield _stamped(run, pl.concat(parts), number)


def _stamped(run: ScoreRun, rows: pl.DataFrame, number: int) -> pl.DataFrame:
    return stamped(rows, run.manifest.run, run.manifest.stamp, first=run.manifest.first_row(number))


def _identity(site: Site, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(list(dict.fromkeys([*site.pipeline.spec.key, site.pipeline.spec.time])))


def _series(predictions: NDArray[np.float64]) -> pl.Series:
    """Several classes as a list of their probabilities."""
    made = pl.Series("prediction", predictions)
    return made if predictions.ndim == 1 else made.cast(pl.List(pl.Float64))


def _log(run: ScoreRun, number: int, rows: pl.DataFrame, made: pl.DataFrame) -> None:
    """NOTE: a run that began again has other partitions, and so other files."""
    site, schema, began = run.site, run.site.pipeline.raw_schema, run.manifest.began_at
    told = made.select("prediction_id", pl.col("model_version").alias("version"), "prediction")
    keep_part(
        site.lake.predictions(site.name),
        f"{run.manifest.run_id}.{began:%Y%m%dT%H%M%S%f}.{number:05d}",
        pl.concat([told, rows], how="horizontal"),
        schema=schema,
        at=began,
        policy=LogPolicy.of(run.bundle.serving, site.settings, share=1),
    )
