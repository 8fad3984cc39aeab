"""What a model card tells, gathered from what stands behind a challenger: the rows that judged it, its trees, and how
it was made. Reads the ledger for a candidate that is looked at again; writes nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from andon.pages.card_story import (
    CardSlice,
    CardStory,
    EffectBar,
    InputStory,
    LearningCurves,
    Measure,
    Measures,
    ReliabilityDot,
)
from andon.pages.words import short
from modelling.baselines import CONSTANT, LINEAR
from modelling.explain import Effect, Importance, InputImportance, importance, learning_curves
from modelling.jobs import Learned
from modelling.metric_table import METRIC_TABLE, metric_values
from modelling.metrics import baseline_prediction
from modelling.model import Model
from modelling.reliability import Reliability, reliability
from tasks import card_words as words
from tasks.card_making import learned_from, registered_from, rungs, small_slices
from tasks.challengers import Challenger
from tasks.evidence import Compared
from tasks.orders import Order
from validation.deeds import Trained
from validation.gate import GateVerdict

Array = NDArray[np.float64]
Metrics = Mapping[str, Mapping[str, float]]

_BASELINES = {LINEAR: "linear model", CONSTANT: "best constant"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Behind:
    """What stands behind a gate's verdict. `model`: the one that is registered, the refit or the challenger itself."""

    challenger: Challenger
    compared: Compared
    model: Model

    @property
    def is_refit(self) -> bool:
        """Whether other trees are registered than those that were judged; so also of a candidate of an earlier look."""
        return self.model is not self.challenger.proven


def card_story(
    order: Order, behind: Behind, *, verdict: GateVerdict, trained: Trained, sha256: str, measured: Metrics
) -> CardStory:
    """All that the card of this challenger tells; `measured`: its `evidence_metrics`."""
    spec, gate, compared = order.site.pipeline.spec, order.site.pipeline.gate, behind.compared
    metric = METRIC_TABLE[spec.task][spec.metric]
    found = importance(behind.model, compared.rows if compared.rows.height else order.snapshot.rows)
    trust = reliability(spec.task, compared.labels, compared.challenger.prediction)
    learned = behind.challenger.learned or Learned(model=None)
    return CardStory(
        pipeline=order.site.name,
        title=words.title(behind.model, sha256=sha256),
        as_of=f"{order.as_of:%Y-%m-%d %H:%M}",
        metric=metric.words,
        by=words.by(verdict, metric=metric.words),
        headline=words.headline(verdict, refitted=behind.is_refit, until=behind.model.trained_until),
        reasons=verdict.reasons,
        cards=words.cards(verdict, metric=words.by(verdict, metric=metric.words), trees=words.trees(behind.model)),
        measures=_measures(behind, measured, note=words.evidence(compared, time=spec.time, refitted=behind.is_refit)),
        slices=tuple(slices(verdict, compared, task=spec.task)),
        smaller=small_slices(compared.rows, gate.slices, least=gate.min_slice_rows),
        reliability=_dots(trust),
        said=words.trust(trust, task=spec.task),
        chances=spec.task != "regression",
        inputs=_inputs(found),
        asked=found.rows,
        unit="log-odds" if spec.task == "binary" else "the label's unit",
        how=words.how(order, trained, why=learned.why, again=behind.challenger.again),
        rungs=rungs(learned),
        curves=_curves(behind),
        trials=learned.search.trials if learned.search else (),
        search=words.search(learned.search),
        facts=words.recipe(behind.model, spec.training),
        data=_data(order, behind),
        leaks=words.leaks(spec.training, looked=behind.challenger.learned is not None, again=behind.challenger.again),
        limits=words.limits(behind.model, refitted=behind.is_refit, evidence=compared.evidence),
    )


def evidence_metrics(behind: Behind) -> Metrics:
    """By model ("challenger", "champion", and the baselines), the metrics of the evidence's rows by their names.

    The champion of several classes is left out where it knows other classes: its labels are other numbers.
    """
    compared, task = behind.compared, behind.model.spec.task
    asked: dict[str, Array] = {"challenger": compared.challenger.prediction}
    known = behind.challenger.incumbent
    classes = known.bundle.model.classes if known and known.bundle else ()
    if compared.champion is not None and classes == behind.model.classes:
        asked["champion"] = compared.champion.prediction
    if compared.evidence == "holdout":
        asked.update(_baselines(behind))
    return {name: metric_values(task, compared.labels, prediction) for name, prediction in asked.items()}


