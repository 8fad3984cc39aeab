from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from validation.watch.drift import DriftVerdict
from validation.watch.findings import FeatureDrift
from validation.watch.performance import Monitor, PerformanceVerdict, judge
from validation.watch.trigger import reason_to_retrain

MONDAY = datetime(2013, 6, 3, tzinfo=UTC)


def feature(name: str, cause: Any = "shift") -> FeatureDrift:
    return FeatureDrift(
        name=name, drifted=True, p_value=1e-6, cause=cause, shift=0.5, spread=1.0, nulls=0.0, sentence=f"{name} moved"
    )


def drift(*features: FeatureDrift, outcome: str = "drift") -> DriftVerdict:
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
    )


def performance(regret: float) -> PerformanceVerdict:
    loss = np.full(70, 0.5)
    return judge(
        pipeline="flights",
        window_start=MONDAY,
        champion_loss=loss,
        probe_loss=loss - regret,
        blocks=np.repeat(np.arange(7), 10),
        label=loss,
        prediction=loss,
        coverage=1.0,
        policy=Monitor(),
        min_coverage=0.8,
        as_of=MONDAY,
    )


def test_proven_regret_comes_first() -> None:
    reason = reason_to_retrain(performance(0.01), [drift(feature("prediction"))])
    assert reason is not None
    assert reason.startswith("regret: retraining would gain +2.00% of the loss on 70 rows")


def test_drift_of_the_prediction_is_a_reason_and_names_its_inputs() -> None:
    assert reason_to_retrain(None, [drift(feature("prediction"))]) == (
        "drift in the window of 2013-06-03: prediction moved"
    )
    assert reason_to_retrain(performance(0.0), [drift(feature("distance"), feature("prediction"))]) == (
        "drift in the window of 2013-06-03: prediction moved, along with: distance moved"
    )


@pytest.mark.parametrize(
    "verdicts",
    [
        [],
        [drift(feature("distance"))],
        [drift(feature("prediction"), outcome="suspect")],
        [drift(feature("prediction"), outcome="quiet")],
        [drift(outcome="not enough history")],
        [drift(feature("prediction", cause="null flood"))],
        [drift(feature("prediction"), feature("distance", cause="unit change"))],
        [drift(replace(feature("prediction"), drifted=False))],
    ],
)
def test_anything_less_is_no_reason(verdicts: list[DriftVerdict]) -> None:
    assert reason_to_retrain(performance(0.0), verdicts) is None


def test_any_of_the_new_windows_can_be_the_reason() -> None:
    quiet = drift(outcome="quiet")
    assert reason_to_retrain(None, [drift(feature("prediction")), quiet]) is not None
