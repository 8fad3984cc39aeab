"""What speaks against a challenger in the shadow, and a champion that is watched: each limit, equality included."""

from datetime import UTC, datetime, timedelta
from math import inf
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.ledger import Change
from tasks.rollout_pairs import Pairing, over_by
from validation.intervals import Interval, paired_interval
from validation.rollout import Rollout
from validation.rollout_looks import CAUTION, DAY, Looks, block_of, looks_of
from validation.rollout_rules import (
    Live,
    ShadowFacts,
    WatchFacts,
    decide_watch,
    judge_live,
    judge_quality,
    judge_shadow,
    quantile,
)

POLICY = Rollout(max_error_share=0.01, max_latency_ms=20.0, min_requests=200, alpha=0.01)
LOOKS = Looks(alpha=0.01, least=5, planned=7)


def gain(lower: float, upper: float) -> Interval:
    mean = (lower + upper) / 2
    return Interval(mean=mean, standard_error=0.01, lower=lower, upper=upper, blocks=7, rows=700, freedom=3.0)


def per_day(*means: float, rows: int = 100) -> Interval:
    """Rows of consecutive days whose difference is the same in each."""
    return paired_interval(np.repeat(means, rows), np.repeat(np.arange(len(means)), rows), alpha=0.01)


@pytest.mark.parametrize(
    ("rows", "failed", "outcome"),
    [
        (200, 2, "passed"),  # exactly the share that may fail
        (200, 3, "failed"),
        (199, 3, "passed"),  # too few to tell
        (1, 1, "failed"),  # but it fails on all
        (0, 0, "passed"),
    ],
)
def test_a_challenger_may_fail_on_the_declared_share_of_enough_rows(rows: int, failed: int, outcome: str) -> None:
    assert judge_shadow(ShadowFacts(rows=rows, failed=failed), POLICY, max_ms=20.0)[0] == outcome


@pytest.mark.parametrize(("ms", "outcome"), [(20.0, "passed"), (20.1, "failed"), (None, "passed")])
def test_a_challenger_may_take_as_long_as_is_allowed(ms: float | None, outcome: str) -> None:
    assert judge_shadow(ShadowFacts(rows=500, failed=0, ms_per_row=ms), POLICY, max_ms=20.0)[0] == outcome


@pytest.mark.parametrize(("upper", "outcome"), [(-0.001, "failed"), (0.0, "passed"), (0.1, "passed"), (inf, "passed")])
def test_a_challenger_is_refused_when_it_is_provably_worse_and_not_before(upper: float, outcome: str) -> None:
    facts = ShadowFacts(rows=500, failed=0, gain=gain(-0.2, upper))
    assert judge_shadow(facts, POLICY, max_ms=20.0)[0] == outcome


def test_all_that_speaks_against_a_challenger_is_told_with_its_numbers() -> None:
    facts = ShadowFacts(rows=400, failed=20, ms_per_row=31.0, gain=gain(-0.3, -0.1))
    outcome, reasons = judge_shadow(facts, POLICY, max_ms=20.0)
    assert outcome == "failed"
    assert reasons == (
        "in the shadow it failed on 20 of 400 rows, 5.00%: at most 1.00% may",
        "in the shadow a row took it 31.00 ms, at most 20 ms are allowed",
        (
            "in the shadow it was provably worse than the champion: its loss is +0.20000 from the champion's (bounds "
            "+0.10000 to +0.30000, 700 rows in 7 blocks of time)"
        ),
    )


def test_a_challenger_whom_nobody_or_hardly_anybody_asked_passes_and_it_is_said() -> None:
    assert judge_shadow(ShadowFacts(rows=0, failed=0), POLICY, max_ms=1.0)[1] == (
        "no live row came to it in the shadow (nobody asked the scorer): nothing speaks against it",
    )
    masked = judge_shadow(ShadowFacts(rows=0, failed=0, skipped=1_200), POLICY, max_ms=1.0)
    assert masked[0] == "passed"
    assert masked[1][0].startswith("none of 1,200 live rows could be scored in the shadow (the prediction log leaves")
    few = judge_shadow(ShadowFacts(rows=12, failed=0, ms_per_row=0.2), POLICY, max_ms=1.0)[1]
    assert few == (
        "in the shadow it answered 12 of 12 rows, fewer than the 200 that would tell much, 0.20 ms each",
        "none of these rows has a mature label yet",
    )


