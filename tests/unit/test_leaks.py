"""Planted leaks are found, whatever they look like, and honest inputs are not suspected."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelling.leak_scores import (
    STRETCHES,
    binned,
    explained,
    learners,
    likeness,
    made_of,
    on_one_line,
    purity,
    sample_rows,
    separation,
)
from modelling.leaks import Leak, find_leaks, in_words, made_of_other_rows
from modelling.prepared import prepare
from modelling.spec import Spec, Task, Training
from tests.unit.modelling_world import START, pipeline_in, rides

ROWS = 2_000
METRIC: dict[Task, str] = {"binary": "logloss", "multiclass": "logloss", "regression": "l2"}


def problem(task: Task, seed: int = 3) -> pl.DataFrame:
    """Honest inputs: a strong number, a weak level, one with gaps, pure noise; and a target of that task."""
    random = np.random.default_rng(seed)
    strong, noise = random.normal(size=ROWS), random.normal(size=ROWS)
    level = random.choice(["a", "b", "c"], ROWS)
    score = strong + (level == "a") + 0.5 * random.normal(size=ROWS)
    target: pl.Series = pl.Series(score)
    if task == "binary":
        target = pl.Series(score > 0.5)
    if task == "multiclass":
        target = pl.Series(np.digitize(score, [-0.5, 0.3, 1.2])).replace_strict({0: "x", 1: "y", 2: "z", 3: "w"})
    at = [START + timedelta(hours=row) for row in range(ROWS)]
    gappy = pl.Series(strong).scatter(np.flatnonzero(noise > 0.3), None)
    return pl.DataFrame(
        {"id": range(ROWS), "at": at, "strong": strong, "level": level, "gappy": gappy, "noise": noise, "y": target},
        schema_overrides={"at": pl.Datetime("us", "UTC")},
    )


def spec_of(frame: pl.DataFrame, task: Task, *, trusted: tuple[str, ...] = ()) -> Spec:
    return Spec(
        features=lambda rows: rows.drop("at"),
        raw_schema={name: dtype for name, dtype in frame.schema.items() if name != "y"},
        key=("id",),
        time="at",
        target="y",
        task=task,
        metric=METRIC[task],
        training=Training(trusted=trusted),
    )


def found(frame: pl.DataFrame, task: Task) -> list[tuple[str, str]]:
    return [(leak.kind, leak.column) for leak in find_leaks(spec_of(frame, task), frame)]


@pytest.mark.parametrize("task", METRIC)
def test_honest_inputs_are_not_suspected(task: Task) -> None:
    assert found(problem(task), task) == []


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_a_copy_of_a_class_is_found_under_other_names_and_with_a_few_corrections(task: Task) -> None:
    frame = problem(task)
    names = {str(level): f"code {place}" for place, level in enumerate(frame["y"].cast(pl.String).unique().sort())}
    renamed = pl.col("y").cast(pl.String).replace_strict(names)
    corrected = pl.when(pl.col("id") == 77).then(pl.col("y").first()).otherwise(pl.col("y")).rank("dense") * 10
    planted = frame.with_columns(renamed=renamed, corrected=corrected)
    assert found(planted, task) == [("copy", "renamed"), ("copy", "corrected")]


def test_a_copy_of_a_number_is_found_scaled_shifted_rounded_and_with_gaps() -> None:
    frame = problem("regression").with_columns(
        fahrenheit=(pl.col("y") * 1.8 + 32).round(3),
        negative=pl.when(pl.col("noise") > 0).then(-pl.col("y").cast(pl.Float32)),
        mostly=pl.when(pl.col("noise") < 1.5).then("y").otherwise(7.0),
    )
    assert found(frame, "regression") == [("copy", "fahrenheit"), ("copy", "negative"), ("copy", "mostly")]


def test_a_column_that_is_zero_where_the_target_mostly_is_is_no_copy_for_that() -> None:
    """Sales are nought on most days, and so is the rain; where they are not, it says little."""
    random = np.random.default_rng(8)
    sold = np.where(random.random(ROWS) < 0.6, 0.0, random.gamma(2, 10, ROWS))
    rain = np.where((sold == 0) & (random.random(ROWS) < 0.9), 0.0, random.gamma(2, 10, ROWS))
    frame = problem("regression").with_columns(y=pl.Series(sold), rain=pl.Series(rain))
    assert found(frame, "regression") == []
    assert found(frame.with_columns(told=pl.when(pl.col("y") > 0).then(pl.col("y") * 2)), "regression") == [
        ("copy", "told")
    ]


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_an_input_that_is_the_target_of_a_later_row_knows_the_future(task: Task) -> None:
    frame = problem(task).with_columns(
        following=pl.col("y").cast(pl.Float64).shift(-1), third=pl.col("y").cast(pl.Float64).shift(-3)
    )
    leaks = find_leaks(spec_of(frame, task), frame)
    assert [(leak.kind, leak.column) for leak in leaks] == [("future", "following"), ("future", "third")]
    assert "the target of the next row" in leaks[0].sentence
    assert "the target of the row 3 rows later" in leaks[1].sentence


def test_a_label_of_an_earlier_row_is_honest_even_where_labels_hardly_change() -> None:
    """A machine's state: the last one tells the next almost perfectly, and is known."""
    state = np.arange(ROWS) // 300 % 2 == 1
    frame = problem("binary").with_columns(y=pl.Series(state)).with_columns(last=pl.col("y").shift(1))
    assert found(frame, "binary") == []
    assert found(frame.with_columns(now=pl.col("y")), "binary") == [("copy", "now")]


