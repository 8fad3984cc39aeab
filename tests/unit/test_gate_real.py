"""The simulation of policies on real weeks, at tiny size: it does what the product does, and counts right."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks.gate_real import NEVER, WEEKLY, figures_of, summary
from benchmarks.gate_real_evidence import Examiner, Policy, level, predicted
from benchmarks.gate_real_policies import Promotion, Simulation, looked_back
from benchmarks.gate_real_weeks import ROW, WEEK, History, Made, Models, history_of
from modelling.recipes import DEFAULT_RECIPES
from tests.unit.modelling_world import START, pipeline_in, rides
from tests.unit.prequential import prequential
from validation import sequential
from validation.sequential import nominal_alpha

WEEKS = 9


@pytest.fixture
def history(tmp_path: Path) -> History:
    """From week 5 on the stop in the north has another name: who learns it is better."""
    rows = rides(48 * 7 * WEEKS)
    renamed = (pl.col("at") >= START + 5 * WEEK) & (pl.col("stop") == "north")
    rows = rows.with_columns(stop=pl.when(renamed).then(pl.lit("pier")).otherwise("stop"))
    return history_of(pipeline_in(tmp_path), rows, tuple(START + number * WEEK for number in range(WEEKS + 1)))


def simulated(history: History, folder: Path, policy: Policy, *, faulty: tuple[int, ...] = ()) -> Simulation:
    models = Models(history=history, seed=7, folder=folder)
    return Simulation(history=history, models=models, policy=policy, first=3, faulty=faulty).run()


def made(history: History, prediction: float) -> Made:
    return Made(name="", until=START, since=START, prediction=np.full(history.rows.height, prediction))


def test_a_recipe_is_shown_to_the_gate_as_the_product_shows_it(history: History, tmp_path: Path) -> None:
    models = Models(history=history, seed=7, folder=tmp_path)
    champion = models.of_everything(3, train="all")
    examiner = Examiner(history=history, models=models, policy=Policy(evidence="prequential"))
    candidate = examiner.candidate(8, champion, train="all")
    assert candidate is not None
    shown = examiner.shown(8, candidate)
    mature = history.rows[history.mature(8)[ROW].to_numpy()]
    expected = prequential(
        history.pipeline.spec, mature, DEFAULT_RECIPES["binary"][0], since=champion.since, window=WEEK,
        gap=history.gap, train="all", seed=7, threads=1,
    )  # fmt: skip
    assert shown is not None
    rows = np.concatenate([part.rows for part in shown.all])
    np.testing.assert_array_equal(rows, expected.rows[ROW].to_numpy())
    assert expected.fits == len(shown.all) == 5
    np.testing.assert_allclose(history.losses_of(predicted(shown), rows), expected.loss, rtol=1e-5)
    np.testing.assert_allclose(history.losses_of(examiner.constant(shown), rows), expected.baseline_loss)


def test_weekly_retraining_serves_each_week_with_the_model_of_all_before_it(history: History, tmp_path: Path) -> None:
    run = simulated(history, tmp_path, WEEKLY)
    assert [item.week for item in run.promotions] == [4, 5, 6, 7, 8]
    assert run.sizes == [48 * 7] * 6
    for week, served in enumerate(run.losses, start=3):
        model = run.models.of_everything(week, train="all")
        rows = history.between(history.mondays[week], history.mondays[week + 1])
        assert served == pytest.approx(history.losses(model, rows).sum())
        assert model.until <= history.mondays[week] - history.gap


@pytest.mark.parametrize("evidence", ["holdout", "prequential"])
def test_the_gate_lets_through_what_has_learned_of_a_change(history: History, tmp_path: Path, evidence: str) -> None:
    run = simulated(history, tmp_path, Policy(evidence=evidence, windows=3))  # type: ignore[arg-type]
    outcomes = [verdict.outcome for verdict in run.verdicts]
    assert outcomes.count("promote") == len(run.promotions) >= 1
    assert len(outcomes) == 5
    assert 7 <= run.promotions[0].week <= 8
    assert sum(run.losses) < sum(simulated(history, tmp_path, NEVER).losses)


def test_the_products_looks_are_those_of_its_own_exponent(history: History, tmp_path: Path) -> None:
    own, named = (
        simulated(history, tmp_path, Policy(evidence="holdout", alpha=0.05, looks=3, rho=rho))
        for rho in (None, sequential.RHO)
    )
    assert own.losses == named.losses
    assert {"need evidence", "expired"} & {verdict.outcome for verdict in own.verdicts}


def test_an_open_candidate_is_looked_at_again_instead_of_a_new_one(history: History, tmp_path: Path) -> None:
    again = simulated(history, tmp_path, Policy(evidence="holdout", alpha=0.05, looks=3, rho=0.25))
    once = simulated(history, tmp_path, Policy(evidence="holdout", alpha=0.05, rho=0.25))
    assert "need evidence" in [verdict.outcome for verdict in again.verdicts]
    beside = simulated(history, tmp_path, Policy(evidence="holdout", alpha=0.05, looks=3, beside=True))
    made = [run.fits - len(run.promotions) for run in (again, once, beside)]
    assert made[0] < made[1] == made[2] == 5
    assert len(beside.verdicts) > len(once.verdicts) == 5


def test_a_faulty_attempt_is_trained_on_the_newest_days_alone(history: History, tmp_path: Path) -> None:
    run = simulated(history, tmp_path, WEEKLY, faulty=(5,))
    clean = simulated(history, tmp_path, WEEKLY)
    assert [item.faulty for item in run.promotions] == [False, True, False, False, False]
    assert [run.promotions[at].new.name == clean.promotions[at].new.name for at in range(5)] == [1, 0, 1, 1, 1]


def test_a_promotion_is_looked_back_on(history: History) -> None:
    good, bad = made(history, 0.3), made(history, 0.9)
    assert looked_back(history, Promotion(week=4, old=good, new=bad, faulty=False)) == "proven worse"
    assert looked_back(history, Promotion(week=4, old=bad, new=good, faulty=False)) == "better"
    assert looked_back(history, Promotion(week=4, old=good, new=good, faulty=False)) == "better"


def test_the_gap_is_closed_by_weekly_retraining_and_left_by_none(history: History, tmp_path: Path) -> None:
    third = Policy(evidence="none", every=3)
    runs = [
        {
            (policy, faulty): figures_of(simulated(history, tmp_path, policy, faulty=(5,) if faulty else ()))
            for policy in (NEVER, WEEKLY, third)
            for faulty in (False, True)
        }
    ]
    never, _, weekly, _, now_and_then, _ = summary(runs)
    assert (never["gap_closed"], weekly["gap_closed"], weekly["promotions"]) == (0.0, 1.0, 5.0)
    assert (now_and_then["evidence"], now_and_then["every"], now_and_then["looks"]) == ("none", 3, 1)
    assert now_and_then["gap_low"] < now_and_then["gap_closed"] < now_and_then["gap_high"]
    assert now_and_then["gap_by_run"] == [pytest.approx(now_and_then["gap_closed"])]


def test_the_level_of_a_look_is_the_products() -> None:
    for blocks in ((7,), (7, 14), (7, 14, 21), (7, 10, 13)):
        fractions = [count / 21 for count in blocks]
        expected = nominal_alpha(0.1, fractions, looks=3)
        assert level(0.1, blocks, looks=3, rho=sequential.RHO) == pytest.approx(expected)
    assert level(0.1, (7,), looks=1, rho=1.0) == pytest.approx(0.1)
