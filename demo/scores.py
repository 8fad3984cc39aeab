"""What the year came to: losses of what was really answered against the controls, on the same rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from modelling.metrics import row_losses
from storage import tables
from storage.prediction_log import read_predictions
from storage.snapshot import known_labels
from tasks.site import Site, moment
from tasks.snapshots import label_rules

NAMES = ("andon", "never", "weekly")


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """Mean log loss of each of NAMES, over all judged rows and by week label ("2013-W14" -> name -> loss)."""

    rows: int
    overall: dict[str, float]
    by_week: dict[str, dict[str, float]]


def judge(site: Site, controls: pl.DataFrame | None) -> Losses:
    """Join the log's first prediction of each key with its label and the controls; rows without label do not count."""
    spec = site.pipeline.spec
    logged = read_predictions(
        site.lake.predictions(site.name), site.pipeline.raw_schema, key=spec.key, time=spec.time
    ).select(*spec.key, spec.time, pl.col("prediction").alias("andon"))
    labels = tables.scan(site.lake.labels(site.name), site.lake.remote)
    assert labels is not None, "the replay brought labels"  # noqa: S101 - it ends otherwise
    truth = known_labels(labels, rules=label_rules(site), as_of=moment(None)).collect()
    rows = logged.join(truth, on=spec.key)
    if controls is not None:
        rows = rows.join(controls, on=spec.key)
    names = [name for name in NAMES if name in rows.columns]
    label = rows[spec.target].cast(pl.Float64).to_numpy()
    losses = rows.select(pl.col(spec.time).dt.strftime("%G-W%V").alias("week")).with_columns(
        pl.Series(name, row_losses(spec.task, spec.metric, label, rows[name].to_numpy())) for name in names
    )
    return Losses(rows=rows.height, overall=_means(losses, names), by_week=_by_week(losses, names))


def gap_closed(losses: Losses) -> float | None:
    """(never - andon) / (never - weekly); None when weekly retraining gains nothing, so that there is no gap."""
    if not set(NAMES) <= losses.overall.keys():
        return None
    andon, never, weekly = (losses.overall[name] for name in NAMES)
    return (never - andon) / (never - weekly) if never > weekly else None


def _means(losses: pl.DataFrame, names: Sequence[str]) -> dict[str, float]:
    return {name: float(losses[name].mean() or 0.0) for name in names} if losses.height else {}  # type: ignore[arg-type]


def _by_week(losses: pl.DataFrame, names: Sequence[str]) -> dict[str, dict[str, float]]:
    weekly = losses.group_by("week").agg(pl.col(name).mean() for name in names)
    return {row["week"]: {name: row[name] for name in names} for row in weekly.iter_rows(named=True)}