def metered(seed: int) -> pl.DataFrame:
    """A meter, one more an hour with a jump now and then, and what it said one and two hours ago."""
    random = np.random.default_rng(seed)
    steps = 1 + np.where(random.random(9_000) < 0.03, random.normal(0, 20, 9_000), 0)
    meter = pl.DataFrame({"id": range(9_000), "y": np.cumsum(steps)}).with_columns(
        at=START + timedelta(hours=1) * pl.col("id"), before=pl.col("y").shift(1), earlier=pl.col("y").shift(2)
    )
    return meter.drop_nulls()


@pytest.mark.parametrize("seed", range(3))
def test_what_a_meter_said_before_is_honest_and_its_parts_are_none(seed: int) -> None:
    meter = metered(seed)
    assert found(meter, "regression") == []
    part = np.random.default_rng(seed).normal(0, 500, meter.height)
    planted = meter.with_columns(day=part, night=meter["y"].to_numpy() - part)
    (leak,) = find_leaks(spec_of(planted, "regression"), planted)
    assert leak.kind == "sum"
    assert {"'day'", "'night'"} <= set(leak.sentence.replace(",", " ").split())


def test_one_input_does_not_add_up_to_anything_with_others() -> None:
    """A few huge values, as the target's; else it is too inexact for a copy, or for one that is too good."""
    random = np.random.default_rng(5)
    huge = random.normal(size=ROWS) * np.where(random.random(ROWS) < 0.01, 10_000, 1)
    beside = 3 * (huge + random.normal(0, 0.3, ROWS))
    frame = problem("regression").with_columns(y=pl.Series(huge), beside=pl.Series(beside))
    (leak,) = find_leaks(spec_of(frame, "regression"), frame)
    assert (leak.kind, leak.column) == ("sum", "beside")
    assert leak.sentence.startswith("input 'beside' is the target in another scale (R^2 1.000000); drop it")


def test_a_plan_that_is_right_less_often_than_the_last_state_knows_no_future() -> None:
    """A machine runs for 300 hours at a time; what is planned for the next hour is known, and is wrong in some."""
    state = np.arange(ROWS + 1) // 300 % 2 == 1
    wrong = np.random.default_rng(6).random(ROWS) < 0.01
    frame = problem("binary").with_columns(y=pl.Series(state[:-1]), plan=pl.Series(state[1:] ^ wrong))
    assert found(frame, "binary") == []


@pytest.mark.parametrize("task", METRIC)
def test_an_input_that_is_near_perfect_alone_is_too_good(task: Task) -> None:
    """Not a copy: a measurement of what the target says, made afterwards; also where it is not made for all."""
    frame = problem(task)
    code = frame["y"].rank("dense").cast(pl.Float64) / (ROWS if task == "regression" else 1)
    random = np.random.default_rng(5)
    measured = np.exp(code.to_numpy() + random.normal(size=ROWS) * 0.02)
    made = frame.with_columns(measured=measured, has_it=random.random(ROWS) < 0.4)
    planted = made.with_columns(some=pl.when("has_it").then("measured")).drop("has_it")
    assert found(planted, task) == [("too good", "measured"), ("too good", "some")]


def test_that_a_value_is_there_at_all_can_be_the_leak() -> None:
    """A complaint has a date only where there was a complaint."""
    frame = problem("binary").with_columns(complained_on=pl.when("y").then(pl.col("noise")))
    assert found(frame, "binary") == [("too good", "complained_on")]


