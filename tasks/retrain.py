"""Making a challenger and having it judged: train on the past, judge on the newest week, refit what has passed."""

import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import msgspec
import polars as pl
from prefect import task

from modelling import bundle
from modelling.bundle import Bundle
from modelling.loadcheck import check_in_fresh_process
from modelling.recipes import DEFAULT_RECIPES, Recipe
from modelling.search import search
from modelling.splits import Split, split
from modelling.training import Model, fit
from registry.ledger import Champion
from registry.store import Learned, Submission
from tasks.champions import champion_bundle
from tasks.evidence import Challenger, evidence_of, guards_of, unchecked
from tasks.history import searched_at
from tasks.orders import Order
from tasks.policies import PLAIN
from tasks.profiles import reference_profile
from tasks.progress import progress
from tasks.telling import as_markdown, note
from validation import gate
from validation.deeds import Trained
from validation.durations import span
from validation.failpoints import reached
from validation.gate import Evidence, GateVerdict, Guards


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
        reasons=(parts.shortfall or _in_words(parts, losses, missing=order.snapshot.missing),),
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
    evidence = evidence_of(order, challenger)
    first = _ask_gate(order, evidence, unchecked(order, challenger))
    model = challenger.proven
    if first.outcome != "promote" or model is None:
        _write(order, model, folder, loss=first.challenger_loss)
        return Judged(verdict=first, folder=folder, trained=challenger.trained)
    refit = _refit(order, model)
    reached("retrain.refitted")
    _write(order, refit, folder, loss=first.challenger_loss)
    sha256 = bundle.digest(folder)
    check = check_in_fresh_process(folder, sha256)
    guards = guards_of(order, challenger, check, refit)
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


def _refit(order: Order, proven: Model) -> Model:
    """The proven recipe on all mature rows of the training span, the holdout's included."""
    pipeline, rows = order.site.pipeline, order.snapshot.rows
    if pipeline.retrain.train != "all":
        since = order.snapshot.until - span(pipeline.retrain.train)
        rows = rows.filter(pl.col(pipeline.spec.time) >= since)
    return fit(proven.spec, rows, proven.recipe, seed=pipeline.search.seed, threads=pipeline.search.threads)


def _in_words(parts: Split, losses: tuple[float, ...], *, missing: int) -> str:
    without = f"; left out are {missing:,} whose label never came" if missing else ""
    how = f"searched: {len(losses)} trials, best {min(losses):.5f}" if losses else "the champion's recipe"
    return (
        f"{how}; {parts.train.height:,} rows before {parts.trained_until:%Y-%m-%d %H:%M}, "
        f"{parts.holdout.height:,} held out from {parts.holdout_start:%Y-%m-%d %H:%M}{without}"
    )


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
            learned=order.description,
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
        learned=_learned(order),
    )


def _learned(order: Order) -> Learned:
    """What the model store shows of the snapshot; the whole description is in the ledger."""
    description, schema = order.description, order.snapshot.rows.schema
    told = msgspec.to_builtins(replace(description, columns={}))
    return Learned(
        name=order.site.name,
        digest=description.digest,
        source=str(order.site.lake.curated(order.site.name)),
        columns={name: str(dtype) for name, dtype in schema.items()},
        profile={"num_rows": description.rows, **told},
    )
