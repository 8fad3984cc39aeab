"""The model card: what a challenger is, how good, why, made of what and how, and what is not known of it. Pure.

One HTML text without script or network, so that it opens from MLflow, from a mail, and in ten years.
"""

from collections.abc import Iterator, Sequence
from html import escape
from math import isfinite
from statistics import median

from andon.pages import layout
from andon.pages.card_pictures import effect_bars, importance_bars, reliability_plot
from andon.pages.card_story import CardStory, InputStory, LearningCurves, Measures, RungLine
from andon.pages.charts import Axes, Line, lines
from andon.pages.words import exact

SHOWN_INPUTS = 20
_TRAIN, _LATER, _TRIAL = "#8a5c00", "#2f5fb3", "#a9b0b7"
_SLICES = (
    ("slice", False), ("rows", True), ("loss", True), ("champion's loss", True), ("gain", True),
    ("label - prediction", True), ("proven worse", False),
)  # fmt: skip
_RUNGS = (("rows used", False), ("mean loss", True), ("windows", True), ("rows judged", True), ("", False))


def card_page(story: CardStory) -> str:
    """The whole card as one HTML text."""
    return layout.page(f"{story.pipeline}, {story.title}: {story.headline.what}", _parts(story))


def _parts(story: CardStory) -> Iterator[str]:
    yield f"<header><h1>{escape(story.pipeline)} · {escape(story.title)}</h1>"
    yield f'<p class="meta">model card · as known at {escape(story.as_of)} UTC</p></header><main>'
    yield _verdict(story)
    yield layout.cards(story.cards) if story.cards else ""
    yield layout.section("What the gate said", _listed(story.reasons)) if story.reasons else ""
    yield _measures(story.measures)
    yield _slices(story)
    yield _reliability(story)
    yield _inputs(story)
    yield from _making(story)
    yield layout.section("What it has learned from", _facts(story.data))
    yield layout.section("Leaks that were looked for", _listed(story.leaks))
    yield layout.section("What these numbers do not say", _listed(story.limits))
    yield "</main>"


def _verdict(story: CardStory) -> str:
    headline = story.headline
    return (
        f'<div class="verdict {headline.tone}" role="status"><strong>{escape(headline.since)}</strong>'
        f'<p class="what">{escape(headline.what)}</p><p>{escape(headline.doing)}</p></div>'
    )


def _measures(measures: Measures) -> str:
    if not measures.metrics:
        return layout.section("Against what", layout.empty("It was not compared with anything yet."))
    rows = [(f"{item.name}, {item.better} is better", *map(_number, item.values)) for item in measures.metrics]
    heads = (("metric", False), *((name, True) for name in measures.models))
    return layout.section("Against what", _roomy(layout.table(heads, rows)), note=measures.note)


def _slices(story: CardStory) -> str:
    if not story.slices:
        nothing = "The definition names no slices: Gate(slices=(...)) does, and the gate then guards each of them."
        return layout.section("For whom it is good", layout.empty(story.smaller or nothing))
    rows = [
        (
            item.name, f"{item.rows:,}", _number(item.loss), _number(item.champion_loss), _signed(item.gain),
            _signed(item.bias), "yes" if item.worse else "",
        )
        for item in story.slices
    ]  # fmt: skip
    gains = "" if story.by == story.metric else f" Gains are of {story.by}, by which the gate judges."
    told = f"{_sentence(story.metric)}, mean per row, worst gain first; a slice of few rows says little.{gains}"
    note = f"{told} {story.smaller}".rstrip()
    return layout.section("For whom it is good", _roomy(layout.table(_SLICES, rows)), note=note)


def _reliability(story: CardStory) -> str:
    title = "Does what it says come true"
    if not story.reliability:
        return layout.section(title, layout.empty("No row has shown it yet."))
    plot = reliability_plot(story.reliability, chances=story.chances, name="what came by what was said")
    axes = "Across: what the model said. Upwards: what came. On the dashed line both are the same; above it, it says "
    note = (
        f"{axes}too little. Each dot holds about as many rows; its line is the 95 % interval if rows were independent."
    )
    body = f'<div class="features"><article class="feature"><p>{escape(story.said)}</p>{plot}</article></div>'
    return layout.section(title, body, note=note)