def slices(verdict: GateVerdict, compared: Compared, *, task: str) -> Iterator[CardSlice]:
    """Those that the gate has judged, in its order, with the losses behind the gain."""
    found = {name: _losses(compared, name, task=task) for name in {item.column for item in verdict.slices}}
    for item in verdict.slices:
        own = found[item.column].get(item.value, {})
        yield CardSlice(
            name=f"{item.column} = {item.value}",
            rows=item.rows,
            loss=own.get("loss", float("nan")),
            champion_loss=own.get("champion"),
            gain=item.gain,
            bias=own.get("bias"),
            worse=item.worse,
        )


def _data(order: Order, behind: Behind) -> tuple[tuple[str, str], ...]:
    judged = behind.challenger.proven or behind.model
    before = learned_from(behind.challenger.split.train, judged.recipe, time=judged.spec.time)
    return words.data(order, behind.model, before=before, used=registered_from(order.snapshot.rows, behind.model))


def _baselines(behind: Behind) -> Iterator[tuple[str, Array]]:
    """What the training process fitted; the constant also where it has not."""
    compared, spec, train = behind.compared, behind.model.spec, behind.challenger.split.train
    told = behind.challenger.learned.baselines if behind.challenger.learned else {}
    yield from ((name, found) for name, found in told.items() if len(found) == compared.rows.height)
    if CONSTANT not in told and train.height and compared.rows.height:
        constant = baseline_prediction(spec.task, spec.metric, behind.model.labels(train))
        yield CONSTANT, np.broadcast_to(constant, (compared.rows.height, *constant.shape))


def _measures(behind: Behind, found: Metrics, *, note: str) -> Measures:
    """The steering metric first; models in a fixed order, those that could not be asked are left out."""
    spec = behind.model.spec
    known = behind.challenger.incumbent
    names = {
        "challenger": "this model",
        "champion": f"champion, version {known.version}" if known else "",
        **_BASELINES,
    }
    models = [name for name in names if found.get(name)]
    table = METRIC_TABLE[spec.task]
    order = sorted(table, key=lambda name: name != spec.metric)
    metrics = tuple(
        Measure(
            name=table[name].words, better=table[name].better, values=tuple(found[model].get(name) for model in models)
        )
        for name in order
        if any(name in found[model] for model in models)
    )
    return (
        Measures(models=tuple(names[model] for model in models), metrics=metrics, note=note) if models else Measures()
    )


def _curves(behind: Behind) -> LearningCurves:
    """Of the judged model; the holdout's rows are the later ones, whatever the evidence is."""
    parts, judged = behind.challenger.split, behind.challenger.proven or behind.model
    found = learning_curves(judged, parts.train, parts.holdout)
    return LearningCurves(rounds=found.rounds, train=found.train, later=found.later)


def _losses(compared: Compared, column: str, *, task: str) -> dict[str, dict[str, float]]:
    """By the slice's value as the gate names it, means over its rows."""
    means = {"loss": compared.challenger.loss}
    if compared.champion is not None:
        means["champion"] = compared.champion.loss
    if task != "multiclass":
        means["bias"] = compared.labels - compared.challenger.prediction
    frame = pl.DataFrame({"value": compared.rows[column], **means})
    told = frame.group_by("value").agg(pl.col(*means).mean()).iter_rows(named=True)
    return {str(row.pop("value")): row for row in told}


def _dots(trust: Reliability | None) -> tuple[ReliabilityDot, ...]:
    return tuple(
        ReliabilityDot(said=one.said, came=one.came, lower=one.lower, upper=one.upper, rows=one.rows)
        for one in (trust.points if trust else ())
    )


def _inputs(found: Importance) -> tuple[InputStory, ...]:
    total = sum(item.moves or 0.0 for item in found.inputs) or 1.0
    return tuple(
        InputStory(
            name=item.name,
            gain=item.gain,
            moves=None if item.moves is None else item.moves / total,
            said=words.direction(item.direction),
            effects=_effects(item),
        )
        for item in found.inputs
    )


def _effects(item: InputImportance) -> tuple[EffectBar, ...]:
    """None where an input moves nothing."""
    if not item.moves:
        return ()
    return tuple(EffectBar(label=_label(effect), adds=effect.adds, rows=effect.rows) for effect in item.effects)


def _label(effect: Effect) -> str:
    if effect.level is not None:
        return effect.level
    if effect.low is None or effect.high is None:
        return "missing"
    low, high = short(effect.low), short(effect.high)
    return low if low == high else f"{low} to {high}"
