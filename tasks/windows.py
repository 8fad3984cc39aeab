"""What became of the answers: the loss of each monitoring window as its labels mature, and again when they change."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl
from prefect import task

from modelling.bundle import load
from modelling.labels import label_values
from modelling.metrics import row_losses
from storage.digest import column_digests, frame_digest
from storage.prediction_log import read_predictions
from storage.snapshot import Snapshot
from tasks.champions import bundle_folder
from tasks.history import KEPT
from tasks.policies import PLAIN
from tasks.rows import as_verdict
from tasks.site import Site
from tasks.telling import log, note
from tasks.watch import Watch
from validation.durations import span
from validation.errors import RegistryError
from validation.failpoints import reached
from validation.watch.windows import Labelled, WindowVerdict, realised

TOLD = 6  # times that a window is told at most, by and large: estimated, by quarters, realised, corrected
REACH = 60  # so many windows back a label that comes late, or is corrected, opens its window again


@task(task_run_name="windows", **PLAIN)
def judge_labels(watch: Watch, snapshot: Snapshot | None, as_of: datetime) -> tuple[WindowVerdict, ...]:
    """Tell of each window, oldest first, what its labels say, where they say something new."""
    if watch.site.ledger.champion(watch.site.name) is None or snapshot is None or not snapshot.rows.height:
        return ()
    verdicts = tuple(_judged(watch.site, snapshot, as_of))
    for verdict in verdicts:
        note(watch.site, verdict, lease=watch.lease)
        reached("monitor.labels")
    return verdicts


def told_windows(site: Site) -> dict[str, WindowVerdict]:
    """The newest verdict on each window that a label may still change, and some more, by its start."""
    reach = _reach(site) // span(site.pipeline.monitor.every)
    rows = site.ledger.verdicts(site.name, kind="window", limit=max(4 * KEPT, TOLD * reach))
    return {row.subject: as_verdict(row, WindowVerdict) for row in rows}


def _judged(site: Site, snapshot: Snapshot, as_of: datetime) -> Iterator[WindowVerdict]:
    before = told_windows(site)
    matured = as_of - span(site.pipeline.labels.matures_after)
    for start, answered in _answered(site, snapshot, since=_since(site, as_of)):
        labelled = answered.filter(pl.col(site.pipeline.spec.target).is_not_null())
        verdict = realised(
            _labelled(site, labelled),
            pipeline=site.name,
            start=start,
            version=_most(answered["version"]),
            rows=answered.height,
            mature=start + span(site.pipeline.monitor.every) <= matured,
            before=before.get(start.isoformat()),
            as_of=as_of,
        )
        if verdict is not None:
            yield verdict


def _since(site: Site, as_of: datetime) -> datetime:
    every = span(site.pipeline.monitor.every)
    return pl.Series([as_of - _reach(site)]).dt.truncate(every)[0]  # type: ignore[no-any-return]  # of a moment, one


def _reach(site: Site) -> timedelta:
    every, labels = span(site.pipeline.monitor.every), site.pipeline.labels
    return max(REACH * every, span(labels.matures_after) + span(labels.grace) + every)


def _answered(site: Site, snapshot: Snapshot, *, since: datetime) -> Iterator[tuple[datetime, pl.DataFrame]]:
    """The answered rows of each window with a mature label in it, with the target where it is mature; in order."""
    spec = site.pipeline.spec
    schema = {name: dtype for name, dtype in site.pipeline.raw_schema.items() if name in _asked(site)}
    logged = read_predictions(site.lake.predictions(site.name), schema, key=spec.key, time=spec.time, since=since)
    labels = snapshot.rows.filter(pl.col(spec.time) >= since).select(*spec.key, spec.target)
    joined = logged.join(labels, on=list(spec.key), how="left", nulls_equal=True, maintain_order="left")
    window = pl.col(spec.time).dt.truncate(span(site.pipeline.monitor.every))
    parts = joined.with_columns(_window=window).partition_by("_window", as_dict=True, include_key=False)
    for (start,), rows in sorted(parts.items()):
        if rows[spec.target].null_count() < rows.height:
            yield start, rows


def _asked(site: Site) -> set[str]:
    """The raw columns that are needed: all others stay on the disk."""
    spec = site.pipeline.spec
    return {*spec.key, spec.time, *site.pipeline.gate.slices}


def _labelled(site: Site, rows: pl.DataFrame) -> Labelled:
    """Of each version its own answers: with several classes, each gives its own."""
    spec = site.pipeline.spec
    if spec.task == "multiclass":
        parts = [
            _of_classes(site, part, str(version))
            for (version,), part in rows.partition_by("version", as_dict=True).items()
        ]
        known = [part for part in parts if part is not None]
        rows = pl.concat([part for part, *_ in known]) if known else rows.clear()
        loss = np.concatenate([np.empty(0), *(losses for _, losses in known)])
        label, prediction = np.empty(rows.height), np.empty((rows.height, 0))
    else:
        label, prediction = label_values(spec.task, rows[spec.target]), rows["prediction"].to_numpy()
        loss = row_losses(spec.task, spec.metric, label, prediction)
    told = rows.select(*spec.key, spec.target).sort(*spec.key)
    return Labelled(
        loss=loss,
        label=label,
        prediction=prediction,
        slices={name: rows[name].to_list() for name in site.pipeline.gate.slices},
        digest=frame_digest(told.height, column_digests(told)),
    )


def _of_classes(site: Site, rows: pl.DataFrame, version: str) -> tuple[pl.DataFrame, npt.NDArray[np.float64]] | None:
    """The rows that this version answered and their losses; None where its bundle is not to be had any more."""
    spec = site.pipeline.spec
    change = next((item.change for item in site.ledger.champions(site.name) if item.change.version == version), None)
    try:
        classes = load(bundle_folder(site, change), sha256=change.bundle_sha256).model.classes if change else ()
    except RegistryError as error:
        log.warning("%s: the answers of version %s are left out: %s", site.name, version, error)
        classes = ()
    if not classes:
        return None
    label, given = label_values(spec.task, rows[spec.target], classes), rows["prediction"].list.to_array(len(classes))
    return rows, row_losses(spec.task, spec.metric, label, given.to_numpy())


def _most(versions: pl.Series) -> str:
    """The version that gave the most answers; the higher one of two."""
    counted = versions.value_counts().sort("count", "version", descending=True)
    return str(counted["version"][0])
