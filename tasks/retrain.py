"""Having a challenger judged: on rows that it has not seen; what passes is refitted on everything mature."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
from prefect import task

from modelling import bundle
from modelling.loadcheck import check_in_fresh_process
from modelling.model import Model
from modelling.refit_check import against_refit
from modelling.refitting import Unseen, refit
from tasks.apart import apart, own, ready
from tasks.card_facts import Behind
from tasks.challengers import Challenger, base_of
from tasks.evidence import Compared, compare, evidence_of, guards_before_refit, guards_of
from tasks.orders import Order
from tasks.policies import PLAIN
from tasks.profiles import recent_of, reference_of
from tasks.settling import Filed
from tasks.submissions import submission
from tasks.telling import note
from validation import gate
from validation.deeds import Trained
from validation.durations import span
from validation.failpoints import reached
from validation.gate import Evidence, GateVerdict, Guards


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The gate's verdict and the folder of the bundle that it is about; none where nothing could be trained.

    `behind`: what the model card shows of it.
    """

    verdict: GateVerdict
    folder: Path | None
    trained: Trained
    behind: Behind | None = None


@task(task_run_name="judge", **PLAIN)
def judge_challenger(order: Order, challenger: Challenger) -> Judged:
    """Champion and challenger on the same unseen rows; what may be promoted, by the gate or by the person whom it asks,
    is refitted on everything mature, and the gate judges these bytes. A refit that went wrong takes nothing away from
    what was proven: that stands for itself then.
    """
    compared = compare(order, challenger)
    evidence = evidence_of(order, challenger, compared)
    first = _ask_gate(order, challenger, evidence, guards_before_refit(order, challenger, compared))
    reached("retrain.compared")
    if challenger.proven is None or not (first.outcome == "promote" or first.asks):
        return _as_it_is(order, challenger, compared, first)
    return _refitted(order, challenger, compared, evidence)


@task(task_run_name="register", **PLAIN)
def register(order: Order, judged: Judged) -> Filed:
    """Give the challenger a version in the model store, and the ledger the gate's verdict on it."""
    verdict, folder = judged.verdict, judged.folder
    if folder is not None:
        told = submission(order, folder, verdict=verdict, trained=judged.trained, behind=judged.behind)
        version = order.site.store.register(told)
        shutil.rmtree(folder, ignore_errors=True)
        verdict = replace(verdict, subject=version, challenger_version=version)
    reached("retrain.registered")
    recorded = note(order.site, verdict, lease=order.lease)
    reached("retrain.recorded")
    return Filed(verdict=verdict, recorded=recorded)


def _as_it_is(order: Order, challenger: Challenger, compared: Compared, verdict: GateVerdict) -> Judged:
    """What does not pass is kept as it was judged; a candidate of an earlier look is its own bundle already."""
    if challenger.proven is None:
        return Judged(verdict=verdict, folder=None, trained=challenger.trained)
    if not challenger.again:
        _write(order, challenger.proven, loss=verdict.challenger_loss)
    reached("retrain.written")
    sha256, until = bundle.digest(order.folder), challenger.proven.trained_until
    verdict = replace(verdict, bundle_sha256=sha256, trained_until=until)
    behind = Behind(challenger=challenger, compared=compared, model=challenger.proven)
    return Judged(verdict=verdict, folder=order.folder, trained=challenger.trained, behind=behind)


def _refitted(order: Order, challenger: Challenger, compared: Compared, evidence: Evidence) -> Judged:
    proven = challenger.proven
    assert proven is not None  # noqa: S101 - the caller has checked
    refitted, unseen = _refit(order, challenger, proven)
    reached("retrain.refitted")
    against = against_refit(order.site.pipeline.spec, challenger.split, proven, refitted)
    model = proven if against else refitted
    _write(order, model, loss=float(evidence.challenger_loss.mean()), unseen=unseen)
    reached("retrain.written")
    sha256 = bundle.digest(order.folder)
    check = check_in_fresh_process(order.folder, sha256)
    reached("retrain.checked")
    guards = guards_of(order, challenger, compared, check, model)
    verdict = _ask_gate(order, challenger, replace(evidence, bundle_sha256=sha256), guards)
    reached("retrain.judged")
    reasons = (*verdict.reasons, *_unrefitted(against, model))
    verdict = replace(verdict, trained_until=model.trained_until, reasons=reasons)
    behind = Behind(challenger=challenger, compared=compared, model=model)
    return Judged(verdict=verdict, folder=order.folder, trained=challenger.trained, behind=behind)


def _unrefitted(against: tuple[str, ...], proven: Model) -> tuple[str, ...]:
    if not against:
        return ()
    kept = f"what was proven stands for itself, and knows rows before {proven.trained_until:%Y-%m-%d %H:%M} alone"
    return (f"not refitted on everything, since {'; '.join(against)}: {kept}",)


def _training_rows(order: Order) -> pl.DataFrame:
    """All mature rows of the training span, the holdout's included."""
    pipeline, rows = order.site.pipeline, order.snapshot.rows
    if pipeline.retrain.train == "all":
        return rows
    return rows.filter(pl.col(pipeline.spec.time) >= order.snapshot.until - span(pipeline.retrain.train))


def _refit(order: Order, challenger: Challenger, proven: Model) -> tuple[Model, Unseen]:
    """The proven recipe on everything, and what its like say to rows that they have not seen."""
    pipeline, training = order.site.pipeline, _training_rows(order)
    known = challenger.ready or ready(order.site, order.snapshot.rows)
    model, unseen = apart(
        order.site,
        refit,
        known.spec,
        known.within(training),
        proven.recipe,
        recent_of(order.site, training),
        champion=base_of(order, challenger.incumbent, known),
        seed=pipeline.search.seed,
        threads=pipeline.search.threads,
        doing=f"refitting {order.site.name}",
    )
    return own(order.site, model), unseen


def _ask_gate(order: Order, challenger: Challenger, evidence: Evidence, guards: Guards) -> GateVerdict:
    verdict = gate.judge(
        evidence,
        guards,
        policy=order.site.pipeline.gate,
        pipeline=order.site.name,
        subject=order.intent.id,
        as_of=order.as_of,
    )
    return replace(
        verdict,
        intent=order.intent.id,
        snapshot=order.snapshot.id,
        mature_rows=order.snapshot.rows.height,
        holdout_start=challenger.split.holdout_start,
        asks=verdict.asks if challenger.proven else "",  # without a version there is nothing to be asked about
    )


def _write(order: Order, model: Model, *, loss: float | None, unseen: Unseen | None = None) -> None:
    """The bundle of what would serve, in the order's folder, with its reference and the definition that made it.

    `unseen`: what is needed to know it later, when it may become champion.
    """
    pipeline, rows = order.site.pipeline, order.snapshot.rows
    reference = reference_of(order.site, model, rows, unseen=unseen)
    shutil.rmtree(order.folder, ignore_errors=True)
    bundle.write(
        order.folder,
        model=model,
        pipeline=pipeline.name,
        definition=pipeline.module_source,
        definition_hash=pipeline.fingerprint,
        snapshot=order.snapshot.id,
        rows=rows,
        profile_json=reference.profile_json,
        estimator_json=reference.estimator_json,
        holdout_loss=loss,
        learned=order.description,
    )
