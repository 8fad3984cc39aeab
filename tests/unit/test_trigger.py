from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from validation.watch.drift import DriftVerdict
from validation.watch.findings import FeatureDrift
from validation.watch.performance import Monitor, PerformanceVerdict, judge
from validation.watch.trigger import EstimatedLoss, Reason, reason_to_retrain

MONDAY = datetime(2013, 6, 3, tzinfo=UTC)


def feature(name: str, cause: Any = "shift") -> FeatureDrift:
    return FeatureDrift(
        name=name, drifted=True, p_value=1e-6, cause=cause, shift=0.5, spread=1.0, nulls=0.0, sentence=f"{name} moved"
    )


def drift(
    *features: FeatureDrift, outcome: str = "drift", prediction: str = "", bad_data: tuple[str, ...] = ()
) -> DriftVerdict:
    return DriftVerdict(
        pipeline="flights",
        subject="2013-06-03",
        outcome=outcome,
        reasons=(),
        data_time=MONDAY,
        raised=outcome == "drift",
        rows=100,
        p_value=1e-6,
        judged=9,
        features=features,
        prediction=prediction,
        bad_data=bad_data,
    )


def performance(regret: float, *, noise: float = 0.0, bias: float = 0.0) -> PerformanceVerdict:
    loss, wobble = np.full(70, 0.5), np.repeat([1, -1, 1, -1, 1, -1, 0], 10) * noise
    return judge(
        pipeline="flights",
        window_start=MONDAY,
        champion_loss=loss,
        probe_loss=loss - regret - wobble,
        blocks=np.repeat(np.arange(7), 10),
        label=loss + bias,
        prediction=loss,
        task="binary",
        coverage=1.0,
        policy=Monitor(),
        min_coverage=0.8,
        as_of=MONDAY,
    )


MOVED = drift(feature("prediction"))
GROWN = EstimatedLoss(window="2013-06-03T00:00:00+00:00", loss=0.6, lower=0.55, upper=0.65, usual=0.5)


def by(*arguments: Any, **named: Any) -> str | None:
    reason = reason_to_retrain(*arguments, **named)
    return reason.by if reason else None


def test_what_labels_prove_comes_first_then_the_estimate_then_drift() -> None:
    biased = performance(0.01, noise=0.05, bias=0.1)
    assert by(performance(0.01), [MOVED], estimate=GROWN) == "regret"
    assert by(performance(0.01, bias=0.1), [MOVED], estimate=GROWN) == "regret"
    assert by(biased, [MOVED], estimate=GROWN) == "calibration"
    assert by(performance(0.0), [MOVED], estimate=GROWN) == "estimate"
    assert by(performance(0.0), [MOVED]) == "prediction drift"
    assert by(performance(0.0), []) is None


def test_a_reason_is_a_sentence_with_its_numbers() -> None:
    regret = reason_to_retrain(performance(0.01), [MOVED])
    assert regret is not None
    assert regret.sentence.startswith("regret: retraining would gain +2.00% of the loss on 70 rows")
    biased = reason_to_retrain(performance(0.01, noise=0.05, bias=0.1), [])
    assert biased is not None
    assert biased.sentence.startswith(
        "calibration: label - prediction is +0.1000 on average (+0.1000 to +0.1000): the predictions are too low; "
        "retraining would gain +2.00% of the loss on 70 rows"
    )
    assert reason_to_retrain(None, [MOVED], estimate=GROWN) == Reason(
        sentence="estimate: before its labels, the loss of the window of 2013-06-03 is estimated as 0.60000 (0.55000 "
        "to 0.65000), the reference's windows had 0.50000; drift in the window of 2013-06-03: prediction moved",
        by="estimate",
    )
    assert reason_to_retrain(performance(0.0), [drift(feature("distance"), feature("prediction"))]) == Reason(
        sentence="drift in the window of 2013-06-03: prediction moved, along with: distance moved",
        by="prediction drift",
    )


@pytest.mark.parametrize("changed", [{"usual": 0.55}, {"usual": 0.6}, {"usual": None}, {"lower": 0.5, "usual": 0.5}])
def test_an_estimate_within_its_interval_adds_nothing(changed: dict[str, Any]) -> None:
    assert by(None, [MOVED], estimate=replace(GROWN, **changed)) == "prediction drift"


NO_REASON = [
    [],
    [drift(feature("distance"))],
    [drift(feature("prediction"), outcome="suspect")],
    [drift(feature("prediction"), outcome="quiet")],
    [drift(outcome="not enough history")],
    [drift(feature("prediction", cause="null flood"))],
    [drift(feature("prediction"), feature("distance", cause="unit change"))],
    [drift(replace(feature("prediction"), drifted=False))],
    [drift(feature("prediction"), prediction="suspect")],
    [drift(feature("prediction"), prediction="not enough history")],
    [drift(feature("prediction"), prediction="drift", bad_data=("distance",))],
]


@pytest.mark.parametrize("verdicts", NO_REASON)
@pytest.mark.parametrize("estimate", [None, GROWN])
def test_anything_less_is_no_reason(verdicts: list[DriftVerdict], estimate: EstimatedLoss | None) -> None:
    assert reason_to_retrain(performance(0.0), verdicts, estimate=estimate) is None


def test_the_loss_itself_and_a_bias_that_a_retrain_would_not_mend_are_no_reason() -> None:
    hard = replace(performance(0.0, bias=0.3), champion_loss=9.0)
    assert reason_to_retrain(hard, []) is None


def test_the_alarm_of_the_prediction_itself_counts() -> None:
    assert by(None, [drift(feature("prediction"), outcome="suspect", prediction="drift")]) == "prediction drift"


def test_any_of_the_new_windows_can_be_the_reason() -> None:
    quiet, bad = drift(outcome="quiet"), drift(feature("prediction", cause="null flood"))
    assert by(None, [MOVED, quiet]) == "prediction drift"
    assert by(None, [MOVED, bad]) == "prediction drift"
