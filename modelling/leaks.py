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
from modelling.leak_scores import Codes, binned, differing, made_of, numbers, sample_rows
from modelling.leak_target import Target, is_number, target_of
from modelling.spec import Spec

Kind = Literal["copy", "future", "too good", "sum", "overlap"]

TOO_GOOD = 0.99  # AUC, or R^2: of one column alone, on rows that it was not learned from
SUM_SHARE = 1 - 1e-5  # R^2 of columns that add up to the target
SUM_COLUMNS = 4
_EXACT = 1e-9  # of R^2, that is no more than rounding: a target that its earlier values tell so well hides no sum
STEPS = 5  # rows ahead that an input may be a copy of
MIN_ROWS = 100  # of fewer, chance makes copies
SAMPLE_CELLS, FEWEST_ROWS, MOST_ROWS = 800_000, 5_000, 30_000
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
    shared = tuple(_shared_keys(spec, frame, holdout))
    if frame.height < MIN_ROWS:
        return shared
    positions, stretch = _sample(spec, frame)
    rows = frame[positions]
    inputs = inputs_of(spec, rows).drop(*trusted, *spec.training.trusted, strict=False)
    others = tuple(_of_other_rows(spec, rows, inputs))
    inputs = inputs.drop(leak.column for leak in others)
    target = target_of(spec, rows[spec.target], stretch)
    single = tuple(leak for column in inputs if (leak := _single(column, target)))
    inputs = inputs.drop(leak.column for leak in single)
    return (*shared, *others, *single, *_sums(inputs, target))


def made_of_other_rows(spec: Spec, frame: pl.DataFrame) -> tuple[Leak, ...]:
    """The inputs that `features` makes of other rows than their own; `find_leaks` tells them too.

    Only raw rows can tell it: on prepared ones `features` has run already.
    """
    if frame.is_empty():
        return ()
    rows = frame[_sample(spec, frame)[0]]
    return tuple(_of_other_rows(spec, rows, inputs_of(spec, rows).drop(*spec.training.trusted, strict=False)))


def in_words(leaks: Sequence[Leak]) -> str:
    """The sentences of the first few, for a verdict's reason."""
    more = [f"and {len(leaks) - _TOLD} more"] if len(leaks) > _TOLD else []
    return "; ".join([*(leak.sentence for leak in leaks[:_TOLD]), *more])


def _sample(spec: Spec, frame: pl.DataFrame) -> tuple[Codes, Codes]:
    cells = SAMPLE_CELLS // max(1, len(spec.raw_schema))
    return sample_rows(frame.height, wanted=min(MOST_ROWS, max(FEWEST_ROWS, cells)))


def _single(column: pl.Series, target: Target) -> Leak | None:
    """What one input gives away: the surest of the kinds."""
    bins = binned(column)
    return _copy(column, bins, target) or _ahead(column, bins, target) or _too_good(column, bins, target)


def _copy(column: pl.Series, bins: Codes, target: Target) -> Leak | None:
    score = target.same_as(column, bins)
    if not score >= target.copies or not _beats(score, target.usual[0]):
        return None
    sentence = f"input {column.name!r} is a copy of the target (agreement {score:.4g} on {bins.size:,} rows)"
    return Leak(column=column.name, kind="copy", score=score, sentence=with_remedy(sentence, column.name))


def _ahead(column: pl.Series, bins: Codes, target: Target) -> Leak | None:
    """A copy of a later row's target, that it knows better than it knows its own row's."""
    now = target.same_as(column, bins)
    for steps in range(1, STEPS + 1):
        score = target.same_as(column, bins, ahead=steps)
        if score >= target.copies and not score <= now and _beats(score, target.usual[0]):
            where = "the next row" if steps == 1 else f"the row {steps} rows later"
            sentence = f"input {column.name!r} knows the future: it is the target of {where} (agreement {score:.6g})"
            return Leak(column=column.name, kind="future", score=score, sentence=with_remedy(sentence, column.name))
    return None


def _too_good(column: pl.Series, bins: Codes, target: Target) -> Leak | None:
    """Near-perfect alone, by its values and gaps, or by its values where it has any."""
    known = bins > 0
    score, of = target.told_by(column, bins, np.ones_like(known)), "AUC" if target.classes else "R^2"
    if 0.05 <= known.mean() <= 0.95 and (alone := target.told_by(column, bins, known)) > score:
        score, of = alone, f"{of} of the {known.mean():.0%} of rows that have it"
    if not score >= TOO_GOOD or not _beats(score, target.usual[1]):
        return None
    sentence = (
        f"input {column.name!r} alone tells the target almost perfectly ({of} {score:.4f}), as no honest one does"
    )
    return Leak(column=column.name, kind="too good", score=score, sentence=with_remedy(sentence, column.name))