def _inputs(story: CardStory) -> str:
    if not story.inputs:
        return layout.section("What moves its predictions", layout.empty("The model has no inputs."))
    asked = (
        f"Movement: mean absolute contribution (SHAP, by LightGBM) on {story.asked:,} rows, as a share of all."
        if story.asked
        else "The model is too large for contributions to be computed: the gain of its splits is all that is told."
    )
    keys = '<span><i class="box now"></i>movement of predictions</span>' if story.asked else ""
    keys += '<span><i class="box before"></i>gain of the trees\' splits</span>'
    shown = importance_bars(story.inputs[:SHOWN_INPUTS], name="importance of the inputs")
    rest = len(story.inputs) - SHOWN_INPUTS
    more = f'<p class="note">and {rest:,} more, which move it less</p>' if rest > 0 else ""
    first = f'<article class="feature"><h3>All inputs</h3><p class="legend">{keys}</p>{shown}{more}</article>'
    effects = "".join(_effects(item, story.unit) for item in story.inputs if item.effects)
    note = f"{asked} Of inputs that say the same, one may get all of it; none of this says what causes what."
    return layout.section(
        "What moves its predictions",
        f'<div class="features" style="align-items:start">{first}{effects}</div>',
        note=note,
    )


def _effects(item: InputStory, unit: str) -> str:
    said = f"{item.said}; " if item.said else ""
    picture = effect_bars(item.effects, name=f"{item.name}: what its values add to the prediction")
    told = f"{said}added to the prediction on average, in {unit}."
    return f'<article class="feature"><h3>{escape(item.name)}</h3><p>{escape(told)}</p>{picture}</article>'


def _making(story: CardStory) -> Iterator[str]:
    yield layout.section("How it was made", _listed(story.how), _facts(story.facts))
    if story.rungs:
        table = layout.table(_RUNGS, [_rung(item) for item in story.rungs])
        note = (
            "Ways of using the rows, each fitted before windows of time and judged on them; all before the evidence. "
            "The choice counts newer windows more than this mean does, and need not be the first."
        )
        yield layout.section("Which rows, and how", _roomy(table), note=note)
    yield _curves(story.curves, story.metric)
    if story.trials:
        yield layout.section("The search", layout.wide(_trials(story.trials, story.metric)), note=story.search)


def _curves(curves: LearningCurves, metric: str) -> str:
    series = [
        Line(name="rows that it has learned from", colour=_TRAIN, values=curves.train, dashed=True),
        Line(name="later rows, which it has not seen", colour=_LATER, values=curves.later),
    ]
    nothing = "There are no rows to count losses of."
    axes = Axes(name=f"{metric} by rounds of boosting", height=240, nothing=nothing)
    drawn = lines(series, labels=[f"{number:,} rounds" for number in curves.rounds], axes=axes)
    note = (
        f"{_sentence(metric)} after so many rounds of boosting, of the model that was judged. Where the line of later "
        "rows rises again, there are too many; the wider the two lines part, the more was learned by heart."
    )
    return layout.section("Learning curves", layout.wide(drawn) if curves.rounds else drawn, note=note)


def _trials(trials: Sequence[float], metric: str) -> str:
    """Losses far above the others would flatten the picture: they are left out, and counted."""
    known = [loss for loss in trials if isfinite(loss)]
    if not known:
        return layout.empty("No trial has a loss.")
    most = min(known) + 4 * max(median(known) - min(known), abs(min(known)) * 0.002)
    best, so_far = [], float("inf")
    for loss in trials:
        so_far = min(so_far, loss) if isfinite(loss) else so_far
        best.append(so_far if isfinite(so_far) else None)
    high = sum(not loss <= most for loss in trials)
    outside = f", without {high:,} that were given up or are far worse" if high else ""
    series = [
        Line(name=f"trial{outside}", colour=_TRIAL, values=[x if x <= most else None for x in trials], dots=True),
        Line(name="best so far", colour=_LATER, values=[x if x is not None and x <= most else None for x in best]),
    ]
    axes = Axes(name=f"{metric} of the trials on later rows", height=240)
    return lines(series, labels=[f"trial {number}" for number in range(len(trials))], axes=axes)


def _rung(item: RungLine) -> tuple[str, ...]:
    return item.name, _number(item.loss), f"{item.windows:,}", f"{item.rows:,}", "chosen" if item.chosen else ""


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    if not facts:
        return layout.empty("Nothing is known of it.")
    return layout.wide(layout.table((("", False), ("", False)), facts), first="start")


def _listed(sentences: Sequence[str]) -> str:
    if not sentences:
        return layout.empty("Nothing is known of it.")
    return f"<ul>{''.join(f'<li>{escape(sentence)}</li>' for sentence in sentences)}</ul>"


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}"


def _roomy(table: str) -> str:
    return layout.wide(f'<div class="roomy">{table}</div>', first="start")


def _number(value: float | None) -> str:
    return "" if value is None else exact(value)


def _signed(value: float | None) -> str:
    return "" if value is None else f"{'+' if value > 0 else ''}{exact(value)}"
