"""Making a challenger and having it judged: train on the past, judge on the newest week, refit what has passed."""

import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from prefect import task

from modelling import bundle
from modelling.bundle import Bundle
from modelling.loadcheck import LoadCheck, check_in_fresh_process
from modelling.metrics import baseline_prediction, row_losses
from modelling.recipes import DEFAULT_RECIPES, Recipe
from modelling.search import search
from modelling.spec import Spec
from modelling.splits import Split, split
from modelling.training import Model, fit
from registry.ledger import Champion
from registry.store import Submission
from tasks.champions import champion_bundle
from tasks.failpoints import reached
from tasks.history import searched_at
from tasks.monitor import days
from tasks.orders import Order
from tasks.policies import PLAIN
from tasks.profiles import reference_profile
from tasks.progress import progress
from tasks.telling import as_markdown, note
from validation import gate
from validation.deeds import Trained
from validation.durations import span
from validation.gate import Evidence, GateVerdict, Guards
from validation.refit import guard_refit

Floats = npt.NDArray[np.float64]
_CHECK_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Challenger:
    """A model trained before the holdout, the champion it wants to replace, and how it was made."""

    proven: Model | None
    split: Split
    champion: tuple[Champion, Bundle] | None
    trained: Trained


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """The gate's verdict and the folder of the bundle that it is about (the refit one if it passed)."""

    verdict: GateVerdict
    folder: Path
    trained: Trained


@task(task_run_name="train", **PLAIN)
def train_challenger(order: Order) -> Challenger:
    """Fit the champion's recipe, or a searched one where a search is due, on all that lies before the holdout."""
    pipeline, started = order.site.pipeline, time.perf_counter()
    champion = champion_bundle(order.site)
    parts = split(
        order.snapshot.rows,
        time=pipeline.spec.time,
        holdout=pipeline.retrain.holdout,
        gap=pipeline.labels.matures_after,
        train=pipeline.retrain.train,
        holdout_from=champion[0].change.trained_until if champion else None,
    )
    recipe, model = _start(order, champion), None
    losses: tuple[float, ...] = ()
    if parts.shortfall is None:
        recipe, losses = _searched(order, parts, recipe)
        model = fit(pipeline.spec, parts.train, recipe, seed=pipeline.search.seed, threads=pipeline.search.threads)
    trained = Trained(
        pipeline=order.site.name,
        subject=order.intent.id,
        outcome="trained" if model else "not trained",
        reasons=(parts.shortfall or _in_words(parts, losses),),
        data_time=order.as_of,
        snapshot=order.snapshot.id,
        rows=parts.train.height,
        searched=bool(losses),
        recipe={**recipe.params, "rounds": recipe.rounds},
        losses=losses,
        seconds=time.perf_counter() - started,
    )
    note(order.site, trained, lease=order.lease)
    reached("retrain.trained")
    return Challenger(proven=model, split=parts, champion=champion, trained=trained)


@task(task_run_name="judge", **PLAIN)
def judge_challenger(order: Order, challenger: Challenger) -> Judged:
    """Champion and challenger on the same unseen rows; what passes is refitted on everything mature and checked."""
    folder = order.site.work / f"{order.intent.id}-{order.intent.attempt}"
    shutil.rmtree(folder, ignore_errors=True)
    evidence = _evidence(order, challenger)
    first = _ask_gate(order, evidence, _unchecked(order, challenger))
    model = challenger.proven
    if first.outcome != "promote" or model is None:
        _write(order, model, folder, loss=first.challenger_loss)
        return Judged(verdict=first, folder=folder, trained=challenger.trained)
    search = order.site.pipeline.search
    refit = fit(model.spec, order.snapshot.rows, model.recipe, seed=search.seed, threads=search.threads)
    reached("retrain.refitted")
    _write(order, refit, folder, loss=first.challenger_loss)
    sha256 = bundle.digest(folder)
    check = check_in_fresh_process(folder, sha256, _CHECK_SECONDS)
    guards = _guards(order, challenger, check, refit)
    verdict = _ask_gate(order, replace(evidence, bundle_sha256=sha256), guards)
    reached("retrain.judged")
    return Judged(
        verdict=replace(verdict, trained_until=refit.trained_until), folder=folder, trained=challenger.trained
    )


@task(task_run_name="register", **PLAIN)
def register(order: Order, judged: Judged) -> GateVerdict:
    """Give the challenger a version in the model store, and the ledger the gate's verdict on it."""
    verdict = judged.verdict
    if judged.folder.is_dir():
        version = order.site.store.register(_submission(order, judged))
        shutil.rmtree(judged.folder, ignore_errors=True)
        verdict = replace(verdict, subject=version, challenger_version=version)
    reached("retrain.registered")
    note(order.site, verdict, lease=order.lease)
    reached("retrain.recorded")
    return verdict


def _start(order: Order, champion: tuple[Champion, Bundle] | None) -> Recipe:
    return champion[1].manifest.recipe if champion else DEFAULT_RECIPES[order.site.pipeline.task][0]


def _searched(order: Order, parts: Split, start: Recipe) -> tuple[Recipe, tuple[float, ...]]:
    """The searched recipe and its trials where a search is due: none for long, or the last challenger did not pass."""
    pipeline, ledger = order.site.pipeline, order.site.ledger
    last = searched_at(ledger, order.site.name)
    gates = ledger.verdicts(order.site.name, kind="gate", limit=1)
    failed = bool(gates) and gates[0].outcome != "promote"
    overdue = last is None or order.as_of - last >= span(pipeline.retrain.search_every)
    if not (failed or overdue):
        return start, ()
    with progress(f"search for {order.site.name}", pipeline.search.budget_seconds) as report:
        found = search(
            pipeline.spec,
            parts.train,
            start=start,
            policy=pipeline.search,
            gap=pipeline.labels.matures_after,
            progress=report,
        )
    return found.recipe, found.trials