@pytest.mark.parametrize(
    ("requests", "failed", "found"),
    [(200, 2, None), (200, 3, "errors"), (199, 199, None), (200, 200, "errors"), (10_000, 100, None)],
)
def test_a_champion_may_fail_on_the_declared_share_of_enough_answers(
    requests: int, failed: int, found: str | None
) -> None:
    judged = judge_live(Live(requests=requests, failed=failed), None, POLICY)
    assert (judged and judged.what) == found


@pytest.mark.parametrize(
    ("before", "found"),
    [
        (Live(requests=200, failed=10), None),  # its predecessor failed as often
        (Live(requests=200, failed=11), None),
        (Live(requests=200, failed=9), "errors"),
        (Live(requests=199, failed=199), "errors"),  # hardly anybody had asked it
    ],
)
def test_errors_that_the_predecessor_made_as_often_are_not_the_champions(before: Live, found: str | None) -> None:
    judged = judge_live(Live(requests=200, failed=10), before, POLICY)
    assert (judged and judged.what) == found


@pytest.mark.parametrize(("ms", "found"), [(20.0, None), (20.5, "latency"), (None, None)])
def test_a_champion_may_take_as_long_as_is_declared(ms: float | None, found: str | None) -> None:
    judged = judge_live(Live(requests=200, failed=0, p95_ms=ms), None, POLICY)
    assert (judged and judged.what) == found
    assert judge_live(Live(requests=200, failed=0, p95_ms=ms), None, Rollout()) is None


def test_a_loss_that_is_higher_every_day_is_found_and_an_equal_one_is_not() -> None:
    assert judge_quality(per_day(-0.1, -0.11, -0.1, -0.09, -0.1), LOOKS, 5) is not None
    assert judge_quality(per_day(0.1, 0.11, 0.1, 0.09, 0.1), LOOKS, 5) is None
    assert judge_quality(per_day(0, 0, 0, 0, 0), LOOKS, 5) is None
    assert judge_quality(per_day(-0.1), LOOKS, 5) is None, "one block has no spread"
    found = judge_quality(per_day(*[-0.1] * 5), LOOKS, 5)
    assert found is not None
    assert found.reason.startswith("its loss is 0.10000 higher than its predecessor's on the 500 rows in 5 blocks of")


def test_looks_come_at_half_as_many_blocks_again_and_at_the_end() -> None:
    assert LOOKS.counts == (5, 7)
    assert Looks(alpha=0.01, least=5, planned=28).counts == (5, 8, 12, 18, 27, 28)
    assert Looks(alpha=0.01, least=5, planned=5).counts == (5,)
    assert [LOOKS.at(over) for over in (0, 4, 5, 6, 7, 30)] == [0, 0, 5, 5, 7, 7]


@given(st.timedeltas(timedelta(microseconds=1), timedelta(days=60)), st.integers(1, 30))
def test_all_planned_blocks_are_over_with_the_span_and_not_a_moment_before(length: timedelta, least: int) -> None:
    since, block = datetime(2013, 4, 14, tzinfo=UTC), block_of(length, least=least)
    nobody = cast("Change", None)
    pairing = Pairing(began=since, live=nobody, shadow=nobody, since=since, until=since + length, block=block)
    planned = looks_of(Rollout(watch=length), length, least=least).planned
    assert over_by(pairing, since + length) == over_by(pairing, since + length + DAY) == planned
    assert over_by(pairing, since + length - timedelta(microseconds=1)) == planned - 1
    assert over_by(pairing, since + block / 2) == (planned if block / 2 >= length else 0)
    assert over_by(pairing, since - DAY) == 0


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 60), st.integers(1, 30), st.sampled_from((0.2, 0.05, 0.01)))
def test_the_looks_end_with_the_span_and_no_level_is_above_alpha(days: int, least: int, alpha: float) -> None:
    span = timedelta(days=days)
    looks = looks_of(Rollout(watch=span, alpha=alpha), span, least=least)
    assert list(looks.counts) == sorted({*looks.counts})
    assert looks.counts[-1] == looks.planned
    assert all(0 < looks.level(count) <= alpha * (1 + 1e-6) for count in looks.counts)
    assert block_of(span, least=least) <= timedelta(days=1)
    assert block_of(span, least=least) * looks.planned >= span
    assert looks.planned >= min(least, looks.planned)


