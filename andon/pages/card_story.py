"""What a model card tells: plain values, gathered by `tasks/card_facts.py`, drawn by `card_page.py`."""

from dataclasses import dataclass

from andon.pages.story import Card, Headline


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A metric, and its value for each model; None where it is not known. `better`: "lower" or "higher"."""

    name: str
    better: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """The models, or what stands in for one, side by side on the same rows; the metric that steers first."""

    models: tuple[str, ...] = ()
    metrics: tuple[Measure, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectBar:
    """A range or level of an input, and what it adds to the prediction on average."""

    label: str
    adds: float
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InputStory:
    """An input: its share of the trees' gain, its share of all movement of the predictions (None: not computed), and
    in which direction it moves them, in words. `effects` of those that move most.
    """

    name: str
    gain: float
    moves: float | None
    said: str = ""
    effects: tuple[EffectBar, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityDot:
    """What was said and what came, with its interval, of so many rows."""

    said: float
    came: float
    lower: float
    upper: float
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CardSlice:
    """A part of the evidence's rows. `gain` over the champion, `bias`: mean of label - prediction; None: not known."""

    name: str
    rows: int
    loss: float
    champion_loss: float | None = None
    gain: float | None = None
    bias: float | None = None
    worse: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RungLine:
    """A cheap way of using the rows: its mean loss on the windows it was tried on; `chosen`: of all."""

    name: str
    loss: float
    windows: int
    rows: int
    chosen: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurves:
    """Mean losses after so many rounds of boosting: of rows that were learned from, and of later ones."""

    rounds: tuple[int, ...] = ()
    train: tuple[float, ...] = ()
    later: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CardStory:
    """All that is told of a model. `title`: which; `metric`: what is steered by, `by`: what the
    gate compares by, both in words; `smaller`: the slices of too few rows, a sentence; `said`: what the reliability
    plot shows, in words, `chances` whether these are probabilities; `unit` of the inputs' effects. `facts` and `data`
    are names and values; `reasons` of the gate, `leaks`, `how` and `limits` are sentences.
    """

    pipeline: str
    title: str
    as_of: str
    metric: str
    by: str
    headline: Headline
    reasons: tuple[str, ...] = ()
    cards: tuple[Card, ...] = ()
    measures: Measures = Measures()
    slices: tuple[CardSlice, ...] = ()
    smaller: str = ""
    reliability: tuple[ReliabilityDot, ...] = ()
    said: str = ""
    chances: bool = True
    inputs: tuple[InputStory, ...] = ()
    asked: int = 0
    unit: str = ""
    how: tuple[str, ...] = ()
    rungs: tuple[RungLine, ...] = ()
    curves: LearningCurves = LearningCurves()
    trials: tuple[float, ...] = ()
    search: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    data: tuple[tuple[str, str], ...] = ()
    leaks: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