def _beats(score: float, usual: float) -> bool:
    """Whether a score leaves at most half of the errors that the label of the row before leaves."""
    return not 1 - score > (1 - usual) / 2


def _of_other_rows(spec: Spec, rows: pl.DataFrame, inputs: pl.DataFrame) -> Iterator[Leak]:
    """Inputs that are others when `features` is given a few of the rows alone: they are made of other rows, later ones
    too, and single requests will never have them so.
    """
    few = np.unique(np.linspace(0, rows.height - 1, ALONE_ROWS).astype(np.int64))
    alone, among = inputs_of(spec, rows[few]), inputs[few]
    for name in among.columns:
        share = differing(alone[name], among[name])
        if share > 0:
            sentence = (
                f"input {name!r} is made of other rows than its own, also of later ones ({share:.0%} of the rows get "
                "another value when they are asked alone); make it of its own row's columns, or drop it"
            )
            yield Leak(column=name, kind="future", score=share, sentence=sentence)


def _sums(inputs: pl.DataFrame, target: Target) -> Iterator[Leak]:
    """Several inputs of which the target is the weighted sum, to the last digit: parts of it, or a formula.

    A counter's earlier values tell it nearly so well, honestly: a sum must leave at most half of what they leave.
    """
    whole = [series for series in inputs if is_number(series) and not series.null_count()]
    if target.classes or len(whole) < 2:
        return
    table = np.column_stack([numbers(series) for series in whole])
    finite = np.flatnonzero(np.isfinite(table).all(axis=0))
    names = [whole[position].name for position in finite]
    left = 1 - target.told_by_earlier(SUM_COLUMNS)
    if left < _EXACT:
        return
    enough = max(SUM_SHARE, 1 - left / 2)
    chosen, share = made_of(table[:, finite], target.labels, enough=enough, most=SUM_COLUMNS)
    if chosen:
        parts = ", ".join(repr(names[position]) for position in chosen)
        does = f"the inputs {parts} together add up to the target"
        if len(chosen) == 1:
            does = f"input {parts} is the target in another scale"
        sentence = f"{does} (R^2 {share:.6f})"
        yield Leak(column=names[chosen[0]], kind="sum", score=share, sentence=with_remedy(sentence, names[chosen[0]]))


def _shared_keys(spec: Spec, frame: pl.DataFrame, holdout: pl.DataFrame | None) -> Iterator[Leak]:
    """Keys that more than one row has: the rows may be on both sides of a split."""
    keys = list(spec.key)
    if not keys:
        return
    name, remedy = ", ".join(keys), "keep the newest row of each"
    if twice := _sharing(frame.select(keys)):
        sentence = f"{twice:,} of {frame.height:,} training rows share their key ({name}) with another; {remedy}"
        yield Leak(column=name, kind="overlap", score=twice / frame.height, sentence=sentence)
    if holdout is not None and holdout.height:
        held = holdout.select(keys)
        trained = frame.select(keys).join(held, on=keys, how="semi", nulls_equal=True)  # the few, not a table of all
        both = held.join(trained, on=keys, how="semi", nulls_equal=True).height
        if both:
            sentence = f"{both:,} of {holdout.height:,} held out rows are trained on as well, by their key ({name})"
            yield Leak(column=name, kind="overlap", score=both / holdout.height, sentence=f"{sentence}; {remedy}")


def _sharing(keys: pl.DataFrame) -> int:
    """How many rows share their key with another: of all of them only hashes are compared, which takes a tenth of the
    memory.
    """
    hashes = keys.hash_rows()
    ordered = np.sort(hashes.to_numpy())
    alike = pl.Series(np.unique(ordered[1:][ordered[1:] == ordered[:-1]]), dtype=pl.UInt64)
    return int(keys.filter(hashes.is_in(alike.implode())).is_duplicated().sum()) if alike.len() else 0


def with_remedy(sentence: str, name: str) -> str:
    """The sentence about an input, and what to do."""
    return f"{sentence}; drop it in features, or, if it is honest, say Training(trusted=({name!r},))"
