from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from modelling.metrics import row_losses
from modelling.prepared import prepare
from modelling.recipes import Recipe
from modelling.rungs.choosing import gain, mean_loss
from modelling.rungs.climbing import days_of
from modelling.rungs.ladder import CHAMPION, Base, Ladder, Tried, ladder
from modelling.rungs.rungs import Rung
from modelling.spec import Spec, Training
from modelling.splits import Fold, days, rolling
from modelling.training import Model, fit
from tests.unit.modelling_world import FAST, START, pipeline_in, rides
from validation.intervals import paired_interval

DAY = timedelta(days=1)
RECIPE = replace(FAST, rounds=5)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    return pipeline_in(tmp_path_factory.mktemp("definition")).spec


def turned(days: int = 60, *, on: int = 35) -> pl.DataFrame:
    """Rides, two an hour, whose labels turn into their contrary on day `on`."""
    return rides(48 * days).with_columns(
        late=pl.when(pl.col("at") >= START + on * DAY).then(~pl.col("late")).otherwise("late")
    )


def folds_of(frame: pl.DataFrame, *, windows: int = 3, days: int = 4) -> tuple[Fold, ...]:
    return rolling(frame, time="at", window=days * DAY, gap=DAY, windows=windows)


def climbed(spec: Spec, frame: pl.DataFrame, recipe: Recipe = RECIPE, **options: Any) -> Ladder:
    return ladder(spec, frame, recipe, **{"folds": folds_of(frame), "seed": 7, "threads": 1, **options})


def fitted(spec: Spec, frame: pl.DataFrame, recipe: Recipe = RECIPE, *, base: Model | None = None) -> Model:
    return fit(spec, frame, recipe, seed=7, threads=1, base=base)


def by_window(tried: Sequence[Tried], rung: str) -> list[float]:
    return [item.loss for item in tried if item.rung == rung]


def test_where_the_world_has_turned_newer_rows_are_chosen(spec: Spec) -> None:
    """For 25 of 60 days the labels have meant the contrary: what is older misleads."""
    frame = turned()
    found = climbed(spec, frame)
    assert found.reference.name == "1/1"
    assert found.recipe.span_days == pytest.approx(60 / found.chosen.part, rel=0.01)
    assert found.recipe.span_days is not None
    assert found.recipe.span_days < 25
    share = 100 * gain(found.tried, found.chosen.name, reference="1/1")
    assert share > 5
    assert found.why == (
        f"the newest 15 days of 60 days: a gain of {share:.3g} % against all rows on earlier windows, of which the "
        "newest count most"
    )
    late, early = frame.filter(pl.col("at") >= START + 59 * DAY), frame.filter(pl.col("at") < START + 58 * DAY)
    ours, plain = (
        row_losses("binary", "logloss", model.labels(late), model.predict(late)).mean()
        for model in (fitted(spec, early, found.recipe), fitted(spec, early))
    )
    assert ours < 0.8 * plain


def test_where_nothing_changes_all_rows_are_kept(spec: Spec) -> None:
    found = climbed(spec, rides(48 * 60))
    assert found.recipe == RECIPE
    assert found.why == (
        "all rows, as before: nothing was better by 1 % on earlier windows, of which the newest count most"
    )


@pytest.mark.parametrize(
    ("loss", "why"),
    [
        (0.98, "the newest 4.0 days of 8.0 days, as before: nothing was better on"),
        (0.995, "all rows: no more than 1 % worse than the newest 4.0 days of 8.0 days on"),
        (1.02, "all rows: a gain of 1.61 % against the newest 4.0 days of 8.0 days on"),
    ],
)
def test_all_rows_come_back_where_they_are_hardly_worse_than_what_adapts(spec: Spec, loss: float, why: str) -> None:
    """`loss` of the newest half, which the champion learned from, where that of all rows is 1."""
    tried = [
        Tried(start=START + day * DAY, stop=START + (day + 1) * DAY, rung=name, loss=found, rows=100)
        for name, found in (("1/1", 1.0), ("1/2", loss))
        for day in range(3)
    ]
    found = climbed(spec, rides(48 * 8), replace(RECIPE, span_days=4), folds=(), earlier=tried)
    assert found.reference.name == "1/2"
    assert found.why.startswith(why)