def _in_words(parts: Split, losses: tuple[float, ...]) -> str:
    how = f"searched: {len(losses)} trials, best {min(losses):.5f}" if losses else "the champion's recipe"
    return (
        f"{how}; {parts.train.height:,} rows before {parts.trained_until:%Y-%m-%d %H:%M}, "
        f"{parts.holdout.height:,} held out from {parts.holdout_start:%Y-%m-%d %H:%M}"
    )


def _evidence(order: Order, challenger: Challenger) -> Evidence:
    """Per-row losses of both on the holdout; without a champion, the best constant of the training rows stands in."""
    spec, rows = order.site.pipeline.spec, challenger.split.holdout
    version = challenger.champion[0].change.version if challenger.champion else ""
    if challenger.proven is None:
        champion_loss = challenger_loss = np.zeros(0)
        rows = rows.clear()
    else:
        challenger_loss = _losses(challenger.proven, spec, rows)
        champion_loss = _losses(challenger.champion[1], spec, rows) if challenger.champion else _base(challenger)
    return Evidence(
        champion_loss=champion_loss,
        challenger_loss=challenger_loss,
        blocks=days(rows[spec.time]),
        slices={name: rows[name].to_list() for name in order.site.pipeline.gate.slices},
        champion_version=version,
        champion_is="champion" if challenger.champion else "base rate",
    )


def _losses(model: Model | Bundle, spec: Spec, rows: pl.DataFrame) -> Floats:
    return row_losses(spec.task, spec.metric, model.labels(rows), model.predict(rows))


def _base(challenger: Challenger) -> Floats:
    assert challenger.proven is not None  # noqa: S101 - the caller has checked
    model, parts = challenger.proven, challenger.split
    constant = baseline_prediction(model.spec.task, model.spec.metric, model.labels(parts.train))
    return row_losses(model.spec.task, model.spec.metric, model.labels(parts.holdout), constant)


def _ask_gate(order: Order, evidence: Evidence, guards: Guards) -> GateVerdict:
    verdict = gate.judge(
        evidence,
        guards,
        policy=order.site.pipeline.gate,
        pipeline=order.site.name,
        subject=order.intent.id,
        as_of=order.as_of,
    )
    return replace(verdict, intent=order.intent.id, snapshot=order.snapshot.id, mature_rows=order.snapshot.rows.height)


def _unchecked(order: Order, challenger: Challenger) -> Guards:
    """Guards for the first look, which decides whether a refit and its checks are worth their time."""
    return Guards(
        load_ok=True,
        latency_ms=0.0,
        size_mb=0.0,
        calibration_bias=_bias(challenger),
        coverage=order.snapshot.coverage,
        min_coverage=order.site.pipeline.labels.min_coverage,
    )


def _guards(order: Order, challenger: Challenger, check: LoadCheck, refit: Model) -> Guards:
    spec, rows = order.site.pipeline.spec, challenger.split.holdout
    assert challenger.proven is not None  # noqa: S101 - the caller has checked
    proven, label = challenger.proven, challenger.proven.labels(rows)
    before, after = proven.predict(rows), refit.predict(rows)
    return Guards(
        load_ok=check.ok,
        load_error=check.error,
        latency_ms=check.latency_ms,
        size_mb=check.size_mb,
        calibration_bias=_bias(challenger),
        refit=guard_refit(
            proven_prediction=before,
            refit_prediction=after,
            proven_loss=row_losses(spec.task, spec.metric, label, before),
            refit_loss=row_losses(spec.task, spec.metric, label, after),
            label=label,
            task=spec.task,
        ),
        coverage=order.snapshot.coverage,
        min_coverage=order.site.pipeline.labels.min_coverage,
    )


def _bias(challenger: Challenger) -> float | None:
    if challenger.proven is None or challenger.proven.classes:
        return None
    rows = challenger.split.holdout
    return float(np.mean(challenger.proven.labels(rows) - challenger.proven.predict(rows)))


def _write(order: Order, model: Model | None, folder: Path, *, loss: float | None) -> None:
    """The bundle of what would serve, with its profile and the definition that made it."""
    pipeline, rows = order.site.pipeline, order.snapshot.rows
    if model is not None:
        bundle.write(
            folder,
            model=model,
            pipeline=pipeline.name,
            definition=pipeline.module_source,
            definition_hash=pipeline.fingerprint,
            snapshot=order.snapshot.id,
            rows=rows,
            profile_json=reference_profile(order.site, model, rows).to_json(),
            holdout_loss=loss,
        )


def _submission(order: Order, judged: Judged) -> Submission:
    verdict, trained = judged.verdict, judged.trained
    numbers = {
        name: float(value)
        for name, value in asdict(verdict).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    slices = {f"slice_gain.{item.column}.{item.value}": item.gain for item in verdict.slices}
    return Submission(
        pipeline=order.site.name,
        bundle=judged.folder,
        bundle_sha256=bundle.digest(judged.folder),
        intent=order.intent.id,
        attempt=order.intent.attempt,
        verdict=verdict.outcome,
        metrics={**numbers, **slices, "training_seconds": trained.seconds},
        params={**trained.recipe, "searched": trained.searched, "rows": trained.rows},
        tags={"snapshot": verdict.snapshot, "champion": verdict.champion_version, "why": order.intent.reason},
        trials=trained.losses,
        notes=as_markdown("Why", [trained, verdict]),
    )