def test_of_normal_means_without_a_difference_all_looks_together_find_one_as_often_as_alpha_says() -> None:
    """The levels alone, with a known spread: 100,000 watches; 4 standard errors of the share are 0.0013."""
    looks, random = Looks(alpha=0.01, least=5, planned=28), np.random.default_rng(3)
    from scipy.special import ndtri

    sums = random.normal(size=(100_000, 28)).cumsum(axis=1)
    crossed = np.zeros(len(sums), dtype=bool)
    for count in looks.counts:
        crossed |= sums[:, count - 1] / np.sqrt(count) < ndtri(looks.level(count))
    assert abs(crossed.mean() - 0.01 * CAUTION) < 0.0013


@pytest.mark.parametrize("correlation", [0.0, 0.4])
def test_equal_champions_are_rolled_back_in_less_than_alpha_of_the_watches(correlation: float) -> None:
    """Days with an effect of their own that lasts; 2,000 watches of a week, each with all its looks."""
    looks = looks_of(Rollout(), timedelta(days=7), least=5)
    random, found = np.random.default_rng(11), 0
    for _ in range(2_000):
        steps = random.normal(size=7)
        for day in range(1, 7):
            steps[day] = correlation * steps[day - 1] + np.sqrt(1 - correlation**2) * steps[day]
        rows = random.normal(size=(7, 20)) + steps[:, None]
        found += any(
            judge_quality(paired_interval(rows[:n].ravel(), np.repeat(np.arange(n), 20), alpha=0.01), looks, n)
            is not None
            for n in looks.counts
        )
    assert found / 2_000 <= 0.01


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        (WatchFacts(), None),
        (WatchFacts(is_over=True), "fine"),
        (WatchFacts(is_over=True, unlabelled=3), "waits for labels"),
        (WatchFacts(is_over=True, unlabelled=3, labels_over=True), "fine"),
        (WatchFacts(labels_over=True), None),
        (WatchFacts(live=(Live(requests=200, failed=3),)), "roll back"),
        (WatchFacts(live=(Live(requests=10_000, failed=50), Live(requests=200, failed=3))), "roll back"),
        (WatchFacts(live=(Live(requests=200, failed=3),), is_over=True), "roll back"),
        (WatchFacts(live=(Live(requests=200, failed=3),), hands_off="a person decides"), "told"),
        (WatchFacts(gain=per_day(*[-0.1] * 7), look=7), "roll back"),
        (WatchFacts(gain=per_day(*[0.1] * 7), look=7, is_over=True, labels_over=True), "fine"),
    ],
)
def test_a_champion_is_watched_on_found_or_fine(facts: WatchFacts, outcome: str | None) -> None:
    decision = decide_watch(facts, POLICY, LOOKS)
    assert (decision and decision[0]) == outcome
    assert decision is None or all(decision[1])


def test_what_is_told_of_a_finding_ends_with_why_nothing_is_done() -> None:
    facts = WatchFacts(live=(Live(requests=200, failed=3),), hands_off="a person decides: andon rollback")
    assert decide_watch(facts, POLICY, LOOKS) == (
        "told",
        ("3 of 200 answers since its promotion failed, 1.50%: at most 1.00% may", "a person decides: andon rollback"),
        "errors",
    )


@pytest.mark.parametrize(
    ("buckets", "share", "value"),
    [
        ([], 0.95, None),
        ([(1.0, 0), (inf, 0)], 0.95, None),
        ([(1.0, 10), (inf, 10)], 0.5, 0.5),
        ([(1.0, 10), (2.0, 20), (inf, 20)], 0.75, 1.5),
        ([(1.0, 10), (2.0, 20), (inf, 20)], 0.5, 1.0),
        ([(1.0, 10), (inf, 20)], 0.95, 1.0),  # above the last edge it is not known
        ([(0.5, 0), (1.0, 10), (inf, 10)], 1.0, 1.0),
    ],
)
def test_a_quantile_lies_in_its_bucket(buckets: list[tuple[float, float]], share: float, value: float | None) -> None:
    assert quantile(buckets, share) == value
    assert quantile(buckets[::-1], share) == value


@given(st.lists(st.floats(0.001, 10), min_size=1, max_size=200), st.floats(0.01, 1))
def test_a_quantile_is_in_the_bucket_of_the_sample_quantile(seconds: list[float], share: float) -> None:
    edges = [0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0]
    found = quantile([(edge, sum(value <= edge for value in seconds)) for edge in edges] + [(inf, len(seconds))], share)
    exact = sorted(seconds)[int(np.ceil(share * len(seconds) - 1e-9)) - 1]
    at = next(number for number, edge in enumerate(edges) if exact <= edge)
    assert found is not None
    assert (edges[at - 1] if at else 0.0) <= found <= edges[at]