def test_the_reason_is_the_gain_that_chooses_not_the_mean_of_all_windows(spec: Spec) -> None:
    """Of three windows the oldest spoke far more against the choice than the others did for it."""
    losses = (("1/1", (1.0, 1.0, 1.0)), ("1/4", (1.2, 0.9, 0.9)))
    tried = [
        Tried(start=START + day * DAY, stop=START + (day + 1) * DAY, rung=name, loss=loss, rows=(900, 100, 100)[day])
        for name, found in losses
        for day, loss in enumerate(found)
    ]
    frame = rides(48 * 8)
    made = climbed(spec, frame, folds=(), earlier=tried)
    assert made.chosen.name == "1/4"
    own, plain = mean_loss(tried, "1/4", beside="1/1"), mean_loss(tried, "1/1", beside="1/4")
    assert own is not None
    assert plain is not None
    assert own > plain
    share = 100 * gain(tried, "1/4", reference="1/1")
    assert f"a gain of {share:.3g} % against all rows" in made.why
    assert "loss" not in made.why


def test_a_rungs_loss_is_that_of_its_recipes_fit_on_the_rows_before_the_window(spec: Spec) -> None:
    frame = turned()
    fold = folds_of(frame)[-1]
    past, window = fold.train_rows(frame), fold.validation_rows(frame)
    days = days_of(past, time="at")
    found = climbed(spec, frame)
    for name, span, half in (("1/1", None, None), ("1/2 fading", days / 2, days / 8), ("1/4", days / 4, None)):
        model = fitted(spec, past, replace(RECIPE, span_days=span, half_life_days=half))
        loss = row_losses("binary", "logloss", model.labels(window), model.predict(window)).mean()
        assert by_window(found.tried, name)[-1] == pytest.approx(loss, abs=1e-12)


def test_evidence_is_what_earlier_windows_chose_asked_about_the_window(spec: Spec) -> None:
    """The first window is asked of the recipe itself; the third of what the first two were best by."""
    frame = turned()
    folds = folds_of(frame)
    found = climbed(spec, frame, purpose="evidence")
    assert (found.evidence.windows, found.evidence.fits) == (3, 3)
    assert found.evidence.rows.equals(frame.filter(pl.col("at") >= folds[0].start))
    first = folds[0].validation_rows(frame)
    np.testing.assert_array_equal(
        found.evidence.prediction[: first.height], fitted(spec, folds[0].train_rows(frame)).predict(first)
    )
    last = folds[2].validation_rows(frame)
    past = folds[2].train_rows(frame)
    days = days_of(past, time="at")
    short = fitted(spec, past, replace(RECIPE, span_days=days / 4))
    np.testing.assert_array_equal(found.evidence.prediction[-last.height :], short.predict(last))
    assert {item.rung for item in found.tried if item.start == folds[2].start} == set()


def test_labels_of_the_last_window_change_neither_its_predictions_nor_what_was_chosen_for_it(spec: Spec) -> None:
    frame = turned()
    start = folds_of(frame)[2].start
    other = frame.with_columns(late=pl.when(pl.col("at") >= start).then(~pl.col("late")).otherwise("late"))
    one, two = (climbed(spec, rows, purpose="evidence") for rows in (frame, other))
    np.testing.assert_array_equal(one.evidence.prediction, two.evidence.prediction)
    assert one.evidence.newest is not None
    assert two.evidence.newest is not None
    assert one.evidence.newest.recipe == two.evidence.newest.recipe


def test_windows_that_an_earlier_ladder_knows_are_not_fitted_again(spec: Spec) -> None:
    frame = turned()
    folds = folds_of(frame)
    before = climbed(spec, frame, folds=folds[:2])
    found = climbed(spec, frame, folds=folds, earlier=before.tried)
    assert found.tried == (*before.tried, *climbed(spec, frame, folds=folds[2:]).tried)
    assert found.cost == pytest.approx(climbed(spec, frame, folds=folds[2:]).cost)
    assert climbed(spec, frame, folds=folds, earlier=found.tried).cost == 0


def test_windows_beyond_the_frame_say_nothing(spec: Spec) -> None:
    """A holdout that begins earlier than the last one: what was found there must not choose what is judged by it."""
    frame = turned()
    known = climbed(spec, frame).tried
    before = frame.filter(pl.col("at") < START + 45 * DAY)
    assert all(item.stop > START + 45 * DAY for item in known)
    found = climbed(spec, before, folds=(), earlier=known)
    assert (found.recipe, found.tried) == (RECIPE, ())


