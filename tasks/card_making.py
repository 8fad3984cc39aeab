"""How the training process came to a model, as its card and the run of its search show it. Decides nothing."""

from collections.abc import Sequence
from datetime import datetime
from typing import cast

import polars as pl

from andon.pages.card_story import RungLine
from modelling.jobs import Learned
from modelling.model import Model
from modelling.recipes import Recipe
from modelling.rungs.choosing import Tried
from modelling.splits import newest
from modelling.tuning.results import SearchResult
from registry.store import Study
from tasks.card_words import rung

STUDY_POINTS = 500  # of the winner's curve
RUNG_WINDOWS = 6
SMALL_SLICES = 12  # named on a card


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


def learned_from(rows: pl.DataFrame, recipe: Recipe, *, time: str) -> str:
    """How many of these rows a model by this recipe is made of, and from when on: those of its span."""
    if rows.is_empty():
        return "no rows"
    used = newest(rows, time=time, days=recipe.span_days)
    told = f"{used.height:,} rows from {cast('datetime', used[time].min()):%Y-%m-%d %H:%M} on"
    if recipe.way == "fresh":
        return told
    return f"{told}, upon {'the trees of another model' if recipe.base else f'trees of all {rows.height:,}'}"


def registered_from(rows: pl.DataFrame, model: Model) -> str:
    """The same of a model's own rows, out of the snapshot's; where these are others by now, what its bundle tells."""
    made, time = model.made, model.spec.time
    if made is None:
        return ""
    known = rows.filter(pl.col(time) >= made.since, pl.col(time) < model.trained_until)
    if known.height == made.rows:
        return learned_from(known, model.recipe, time=time)
    told = f"{made.rows:,} rows from {made.since:%Y-%m-%d %H:%M} on"
    return told if model.recipe.span_days is None else f"the newest of {told}"


def small_slices(rows: pl.DataFrame, columns: Sequence[str], *, least: int) -> str:
    """The slices of fewer than `least` rows, which the gate does not judge, largest first; "" without any."""
    found = [
        (number, f"{column} = {value}")
        for column in columns
        for value, number in rows[column].value_counts(sort=True).iter_rows()
        if number < least
    ]
    if not found:
        return ""
    shown = [f"{name} ({number:,})" for number, name in sorted(found, key=lambda item: -item[0])]
    more = f", and {len(shown) - SMALL_SLICES:,} more" if len(shown) > SMALL_SLICES else ""
    return f"Smaller slices, of fewer than {least:,} rows, are not judged: {', '.join(shown[:SMALL_SLICES])}{more}."


def _rung(name: str, items: Sequence[Tried], learned: Learned) -> RungLine:
    rows = sum(item.rows for item in items)
    loss = sum(item.loss * item.rows for item in items) / rows if rows else float("nan")
    return RungLine(name=rung(name), loss=loss, windows=len(items), rows=rows, chosen=name == learned.chosen)


def _thinned(rounds: int, points: int) -> list[int]:
    """Rounds from 1 on, evenly, so that there are about so many; the last is always among them."""
    return sorted({rounds, *range(1, rounds + 1, max(1, -(-rounds // points)))}) if rounds else []
