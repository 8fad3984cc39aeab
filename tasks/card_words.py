"""The sentences of a model card. Decides nothing."""

import re
from datetime import datetime
from typing import cast

from andon.pages.story import Card, Headline, Tone
from andon.pages.words import exact
from modelling.model import Model
from modelling.model_text import read
from modelling.reliability import Reliability
from modelling.spec import Training
from modelling.tuning.results import SearchResult
from tasks.evidence import Compared
from tasks.history import KEPT
from tasks.orders import Order
from validation.deeds import Trained
from validation.gate import GateVerdict

_TONES: dict[str, Tone] = {"promote": "quiet", "reject": "alarm", "need evidence": "notice", "expired": "notice"}
_PART = re.compile(r"^1/(\d+)")
_WAYS = {
    " fading": ", older rows weigh less",
    " continued": ", trees continued",
    " refitted": ", leaves refitted",
    " champion": " upon the champion's",
}
_LOOKED_FOR = (
    "copies of the target, scaled, shifted or renamed",
    "inputs that are the target of a later row, or are made of other rows",
    "values that were filled in after the champion had scored the row",
    "inputs that alone tell the target almost perfectly",
    "inputs that together add up to the target",
    "keys that more than one row has, or that are on both sides of the split",
)


def title(model: Model, *, sha256: str) -> str:
    """Which model: the version is not known yet when the card is drawn, the bytes are."""
    return f"model {sha256[:12]}, learned until {model.trained_until:%Y-%m-%d %H:%M}"


def headline(verdict: GateVerdict, *, refitted: bool, until: datetime) -> Headline:
    """What the gate said, in a sentence, and which trees were judged."""
    other = (
        f"Judged was the same recipe, trained before the evidence; registered is its refit on all mature rows until "
        f"{until:%Y-%m-%d %H:%M}, which no later row has judged yet."
        if refitted
        else "Registered is the model that was judged."
    )
    against = f"version {verdict.champion_version}" if verdict.champion_is == "champion" else "the base rate"
    return Headline(
        tone=_TONES.get(verdict.outcome, "unknown"), what=_what(verdict, against), since=verdict.outcome, doing=other
    )


def _what(verdict: GateVerdict, against: str) -> str:
    """The comparison in a sentence; where nothing was compared, what the gate said first."""
    if verdict.gain_share is None:
        reason = verdict.reasons[0] if verdict.reasons else "the gate gave no reason"
        return f"{reason[:1].upper()}{reason[1:]}."
    side = "saves" if verdict.gain_share >= 0 else "loses another"
    loss = by(verdict, metric="loss")
    told = f"It {side} {abs(verdict.gain_share):.1%} of the {loss} of {against} on {verdict.rows:,} later rows"
    if verdict.outcome == "reject" and verdict.gain_share >= verdict.min_gain and verdict.reasons:
        return f"{told}, but {verdict.reasons[0]}."  # a gain that is asked for is rejected for a fault, told first
    proof = {"promote": "it is proven to be better", "reject": "that is not enough"}
    return f"{told}: {proof.get(verdict.outcome, 'that is neither proven nor refuted')}."


def by(verdict: GateVerdict, *, metric: str) -> str:
    """What the gate's losses are, of which it makes the gain."""
    return "1 - AUC" if verdict.by == "auc" else metric


def cards(verdict: GateVerdict, *, metric: str, trees: int) -> tuple[Card, ...]:
    """Key numbers; what was not measured is left out."""
    told = (
        (_exact(verdict.challenger_loss), "{}", f"{metric} on later rows"),
        (
            _exact(verdict.champion_loss),
            "{}",
            "the champion's, same rows" if verdict.champion_is == "champion" else "the base rate's, same rows",
        ),
        (verdict.gain_share, "{:+.2%}", "gain, as a share of that loss"),
        (verdict.rows, "{:,}", f"rows of evidence, {verdict.blocks:,} blocks of time"),
        (verdict.mature_rows, "{:,}", "mature rows to learn from"),
        (trees, "{:,}", "trees"),
        (verdict.latency_ms or None, "{:.2f} ms", "for a single row"),
        (verdict.size_mb or None, "{:.2f} MB", "size of the bundle"),
    )
    return tuple(Card(value=form.format(value), text=text) for value, form, text in told if value is not None)


def _exact(value: float | None) -> str | None:
    return None if value is None else exact(value)


def trees(model: Model) -> int:
    """Trees of the model, of all its classes together."""
    text = read(model.text)
    return text.iterations * text.per_iteration


def evidence(compared: Compared, *, time: str, refitted: bool) -> str:
    """Which rows measured, in a sentence or two."""
    rows = compared.rows
    if not rows.height:
        return ""
    first, last = (cast("datetime", found) for found in (rows[time].min(), rows[time].max()))
    which = (
        "which it has not learned from" if not refitted else "later than those that the judged model had learned from"
    )
    told = f"{rows.height:,} rows from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}, {which}."
    if compared.evidence == "prequential":
        told += " Each window is asked of a refit on the rows before it."
    return f"{told} {compared.unable[:1].upper()}{compared.unable[1:]}." if compared.unable else told