def test_of_known_windows_and_the_last_one_evidence_costs_the_choice_alone(spec: Spec) -> None:
    frame = turned()
    known = climbed(spec, frame, folds=folds_of(frame)[:2]).tried
    found = climbed(spec, frame, purpose="evidence", earlier=known)
    assert found.evidence.fits == 3
    assert found.cost < 2
    assert found.tried == known


def test_a_ladder_on_prepared_rows_finds_the_same(spec: Spec) -> None:
    frame = turned()
    prepared, rows = prepare(spec, frame)
    one, other = climbed(spec, frame), climbed(prepared, rows)
    assert (one.tried, one.recipe, one.cost) == (other.tried, other.recipe, other.cost)


def test_a_champion_that_has_seen_no_row_of_the_window_is_continued_and_refitted(spec: Spec) -> None:
    """Two windows: the first it has partly seen, so there nothing that is made of its trees is tried."""
    frame = turned(200, on=185)
    folds = folds_of(frame, windows=2)
    champion = fitted(spec, frame.filter(pl.col("at") < folds[1].start - DAY))
    assert champion.trained_until > folds[0].start
    found = climbed(spec, frame, folds=folds, base=Base(sha256="ab" * 32, model=champion))
    own = {name: by_window(found.tried, name) for name in (CHAMPION, "1/8 continued champion", "1/8 refitted champion")}
    assert {name: len(losses) for name, losses in own.items()} == dict.fromkeys(own, 1)
    window = folds[1].validation_rows(frame)
    loss = row_losses("binary", "logloss", champion.labels(window), champion.predict(window)).mean()
    assert own[CHAMPION] == [pytest.approx(loss)]
    assert found.is_good_enough(min_gain=0.0)
    assert not found.is_good_enough(min_gain=0.99)


def test_without_windows_the_choice_is_what_the_champion_does(spec: Spec) -> None:
    frame = turned()
    for span, half in ((None, None), (15.0, None), (30.0, 7.5)):
        found = climbed(spec, frame, replace(RECIPE, span_days=span, half_life_days=half), folds=())
        assert [days and round(days, 1) for days in (found.recipe.span_days, found.recipe.half_life_days)] == [
            span,
            half,
        ]
        assert found.why.endswith("as before: there is no earlier window to choose by")
        assert (found.cost, found.tried, found.evidence.fits) == (0.0, (), 0)
        assert found.is_good_enough(min_gain=0.5)
    assert climbed(spec, frame.clear(), folds=()).recipe == RECIPE


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_other_tasks_climb_too(spec: Spec, task: str) -> None:
    kinds = pl.when(pl.col("wind") > 12).then(pl.lit("b")).when(pl.col("late")).then(pl.lit("a")).otherwise(pl.lit("c"))
    target = kinds if task == "multiclass" else pl.col("wind") + pl.col("late")
    frame = rides(48 * 100).with_columns(late=target)
    metric = {"multiclass": "logloss", "regression": "l1"}[task]
    other = replace(spec, task=task, metric=metric)  # type: ignore[arg-type]
    found = climbed(other, frame, purpose="evidence", folds=folds_of(frame, windows=2))
    assert len({item.rung for item in found.tried}) == 8
    assert np.isfinite(found.evidence.loss).all()
    assert found.evidence.prediction.shape[0] == found.evidence.rows.height


def test_where_inputs_are_constrained_no_leaf_is_refitted_and_no_older_tree_used(spec: Spec) -> None:
    frame = rides(48 * 100)
    (fold,) = folds_of(frame, windows=1)
    champion = Base(sha256="ab" * 32, model=fitted(spec, frame.filter(pl.col("at") < fold.start)))
    bound = replace(spec, training=Training(monotone={"wind": 1}))
    free, constrained = (
        {item.rung for item in climbed(any_, frame, folds=(fold,), base=champion).tried} for any_ in (spec, bound)
    )
    assert free - constrained == {"1/8 refitted", "1/8 refitted champion", "1/8 continued champion"}
    assert "1/8 continued" in constrained


def test_a_choice_is_made_without_a_calibration_and_evidence_with_it(spec: Spec) -> None:
    frame = rides(48 * 60)
    corrected = replace(spec, training=Training(calibration="isotonic"))
    assert climbed(corrected, frame).tried == climbed(spec, frame).tried
    found = climbed(corrected, frame, purpose="evidence", folds=folds_of(frame, windows=1))
    assert found.evidence.newest is not None
    assert found.evidence.newest.calibration is not None


