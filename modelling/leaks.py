"""Does an input know what it cannot know when it is asked? Decides nothing: it tells, and the retrain stops.

What is looked for, in single columns of an even sample of the training rows: copies of the target (scaled, shifted,
renamed), inputs that are too good to be true, inputs that know the rows after them, sums that add up to the target,
and keys on both sides of the split. Whoever knows better says so: `Training(trusted=(...))`.

NOTE: what is not found: a leak of several columns into a class, of the next row of the same customer, or one that
leaves the input weaker than these limits; and lagged labels, which are honest where they are known in time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from modelling.inputs import inputs_of
from modelling.labels import classes_of, label_values
from modelling.leak_scores import (
    Codes,
    Floats,
    Marks,
    binned,
    explained,
    likeness,
    made_of,
    numbers,
    purity,
    sample_rows,
    separation,
)
from modelling.spec import Spec

Kind = Literal["copy", "future", "too good", "sum", "overlap"]

TOO_GOOD = 0.99  # AUC, or R^2: of one column alone, on rows that it was not learned from
COPY_PURITY = 0.999  # of the target's classes under other names; some labels are corrected later
COPY_LIKENESS = 1 - 1e-6  # squared correlation: what rounding leaves of a scaled copy
SUM_SHARE = 1 - 1e-5  # R^2 of columns that add up to the target
SUM_COLUMNS = 4
STEPS = 5  # rows ahead that an input may be a copy of
SAMPLE_CELLS, FEWEST_ROWS, MOST_ROWS = 1_000_000, 5_000, 40_000
ALONE_ROWS = 64  # of which `features` makes the inputs once more, without the other rows
_TOLD = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """What gives the target away: `column` (an input; of "overlap" the key, of "sum" the first of several).

    `score`: how surely, in [0, 1]; what it is of, `sentence` says, for people, with the remedy at its end.
    """

    column: str
    kind: Kind
    score: float
    sentence: str


def find_leaks(
    spec: Spec,
    frame: pl.DataFrame,
    *,
    trusted: Sequence[str] = (),
    holdout: pl.DataFrame | None = None,
) -> tuple[Leak, ...]:
    """The inputs of these training rows that know too much, in their order; () when none is suspicious.

    `frame`: labelled rows in order of time (raw or prepared, as `spec` says). `trusted`: inputs that are not
    questioned, besides `spec.training.trusted`. `holdout`: only its keys are looked at. ContractError for bad labels.
    """
    if frame.is_empty():
        return ()
    wanted = min(MOST_ROWS, max(FEWEST_ROWS, SAMPLE_CELLS // max(1, len(spec.raw_schema))))
    positions, stretch = sample_rows(frame.height, wanted=wanted)
    rows = frame[positions]
    inputs = inputs_of(spec, rows)
    asked = [name for name in inputs.columns if name not in {*trusted, *spec.training.trusted}]
    target = _target(spec, rows[spec.target], stretch)
    others = tuple(_of_other_rows(spec, rows, inputs.select(asked)))
    told = {leak.column for leak in others}
    single = [leak for name in asked if name not in told and (leak := _single(inputs[name], target))]
    told |= {leak.column for leak in single}
    left = inputs.select(name for name in asked if name not in told)
    return (*_shared_keys(spec, frame, holdout), *others, *single, *_sums(left, target))


def in_words(leaks: Sequence[Leak]) -> str:
    """The sentences of the first few, for a verdict's reason."""
    more = [f"and {len(leaks) - _TOLD} more"] if len(leaks) > _TOLD else []
    return "; ".join([*(leak.sentence for leak in leaks[:_TOLD]), *more])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Target:
    """The sampled labels; `classes`: their number, 0 for a number. `learns`: rows that a column's bins learn from.

    `usual`: what the label of the row before tells: an input that tells no more may be an honest, lagged one.
    """

    labels: Floats
    classes: int
    stretch: Codes
    learns: Marks
    usual: float

    @property
    def codes(self) -> Codes:
        """The labels as numbers of classes."""
        return self.labels.astype(np.int64)

    def told_by(self, bins: Codes, rows: Marks) -> float:
        """AUC or R^2 of the bins in these rows."""
        if self.classes:
            return separation(bins[rows], self.codes[rows], self.classes, self.learns[rows])
        return explained(bins[rows], self.labels[rows], self.learns[rows])


def _target(spec: Spec, labels: pl.Series, stretch: Codes) -> _Target:
    classes = classes_of(spec.task, labels)
    values, count = label_values(spec.task, labels, classes), {"binary": 2}.get(spec.task, len(classes))
    learns = stretch % 2 == 0
    blank = _Target(labels=values, classes=count, stretch=stretch, learns=learns, usual=0.0)
    before = pl.Series(values).shift(1)
    first = np.diff(stretch, prepend=-1) != 0
    usual = blank.told_by(binned(before), ~first)
    return _Target(labels=values, classes=count, stretch=stretch, learns=learns, usual=usual)


def _single(column: pl.Series, target: _Target) -> Leak | None:
    """What one input gives away: the surest of the kinds."""
    bins = binned(column)
    return _copy(column, bins, target) or _ahead(column, bins, target) or _too_good(column.name, bins, target)


def _copy(column: pl.Series, bins: Codes, target: _Target) -> Leak | None:
    score, least = _sameness(column, bins, target, ahead=0)
    if not score >= least:
        return None
    how = "agreement" if target.classes else "squared correlation"
    sentence = f"input {column.name!r} is a copy of the target ({how} {score:.6g} on {bins.size:,} rows)"
    return Leak(column=column.name, kind="copy", score=score, sentence=_with_remedy(sentence, column.name))


