"""The ladder: cheap ways of using the rows, each fitted before windows of time and judged on them.

One function for three uses. A retrain chooses by windows before the gate's holdout; the monitor's probe and the gate's
prequential evidence are the choices made before each window, asked about that window: no choice is judged by rows that
made it. Which rows a model learns from matters more than its parameters (benchmarks/retrain_cost.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

import polars as pl

from modelling.prepared import prepare
from modelling.recipes import Recipe
from modelling.rungs.choosing import Tried, choose, halved
from modelling.rungs.climbing import Climber, Step, days_of, fit_cost
from modelling.rungs.evidence import Scored, together
from modelling.rungs.found import CHAMPION, Ladder
from modelling.rungs.newest import Window
from modelling.rungs.rungs import (
    ADAPTED,
    HASTY_ROUNDS,
    PLAIN,
    QUICK_ROUNDS,
    Base,
    Rung,
    all_rungs,
    bearable,
    like,
    quickened,
)
from modelling.spec import Spec
from modelling.splits import Fold, just_after, newest
from validation.errors import ContractError, DefinitionError

__all__ = ["CHAMPION", "Base", "Ladder", "Rung", "Scored", "Tried", "ladder"]

# What is being done, how much of it (0 to 1), the best loss so far, and the seconds left, where these are known.
Progress = Callable[[str, float, float | None, float | None], None]
Purpose = Literal["choice", "evidence"]

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
# A choice is made of no more rows before a window, and by no more in it; they are thinned evenly, for all rungs alike.
MOST_ROWS, MOST_JUDGES = 30_000, 10_000


def ladder(  # noqa: PLR0913 - those of `fit`, the windows, and what is known before
    spec: Spec,
    frame: pl.DataFrame,
    recipe: Recipe,
    *,
    folds: Sequence[Fold],
    seed: int,
    threads: int,
    purpose: Purpose = "choice",
    base: Base | None = None,
    earlier: Sequence[Tried] = (),
    progress: Progress | None = None,
) -> Ladder:
    """Try the rungs of the champion's `recipe` on the `folds` (of `splits.rolling`) of `frame`, mature labelled rows in
    order of time. `earlier`: what older ladders found, so that the folds which they know are not fitted again; windows
    that reach beyond the frame, where others may judge, are left out.

    What is found has no more than QUICK_ROUNDS trees. "choice": what to fit next; where rows are many, fewer trees and
    thinned rows tell it. "evidence": how the choices before each fold fare on it, of all rows; of known folds
    and of the last one only the choice is fitted. `base`: asked about rows of `frame`; its trees are used where it has
    seen no row of the fold. `progress` is called before each fit.

    Never raises for want of rows: the choice is then what is most like the recipe itself.
    """
    days, (prepared, rows) = days_of(frame, time=spec.time), prepare(spec, frame)
    end, base = just_after(frame, time=spec.time), base if base and _is_askable(base, frame, prepared) else None
    earlier = [item for item in earlier if end and item.stop <= end]
    quick = quickened(recipe, rounds=QUICK_ROUNDS, fixed=spec.training.fixed)
    rungs = all_rungs(recipe, base=base, monotone=bool(spec.training.monotone))
    rungs = bearable(rungs, adapted=_adapted(prepared, rows, days=days), rounds=quick.rounds, base=base)
    reference = like(recipe, rungs, days=days)
    whole = Climber(
        asks=spec, frame=frame, spec=prepared, rows=rows, known=quick, base=base, seed=seed, threads=threads
    )
    climber, plans = _hastened(whole) if purpose == "choice" else whole, _plans(folds, rungs, earlier, purpose=purpose)
    choices = Choices(rungs=rungs, reference=reference, tried=list(earlier))
    steps = _climbed(climber, plans, choices, purpose=purpose, progress=progress)
    chosen, asked = choices.before(None), [step.asked for step in steps if step.asked is not None]
    since = folds[0].start if folds else _NEVER
    return Ladder(
        tried=tuple(sorted(choices.tried, key=lambda item: item.start)),
        cost=sum(step.cost for step in steps) / max(1.0, fit_cost(PLAIN, frame.height, quick)),
        evidence=together(spec, asked, frame=frame, since=since),
        chosen=chosen,
        recipe=chosen.recipe(quick, days=days),
        reference=reference,
        days=days,
        newest=Window(climber=whole, fold=folds[-1]) if folds else None,
        is_hasty=climber != whole and _is_hasty(climber, whole, folds),
    )


@dataclass(slots=True, kw_only=True)
class Choices:
    """What has been tried so far, and the rung that it speaks for."""

    rungs: tuple[Rung, ...]
    reference: Rung
    tried: list[Tried]

    def before(self, moment: datetime | None) -> Rung:
        """By the windows that had ended by then; None: by all."""
        known = [item for item in self.tried if moment is None or item.stop <= moment]
        name = choose(known, [rung.name for rung in self.rungs], reference=self.reference.name)
        return next(rung for rung in self.rungs if rung.name == name)

    def halved(self, some: tuple[Rung, ...], *, times: int) -> tuple[Rung, ...]:
        """Those of some that the windows tried so far speak for, so many times the half."""
        names = [rung.name for rung in some]
        for _ in range(times if some else 0):
            names = list(halved(self.tried, names, reference=self.reference.name))
        return tuple(rung for rung in some if rung.name in names)


def _hastened(climber: Climber) -> Climber:
    """What tells the rungs apart for less: fewer trees and rows, where there are many, and no calibration, which costs
    another fit and serves all rungs alike.
    """
    rounds = max(HASTY_ROUNDS, HASTY_ROUNDS * MOST_ROWS // max(1, climber.frame.height))
    training = replace(climber.spec.training, calibration="none")
    known = quickened(climber.known, rounds=rounds, fixed=training.fixed)
    return replace(
        climber,
        spec=replace(climber.spec, training=training),
        known=known,
        most=(MOST_ROWS, MOST_JUDGES),
        is_hasty=known != climber.known,
    )


def _is_hasty(climber: Climber, whole: Climber, folds: Sequence[Fold]) -> bool:
    """Whether it compares other models than would be fitted: without calibration, of fewer trees, or of fewer rows."""
    return climber.is_hasty or climber.spec != whole.spec or any(fold.train.size > MOST_ROWS for fold in folds)


def _adapted(spec: Spec, rows: pl.DataFrame, *, days: float) -> int:
    """How many rows of so many days have their leaves refitted, each once for each of many classes."""
    within = newest(rows.select(spec.time), time=spec.time, days=days / ADAPTED).height
    return within * (rows[spec.target].n_unique() if spec.task == "multiclass" else 1)


def _plans(
    folds: Sequence[Fold], rungs: tuple[Rung, ...], earlier: Sequence[Tried], *, purpose: Purpose
) -> list[tuple[Fold, tuple[Rung, ...]]]:
    """The folds that are fitted, and the rungs that are tried on them; () stands for the choice alone."""
    plans = []
    for number, fold in enumerate(folds, start=1):
        is_known = any(item.rung == PLAIN.name and _is_of(item, fold) for item in earlier)
        is_asked = purpose == "evidence"
        if is_asked or not is_known:
            plans.append((fold, () if is_asked and (is_known or number == len(folds)) else rungs))
    return plans


def _climbed(
    climber: Climber,
    plans: Sequence[tuple[Fold, tuple[Rung, ...]]],
    choices: Choices,
    *,
    purpose: Purpose,
    progress: Progress | None,
) -> list[Step]:
    """Evidence takes the folds in order, and `choices` learns from each, for those that follow. For a choice the newest
    says most, and comes first: on each older one half as many rungs are tried.
    """
    steps, racing = list[Step](), purpose == "choice"
    for number, (fold, some) in enumerate(reversed(plans) if racing else plans):
        choice, tell = choices.before(fold.start), _tell(progress, fold, number, len(plans))
        tries = choices.halved(some, times=number if racing else 0)
        steps.append(climber.step(fold, tries or [choice], choice=None if racing else choice, tell=tell))
        choices.tried += [item for item in steps[-1].tried if some or item.rung == CHAMPION]
    return steps


def _is_of(item: Tried, fold: Fold) -> bool:
    """Whether the window is the fold's, but for less than half of it: the newest row is not always at the same hour."""
    return min(item.stop, fold.stop) - max(item.start, fold.start) > (fold.stop - fold.start) / 2


def _is_askable(base: Base, frame: pl.DataFrame, prepared: Spec) -> bool:
    """Whether the champion knows today's columns, and today's `features` give the inputs of its trees."""
    try:
        base.model.predict(frame.head(1))
        base.model.encoding.expressions({name: prepared.raw_schema[name] for name in prepared.raw_schema})
    except (ContractError, DefinitionError):
        return False
    return True


def _tell(progress: Progress | None, fold: Fold, number: int, of: int) -> Callable[[str], None]:
    def tell(words: str) -> None:
        if progress is not None:
            progress(f"{words}, before {fold.start:%Y-%m-%d %H:%M}", number / of, None, None)

    return tell