def test_the_newest_window_tries_all_rungs_and_each_older_one_half_as_many_for_a_choice(spec: Spec) -> None:
    frame = turned()
    folds = folds_of(frame)
    found, all_of = climbed(spec, frame), climbed(spec, frame, folds=folds[2:])
    by_fold = [{item.rung: item.loss for item in found.tried if item.start == fold.start} for fold in folds]
    assert by_fold[2] == {item.rung: item.loss for item in all_of.tried}
    gains = {name: gain(all_of.tried, name, reference="1/1") for name in by_fold[2]}
    assert set(by_fold[1]) == {"1/1", *sorted(gains, key=lambda name: -gains[name])[: (len(gains) + 1) // 2]}
    assert set(by_fold[0]) <= set(by_fold[1]) < set(by_fold[2])
    assert "1/1" in by_fold[0]
    evidence = climbed(spec, frame, purpose="evidence")
    assert {item.rung for item in evidence.tried if item.start == folds[0].start} > set(by_fold[0])


def test_progress_is_told_before_each_fit(spec: Spec) -> None:
    frame, told = turned(), list[tuple[Any, ...]]()
    climbed(spec, frame, progress=lambda *args: told.append(args))
    assert len(told) == len(climbed(spec, frame).tried)
    assert told[0] == ("all rows, before 2024-02-25 23:30", 0.0, None, None)
    assert told[-1][1] == pytest.approx(2 / 3)


def test_of_hasty_rungs_the_choice_is_judged_as_it_would_be_fitted(spec: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a twentieth of the rows nothing is as good as the champion; of all of them it is."""
    monkeypatch.setattr("modelling.rungs.ladder.MOST_ROWS", 150)
    frame = rides(48 * 60)
    folds = folds_of(frame)
    champion = Base(sha256="ab" * 32, model=fitted(spec, frame.filter(pl.col("at") < START + 20 * DAY)))
    found = climbed(spec, frame, base=champion)
    assert found.is_hasty
    assert found.newest is not None
    past, window = folds[-1].train_rows(frame), folds[-1].validation_rows(frame)
    recipe = found.chosen.recipe(RECIPE, days=days_of(past, time="at"))
    losses = [
        row_losses("binary", "logloss", model.labels(window), model.predict(window)).mean()
        for model in (fitted(spec, past, recipe, base=champion.model), champion.model)
    ]
    assert [found.newest.loss(found.chosen), found.newest.champion_loss] == pytest.approx(losses)
    gain = 1 - losses[0] / losses[1]
    assert found.is_good_enough(min_gain=gain - 1e-6)
    assert not found.is_good_enough(min_gain=gain + 1e-6)


def test_other_parameters_are_compared_on_the_newest_window_row_by_row(spec: Spec) -> None:
    frame, other = turned(), replace(RECIPE, rounds=2)
    fold = folds_of(frame)[-1]
    past, window = fold.train_rows(frame), fold.validation_rows(frame)
    newest, half = climbed(spec, frame).newest, Rung(part=2)
    assert newest is not None
    own, found = (
        row_losses("binary", "logloss", model.labels(window), model.predict(window))
        for model in (
            fitted(spec, past, replace(RECIPE, span_days=days_of(past, time="at") / 2)),
            fitted(spec, past, other),
        )
    )
    assert newest.gain(half, Rung(), other, alpha=0.1) == paired_interval(own - found, days(window["at"]), alpha=0.1)
    assert newest.gain(half, Rung(part=2, base="ab" * 32), other, alpha=0.1) is not None
    assert newest.gain(half, Rung(part=16), other, alpha=0.1) is None, "too few rows"


def test_a_choice_asks_nobody_and_evidence_keeps_no_rows(spec: Spec) -> None:
    frame = turned()
    assert climbed(spec, frame).evidence.windows == 0
    found = climbed(spec, frame, purpose="evidence").evidence
    assert found.windows == 3
    constants = frame.filter(pl.col("at") < folds_of(frame)[0].start - DAY)["late"].cast(pl.Float64).mean()
    expected = row_losses("binary", "logloss", found.labels[:1], np.array([constants], dtype=np.float64))
    assert found.baseline_loss[0] == pytest.approx(expected[0])
