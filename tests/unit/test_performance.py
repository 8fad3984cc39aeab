import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from scipy import stats

from validation.errors import DefinitionError
from validation.watch.performance import Monitor, PerformanceVerdict, judge

MONDAY = datetime(2013, 6, 3, tzinfo=UTC)
DAYS = np.repeat(np.arange(7), 50)


def judged(regret: float = 0.01, *, noise: float = 0.005, **changed: Any) -> PerformanceVerdict:
    rng = np.random.default_rng(5)
    champion = 0.5 + rng.normal(0, 0.1, len(DAYS))
    facts: dict[str, Any] = {
        "champion_loss": champion,
        "probe_loss": champion - regret - rng.normal(0, noise, len(DAYS)),
        "blocks": DAYS,
        "label": (rng.random(len(DAYS)) < 0.3).astype(float),
        "prediction": np.full(len(DAYS), 0.3),
        "task": "binary",
        "coverage": 0.95,
        "policy": Monitor(),
        "min_coverage": 0.8,
    }
    return judge(pipeline="flights", window_start=MONDAY, as_of=MONDAY + timedelta(days=8), **facts | changed)


@pytest.mark.parametrize(
    ("regret", "noise", "outcome"),
    [
        (0.01, 0.005, "regret"),
        (0.002, 0.0, "fine"),  # proven, but below 0.5 % of the loss
        (0.003, 0.0, "regret"),
        (0.01, 0.5, "fine"),  # large, but not proven
        (-0.01, 0.005, "fine"),
    ],
)
def test_regret_is_a_gain_that_is_large_enough_and_proven(regret: float, noise: float, outcome: str) -> None:
    assert judged(regret, noise=noise).outcome == outcome


def test_the_numbers_stand_in_the_verdict_and_its_reasons() -> None:
    verdict = judged(champion_loss=np.full(350, 0.5), probe_loss=np.full(350, 0.49), label=np.full(350, 0.4))
    assert [verdict.champion_loss, verdict.probe_loss] == pytest.approx([0.5, 0.49])
    assert [verdict.regret, verdict.regret_share] == pytest.approx([0.01, 0.02])
    assert (verdict.rows, verdict.blocks, verdict.coverage) == (350, 7, 0.95)
    assert verdict.subject == "2013-06-03T00:00:00+00:00"
    assert verdict.reasons == (
        (
            "retraining would gain +2.00% of the loss on 350 rows in 7 blocks (bounds +0.01000 to +0.01000 at alpha "
            "0.2; 0.50% and a lower bound above 0 ask for it)"
        ),
        "label - prediction is +0.1000 on average (+0.1000 to +0.1000): the predictions are too low",
    )
    assert json.dumps(asdict(verdict) | {"data_time": ""}, allow_nan=False)


def test_calibration_bias_has_a_block_interval() -> None:
    """Golden: scipy.stats on the daily means; every second day, so that no days are neighbours. Two-sided."""
    rng = np.random.default_rng(8)
    label = (rng.random(350) < 0.5).astype(float)
    verdict = judged(label=label, blocks=DAYS * 2)
    means = (label - 0.3).reshape(7, 50).mean(axis=1)
    reach = stats.t.ppf(0.9, 6) * stats.sem(means)
    assert verdict.calibration_bias == pytest.approx(means.mean())
    assert (verdict.bias_lower, verdict.bias_upper) == pytest.approx((means.mean() - reach, means.mean() + reach))


# Daily means of label - prediction; of the loss, the probe gains 2 % on average: proven (CALM), or not (NOISY).
CALM, NOISY = np.full(7, 0.01), np.array([0.06, -0.05, 0.06, -0.05, 0.06, -0.05, 0.04])


def leaning(bias: Any, gain: Any = NOISY, **changed: Any) -> PerformanceVerdict:
    facts = {
        "champion_loss": np.full(350, 0.5),
        "probe_loss": 0.5 - np.repeat(gain, 50),
        "label": np.full(350, 0.3) + np.repeat(np.broadcast_to(bias, 7), 50),
        "prediction": np.full(350, 0.3),
    }
    return judged(**facts | changed)


@pytest.mark.parametrize(
    ("bias", "gain", "outcome"),
    [
        (0.02, NOISY, "biased"),
        (-0.02, NOISY, "biased"),
        (0.0199, NOISY, "fine"),  # proven, but small
        ([0.3, -0.25] * 3 + [0.1], NOISY, "fine"),  # large, but not proven
        (0.1, CALM, "regret"),  # both: what retraining gains comes first
        (0.1, -NOISY, "fine"),  # a hard week: the probe would not do better
        (0.1, np.zeros(7), "fine"),
        (0.1, NOISY / 5, "fine"),  # 0.4 % of the loss, 0.5 % are asked for
    ],
)
def test_a_proven_bias_asks_where_the_probe_would_mend_it(bias: Any, gain: Any, outcome: str) -> None:
    assert leaning(bias, gain).outcome == outcome


def test_of_what_a_retrain_may_not_mend_the_reasons_say_so() -> None:
    assert leaning(0.1).reasons[1].endswith("(+0.1000 to +0.1000): the predictions are too low")
    assert leaning(-0.1, -NOISY).reasons[1].endswith("too high; that a retrain would mend it is not shown")
    alone = leaning(0.1, probe_loss=None)
    assert alone.outcome == "need evidence"
    assert alone.reasons[1].endswith("too low; that a retrain would mend it is not shown")
    assert leaning(0.01).reasons[1].endswith("not provably biased")
    assert leaning(0.1, coverage=0.5).outcome == "need evidence"


@pytest.mark.parametrize(("sds", "outcome"), [(0.021, "biased"), (0.019, "fine")])
def test_in_a_regression_a_bias_counts_in_standard_deviations_of_the_label(sds: float, outcome: str) -> None:
    """The same rents in another currency are as biased."""
    rng = np.random.default_rng(3)
    label = rng.normal(1_000, 200, 350)
    for rate in (1.0, 90.0):
        prediction = (label - sds * label.std()) * rate
        assert leaning(0, label=label * rate, prediction=prediction, task="regression").outcome == outcome


def test_a_multiclass_prediction_has_no_single_bias() -> None:
    assert judged(prediction=np.full((350, 3), 1 / 3)).calibration_bias is None


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"coverage": 0.79}, "only 79.0% of the mature rows have a label, 80.0% are needed"),
        ({"probe_loss": None}, "there is no probe to compare the champion with on 350 mature rows"),
        ({"blocks": np.zeros(350, dtype=int)}, "350 mature rows lie in 1 block; two are needed for an interval"),
        (
            {key: [] for key in ("champion_loss", "probe_loss", "blocks", "label", "prediction")},
            "no mature row has a label yet",
        ),
    ],
)
def test_without_labels_days_or_a_probe_nothing_is_concluded(changed: dict[str, Any], reason: str) -> None:
    verdict = judged(**changed)
    assert verdict.outcome == "need evidence"
    assert verdict.reasons[0] == reason
    assert json.dumps(asdict(verdict) | {"data_time": ""}, allow_nan=False)


@pytest.mark.parametrize(
    ("field", "value"), [("reference_windows", 0), ("min_regret", 1.0), ("alpha", 0.0), ("max_bias", 0.0)]
)
def test_a_policy_has_sensible_limits(field: str, value: Any) -> None:
    with pytest.raises(DefinitionError, match=rf"monitor\.{field} must be"):
        Monitor(**{field: value})