def trust(found: Reliability | None, *, task: str) -> str:
    """The reliability plot in a sentence."""
    if found is None:
        return ""
    rows = sum(point.rows for point in found.points)
    if task == "regression":
        return f"On {rows:,} rows, what came is on average {found.error:.4g} away from what was said."
    what = "of the likeliest class and how often it was right" if task == "multiclass" else "and what came"
    return f"On {rows:,} rows, the probability {what} are {100 * found.error:.2g} percentage points apart on average."


def direction(found: str) -> str:
    """Of an input."""
    return {"rises": "the higher, the higher the prediction", "falls": "the higher, the lower the prediction"}.get(
        found, ""
    )


def rung(name: str) -> str:
    """A rung's name for people."""
    if name == "champion":
        return "the champion as it is"
    told = _PART.sub(lambda found: "all rows" if found[1] == "1" else f"the newest 1/{found[1]}", name)
    for own, words in _WAYS.items():
        told = told.replace(own, words, 1)
    return told


def search(found: SearchResult | None) -> str:
    """The search in a sentence."""
    if found is None:
        return ""
    trials = "1 trial" if len(found.trials) == 1 else f"{len(found.trials):,} trials"
    ended = f" It ended: {found.ended}." if found.ended else ""
    return f"{trials} in {found.seconds:.0f} s; trial 0 is where it started.{ended}"


def how(order: Order, trained: Trained, *, why: str, again: bool) -> tuple[str, ...]:
    """How the model came to be; of one that is looked at again, as the ledger tells it."""
    earlier: tuple[str, ...] = ()
    if again:
        rows = order.site.ledger.verdicts(order.site.name, kind="training", subject=order.intent.id, limit=KEPT)
        first = next((row for row in rows if row.outcome == "trained"), None)
        earlier = tuple(map(str, first.reasons)) if first else ()
    asked = (f"asked for: {order.intent.reason}",) if order.intent.reason else ()
    return (*asked, *earlier, *trained.reasons, *((why,) if why and why not in " ".join(trained.reasons) else ()))


def recipe(model: Model, training: Training) -> tuple[tuple[str, str], ...]:
    """The recipe and what else decides the bytes, as names and values."""
    own, made = model.recipe, model.made
    found = {
        **{name: f"{value:.4g}" for name, value in own.params.items()},
        "rounds": str(own.rounds),
        "trees are": {"fresh": "grown anew", "continued": f"continued by {own.more}", "refit": "refitted"}[own.way],
        "rows used": "all" if own.span_days is None else f"the newest {_days(own.span_days)}",
        "a row's weight halves in": "" if own.half_life_days is None else _days(own.half_life_days),
        "rows weigh as": training.weight,
        "classes weigh": "" if training.class_weight == "none" else training.class_weight,
        "probabilities corrected by": "an isotonic table" if model.calibration else "",
        "monotone": ", ".join(f"{name} {sign:+d}" for name, sign in training.monotone.items()),
        "fixed": ", ".join(f"{name}={value:g}" for name, value in training.fixed.items()),
        "seed": str(made.seed) if made else "",
        "threads": str(made.threads) if made else "",
        "libraries": ", ".join(f"{name} {version}" for name, version in made.libraries.items()) if made else "",
    }
    return tuple((name, text) for name, text in found.items() if text)


def _days(days: float) -> str:
    return f"{days:,.0f} days" if days >= 10 else f"{days:.1f} days"


def data(order: Order, model: Model, *, before: str, used: str) -> tuple[tuple[str, str], ...]:
    """The rows behind the model, and its inputs. `before`: those that the judged model was made of; `used`: all."""
    told = order.description
    span = f"{told.since:%Y-%m-%d %H:%M} to {told.until:%Y-%m-%d %H:%M}" if told.since and told.until else ""
    columns = model.encoding.columns
    levels = sum(column.levels is not None for column in columns)
    found = {
        "snapshot": f"{told.id}, {told.rows:,} mature rows with a label, {span}",
        "learned from before it was judged": before,
        "learned from as it is registered": used,
        "without a label": f"{told.unlabelled:,} mature rows, {told.missing:,} of them beyond the grace",
        "inputs": f"{len(columns):,}, of which {levels:,} are categories",
        "target": f"{model.spec.target} ({model.spec.task})",
        "definition": order.site.pipeline.fingerprint[:16],
        "rows' digest": told.digest[:16],
    }
    return tuple((name, text) for name, text in found.items() if text)


def leaks(training: Training, *, looked: bool, again: bool) -> tuple[str, ...]:
    """What was looked for before anything was trained: nothing of it was found, or there would be no model."""
    if again:
        return ("they were looked for when it was trained, and none was found",)
    if not looked:
        return ("they were not looked for",)
    excused = (f"not questioned, since the definition trusts them: {', '.join(training.trusted)}",)
    return ("none was found of these:", *_LOOKED_FOR, *(excused if training.trusted else ()))


def limits(model: Model, *, refitted: bool, evidence: str) -> tuple[str, ...]:
    """What the numbers do not say."""
    told = [
        "the reliability plot's intervals take rows for independent; the gate counts in blocks of time instead",
        "contributions describe the model, not the world: changing an input need not change what happens",
    ]
    if refitted:
        told.append("losses, slices and reliability are the judged model's; importance is the registered one's")
    if model.calibration is not None:
        told.append("contributions are those of the trees, before their probabilities are corrected")
    if evidence == "prequential":
        told.append("the evidence is of several refits, not of one model")
    return tuple(told)
