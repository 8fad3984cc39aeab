"""How a challenger comes to be, and the record of the way in which it did: what a retrain asks its training process.

Leaks first; then the cheap rungs, compared on windows before the gate's holdout; a search where one is due, or where no
rung is good enough; then one fit of what was chosen. A notebook calls the same functions in its own process.

NOTE: who only passes the values on must not load lightgbm for it: what trains is imported where it is used.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.leaks import Leak, find_leaks
from modelling.model import Model
from modelling.recipes import Recipe
from modelling.rungs.choosing import Tried
from modelling.rungs.found import Ladder
from modelling.rungs.rungs import PLAIN, Rung
from modelling.spec import Search, Spec
from modelling.tuning.results import Place, Progress, SearchResult
from validation.intervals import MIN_BLOCKS

if TYPE_CHECKING:
    from modelling.rungs.ladder import Base

Array = NDArray[np.float64]
Champion = tuple[Model, str]  # and the sha256 of its bundle

CHOICE_WINDOWS = 3  # by which the rungs are compared, where no earlier ladder knows more
EVIDENCE_WINDOWS = 8
_ROW = "_row"
_PROOF = 0.2  # one-sided: the gate's own, unless a pipeline says otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a challenger is to be made of training rows.

    `start`: the champion's recipe, or a default; `champion`: its model, where its trees may be built upon. `gap`: the
    labels' delay; `window`: length of the windows on which ways of using the rows are compared; `min_gain`: the share
    of its loss by which the champion must be beaten. `when` the search runs: "if needed" is when no rung is good
    enough. `train`: "all" rows before a window, or the newest span of them. `study`: where the search's study is kept.
    `earlier`: what older ladders of this recipe found.
    """

    spec: Spec
    start: Recipe
    champion: Champion | None
    gap: timedelta
    window: timedelta
    min_gain: float
    search: Search
    when: Literal["never", "if needed", "always"]
    train: str | timedelta = "all"
    study: Place | None = None
    earlier: tuple[Tried, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learned:
    """What came of a plan. Without `model`, `leaks` were found.

    `why`: the choice among the rungs in words, `chosen` is the rung's name, `tried` what it rests on. `search`: None
    where none ran. `baselines`: by name, what they say to the holdout's rows.
    """

    model: Model | None
    leaks: tuple[Leak, ...] = ()
    why: str = ""
    chosen: str = ""
    tried: tuple[Tried, ...] = ()
    search: SearchResult | None = None
    baselines: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Record:
    """What the choices before each of some windows, oldest first, said of its rows: `positions` are the rows' in the
    frame, the rest is `Scored`'s.
    """

    positions: NDArray[np.int64]
    prediction: Array
    labels: Array
    loss: Array
    baseline_loss: Array
    fits: int


def learn(
    plan: Plan, train: pl.DataFrame, *, holdout: pl.DataFrame | None = None, progress: Progress | None = None
) -> Learned:
    """Make a challenger of `train`, labelled rows in order of time. Of `holdout` the keys are looked at beforehand, and
    the baselines are asked about its rows afterwards: nothing that is fitted or chosen knows them.
    """
    from modelling.training import fit

    tell = progress or nobody
    tell("looking for leaks", 0.0, None, None)
    if leaks := find_leaks(plan.spec, train, holdout=holdout):
        return Learned(model=None, leaks=leaks)
    found = _rungs(plan, train, tell)
    chosen, recipe, why, searched = found.chosen, found.recipe, found.why, None
    if plan.when == "always" or (plan.when == "if needed" and not found.is_good_enough(min_gain=plan.min_gain)):
        searched = _searched(plan, train, recipe, tell)
        chosen, recipe, why = _better(found, searched, plan, tell) if searched else (chosen, recipe, why)
    tell("fitting the challenger", 0.0, None, None)
    base = base_of(recipe, plan.champion)
    model = fit(plan.spec, train, recipe, seed=plan.search.seed, threads=plan.search.threads, base=base)
    return Learned(
        model=model,
        why=why,
        chosen=chosen.name,
        tried=found.tried,
        search=searched,
        baselines=_baselines(plan.spec, train, holdout, model, tell),
    )


def record(plan: Plan, frame: pl.DataFrame, *, since: datetime, progress: Progress | None = None) -> Record:
    """How the choices of the past would have fared in the windows from `since` on, the champion's `trained_until`: none
    of them knows its window, nor was it made by it.
    """
    from modelling.rungs.ladder import ladder
    from modelling.splits import rolling

    rows = frame.with_row_index(_ROW)
    time, most = plan.spec.time, EVIDENCE_WINDOWS
    folds = rolling(rows, time=time, window=plan.window, gap=plan.gap, windows=most, since=since, train=plan.train)
    found = ladder(
        plan.spec,
        rows,
        plan.start,
        folds=folds,
        seed=plan.search.seed,
        threads=plan.search.threads,
        purpose="evidence",
        base=_base(plan),
        earlier=tuple(item for item in plan.earlier if item.stop <= since),
        progress=progress,
    ).evidence
    return Record(
        positions=found.rows[_ROW].cast(pl.Int64).to_numpy(),
        prediction=found.prediction,
        labels=found.labels,
        loss=found.loss,
        baseline_loss=found.baseline_loss,
        fits=found.fits,
    )


def base_of(recipe: Recipe, champion: Champion | None) -> Model | None:
    """The champion's model, where the recipe names its trees."""
    return champion[0] if champion and champion[1] == recipe.base else None


def nobody(_doing: str, _share: float, _best: float | None, _left: float | None) -> None:
    """Nobody is told."""


def _rungs(plan: Plan, train: pl.DataFrame, tell: Progress) -> Ladder:
    """NOTE: an older ladder may know later windows, where a retrain is repeated as of an earlier time: of the holdout
    nothing may be known.
    """
    from modelling.rungs.ladder import ladder
    from modelling.splits import just_after, rolling

    end = just_after(train, time=plan.spec.time)
    return ladder(
        plan.spec,
        train,
        plan.start,
        folds=rolling(train, time=plan.spec.time, window=plan.window, gap=plan.gap, windows=CHOICE_WINDOWS),
        seed=plan.search.seed,
        threads=plan.search.threads,
        base=_base(plan),
        earlier=tuple(item for item in plan.earlier if end and item.stop <= end),
        progress=tell,
    )


def _base(plan: Plan) -> "Base | None":
    from modelling.rungs.ladder import Base

    return Base(sha256=plan.champion[1], model=plan.champion[0]) if plan.champion else None


def _searched(plan: Plan, train: pl.DataFrame, start: Recipe, tell: Progress) -> SearchResult | None:
    """The search, on the rows that the rungs have chosen; None where there were too few for a trial."""
    from modelling.splits import newest
    from modelling.tuning.search import search

    rows = newest(train, time=plan.spec.time, days=start.span_days if start.way == "fresh" else None)
    found = search(
        plan.spec, rows, start=start.plain, policy=plan.search, gap=plan.gap, study=plan.study, progress=tell
    )
    return found if found.trials else None


def _better(found: Ladder, searched: SearchResult, plan: Plan, tell: Progress) -> tuple[Rung, Recipe, str]:
    """The rung that was chosen, as it is or with the parameters of the search (these for all rows, where it takes
    trees of others or their leaves alone): by what they lose on the newest window. With the recipe, and why in words.

    NOTE: the search knows the labels of this window, which favours what it has found. So as the gate would it asks for
    `min_gain`, and for proof where the window has the days for it: what was the best by chance came and went otherwise,
    and was down to 12 trees for 300,000 rows.
    """
    chosen, new, newest = found.chosen, searched.recipe.plain, found.newest
    rung = PLAIN if chosen.base or chosen.way == "refit" else chosen
    tell("comparing what the search has found", 0.0, None, None)
    own = newest.loss(chosen) if newest else None
    gain = newest.gain(chosen, rung, new, alpha=_PROOF) if newest else None
    words, usual = f"{rung.words(days=found.days)}, with the search's parameters", chosen.words(days=found.days)
    if own is None or gain is None:
        return rung, rung.recipe(new, days=found.days), f"{words}: there is no earlier window to compare them by"
    told = f"loss {own - gain.mean:.5g} on the newest window against {own:.5g}"
    enough = gain.mean >= plan.min_gain * own
    if not enough or (gain.lower <= 0 and gain.blocks >= MIN_BLOCKS):
        short = "not provably gain" if enough else "not gain enough"
        return chosen, found.recipe, f"{found.why}; the search's parameters did {short}: {told}"
    better = f"{told} with the former ones and {usual}"
    return rung, rung.recipe(new, days=found.days), f"{words}: {better}"


def _baselines(
    spec: Spec, train: pl.DataFrame, holdout: pl.DataFrame | None, model: Model, tell: Progress
) -> Mapping[str, Array]:
    from modelling.baselines import baseline_predictions

    if holdout is None or holdout.is_empty():
        return {}
    tell("asking the baselines", 1.0, None, None)
    return baseline_predictions(spec, train, holdout, classes=model.classes)
