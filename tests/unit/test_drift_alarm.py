import json
from dataclasses import asdict, replace
from datetime import datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.drift_world import DAY, NEW_YEAR, judged_after, numbers, profiled
from validation.watch.drift import PREDICTION, Drift, DriftVerdict, FeatureDrift, Seen
from validation.watch.state import JUDGED, alarm_since, next_state

NAMES = {"s": "suspect", "d": "drift", "q": "quiet", "n": "not enough history"}


@pytest.mark.parametrize(
    ("history", "window", "outcome", "raised"),
    [
        ("", "suspect", "suspect", "no"),
        ("s", "suspect", "drift", "yes"),
        ("sq", "suspect", "drift", "yes"),
        ("sqq", "suspect", "suspect", "no"),
        ("", "quiet", "quiet", "no"),
        ("sd", "quiet", "quiet", "yes"),
        ("sdqq", "suspect", "drift", "yes"),
        ("sdqq", "quiet", "quiet", "no"),
        ("sdqqq", "suspect", "suspect", "no"),
        ("snn", "suspect", "drift", "yes"),
        ("sd", "empty", "not enough history", "yes"),
        ("sdqqqn", "empty", "not enough history", "no"),
    ],
)
def test_an_alarm_is_raised_by_two_of_three_and_cleared_by_three_quiet(
    history: str, window: str, outcome: str, raised: str
) -> None:
    names = {"s": "suspect", "d": "drift", "q": "quiet", "n": "not enough history"}
    suspect = {"suspect": True, "quiet": False, "empty": None}[window]
    found = next_state([names[letter] for letter in history], suspect=suspect, at_once=False, policy=Drift())
    assert found == (outcome, raised == "yes")


def test_one_extreme_window_raises_at_once() -> None:
    assert next_state([], suspect=True, at_once=True, policy=Drift()) == ("drift", True)
    assert next_state([], suspect=True, at_once=False, policy=Drift(raise_on=1)) == ("drift", True)


class Model:
    """The alarm as one would tell it: all judged windows in a list, counted anew each time."""

    def __init__(self, policy: Drift) -> None:
        self.policy = policy
        self.suspects: list[bool] = []
        self.raised = False

    def step(self, window: str) -> tuple[str, bool]:
        if window == "empty":
            return "not enough history", self.raised
        self.suspects.append(window != "quiet")
        if not any(self.suspects[-self.policy.clear_after :]):
            self.raised = False
        if window != "quiet" and (window == "extreme" or sum(self.suspects[-3:]) >= self.policy.raise_on):
            self.raised = True
        if window == "quiet":
            return "quiet", self.raised
        return ("drift" if self.raised else "suspect"), self.raised


windows = st.lists(st.sampled_from(["quiet", "quiet", "suspect", "extreme", "empty"]), max_size=30)
policies = st.builds(Drift, raise_on=st.integers(1, 3), clear_after=st.integers(1, 5))


@given(windows=windows, policy=policies)
def test_the_alarm_is_that_of_the_model(windows: list[str], policy: Drift) -> None:
    model, outcomes = Model(policy), list[str]()
    for window in windows:
        suspect = {"quiet": False, "empty": None}.get(window, True)
        # Only the newest verdicts are kept, as a monitor may: enough of those that could be judged.
        known = [outcome for outcome in outcomes if outcome in JUDGED][-max(3, policy.clear_after) :]
        found = next_state(known, suspect=suspect, at_once=window == "extreme", policy=policy)
        assert found == next_state(outcomes, suspect=suspect, at_once=window == "extreme", policy=policy)
        assert found == model.step(window)
        outcomes.append(found[0])


