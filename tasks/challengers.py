"""Making a challenger: trained on what lies before the holdout, or the one that lacked evidence, looked at again."""

import shutil
import time
from dataclasses import dataclass
from datetime import datetime

from prefect import task

from modelling import bundle
from modelling.bundle import Bundle
from modelling.recipes import DEFAULT_RECIPES, Recipe
from modelling.splits import Split, just_after, split
from modelling.training import Model, fit
from modelling.tuning.search import search
from registry.ledger import Recorded
from tasks.champions import Incumbent, incumbent
from tasks.history import searched_at
from tasks.orders import Order
from tasks.policies import PLAIN
from tasks.progress import progress
from tasks.telling import note
from validation.deeds import Trained
from validation.durations import span
from validation.failpoints import reached


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Challenger:
    """A model trained before the holdout, the champion it wants to replace, and how it was made.

    `again`: it is the candidate of an earlier look, its bundle in the order's folder; otherwise it is new.
    """

    proven: Model | None
    split: Split
    incumbent: Incumbent | None
    trained: Trained
    again: bool = False


@task(task_run_name="train", **PLAIN)
def train_challenger(order: Order) -> Challenger:
    """The candidate that still lacks evidence, with all rows that came since; otherwise a new one is fitted: by the
    champion's recipe, or a searched one where a search is due.
    """
    challenger = _trained(order) if order.candidate is None else _again(order, order.candidate)
    note(order.site, challenger.trained, lease=order.lease)
    reached("retrain.trained")
    return challenger


def _trained(order: Order) -> Challenger:
    pipeline, started = order.site.pipeline, time.perf_counter()
    champion = incumbent(order.site)
    parts = split(
        order.snapshot.rows,
        time=pipeline.spec.time,
        holdout=pipeline.retrain.holdout,
        gap=pipeline.labels.matures_after,
        train=pipeline.retrain.train,
        holdout_from=champion.trained_until if champion else None,
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
    return Challenger(proven=model, split=parts, incumbent=champion, trained=trained)


def _again(order: Order, candidate: Recorded) -> Challenger:
    """The candidate as it was; its evidence is all that is mature from the first look's holdout on."""
    model = _candidate_bundle(order, candidate).model
    rows, moment = order.snapshot.rows, order.site.pipeline.spec.time
    since = datetime.fromisoformat(candidate.body["holdout_start"])
    parts = split(
        rows,
        time=moment,
        holdout=(just_after(rows, time=moment) or since) - since,
        gap=order.site.pipeline.labels.matures_after,
        train=order.site.pipeline.retrain.train,
        holdout_from=since,
    )
    trained = Trained(
        pipeline=order.site.name,
        subject=order.intent.id,
        outcome="kept",
        reasons=(
            f"version {candidate.subject} again, on {parts.holdout.height:,} rows from {since:%Y-%m-%d %H:%M} on",
        ),
        data_time=order.as_of,
        snapshot=order.snapshot.id,
        rows=parts.train.height,
        searched=False,
        recipe={**model.recipe.params, "rounds": model.recipe.rounds},
    )
    return Challenger(proven=model, split=parts, incumbent=incumbent(order.site), trained=trained, again=True)


def _candidate_bundle(order: Order, candidate: Recorded) -> Bundle:
    """Its bundle, in the order's folder."""
    shutil.rmtree(order.folder, ignore_errors=True)
    folder = order.site.store.fetch(order.site.name, candidate.subject, into=order.folder)
    return bundle.load(folder, sha256=candidate.body["bundle_sha256"])


def _start(order: Order, champion: Incumbent | None) -> Recipe:
    known = champion.bundle if champion else None
    return known.manifest.recipe if known else DEFAULT_RECIPES[order.site.pipeline.task][0]


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
            progress=lambda _doing, _share, best, left: report(0, best or 0.0, left or 0.0),
        )
    return found.recipe, found.trials


def _in_words(parts: Split, losses: tuple[float, ...], *, missing: int) -> str:
    without = f"; left out are {missing:,} whose label never came" if missing else ""
    how = f"searched: {len(losses)} trials, best {min(losses):.5f}" if losses else "the champion's recipe"
    return (
        f"{how}; {parts.train.height:,} rows before {parts.trained_until:%Y-%m-%d %H:%M}, "
        f"{parts.holdout.height:,} held out from {parts.holdout_start:%Y-%m-%d %H:%M}{without}"
    )
