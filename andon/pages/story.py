"""What a window's page draws, as frozen values; tasks/page_facts.py gathers it, window_page.py draws it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Tone = Literal["alarm", "notice", "quiet", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The verdict for a person in a hurry: what is the matter, since when ("" where nothing is), what Andon does."""

    tone: Tone
    what: str
    since: str
    doing: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A key number, what it is in a few words, and whether somebody should look at it."""

    value: str
    text: str
    tone: Tone = "quiet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One window of the charts. Losses are means per row, shares lie in [0, 1] (or [-1, 1]); None: not known (yet).

    `loss` is realised, `estimate` was said before the labels came. `probe`, `regret_share` and its bounds are of the
    comparison of champion and probe whose evidence ends in this window; the regret is a share of the champion's loss.
    `crowned`: the version that became champion in it, "" for none.
    """

    start: datetime
    label: str
    loss: float | None = None
    coverage: float | None = None
    bias: float | None = None
    bias_lower: float | None = None
    bias_upper: float | None = None
    estimate: float | None = None
    estimate_lower: float | None = None
    estimate_upper: float | None = None
    probe: float | None = None
    regret_share: float | None = None
    regret_lower: float | None = None
    regret_upper: float | None = None
    crowned: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A field of a heat map: `shade` in [0, 1], whether it is marked, and what it says when it is pointed at."""

    shade: float
    marked: bool = False
    said: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatRow:
    """A row of a heat map; a None could not be judged."""

    name: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """Features by windows, worst feature first; `labels` of the windows, oldest first. `judged`: features in all."""

    labels: tuple[str, ...]
    rows: tuple[HeatRow, ...]
    judged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A range of values, or a level: its share of the rows before and now. `tick`: the range's lower end, for an axis.

    `odd`: the reference never had it.
    """

    label: str
    before: float
    now: float
    tick: str = ""
    odd: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureStory:
    """A feature, reference against now: did it move, in which way (`cause`), the sentence, and facts in a few words."""

    name: str
    kind: Literal["number", "category"]
    drifted: bool
    cause: str
    sentence: str
    facts: tuple[str, ...]
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceRow:
    """A part of the rows of the newest window with labels: its loss, and mean of label - prediction."""

    name: str
    rows: int
    loss: float
    bias: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIncident:
    """An alarm that is not closed: since when, what was found, the probable cause, and what Andon does about it."""

    title: str
    since: str
    lines: tuple[str, ...]
    cause: str
    doing: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowStory:
    """All that is drawn of one window. `points`: the windows up to this one, oldest first; `sliced`: of which
    window the slices are; `min_regret`: the regret share from which on a retrain is asked for; `scored`: how good the
    estimates turned out to be, `rarity`: how often such a window is seen by chance, each in a sentence.
    """

    pipeline: str
    window: str
    as_of: str
    champion: str
    metric: str
    headline: Headline
    cards: tuple[Card, ...] = ()
    incidents: tuple[OpenIncident, ...] = ()
    points: tuple[Point, ...] = ()
    min_regret: float | None = None
    heat: Heat | None = None
    not_judged: str = ""
    features: tuple[FeatureStory, ...] = ()
    slices: tuple[SliceRow, ...] = ()
    sliced: str = ""
    scored: str = ""
    rarity: str = ""