@given(windows=windows, policy=policies)
def test_an_alarm_tells_since_when(windows: list[str], policy: Drift) -> None:
    """All along an alarm the same moment is told: that of a suspect window, at most two judged windows before it was
    raised.
    """
    seen = list[Seen]()
    moments = list[tuple[bool, str]]()
    for index, window in enumerate(windows):
        suspect = {"quiet": False, "empty": None}.get(window, True)
        outcome, raised = next_state(
            [item.outcome for item in seen], suspect=suspect, at_once=window == "extreme", policy=policy
        )
        start = NEW_YEAR + index * DAY
        since = alarm_since(seen, start=start, raised=raised, suspect=bool(suspect), policy=policy)
        assert bool(since) == (raised or bool(suspect))
        if raised and moments and moments[-1][0]:
            assert since == moments[-1][1]
        elif since:
            before = [item for item in [*seen, Seen(start=start, outcome=outcome)] if item.outcome in JUDGED][-3:]
            assert datetime.fromisoformat(since) in [item.start for item in before if item.outcome != "quiet"]
        seen.append(Seen(start=start, outcome=outcome, since=since))
        moments.append((raised, since))


def test_each_feature_tells_since_when_it_drifts() -> None:
    frame = numbers(3, days=30, rows=2_000, features=5)
    profile = profiled(frame)
    plain = frame.tail(2_000)
    days = [
        plain.with_columns(pl.col("x1") + 1),
        plain.clear(),
        plain.with_columns(pl.col("x1") + 1, pl.col("x2") * 2),
        plain.with_columns(pl.col("x2") * 2),
        plain.with_columns(pl.col("x1") + 1, pl.col("x2") * 2),
    ]
    verdicts = list[DriftVerdict]()
    for index, rows in enumerate(days):
        start = NEW_YEAR + (30 + index) * DAY
        verdicts.append(judged_after(profile, rows, start, [item.seen for item in verdicts]))
    found = [
        {item.name: item.since[:10] for item in verdict.features if item.drifted or item.since} for verdict in verdicts
    ]
    assert found == [
        {"x1": "2013-01-31"},
        {},
        {"x1": "2013-01-31", "x2": "2013-02-02"},
        {"x2": "2013-02-02"},
        {"x1": "2013-02-04", "x2": "2013-02-02"},
    ]
    assert [verdict.since[:10] for verdict in verdicts] == ["2013-01-31"] * 5
    assert [", since 2013-01-31 (by chance in" in reason for reason in verdicts[2].reasons[:2]] == [False, True]
    assert "the alarm is raised for drift since 2013-01-31; 3 quiet windows clear it" in verdicts[2].reasons


def test_what_the_ledger_holds_of_a_verdict_is_what_the_next_one_needs() -> None:
    frame = numbers(3, days=31, rows=500, features=3)
    verdict = judged_after(profiled(frame), frame.tail(500).with_columns(pl.col("x1") + 1), NEW_YEAR + 30 * DAY, [])
    body = json.loads(json.dumps({"features": [asdict(item) for item in verdict.features], "since": verdict.since}))
    assert Seen.from_body(verdict.subject, verdict.outcome, body) == verdict.seen
    assert verdict.seen.features == {"x1": verdict.subject}


def test_bodies_from_before_since_was_told_are_read() -> None:
    old = {"features": [{"name": "x", "drifted": True}, {"name": "y", "drifted": False}], "raised": True}
    seen = Seen.from_body("2013-06-03T00:00:00+00:00", "drift", old)
    assert seen == Seen(
        start=datetime.fromisoformat("2013-06-03T00:00:00+00:00"),
        outcome="drift",
        features={"x": "2013-06-03T00:00:00+00:00"},
    )
    later = alarm_since([seen], start=seen.start + DAY, raised=True, suspect=False, policy=Drift())
    assert later == "2013-06-03T00:00:00+00:00"


def test_the_prediction_has_an_alarm_of_its_own() -> None:
    """An input drifts in two windows, the prediction only in the second: that raises the one alarm, not the other."""
    frame = numbers(3, days=30, rows=2_000, features=5).rename({"x4": PREDICTION})
    profile, plain = profiled(frame), frame.tail(2_000)
    input_moved, both_moved = pl.col("x1") + 0.37, pl.col(PREDICTION) + 0.37
    start = NEW_YEAR + 30 * DAY
    first = judged_after(profile, plain.with_columns(input_moved), start, [])
    second = judged_after(profile, plain.with_columns(input_moved, both_moved), start + DAY, [first.seen])
    third = judged_after(profile, plain.with_columns(both_moved), start + 2 * DAY, [first.seen, second.seen])
    assert [(item.outcome, item.prediction) for item in (first, second, third)] == [
        ("suspect", "quiet"),
        ("drift", "suspect"),
        ("drift", "drift"),
    ]


