"""What else speaks against a challenger: each guard at its limit, in the words that a person reads."""

from dataclasses import replace
from typing import Any

import pytest

from validation.behaviour import BehaviourResult
from validation.gate_policy import Gate
from validation.guards import Guards, failed, measured
from validation.intervals import Interval

FINE = Guards(load_ok=True, latency_ms=1.0, size_mb=1.0)
POLICY = Gate(max_churn=0.3)


def bias(mean: float, reach: float) -> Interval:
    return Interval(
        mean=mean, standard_error=reach, lower=mean - reach, upper=mean + reach, blocks=7, rows=700, effective_blocks=7
    )


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"latency_ms": 50.0}, ""),
        ({"latency_ms": 50.01}, "one row takes 50.01 ms, at most 50 ms are allowed"),
        ({"latency_ms": float("nan")}, "one row takes nan ms, at most 50 ms are allowed"),
        ({"size_mb": 100.0}, ""),
        ({"size_mb": 100.1}, "the bundle has 100.1 MB, at most 100 MB are allowed"),
        ({"churn": 0.3}, ""),
        ({"churn": 0.301}, "30.1% of the decisions would change, at most 30% may"),
        ({"churn": float("nan")}, "nan% of the decisions would change, at most 30% may"),
    ],
)
def test_each_guard_holds_up_to_its_limit(changed: dict[str, Any], reason: str) -> None:
    assert failed(replace(FINE, **changed), POLICY) == ((reason,) if reason else ())


def test_a_bundle_that_does_not_load_has_but_that_one_fault() -> None:
    broken = Guards(load_ok=False, load_error="golden rows differ", latency_ms=99, size_mb=999, churn=1.0)
    assert failed(broken, POLICY) == ("the bundle does not load and answer in a fresh process: golden rows differ",)
    assert failed(replace(broken, load_error=""), POLICY)[0].endswith(": no message")
    assert len(failed(replace(broken, load_error="x" * 9_999), POLICY)[0]) == 500


@pytest.mark.parametrize(
    ("champion", "challenger", "fails"),
    [
        (bias(0.0, 0.01), bias(0.0625, 0.03125), True),  # all of it is above 0.02
        (bias(0.0, 0.01), bias(0.0625, 0.0425), False),  # from 0.02: at its limit
        (bias(0.0, 0.01), bias(-0.0625, 0.03125), True),
        (bias(0.03, 0.01), bias(0.06, 0.015), False),  # further than the champion, but its band reaches 0.045
        (bias(-0.03, 0.01), bias(0.07, 0.015), True),
        (bias(0.1, 0.01), bias(0.05, 0.01), False),  # better
        (None, bias(0.5, 0.01), False),
        (bias(0.0, 0.01), None, False),
        (bias(0.0, 0.01), bias(0.5, float("inf")), False),  # a single block
    ],
)
def test_a_bias_blocks_only_when_it_is_proven(
    champion: Interval | None, challenger: Interval | None, *, fails: bool
) -> None:
    assert bool(failed(replace(FINE, champion_bias=champion, challenger_bias=challenger), POLICY)) == fails


def test_a_proven_bias_is_told_with_its_direction_and_numbers() -> None:
    guards = replace(FINE, champion_bias=bias(0.001, 0.01), challenger_bias=bias(0.06, 0.02))
    assert failed(guards, POLICY)[0] == (
        "the challenger predicts too little: its mean of label - prediction is +0.0600 (+0.0400 to +0.0800), "
        "the champion's +0.0010; it may be 0.02 further from 0"
    )
    much = replace(FINE, champion_bias=bias(0.001, 0.01), challenger_bias=bias(-0.06, 0.02))
    assert failed(much, POLICY)[0].startswith("the challenger predicts too much: ")


def test_a_broken_check_is_told_in_its_own_words() -> None:
    kept = BehaviourResult(check="increasing in wind", ok=True, violations=0.01, reason="kept")
    broken = BehaviourResult(check="invariant to name", ok=False, violations=0.4, reason="invariant to name: 40.0%")
    guards = replace(FINE, behaviour=(kept, broken))
    assert failed(guards, POLICY) == ("invariant to name: 40.0%",)


def test_the_numbers_stand_in_the_verdict() -> None:
    guards = replace(FINE, champion_bias=bias(0.01, 0.1), challenger_bias=bias(0.02, 0.1), churn=0.1)
    assert measured(guards) == {
        "coverage": 1.0,
        "calibration_bias": 0.02,
        "champion_bias": 0.01,
        "challenger_bias": 0.02,
        "latency_ms": 1.0,
        "size_mb": 1.0,
        "churn": 0.1,
        "behaviour": (),
    }
    assert measured(replace(guards, calibration_bias=0.5))["calibration_bias"] == 0.5
