"""Making a challenger: trained on what lies before the holdout, or the one that lacked evidence, looked at again."""

import shutil
import time
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from prefect import task

from modelling import bundle
from modelling.bundle import Bundle
from modelling.jobs import Learned, Plan, learn
from modelling.leaks import in_words
from modelling.model import Model
from modelling.recipes import DEFAULT_RECIPES, Recipe
from modelling.splits import Split, just_after, split
from registry.ledger import Recorded
from tasks.apart import Ready, apart, own, ready
from tasks.champions import Incumbent, incumbent
from tasks.history import searched_at
from tasks.orders import Order
from tasks.policies import PLAIN
from tasks.telling import note
from validation.deeds import Trained
from validation.durations import span
from validation.failpoints import reached


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Challenger:
    """A model trained before the holdout, the champion it wants to replace, and how it was made.

    `again`: it is the candidate of an earlier look, its bundle in the order's folder; otherwise it is new. `ready`: the
    snapshot's rows as they were trained on, `learned`: what came of it; None where nothing was trained.
    """

    proven: Model | None
    split: Split
    incumbent: Incumbent | None
    trained: Trained
    again: bool = False
    ready: Ready | None = None
    learned: Learned | None = None


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
    if parts.shortfall is not None:
        trained = _told(order, parts, "not trained", parts.shortfall, recipe=_start(order, champion))
        return Challenger(proven=None, split=parts, incumbent=champion, trained=trained)
    rows = ready(order.site, order.snapshot.rows)
    learned = _learned(order, champion, parts, rows)
    trained = _outcome(order, champion, parts, learned)
    return Challenger(
        proven=own(order.site, learned.model) if learned.model else None,
        split=parts,
        incumbent=champion,
        trained=replace(trained, seconds=time.perf_counter() - started),
        ready=rows,
        learned=learned,
    )


def _learned(order: Order, champion: Incumbent | None, parts: Split, rows: Ready) -> Learned:
    """What the training process makes of the rows before the holdout."""
    return apart(
        order.site,
        learn,
        _plan(order, champion, rows),
        rows.within(parts.train),
        holdout=rows.within(parts.holdout),
        doing=f"retraining {order.site.name}",
    )


def _plan(order: Order, champion: Incumbent | None, rows: Ready) -> Plan:
    pipeline = order.site.pipeline
    return Plan(
        spec=rows.spec,
        start=_start(order, champion),
        champion=base_of(order, champion, rows),
        gap=span(pipeline.labels.matures_after),
        window=span(pipeline.retrain.holdout),
        min_gain=pipeline.gate.min_gain,
        search=pipeline.search,
        when=_when(order),
    )


def base_of(order: Order, champion: Incumbent | None, rows: Ready) -> tuple[Model, str] | None:
    """The champion and its bundle's sha256; None where another definition made it: its trees ask for other inputs."""
    known = champion.bundle if champion else None
    if known is None or known.manifest.definition_hash != order.site.pipeline.fingerprint:
        return None
    return replace(known.model, spec=rows.spec), known.sha256


def _when(order: Order) -> Literal["never", "if needed", "always"]:
    """A search is due on request, when there was none for long, and when the last challenger did not pass."""
    pipeline, ledger = order.site.pipeline, order.site.ledger
    last = searched_at(ledger, order.site.name)
    gates = ledger.verdicts(order.site.name, kind="gate", limit=1)
    failed = bool(gates) and gates[0].outcome != "promote"
    overdue = last is None or order.as_of - last >= span(pipeline.retrain.search_every)
    return "always" if order.search or failed or overdue else "if needed"


def _outcome(order: Order, champion: Incumbent | None, parts: Split, learned: Learned) -> Trained:
    if learned.model is None:
        told = _told(order, parts, "not trained", in_words(learned.leaks), recipe=_start(order, champion))
        return replace(told, leaks=tuple(dict.fromkeys(leak.column for leak in learned.leaks)))
    losses = learned.search.trials if learned.search else ()
    why = _in_words(parts, losses, missing=order.snapshot.missing)
    told = _told(order, parts, "trained", why, recipe=learned.model.recipe)
    return replace(told, searched=bool(losses), losses=losses)


def _told(order: Order, parts: Split, outcome: str, reason: str, *, recipe: Recipe) -> Trained:
    return Trained(
        pipeline=order.site.name,
        subject=order.intent.id,
        outcome=outcome,
        reasons=(reason,),
        data_time=order.as_of,
        snapshot=order.snapshot.id,
        rows=parts.train.height,
        searched=False,
        recipe={**recipe.params, "rounds": recipe.rounds},
    )


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
    why = f"version {candidate.subject} again, on {parts.holdout.height:,} rows from {since:%Y-%m-%d %H:%M} on"
    trained = _told(order, parts, "kept", why, recipe=model.recipe)
    return Challenger(proven=model, split=parts, incumbent=incumbent(order.site), trained=trained, again=True)


def _candidate_bundle(order: Order, candidate: Recorded) -> Bundle:
    """Its bundle, in the order's folder."""
    shutil.rmtree(order.folder, ignore_errors=True)
    folder = order.site.store.fetch(order.site.name, candidate.subject, into=order.folder)
    return bundle.load(folder, sha256=candidate.body["bundle_sha256"])


def _start(order: Order, champion: Incumbent | None) -> Recipe:
    known = champion.bundle if champion else None
    return known.manifest.recipe if known else DEFAULT_RECIPES[order.site.pipeline.task][0]


def _in_words(parts: Split, losses: tuple[float, ...], *, missing: int) -> str:
    without = f"; left out are {missing:,} whose label never came" if missing else ""
    how = f"searched: {len(losses)} trials, best {min(losses):.5f}" if losses else "the champion's recipe"
    return (
        f"{how}; {parts.train.height:,} rows before {parts.trained_until:%Y-%m-%d %H:%M}, "
        f"{parts.holdout.height:,} held out from {parts.holdout_start:%Y-%m-%d %H:%M}{without}"
    )
