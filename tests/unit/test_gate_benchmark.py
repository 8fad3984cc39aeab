"""The gate's benchmark at tiny size: worlds have the gain that they promise, rivals decide as they should."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from benchmarks import gate, gate_bootstrap, gate_cycles, gate_report, gate_seeds, gate_simulation, gate_slices
from benchmarks.gate_rivals import bins_of, delong, newer_is_better, paired_iid, placements
from benchmarks.gate_world import BREATH, SPREAD, World, autoregressive, draw, expected_loss, log_loss, spread_for
from validation.influence import pseudo_losses

TINY = World(rows=700, days=14, ar=0.4)


@pytest.mark.parametrize("breath", [0.0, BREATH])
def test_a_world_has_the_gain_that_it_promises(breath: float) -> None:
    """By Monte Carlo: half a million rows, each with an effect of its own."""
    rng = np.random.default_rng(4)
    truth, error, effect = -1.2 + 1.5 * rng.standard_normal(500_000), *rng.standard_normal((2, 500_000))
    score = truth + spread_for(0.01, breath) * np.exp(breath / 2 * effect) * error
    found = np.logaddexp(0, score) - score / (1 + np.exp(-truth))
    assert expected_loss(SPREAD, breath) * 0.99 == pytest.approx(found.mean(), abs=3 * found.std() / 500_000**0.5)


def test_without_a_gain_both_models_err_alike_and_differ() -> None:
    assert spread_for(0.0, BREATH) == SPREAD
    trial = draw(TINY, np.random.default_rng(1), trials=2, looks=3)
    champion, challenger = trial.champion(), trial.challenger(0.0)
    assert champion.shape == (2, 42, 50)
    assert 0.7 < np.corrcoef((champion - trial.truth).ravel(), (challenger - trial.truth).ravel())[0, 1] < 0.85
    again = draw(TINY, np.random.default_rng(1), trials=2, looks=3)
    assert (again.challenger(0.0) == challenger).all()


def test_neighbouring_days_are_as_alike_as_is_said() -> None:
    values = autoregressive((20_000, 3), 0.4, np.random.default_rng(2))
    found = np.asarray(np.corrcoef(values, rowvar=False))
    assert (found[0, 1], found[0, 2]) == pytest.approx((0.4, 0.16), abs=0.02)
    assert values.std(axis=0) == pytest.approx([1, 1, 1], abs=0.02)


def test_delong_agrees_with_its_definition() -> None:
    """By the product's influence values, which are tested against it, with n - 1 within the classes."""
    trial = draw(TINY, np.random.default_rng(3), trials=1, looks=1)
    label, sides = trial.label.ravel(), (trial.champion().ravel(), trial.challenger(0.02).ravel())
    found = delong(label, *(placements(label, bins_of(side)) for side in sides))
    apart = np.subtract(*(pseudo_losses(label, side) for side in sides))
    parts = [apart[label == kind] for kind in (0, 1)]
    variance = sum(part.var(ddof=1) * len(part) for part in parts) / len(label) ** 2
    assert found.difference == pytest.approx(apart.mean(), abs=1e-4)
    assert found.standard_error == pytest.approx(np.sqrt(variance), rel=5e-3)


def test_the_paired_test_is_scipys_but_for_its_normal_quantile() -> None:
    gains = np.random.default_rng(5).normal(0.1, 1, (50, 400))
    expected = stats.norm.sf(stats.ttest_1samp(gains, 0, axis=1).statistic) < 0.05
    found = paired_iid(gains.mean(axis=1), (gains**2).mean(axis=1), 400, alpha=0.05)
    assert (found == expected).all()
    assert newer_is_better(np.array([-1.0, 0.0, 1.0])).tolist() == [False, False, True]


def test_a_chunk_of_decisions_is_the_same_with_every_row_and_with_the_same_seed() -> None:
    found, again = (gate_simulation.chunk(TINY, (1, 2), 2) for _ in range(2))
    assert found == again
    assert (found.asked_twice, found.same) == (21, 21)
    both = gate_simulation.together([found, again])[TINY]
    assert (both.trials, both.promoted) == (4, found.promoted + again.promoted)


def test_slices_are_judged_on_every_row() -> None:
    found = gate_slices.chunk(World(rows=2_000, days=14, ar=0.4), (1,), 2)
    assert (found.trials, 4 < found.slices < 12) == (2, True)


def test_a_generous_alpha_promotes_more_and_ships_more_regressions() -> None:
    table = gate_cycles.together(gate_cycles.runs(0.004, (1,), 2))
    promotions = [row["promotions"] or 0.0 for row in table]
    assert promotions[1:] == sorted(promotions[1:])
    assert table[0]["alpha"] is None
    assert promotions[0] >= promotions[-1]


def test_a_promoted_seed_is_wrong_when_it_is_worse_on_the_days_that_were_not_shown() -> None:
    rng, shown = np.random.default_rng(6), np.arange(400) < 280
    champion = 0.5 + 0.01 * rng.standard_normal(400)
    challenger = np.where(shown, 0.49, 0.51) + 0.01 * rng.standard_normal(400)
    found = gate_seeds.compared(champion, challenger, shown, np.repeat(np.arange(28), 10), days=28)
    assert (found.gain, found.true_gain) == pytest.approx((0.02, -0.02), abs=0.005)
    assert found.promoted == dict.fromkeys(gate_seeds.RULES, True)
    assert gate_seeds.shares([found])[28] == dict.fromkeys(gate_seeds.RULES, (1, 1))
    told = gate_report.seeds([replace(found, days=days) for days in gate_seeds.HOLDOUTS])
    assert told["seed_promotions_to_a_worse_model"] == told["seed_null_promotions"] == {
        "share": 1.0, "of": 1, "interval": gate_report.wilson(1, 1)
    }  # fmt: skip


def test_sums_of_days_are_the_bootstrap_of_whole_days() -> None:
    ends = gate_bootstrap.ends_apart(rows=1_000, resamples=10)
    assert ends["days"]["log loss"] < 1e-6
    assert ends["days"]["AUC"] < 0.2


def test_the_bounds_of_a_share_are_wilsons() -> None:
    """Golden: scipy.stats.binomtest(5, 100).proportion_ci(method="wilson")."""
    expected = stats.binomtest(5, 100).proportion_ci(method="wilson")
    assert gate_report.wilson(5, 100) == pytest.approx((expected.low, expected.high), abs=1e-5)
    assert gate_report.wilson(0, 0) == (0.0, 1.0)


@pytest.mark.slow
def test_the_quick_benchmark_answers_everything(capfd: pytest.CaptureFixture[str]) -> None:
    gate.main(["--quick"])
    answer = json.loads(capfd.readouterr().out.strip().rpartition("\n")[2])
    wanted = {"false_promotion_iid", "false_promotion_correlated", "false_promotion_retested", "slice_false_block"}
    assert wanted | {"seed_null_promotions", "cycles", "bootstrap_speedup", "power_1pct_correlated_20k"} <= set(answer)
    assert answer["asked_with_every_row"] == answer["of_these_the_same"] > 0


def test_unknown_parts_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        gate.main(["--only", "everything"])
    assert "--only knows simulation, slices, seeds, cycles, bootstrap, got everything" in capsys.readouterr().err


def test_losses_of_scores_are_log_losses() -> None:
    score, label = np.array([0.0, 2.0, -3.0]), np.array([1.0, 0.0, 1.0])
    assert log_loss(score, label) == pytest.approx(np.logaddexp(0, score) - score * label)
