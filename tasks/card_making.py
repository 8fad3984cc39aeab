"""How the training process came to a model, as its card and the run of its search show it. Decides nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from andon.pages.card_story import LearningCurves, RungLine
from modelling.jobs import Learned
from modelling.rungs.choosing import Tried
from modelling.tuning.results import SearchResult
from registry.store import Study
from tasks.card_words import rung

Array = NDArray[np.float64]

CURVE_POINTS = 120  # of a learning curve, in the card
STUDY_POINTS = 500  # in the model store
RUNG_WINDOWS = 6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Making:
    """How the training process came to the model. `why`: the choice among the rungs, in words; `tried`: what it rests
    on, `chosen` the rung's name; `baselines`: predictions of the holdout's rows.
    """

    why: str = ""
    chosen: str = ""
    tried: tuple[Tried, ...] = ()
    search: SearchResult | None = None
    baselines: Mapping[str, Array] = field(default_factory=dict)


def making_of(learned: Learned | None) -> Making | None:
    """What the card shows of a training; None where nothing was trained now."""
    return None if learned is None else Making(search=learned.search, baselines=learned.baselines)


def study(search: SearchResult, *, name: str) -> Study:
    """What the model store shows of a search."""
    shown = _thinned(len(search.curves.validation), STUDY_POINTS)
    validation = tuple((number, search.curves.validation[number - 1]) for number in shown)
    train = tuple(sorted(search.curves.train.items()))
    best = {f"best.{name}": float(value) for name, value in search.recipe.params.items()}
    return Study(
        name=name,
        losses=search.trials,
        metrics={**best, "best.rounds": float(search.recipe.rounds), "seconds": search.seconds, "cost": search.cost},
        ended=search.ended,
        curves={name: points for name, points in (("train", train), ("validation", validation)) if points},
    )


def rungs(making: Making) -> tuple[RungLine, ...]:
    """Of the newest windows, mean losses of what was tried on all of these, best first."""
    starts = sorted({item.start for item in making.tried})[-RUNG_WINDOWS:]
    by_rung: dict[str, list[Tried]] = {}
    for item in making.tried:
        if item.start in starts:
            by_rung.setdefault(item.rung, []).append(item)
    found = [_rung(name, items, making) for name, items in by_rung.items() if len(items) == len(starts)]
    return tuple(sorted(found, key=lambda line: line.loss))


def _rung(name: str, items: Sequence[Tried], making: Making) -> RungLine:
    rows = sum(item.rows for item in items)
    loss = sum(item.loss * item.rows for item in items) / rows if rows else float("nan")
    return RungLine(name=rung(name), loss=loss, windows=len(items), rows=rows, chosen=name == making.chosen)


def curves(search: SearchResult | None) -> LearningCurves:
    """Thinned evenly to what a picture can hold; the last round is always there."""
    found = search.curves if search else None
    if found is None or not found.validation:
        return LearningCurves()
    shown = _thinned(len(found.validation), CURVE_POINTS)
    near = {min(shown, key=lambda place: abs(place - number)): loss for number, loss in found.train.items()}
    return LearningCurves(
        rounds=tuple(shown),
        train=tuple(near.get(number) for number in shown),
        validation=tuple(found.validation[number - 1] for number in shown),
    )


def _thinned(rounds: int, points: int) -> list[int]:
    """Rounds from 1 on, evenly, so that there are about so many; the last is always among them."""
    return sorted({rounds, *range(1, rounds + 1, max(1, -(-rounds // points)))}) if rounds else []
