"""The alarms' benchmark at tiny size: its counts are those of rows, its rules are those they claim to be."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, ks_2samp, wasserstein_distance

from benchmarks import alarms, alarms_cell, alarms_labels, alarms_ours, alarms_report, alarms_rivals
from benchmarks.alarms_trial import NEVER, trial
from benchmarks.alarms_world import (
    CENTRES,
    CHANGES,
    COLUMNS,
    NUMBER,
    PREDICTION,
    Column,
    World,
    cell_shares,
    days,
    draw,
    level_shares,
)  # fmt: skip
from validation.watch.profile import FeatureProfile, build_profile

IID = World(rows=500, null="iid")
CATEGORY = 23  # 8 levels


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.mark.parametrize("column", [NUMBER, CATEGORY])
def test_a_profile_of_counts_is_the_profile_of_the_rows(rng: np.random.Generator, column: int) -> None:
    drawn = draw(IID, rng, days(IID, rng, 25), column, windows=slice(None))
    feature = _feature_of(drawn, column)
    frame = pl.concat([_rows(drawn, window, column) for window in range(25)])
    until = alarms_ours.UNTIL
    told = build_profile(frame, time="time", every=timedelta(days=1), windows=25, until=until).features[0]
    assert [window.nulls for window in feature.windows] == [window.nulls for window in told.windows]
    if column == CATEGORY:
        assert (feature.levels, feature.singletons) == (told.levels, told.singletons)
    mine, theirs = (np.array([window.bins for window in found.windows]) for found in (feature, told))
    assert np.array_equal(mine, theirs)
    assert [window.novel for window in feature.windows] == [window.novel for window in told.windows]


def test_values_beyond_the_reference_are_counted_outside() -> None:
    drawn = Column(cells=np.zeros((1, len(CENTRES)), dtype=np.int64), nulls=np.array([2]))
    drawn.cells[0, [100, 200, 300]] = 5
    _, gauge = alarms_ours._number("number 0", drawn)
    later = Column(cells=np.zeros_like(drawn.cells), nulls=np.array([0]))
    later.cells[0, [99, 301]] = 7
    (counts,) = alarms_ours.counted(gauge, later)
    assert (counts.bins[0], counts.bins[-1], counts.present) == (7, 7, 14)
    assert (counts.low, counts.high) == (CENTRES[99], CENTRES[301])


def test_the_rules_are_those_of_scipy_on_the_rows(rng: np.random.Generator) -> None:
    effects = days(IID, rng, 12)
    number, category = (draw(IID, rng, effects, column, windows=slice(None)) for column in (1, CATEGORY))
    now = Column(cells=number.cells[10:], nulls=number.nulls[10:])
    far = alarms_rivals.ratios(1, number.cells[:10], now)
    whole, window = (np.repeat(CENTRES, counts) for counts in (number.cells[:10].sum(axis=0), now.cells[0]))
    assert far["Evidently"][0] == pytest.approx(wasserstein_distance(whole, window) / whole.std() / 0.1, rel=1e-6)
    p = ks_2samp(whole, window, method="asymp").pvalue
    assert 10 ** -(far["KS, chi2"][0] * -np.log10(0.05 / COLUMNS)) == pytest.approx(p, rel=0.05)
    now = Column(cells=category.cells[10:], nulls=category.nulls[10:])
    far = alarms_rivals.ratios(CATEGORY, category.cells[:10], now)
    table = np.array([category.cells[:10].sum(axis=0), now.cells[1]])
    table = table[:, table.sum(axis=0) > 0]
    p = chi2_contingency(table, correction=False).pvalue
    assert 10 ** -(far["KS, chi2"][1] * -np.log10(0.05 / COLUMNS)) == pytest.approx(p, rel=1e-6)
    assert far["Evidently"][1] == pytest.approx(jensenshannon(*table) / 0.1)


def test_a_change_is_what_it_says() -> None:
    none = np.zeros(1)
    moved = cell_shares(NUMBER, none, CHANGES["mean +0.25 sd"])[0]
    wide = cell_shares(NUMBER, none, CHANGES["spread x1.25"])[0]
    assert moved @ CENTRES == pytest.approx(0.25, abs=1e-3)
    assert np.sqrt(wide @ CENTRES**2) == pytest.approx(1.25, abs=1e-3)
    before, mixed, new = (
        level_shares(3, np.zeros((1, 8)), CHANGES[kind])[0]
        for kind in ("mean +0.1 sd", "mix 10 points", "new level 1 %")
    )
    assert mixed - before == pytest.approx([-0.1, 0.1, *[0] * 7])
    assert new[-1] == pytest.approx(0.01)
    shifted = cell_shares(PREDICTION, none, CHANGES["label shift 10 points"])[0]
    chance = 1 / (1 + np.exp(0.5 - 1.8 * CENTRES))
    assert (shifted - cell_shares(PREDICTION, none)[0]) @ chance > 0.03
    assert shifted.sum() == pytest.approx(1)


def test_a_trial_is_the_same_again_and_sees_what_is_large(capsys: pytest.CaptureFixture[str]) -> None:
    plan = alarms.Plan(references=2, changed=2, kinds=("nulls 5 to 15 %",), seed=9)
    first, other = alarms.several(World(rows=2_000, null="day"), 0, plan)
    again = trial(World(rows=2_000, null="day"), 0, seed=9, kinds=plan.kinds)
    assert first.raised == again.raised == {"nulls 5 to 15 %": 1}
    assert np.array_equal(first.rivals, again.rivals)
    assert first.rivals.shape == (len(alarms_rivals.RULES), 30, COLUMNS)
    assert all(after <= NEVER for after in first.labels.asked_after.values())
    cell = alarms_cell.told(World(rows=2_000, null="day"), [first, other])
    answer = alarms_report.answered([cell])
    assert answer["false_alarm_max"] == cell["false_alarms"]["ours"]["new"]["lower"]
    assert answer["false_alarm_ar"] is None
    assert answer["peers_single_window_max"]["Evidently"]["share"] == 1.0  # columns of many levels, few rows
    assert answer["power"]["nulls 5 to 15 %"]["ours"] == [1.0, 1.0, 1.0]
    assert answer["power"]["nulls 5 to 15 %"]["Evidently"]["default"] == [0.0, 0.0, 0.0]  # it leaves nulls out
    alarms_report.show({**answer, "cells": [cell], "nannyml_check": None})
    shown = capsys.readouterr().err
    assert "2k day" in shown
    assert "nulls 5 to 15 %" in shown


def test_an_alarm_is_new_after_a_window_without_one() -> None:
    alarms = np.array([[True, True, False, True], [False, False, True, True]])
    assert alarms_cell.new_alarms(alarms).tolist() == [[True, False, False, True], [False, False, True, False]]


def test_an_equal_threshold_lets_no_more_new_alarms_through() -> None:
    scores = np.array([[1, 5, 6, 2], [3, 1, 4, 1]], dtype=np.float32)
    limits = [alarms_cell.equal_threshold(scores, alarms=alarms) for alarms in (0, 1, 2)]
    assert limits == [6, 4, 3]  # 5 and 6 are one alarm


def test_a_rate_has_the_bounds_of_its_references() -> None:
    flags = np.zeros((4, 10), dtype=bool)
    assert alarms_cell.rate(flags) == {"share": 0.0, "lower": 0.0, "upper": round((1 - 0.05**0.25) / 10, 5)}
    flags[0, :4] = True
    # By hand: shares .4, 0, 0, 0: mean .1, sd .2, error .1; t(3) at 95 % is 2.3534
    assert alarms_cell.rate(flags) == {"share": 0.1, "lower": 0.0, "upper": 0.33534}


def test_labels_that_say_the_same_prove_no_bias_and_a_changed_relation_is_regretted(rng: np.random.Generator) -> None:
    seen = alarms_labels.labelled(World(rows=5_000, null="iid"), rng, start=4)
    assert not seen.biased.any()
    assert seen.asked_after[alarms_labels.RELATION] < NEVER
    assert seen.biased_after[alarms_labels.RELATION] == NEVER
    assert seen.biased_after[alarms_labels.RATE] < NEVER


def _feature_of(drawn: Column, column: int) -> FeatureProfile:
    feature, _ = alarms_ours._feature(column, drawn)
    return feature


def _rows(drawn: Column, window: int, column: int) -> pl.DataFrame:
    """Each row in the middle of its cell."""
    names = CENTRES.tolist() if column == NUMBER else [f"level {level}" for level in range(9)]
    present = [names[cell] for cell in np.repeat(np.arange(len(names)), drawn.cells[window])]
    values: list[object] = [*present, *[None] * int(drawn.nulls[window])]
    start = alarms_ours.UNTIL + (window - 25) * alarms_ours.DAY
    dtype = pl.Float64 if column == NUMBER else pl.String
    return pl.DataFrame({"value": pl.Series(values, dtype=dtype)}).with_columns(time=pl.lit(start))