def test_the_levels_of_a_session_know_their_own_rows_alone_and_are_no_leak() -> None:
    """Eight rows each with one label in common: a look-up of what was trained on, that no later session is in."""
    random = np.random.default_rng(2)
    label = np.repeat(random.random(ROWS // 8) < 0.5, 8)
    session = np.repeat([f"s{number}" for number in range(ROWS // 8)], 8)
    frame = problem("binary").with_columns(y=pl.Series(label), session=pl.Series(session))
    assert found(frame, "binary") == []


def test_a_few_rows_of_a_rare_class_are_enough() -> None:
    frame = problem("binary").with_columns(y=pl.col("id").is_in(range(40, ROWS, 100)))
    planted = frame.with_columns(refund=pl.when("y").then(pl.col("noise").abs() + 0.1).otherwise(0.0))
    assert (frame["y"].sum(), found(planted, "binary")) == (20, [("too good", "refund")])


def test_parts_that_add_up_to_the_target_are_found_together() -> None:
    """The bikes' casual and registered riders; each alone is an honest-looking input."""
    random = np.random.default_rng(4)
    casual, registered = random.poisson(20, ROWS), random.poisson(30, ROWS)
    frame = problem("regression").with_columns(
        casual=pl.Series(casual), registered=pl.Series(registered), y=pl.Series(casual + registered, dtype=pl.Float64)
    )
    (leak,) = find_leaks(spec_of(frame, "regression"), frame)
    assert (leak.kind, leak.column) == ("sum", "registered")
    assert "'registered', 'casual' together add up to the target" in leak.sentence
    assert find_leaks(spec_of(frame, "regression", trusted=("registered",)), frame) == ()


def test_an_input_that_features_makes_of_other_rows_is_told_from_one_of_its_own_row() -> None:
    frame = problem("binary")
    spec = replace(
        spec_of(frame, "binary"),
        features=lambda rows: rows.select(
            "id",
            "noise",
            double=pl.col("strong") * 2 / 3,
            centred=pl.col("strong") - pl.col("strong").mean(),
            following=pl.col("level").shift(-1),
        ),
    )
    leaks = made_of_other_rows(spec, frame)
    assert [(leak.kind, leak.column) for leak in leaks] == [("future", "centred"), ("future", "following")]
    assert leaks == find_leaks(spec, frame)
    assert made_of_other_rows(spec, frame.clear()) == ()
    trusting = replace(spec, training=Training(trusted=("centred", "following")))
    assert made_of_other_rows(trusting, frame) == find_leaks(trusting, frame) == ()


def test_keys_on_both_sides_of_the_split_are_counted() -> None:
    frame = problem("binary")
    spec, train, holdout = spec_of(frame, "binary"), frame.head(1_500), frame.tail(600)
    (leak,) = find_leaks(spec, train, holdout=holdout)
    assert leak == Leak(
        column="id",
        kind="overlap",
        score=100 / 600,
        sentence="100 of 600 held out rows are trained on as well, by their key (id); keep the newest row of each",
    )
    (twice,) = find_leaks(spec, pl.concat([train, train.tail(10)]))
    assert (twice.kind, twice.score) == ("overlap", 20 / 1_510)
    assert find_leaks(spec, train, holdout=frame.tail(500)) == find_leaks(replace(spec, key=()), train) == ()


def test_trusted_inputs_are_not_questioned_whoever_says_so() -> None:
    frame = problem("binary").with_columns(copy=pl.col("y"))
    assert find_leaks(spec_of(frame, "binary", trusted=("copy",)), frame) == ()
    assert find_leaks(spec_of(frame, "binary"), frame, trusted=["copy"]) == ()


def test_a_sentence_names_input_measure_and_remedy_and_a_verdict_three_of_them() -> None:
    frame = problem("binary").with_columns(pl.col("y").alias(f"copy_{number}") for number in range(5))
    leaks = find_leaks(spec_of(frame, "binary"), frame)
    assert leaks[0].sentence == (
        "input 'copy_0' is a copy of the target (agreement 1 on 2,000 rows); drop it in features, or, if it is honest, "
        "say Training(trusted=('copy_0',))"
    )
    assert in_words(leaks) == "; ".join([*(leak.sentence for leak in leaks[:3]), "and 2 more"])
    assert in_words(leaks[:1]) == leaks[0].sentence


def test_what_is_asked_of_prepared_rows_is_answered_as_of_raw_ones(tmp_path: Path) -> None:
    spec, raw = pipeline_in(tmp_path).spec, rides()
    assert find_leaks(spec, raw) == find_leaks(*prepare(spec, raw)) == ()
    leaky = replace(spec, features=lambda rows: rows.select("ride", "wind", hour=pl.col("at").dt.hour() * 1.0))
    told = raw.with_columns(late=pl.col("wind") > 10)
    assert [leak.column for leak in find_leaks(leaky, told)] == ["wind"]
    assert find_leaks(leaky, told) == find_leaks(*prepare(leaky, told))


@pytest.mark.parametrize("rows", [0, 1, 3, 30])
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_too_few_rows_tell_nothing_and_raise_nothing(task: Task, rows: int) -> None:
    frame = problem(task).head(rows)
    assert found(frame, task) == []


def test_odd_columns_are_asked_without_an_error() -> None:
    """Nothing but nulls, one value, infinity, booleans, an enum."""
    frame = problem("regression").with_columns(
        empty=pl.lit(None, dtype=pl.Float64),
        nothing=pl.lit(None, dtype=pl.String),
        one=pl.lit(1),
        infinite=pl.when(pl.col("noise") > 2).then(float("inf")).otherwise(pl.col("noise")),
        flag=pl.col("noise") > 0,
        kind=pl.col("level").cast(pl.Enum(["a", "b", "c"])),
    )
    assert found(frame, "regression") == []


def test_a_constant_target_has_no_leaks() -> None:
    frame = problem("regression").with_columns(y=pl.lit(1.0), one=pl.lit(1.0))
    assert found(frame, "regression") == []
    assert found(frame.with_columns(y=pl.lit(value=True)), "binary") == []


# Golden: y = [0,0,0,1,1,1,0,1] by its score [1,1,2,2,3,3,3,4]; scikit-learn 1.9.1's roc_auc_score gives 0.84375.
def test_separation_is_the_auc_of_what_the_bins_of_the_other_half_say() -> None:
    score = np.array([1, 1, 2, 2, 3, 3, 3, 4])
    label = np.array([0, 0, 0, 1, 1, 1, 0, 1])
    many = np.repeat(np.arange(8), 25)
    bins, labels = np.tile(score[many], 2), np.tile(label[many], 2)
    learns = np.repeat([True, False], 200)
    assert separation(bins, labels, 2, learns) == pytest.approx(0.84375, abs=1e-12)


def test_explained_is_the_share_of_the_variance_between_the_bins() -> None:
    """Means 1 and 3 with a spread of 1 around each: half of the variance; the shrinking of means costs a little."""
    bins = np.tile([1, 1, 2, 2], 500)
    target = np.tile([0.0, 2.0, 2.0, 4.0], 500)
    learns = np.arange(2_000) < 1_000
    assert explained(bins, target, learns) == pytest.approx(0.5, abs=0.04)


@given(scale=st.floats(0.1, 100) | st.floats(-100, -0.1), shift=st.floats(-100, 100), seed=st.integers(0, 99))
def test_likeness_knows_no_scale_and_purity_no_names(scale: float, shift: float, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=50)
    assert likeness(values * scale + shift, values) == pytest.approx(1)
    longer = np.random.default_rng(seed).normal(size=200)
    assert on_one_line(longer * scale + shift, longer) == 1
    assert on_one_line(longer, np.random.default_rng(seed + 100).normal(size=200)) < 0.1
    classes = np.random.default_rng(seed).integers(0, 3, 50)
    assert purity(np.array([7, 2, 5])[classes], classes, 3) == 1
    assert purity(np.zeros(50, np.int64), classes, 3) == pytest.approx(0, abs=1e-12)


def test_a_sum_is_made_of_as_few_columns_as_can_be() -> None:
    random = np.random.default_rng(1)
    table = random.normal(size=(500, 6))
    target = table[:, 1] * 3 - table[:, 4] + 7
    chosen, share = made_of(table, target, enough=0.99999, most=4)
    assert (sorted(chosen), round(share, 9)) == ([1, 4], 1.0)
    assert made_of(table, target + random.normal(size=500), enough=0.99999, most=4)[0] == []


@given(rows=st.integers(0, 3_000), wanted=st.integers(40, 1_000))
def test_a_sample_is_even_in_order_and_made_of_whole_stretches(rows: int, wanted: int) -> None:
    positions, stretch = sample_rows(rows, wanted=wanted)
    assert len(positions) == len(stretch) == len(set(positions.tolist()))
    assert (np.diff(positions) > 0).all()
    assert len(positions) == rows if rows <= wanted else wanted - STRETCHES < len(positions) <= wanted
    inside = np.diff(stretch) == 0
    assert (np.diff(positions)[inside] == 1).all()
    if rows:
        assert (positions[0], positions[-1]) == (0, rows - 1)


def test_bins_hold_nulls_apart_and_few_values_one_by_one() -> None:
    assert binned(pl.Series([3.0, None, 1.0, 3.0])).tolist() == [2, 0, 1, 2]
    assert binned(pl.Series(["b", None, "a"])).tolist() == [2, 0, 1]
    assert len(np.unique(binned(pl.Series(np.arange(1_000.0))))) == 20


@given(period=st.integers(2, 20), start=st.integers(0, 19))
def test_both_halves_see_what_comes_with_a_period(period: int, start: int) -> None:
    half = learners(np.arange(STRETCHES))
    assert half.sum() == STRETCHES / 2
    periodic = half[start % period :: period]
    assert len(periodic) < 4 or 0 < periodic.sum() < len(periodic)
