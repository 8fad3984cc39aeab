"""Rows that two versions answered, the one for the caller and the other in the shadow, and what labels say of both."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from modelling.bundle import load
from modelling.labels import Classes, label_values
from modelling.metrics import row_losses
from registry.ledger import Change
from storage import tables
from storage.log_keeper import read_shadow
from storage.prediction_log import read_predictions
from storage.snapshot import LABELS, Question, known_labels
from tasks.accepted import accepted
from tasks.champions import bundle_folder
from tasks.site import Site
from tasks.taking import label_rules

Floats = npt.NDArray[np.float64]
_TICK = timedelta(microseconds=1)
_LIVE, _SHADOW = "_live", "_shadow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """Who is compared: `live` answered, `shadow` was written down, from `began` on (by the clock, as the log has it).

    Blocks of `block` length are counted from `since` (data time) on; rows from `until` on are left out.
    """

    began: datetime
    live: Change
    shadow: Change
    since: datetime
    until: datetime
    block: timedelta


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pairs:
    """`rows` that the shadow was given, `failed` of them; `skipped` besides: they could not be given to it.

    Of those whose label is mature, in blocks of time that are over: the `live` loss and that of the `shadow`, one each,
    and its block. `unlabelled`: those that may yet have one: young ones, and mature ones within the labels' grace.
    """

    rows: int
    failed: int
    skipped: int
    unlabelled: int
    live: Floats
    shadow: Floats
    blocks: npt.NDArray[np.int64]


def pairs(site: Site, pairing: Pairing, as_of: datetime) -> Pairs:
    """What is known at `as_of`."""
    said = read_shadow(site.lake.predictions(site.name), pairing.shadow.version, since=pairing.began).filter(
        pl.col("answered_by") == pairing.live.version
    )
    ok = said.filter(pl.col("prediction").is_not_null())
    failed, skipped = (said.filter(pl.col("outcome") == outcome).height for outcome in ("failed", "skipped"))
    answered = _answered(site, pairing, ok)
    labelled, unlabelled = _labelled(site, pairing, answered, as_of)
    live = _losses(site, pairing.live, labelled, _LIVE)
    shadow = _losses(site, pairing.shadow, labelled, _SHADOW)
    sound = np.isfinite(live) & np.isfinite(shadow)
    blocks = labelled["_block"].to_numpy().astype(np.int64)
    return Pairs(
        rows=ok.height + failed,
        failed=failed,
        skipped=skipped,
        unlabelled=unlabelled,
        live=live[sound],
        shadow=shadow[sound],
        blocks=blocks[sound],
    )


def over_by(pairing: Pairing, matured: datetime) -> int:
    """How many blocks of time are over and mature, if what lies before `matured` is; the last may be a shorter one."""
    if matured >= pairing.until:
        return -(-(pairing.until - pairing.since) // pairing.block)
    return max((matured - pairing.since) // pairing.block, 0)


def _answered(site: Site, pairing: Pairing, said: pl.DataFrame) -> pl.DataFrame:
    """Key, time and both predictions of each row whose time lies in the span."""
    spec = site.pipeline.spec
    schema = {name: dtype for name, dtype in site.pipeline.raw_schema.items() if name in {*spec.key, spec.time}}
    if not said.height:
        return pl.DataFrame(schema={**schema, _LIVE: pl.Float64(), _SHADOW: pl.Float64()})
    folder, ends = site.lake.predictions(site.name), {"since": pairing.since, "until": pairing.until}
    logged = read_predictions(folder, schema, key=spec.key, time=spec.time, **ends)
    other = said.select("prediction_id", pl.col("prediction").alias(_SHADOW))
    return (
        logged.filter(pl.col("version") == pairing.live.version)
        .join(other, on="prediction_id", how="inner")
        .select(*schema, pl.col("prediction").alias(_LIVE), _SHADOW)
    )


def _labelled(site: Site, pairing: Pairing, answered: pl.DataFrame, as_of: datetime) -> tuple[pl.DataFrame, int]:
    """The rows with a mature label, with their block of time, and how many others may yet have one."""
    spec, rules = site.pipeline.spec, label_rules(site)
    since = (pl.col(spec.time) - pl.lit(pairing.since)).dt.total_microseconds()
    rows = answered.with_columns(_block=since // int(pairing.block / _TICK))
    matured = as_of - rules.matures_after
    over = pl.col("_block") < over_by(pairing, matured)
    given_up = over & (pl.col(spec.time) < matured - rules.grace)
    table = tables.scan(site.lake.labels(site.name), site.lake.remote)
    if table is None:
        return rows.clear().with_columns(pl.lit(None, pl.Float64).alias(spec.target)), rows.filter(~given_up).height
    taken_in = {LABELS: tuple(accepted(site, LABELS))}
    question = Question(as_of=as_of, as_known_at=as_of, batches=taken_in)
    labels = known_labels(table, rules=rules, as_of=as_of, question=question)
    known = rows.lazy().join(labels, on=list(spec.key), how="left").collect()
    has = over & pl.col(spec.target).is_not_null()
    return known.filter(has), known.filter(~has & ~given_up).height


def _losses(site: Site, change: Change, rows: pl.DataFrame, column: str) -> Floats:
    """Of one of the two; nan where it has no prediction."""
    spec = site.pipeline.spec
    if not rows.height:
        return np.empty(0)
    classes: Classes = ()
    if spec.task == "multiclass":
        classes = load(bundle_folder(site, change), sha256=change.bundle_sha256).model.classes
    label = label_values(spec.task, rows[spec.target], classes)
    given = rows[column]
    prediction = given.list.to_array(len(classes)).to_numpy() if classes else given.to_numpy()
    return row_losses(spec.task, spec.metric, label, prediction)