def _ahead(column: pl.Series, bins: Codes, target: _Target) -> Leak | None:
    """A copy of a later row's target; it knows that row better than its own, and better than this one's label does."""
    now, _ = _sameness(column, bins, target, ahead=0)
    for steps in range(1, STEPS + 1):
        score, least = _sameness(column, bins, target, ahead=steps)
        if score >= least and not score <= now:
            where = "the next row" if steps == 1 else f"the row {steps} rows later"
            sentence = f"input {column.name!r} knows the future: it is the target of {where} (agreement {score:.6g})"
            return Leak(column=column.name, kind="future", score=score, sentence=_with_remedy(sentence, column.name))
    return None


def _sameness(column: pl.Series, bins: Codes, target: _Target, *, ahead: int) -> tuple[float, float]:
    """How far the column is the target of the row so many rows later, and from where on this is a copy; nan: it cannot
    be told.
    """
    here = np.arange(bins.size - ahead)
    here = here[target.stretch[here] == target.stretch[here + ahead]]
    if not target.classes:
        if not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
            return float("nan"), COPY_LIKENESS
        return likeness(numbers(column)[here], target.labels[here + ahead]), COPY_LIKENESS
    if not here.size or int(bins.max(initial=0)) > 2 * target.classes:
        return float("nan"), COPY_PURITY
    return purity(bins[here], target.codes[here + ahead], target.classes), COPY_PURITY


def _too_good(name: str, bins: Codes, target: _Target) -> Leak | None:
    """Near-perfect alone, by its values and gaps, or by its values where it has any."""
    known = bins > 0
    score = target.told_by(bins, np.ones_like(known))
    of = "AUC" if target.classes else "R^2"
    if 0.05 <= known.mean() <= 0.95 and (alone := target.told_by(bins, known)) > score:
        score, of = alone, f"{of} of the {known.mean():.0%} of rows that have it"
    if not score >= TOO_GOOD or score <= target.usual:
        return None
    sentence = f"input {name!r} alone tells the target almost perfectly ({of} {score:.4f}), as no honest one does"
    return Leak(column=name, kind="too good", score=score, sentence=_with_remedy(sentence, name))


def _of_other_rows(spec: Spec, rows: pl.DataFrame, inputs: pl.DataFrame) -> Iterator[Leak]:
    """Inputs that are others when `features` is given a few of the rows alone: they are made of other rows, later ones
    too, and single requests will never have them so.
    """
    few = np.unique(np.linspace(0, rows.height - 1, ALONE_ROWS).astype(np.int64))
    alone, among = inputs_of(spec, rows[few]), inputs[few]
    for name in among.columns:
        share = _differing(alone[name], among[name])
        if share > 0:
            sentence = (
                f"input {name!r} is made of other rows than its own, also of later ones ({share:.0%} of the rows get "
                "another value when they are asked alone); make it of its own row's columns, or drop it"
            )
            yield Leak(column=name, kind="future", score=share, sentence=sentence)


def _differing(one: pl.Series, other: pl.Series) -> float:
    """The share of rows in which the values differ, by more than rounding."""
    if one.dtype.is_float() and other.dtype.is_float():
        return float((~np.isclose(numbers(one), numbers(other), rtol=1e-6, atol=1e-12, equal_nan=True)).mean())
    texts = one.cast(pl.String), other.cast(pl.String)
    return float(texts[0].ne_missing(texts[1]).mean())  # type: ignore[arg-type]


def _sums(inputs: pl.DataFrame, target: _Target) -> Iterator[Leak]:
    """Several inputs of which the target is the weighted sum, to the last digit: parts of it, or a formula."""
    whole = [series for series in inputs if series.dtype.is_numeric() and not series.null_count()]
    if target.classes or len(whole) < 2:
        return
    table = np.column_stack([numbers(series) for series in whole])
    finite = np.flatnonzero(np.isfinite(table).all(axis=0))
    names = [whole[position].name for position in finite]
    chosen, share = made_of(table[:, finite], target.labels, enough=SUM_SHARE, most=SUM_COLUMNS)
    if chosen:
        parts = ", ".join(repr(names[position]) for position in chosen)
        sentence = f"the inputs {parts} together add up to the target (R^2 {share:.6f})"
        yield Leak(column=names[chosen[0]], kind="sum", score=share, sentence=_with_remedy(sentence, names[chosen[0]]))


def _shared_keys(spec: Spec, frame: pl.DataFrame, holdout: pl.DataFrame | None) -> Iterator[Leak]:
    """Keys that more than one row has: the rows may be on both sides of a split."""
    keys = list(spec.key)
    if not keys:
        return
    name, remedy = ", ".join(keys), "keep the newest row of each"
    if twice := int(frame.select(keys).is_duplicated().sum()):
        sentence = f"{twice:,} of {frame.height:,} training rows share their key ({name}) with another; {remedy}"
        yield Leak(column=name, kind="overlap", score=twice / frame.height, sentence=sentence)
    if holdout is not None and holdout.height:
        both = holdout.select(keys).join(frame.select(keys), on=keys, how="semi", nulls_equal=True).height
        if both:
            sentence = f"{both:,} of {holdout.height:,} held out rows are trained on as well, by their key ({name})"
            yield Leak(column=name, kind="overlap", score=both / holdout.height, sentence=f"{sentence}; {remedy}")


def _with_remedy(sentence: str, name: str) -> str:
    return f"{sentence}; drop it in features, or, if it is honest, say Training(trusted=({name!r},))"