def test_the_prediction_is_judged_at_half_of_alpha_however_many_inputs_there_are() -> None:
    """Beside 39 quiet inputs a prediction with a p-value below alpha / 2 is found; an input needs a 40th of alpha."""
    frame = numbers(9, days=30, rows=2_000, features=40)
    window = frame.tail(2_000).with_columns(pl.col("x39") + 0.2)
    as_input = judged_after(profiled(frame), window, NEW_YEAR + 30 * DAY, [])
    named = {"x39": PREDICTION}
    as_prediction = judged_after(profiled(frame.rename(named)), window.rename(named), NEW_YEAR + 30 * DAY, [])
    found = [next(item for item in as_input.features if item.name == "x39"), as_prediction.features[0]]
    assert [item.drifted for item in found] == [False, True]
    assert all(0.005 / 40 < item.p_value < 0.005 / 2 for item in found)
    assert (as_input.outcome, as_prediction.outcome, as_prediction.prediction) == ("quiet", "suspect", "suspect")


def test_without_a_prediction_nothing_is_said_of_it() -> None:
    frame = numbers(3, days=30, rows=100, features=2)
    assert judged_after(profiled(frame), frame.tail(100), NEW_YEAR + 30 * DAY, []).prediction == ""
    young = profiled(frame.rename({"x1": PREDICTION}), windows=10)
    verdict = judged_after(young, frame.tail(100).rename({"x1": PREDICTION}), NEW_YEAR + 10 * DAY, [])
    assert (verdict.outcome, verdict.prediction) == ("not enough history", "not enough history")


@settings(deadline=None)
@given(moved=st.sampled_from([-3.0, 3.0]), raise_on=st.integers(1, 3), clear_after=st.integers(1, 4))
def test_an_extreme_window_raises_at_once_whatever_the_policy(moved: float, raise_on: int, clear_after: int) -> None:
    frame = numbers(6, days=30, rows=200, features=2)
    window = frame.tail(200).with_columns(pl.col("x0") + moved)
    policy = Drift(raise_on=raise_on, clear_after=clear_after)
    verdict = judged_after(profiled(frame), window, NEW_YEAR + 30 * DAY, [], policy=policy)
    assert (verdict.outcome, verdict.raised) == ("drift", True)
    assert verdict.rarity == "less than one window in 100,000 looks like this when nothing has changed"


def test_how_rare_a_window_is_stands_in_words() -> None:
    frame = numbers(6, days=30, rows=200, features=2)
    quiet = judged_after(profiled(frame), frame.tail(200), NEW_YEAR + 30 * DAY, [])
    assert (quiet.rarity, quiet.reasons[0]) == (
        "most windows look like this when nothing has changed",
        "none of 2 features moved further than between reference windows",
    )
    assert replace(quiet, rarity="") != quiet


def test_a_verdict_from_before_these_fields_can_be_read() -> None:
    old = {"name": "x", "drifted": True, "p_value": 0.001, "cause": "null flood", "shift": 0.1, "spread": 1.0}
    feature = FeatureDrift(**{**old, "nulls": 0.5, "sentence": "x is null"})  # type: ignore[arg-type]
    verdict = DriftVerdict(
        pipeline="flights",
        subject="2013-06-03T00:00:00+00:00",
        outcome="drift",
        reasons=("x is null",),
        data_time=NEW_YEAR,
        raised=True,
        rows=9,
        p_value=0.001,
        judged=1,
        features=(feature,),
    )
    assert (feature.since, verdict.since, verdict.bad_data, verdict.rarity, verdict.prediction) == ("", "", (), "", "")
    assert verdict.seen == Seen(start=datetime.fromisoformat(verdict.subject), outcome="drift", features={"x": ""})
