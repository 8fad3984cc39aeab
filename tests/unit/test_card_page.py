"""The model card's page, from values: what is said, what is drawn, and what is said where there is nothing to draw."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from andon.pages.card_page import SHOWN_INPUTS, card_page
from andon.pages.card_pictures import effect_bars, reliability_plot
from andon.pages.card_story import (
    CardSlice,
    CardStory,
    EffectBar,
    InputStory,
    LearningCurves,
    Measure,
    Measures,
    ReliabilityDot,
    RungLine,
)
from andon.pages.story import Card, Headline

NOTHING = CardStory(
    pipeline="rides",
    title="model 0123456789ab, learned until 2024-02-01 00:00",
    as_of="2024-02-14 00:00",
    metric="log loss",
    by="log loss",
    headline=Headline(
        tone="notice", what="Too few rows.", since="need evidence", doing="Registered is what was judged."
    ),
)
ODD = "stop <b>&"
FULL = replace(
    NOTHING,
    headline=Headline(tone="quiet", what="It saves 3.4% of the loss.", since="promote", doing="A refit serves."),
    reasons=("a gain of +3.4% is proven",),
    cards=(Card(value="0.4812", text="log loss on later rows"), Card(value="120", text="trees")),
    measures=Measures(
        models=("this model", "champion, version 3", "linear model", "best constant"),
        metrics=(
            Measure(name="log loss", better="lower", values=(0.4812, 0.4982, 0.5433, 0.6111)),
            Measure(name="area under the ROC curve", better="higher", values=(0.8123, 0.7991, None, 0.5)),
        ),
        note="2,016 rows from 2024-02-01 00:00 to 2024-02-13 23:30.",
    ),
    slices=(
        CardSlice(name="stop = west", rows=700, loss=0.51, champion_loss=0.5, gain=-0.01, bias=0.02, worse=True),
        CardSlice(name=f"stop = {ODD}", rows=120, loss=0.4),
    ),
    smaller="Smaller slices, of fewer than 100 rows, are not judged: stop = east (9).",
    reliability=tuple(
        ReliabilityDot(said=0.1 * n, came=0.1 * n + 0.02, lower=0.1 * n - 0.03, upper=0.1 * n + 0.06, rows=200)
        for n in range(1, 9)
    ),
    said="On 2,016 rows, the probability and what came are 1.2 percentage points apart on average.",
    inputs=(
        InputStory(
            name="wind", gain=0.61, moves=0.55, said="the higher, the higher the prediction",
            effects=(EffectBar(label="2.1 to 8", adds=-1.25, rows=62), EffectBar(label="8 to 19", adds=1.5, rows=63)),
        ),
        InputStory(
            name=ODD, gain=0.39, moves=0.45, effects=(EffectBar(label=ODD, adds=0.7, rows=40),)
        ),
        *(InputStory(name=f"other_{n}", gain=0.0, moves=0.0) for n in range(SHOWN_INPUTS)),
    ),
    asked=500,
    unit="log-odds",
    how=("asked for: regret", "searched: 3 trials"),
    rungs=(
        RungLine(name="the newest 1/4", loss=0.4871, windows=3, rows=900, chosen=True),
        RungLine(name="all rows", loss=0.4902, windows=3, rows=900),
    ),
    curves=LearningCurves(rounds=(10, 50, 100), train=(0.55, 0.47, 0.42), later=(0.56, 0.49, 0.4871)),
    trials=(0.5, float("inf"), 0.49, 12.0),
    search="4 trials in 60 s; trial 0 is where it started.",
    facts=(("learning_rate", "0.1"), ("rounds", "100")),
    data=(("snapshot", "abc, 4,000 mature rows"),),
    leaks=("none was found of these:", "copies of the target"),
    limits=("contributions describe the model, not the world",),
)  # fmt: skip


def svgs(page: str) -> list[str]:
    return re.findall(r"<svg.*?</svg>", page, re.DOTALL)


def test_the_verdict_comes_first_and_everything_that_is_known_is_told() -> None:
    page = card_page(FULL)
    order = [
        "It saves 3.4% of the loss.", "a gain of +3.4% is proven", "Against what", "For whom it is good",
        "Does what it says come true", "What moves its predictions", "How it was made", "Which rows, and how",
        "Learning curves", "The search", "What it has learned from", "Leaks that were looked for",
        "What these numbers do not say",
    ]  # fmt: skip
    places = [page.index(text) for text in order]
    assert places == sorted(places)
    for text in (
        "0.7991",
        "area under the ROC curve, higher is better",
        "and 2 more, which move it less",
        "2 that were given up or are far worse",
        "in log-odds",
        "The choice counts newer windows more",
    ):
        assert text in page


def test_it_needs_nothing_from_elsewhere_and_names_cannot_break_it() -> None:
    page = card_page(FULL)
    assert "<script" not in page
    assert not re.search(r"(src|href)=|url\(|@import", page)
    assert ODD not in page
    assert page.count("stop &lt;b&gt;&amp;") > 2
    for picture in svgs(page):
        root = ElementTree.fromstring(picture)  # noqa: S314 - our own
        numbers = [float(item.get(name, "0")) for item in root.iter() for name in ("x", "y", "cx", "cy", "width")]
        assert all(-1 <= number <= 960 for number in numbers), "inside of its picture"


def test_gains_that_are_of_something_else_than_the_losses_are_named() -> None:
    assert "Gains are of" not in card_page(FULL)
    assert "Gains are of 1 - AUC" in card_page(replace(FULL, by="1 - AUC"))


def test_slices_too_small_to_be_judged_are_told_beside_the_others_and_alone() -> None:
    assert f"says little. {FULL.smaller}</p>" in card_page(FULL)
    alone = card_page(replace(FULL, slices=()))
    assert FULL.smaller in alone
    assert "names no slices" not in alone


def test_where_nothing_is_known_a_sentence_says_so() -> None:
    page = card_page(NOTHING)
    assert svgs(page) == []
    for sentence in (
        "It was not compared with anything yet.",
        "Gate(slices=(...)) does",
        "No row has shown it yet.",
        "The model has no inputs.",
        "There are no rows to count losses of.",
    ):
        assert sentence in page
    assert "The search</h2>" not in page
    assert "What the gate said" not in page


def test_a_model_too_large_for_contributions_says_so() -> None:
    inputs = (InputStory(name="wind", gain=0.7, moves=None), InputStory(name="stop", gain=0.3, moves=None))
    page = card_page(replace(FULL, inputs=inputs, asked=0))
    assert "too large for contributions" in page
    assert "movement of predictions" not in page
    assert "70%" in page


@pytest.mark.parametrize(
    "dots",
    [
        [ReliabilityDot(said=0.0, came=0.0, lower=0.0, upper=0.0, rows=10)],
        [ReliabilityDot(said=1.0, came=1.0, lower=0.7, upper=1.0, rows=10)],
        [ReliabilityDot(said=0.0012, came=0.002, lower=0.0001, upper=0.004, rows=10)],
    ],
)
def test_a_reliability_plot_of_any_values_is_inside_of_its_frame(dots: list[ReliabilityDot]) -> None:
    for chances in (True, False):
        root = ElementTree.fromstring(reliability_plot(dots, chances=chances, name="plot"))  # noqa: S314 - our own
        _, _, wide, high = map(float, str(root.get("viewBox")).split())
        for circle in root.iter("circle"):
            assert 0 <= float(circle.get("cx", "")) <= wide
            assert 0 <= float(circle.get("cy", "")) <= high
        assert len(list(root.iter("text"))) >= 4


def test_bars_of_effects_lie_on_their_side() -> None:
    effects = (EffectBar(label="low", adds=-2.0, rows=5), EffectBar(label="high", adds=1.0, rows=5))
    root = ElementTree.fromstring(effect_bars(effects, name="wind"))  # noqa: S314 - our own
    (middle,) = [float(line.get("x1", "")) for line in root.iter("line")]
    low, high = [(float(bar.get("x", "")), float(bar.get("width", ""))) for bar in root.iter("rect")]
    assert low[0] + low[1] == pytest.approx(middle)
    assert high[0] == pytest.approx(middle)
    assert low[1] == pytest.approx(2 * high[1], abs=0.2)
