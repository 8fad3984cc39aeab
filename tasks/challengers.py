"""Making a challenger: trained on what lies before the holdout, or the one that lacked evidence, looked at again."""

import shutil
import time
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from math import isfinite

from prefect import task

from modelling import bundle
from modelling.bundle import Bundle
from modelling.jobs import Champion, Learned, Plan, learn
from modelling.leaks import in_words
from modelling.model import Model
from modelling.recipes import DEFAULT_RECIPES, Recipe
from modelling.splits import Split, just_after, split
from registry.ledger import Recorded
from tasks.apart import Ready, apart, own, ready
from tasks.champions import Incumbent, incumbent
from tasks.early_leaks import early_leaks
from tasks.orders import Order, RetrainOverError
from tasks.plans import earlier_rungs, forget_study, mark_of, newest_windows, plan_of, study_of, when_to_search
from tasks.policies import PLAIN
from tasks.telling import note
from validation.deeds import RungLoss, Trained
from validation.failpoints import reached


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Challenger:
    """A model trained before the holdout, the champion it wants to replace, and how it was made.

    `again`: it is the candidate of an earlier look, its bundle in the order's folder; otherwise it is new. `searched`:
    its recipe was, in this retrain or before that look. `ready`: the snapshot's rows as they were trained on, by which
    `plan`, and what was `learned`; None where nothing was trained.
    """

    proven: Model | None
    split: Split
    incumbent: Incumbent | None
    trained: Trained
    again: bool = False
    searched: bool = False
    ready: Ready | None = None
    plan: Plan | None = None
    learned: Learned | None = None


@task(task_run_name="train", **PLAIN)
def train_challenger(order: Order) -> Challenger:
    """The candidate that still lacks evidence, with all rows that came since; otherwise a new one is fitted: by the
    champion's recipe, or a searched one where a search is due. Where inputs know the target, the retrain is over.
    """
    challenger = _trained(order) if order.candidate is None else _again(order, order.candidate)
    note(order.site, challenger.trained, lease=order.lease)
    reached("retrain.trained")
    forget_study(order.site, order.intent)
    if challenger.trained.leaks:
        raise RetrainOverError(challenger.trained)
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
    plan = _plan(order, champion, rows)
    early = early_leaks(order.site, parts.train, champion)
    learned = Learned(model=None, leaks=early) if early else _learned(order, plan, parts, rows)
    trained = _outcome(order, plan, parts, learned)
    return Challenger(
        proven=own(order.site, learned.model) if learned.model else None,
        split=parts,
        incumbent=champion,
        trained=replace(trained, seconds=time.perf_counter() - started),
        searched=trained.searched,
        ready=rows,
        plan=plan,
        learned=learned,
    )


def _learned(order: Order, plan: Plan, parts: Split, rows: Ready) -> Learned:
    """What the training process makes of the rows before the holdout."""
    return apart(
        order.site,
        learn,
        plan,
        rows.within(parts.train),
        holdout=rows.within(parts.holdout),
        doing=f"retraining {order.site.name}",
    )


def _plan(order: Order, champion: Incumbent | None, rows: Ready) -> Plan:
    site, start, base = order.site, _start(order, champion), base_of(order, champion, rows)
    return plan_of(
        site.pipeline,
        rows.spec,
        start,
        champion=base,
        when=when_to_search(site, order.as_of, wanted=order.search),
        study=study_of(site, order.intent),
        earlier=earlier_rungs(site, start, base),
    )


def base_of(order: Order, champion: Incumbent | None, rows: Ready) -> Champion | None:
    """The champion and its bundle's sha256; None where another definition made it: its trees ask for other inputs."""
    known = champion.bundle if champion else None
    if known is None or known.manifest.definition_hash != order.site.pipeline.fingerprint:
        return None
    return replace(known.model, spec=rows.spec), known.sha256


def _outcome(order: Order, plan: Plan, parts: Split, learned: Learned) -> Trained:
    if learned.model is None:
        told = _told(order, parts, "not trained", in_words(learned.leaks), recipe=plan.start)
        return replace(told, leaks=tuple(dict.fromkeys(leak.column for leak in learned.leaks)))
    told = _told(order, parts, "trained", _in_words(order, parts, learned), recipe=learned.model.recipe)
    return replace(
        told,
        searched=learned.search is not None,
        losses=tuple(filter(isfinite, learned.search.trials)) if learned.search else (),
        rungs=tuple(RungLoss(**asdict(item)) for item in newest_windows(learned.tried)),
        rungs_of=mark_of(order.site.pipeline, plan.start),
        chosen=learned.chosen,
        champion_sha256=plan.champion[1] if plan.champion else "",
    )


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


def planned(order: Order, challenger: Challenger) -> tuple[Plan, Ready]:
    """By which plan, and on which rows, it was made, or would be if it were not kept from an earlier look."""
    if challenger.plan and challenger.ready:
        return challenger.plan, challenger.ready
    rows = ready(order.site, order.snapshot.rows)
    return _plan(order, challenger.incumbent, rows), rows


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
    return Challenger(
        proven=model,
        split=parts,
        incumbent=incumbent(order.site),
        trained=trained,
        again=True,
        searched=_was_searched(order, candidate),
    )


def _was_searched(order: Order, candidate: Recorded) -> bool:
    """Whether the training that made the candidate searched; yes, to be careful, when the ledger does not know it.

    NOTE: "kept" verdicts do not say so: by them a search would be due later than it is.
    """
    told = order.site.ledger.verdicts(order.site.name, kind="training", subject=order.intent.id)
    made = [item for item in told if item.outcome == "trained" and item.seq < candidate.seq]
    return not made or bool(made[-1].body["searched"])


def _candidate_bundle(order: Order, candidate: Recorded) -> Bundle:
    """Its bundle, in the order's folder."""
    shutil.rmtree(order.folder, ignore_errors=True)
    folder = order.site.store.fetch(order.site.name, candidate.subject, into=order.folder)
    return bundle.load(folder, sha256=candidate.body["bundle_sha256"])


def _start(order: Order, champion: Incumbent | None) -> Recipe:
    known = champion.bundle if champion else None
    return known.manifest.recipe if known else DEFAULT_RECIPES[order.site.pipeline.task][0]


def _in_words(order: Order, parts: Split, learned: Learned) -> str:
    missing, found = order.snapshot.missing, learned.search
    without = f"; left out are {missing:,} whose label never came" if missing else ""
    how = "the champion's parameters"
    if found is not None:
        how = f"searched: {found.words}, {found.ended}"
    return (
        f"{how}; {learned.why}; {parts.train.height:,} rows before {parts.trained_until:%Y-%m-%d %H:%M}, "
        f"{parts.holdout.height:,} held out from {parts.holdout_start:%Y-%m-%d %H:%M}{without}"
    )
