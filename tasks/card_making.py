"""How the training process came to a model, as its card and the run of its search show it. Decides nothing."""

from collections.abc import Sequence

from andon.pages.card_story import RungLine
from modelling.jobs import Learned
from modelling.rungs.choosing import Tried
from modelling.tuning.results import SearchResult
from registry.store import Study
from tasks.card_words import rung

STUDY_POINTS = 500  # of the winner's curve
RUNG_WINDOWS = 6


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


def rungs(learned: Learned) -> tuple[RungLine, ...]:
    """Of the newest windows, mean losses of what was tried on all of these, best first."""
    starts = sorted({item.start for item in learned.tried})[-RUNG_WINDOWS:]
    by_rung: dict[str, list[Tried]] = {}
    for item in learned.tried:
        if item.start in starts:
            by_rung.setdefault(item.rung, []).append(item)
    found = [_rung(name, items, learned) for name, items in by_rung.items() if len(items) == len(starts)]
    return tuple(sorted(found, key=lambda line: line.loss))


def _rung(name: str, items: Sequence[Tried], learned: Learned) -> RungLine:
    rows = sum(item.rows for item in items)
    loss = sum(item.loss * item.rows for item in items) / rows if rows else float("nan")
    return RungLine(name=rung(name), loss=loss, windows=len(items), rows=rows, chosen=name == learned.chosen)


def _thinned(rounds: int, points: int) -> list[int]:
    """Rounds from 1 on, evenly, so that there are about so many; the last is always among them."""
    return sorted({rounds, *range(1, rounds + 1, max(1, -(-rounds // points)))}) if rounds else []
