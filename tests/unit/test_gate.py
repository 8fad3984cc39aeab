import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from validation.behaviour import Invariant
from validation.errors import DefinitionError
from validation.gate import Evidence, Gate, GateVerdict, Guards, judge
from validation.influence import pseudo_losses
from validation.refit import guard_refit
from validation.slices import judge_slices

NOON = datetime(2013, 6, 1, 12, tzinfo=UTC)
FINE = Guards(load_ok=True, latency_ms=0.5, size_mb=1.0)
DAYS, PER_DAY = 7, 100
BLOCKS = np.repeat(np.arange(DAYS), PER_DAY)


def losses(gain: float, *, noise: float = 0.01, seed: int = 3) -> tuple[Any, Any]:
    """A champion of loss 0.5, and a challenger that is better by `gain` with some noise per row."""
    rng = np.random.default_rng(seed)
    champion = 0.5 + rng.normal(0, 0.1, len(BLOCKS))
    return champion, champion - gain - rng.normal(0, noise, len(BLOCKS))


patient = partial(Gate, max_looks=3)


def judged(gain: float, *, guards: Guards = FINE, policy: Gate | None = None, **facts: Any) -> GateVerdict:
    champion, challenger = losses(gain, noise=facts.pop("noise", 0.01))
    given = {"champion_loss": champion, "challenger_loss": challenger, "blocks": BLOCKS} | facts
    return judge(Evidence(**given), guards, policy=policy or patient(), pipeline="flights", subject="7", as_of=NOON)


@pytest.mark.parametrize(
    ("gain", "noise", "outcome"),
    [
        (0.01, 0.01, "promote"),
        (-0.01, 0.01, "reject"),
        (0.0, 0.0, "reject"),
        (0.0003, 0.0, "reject"),  # proven, but smaller than the 0.1 % that are asked for
        (0.0006, 0.0, "promote"),
        (0.001, 0.2, "need evidence"),
    ],
)
def test_only_a_proven_gain_that_is_large_enough_is_promoted(gain: float, noise: float, outcome: str) -> None:
    assert judged(gain, noise=noise).outcome == outcome


def test_the_verdict_holds_all_numbers_as_json() -> None:
    verdict = judged(
        0.01,
        noise=0.0,
        champion_version="6",
        challenger_version="7",
        bundle_sha256="ab12",
        champion_loss=np.full(700, 0.5),
        challenger_loss=np.full(700, 0.49),
    )
    assert json.loads(json.dumps(asdict(verdict) | {"data_time": ""}, allow_nan=False)) == {
        "pipeline": "flights",
        "subject": "7",
        "outcome": "promote",
        "reasons": [
            (
                "the challenger's loss is 0.49000 against 0.50000, a gain of +2.00% (bounds +0.01000 to +0.01000 at "
                "alpha 0.152, look 1 of 3, 700 rows in 7 blocks): at least 0.10%, and proven above 0"
            )
        ],
        "data_time": "",
        "champion_is": "champion",
        "champion_version": "6",
        "challenger_version": "7",
        "bundle_sha256": "ab12",
        "evidence": "holdout",
        "rows": 700,
        "blocks": 7,
        "coverage": 1.0,
        "champion_loss": pytest.approx(0.5),
        "challenger_loss": pytest.approx(0.49),
        "gain": pytest.approx(0.01),
        "gain_share": pytest.approx(0.02),
        "standard_error": pytest.approx(0.0, abs=1e-12),
        "lower": pytest.approx(0.01),
        "upper": pytest.approx(0.01),
        "alpha": 0.2,
        "min_gain": 0.001,
        "calibration_bias": None,
        "latency_ms": 0.5,
        "size_mb": 1.0,
        "slices": [],
        "intent": "",
        "snapshot": "",
        "mature_rows": 0,
        "trained_until": None,
        "look": 1,
        "max_looks": 3,
        "nominal_alpha": pytest.approx(0.2 * 3**-0.25),
        "more_blocks": None,
        "earlier_blocks": [],
        "mode": "live",
        "asks": "",
        "churn": None,
        "baseline_loss": None,
        "by": "loss",
        "unable_why": "",
        "champion_bias": None,
        "challenger_bias": None,
        "behaviour": [],
        "holdout_start": None,
    }


def test_the_first_model_is_judged_against_the_base_rate() -> None:
    verdict = judged(0.01, champion_is="base rate")
    assert (verdict.outcome, verdict.champion_is, verdict.champion_version) == ("promote", "base rate", "")


@pytest.mark.parametrize(("days", "outcome"), [(4, "need evidence"), (5, "promote")])
def test_few_days_prove_nothing(days: int, outcome: str) -> None:
    champion, challenger = losses(0.01)
    rows = slice(0, days * PER_DAY)
    verdict = judged(0, champion_loss=champion[rows], challenger_loss=challenger[rows], blocks=BLOCKS[rows])
    assert verdict.outcome == outcome
    if outcome == "need evidence":
        assert verdict.more_blocks == 1
        assert verdict.reasons == (
            "the holdout has 400 labelled rows in 4 blocks; at least 5 blocks are needed",
            "about 1 more block would probably decide, as it looks now for a promotion",
        )


def test_an_empty_holdout_needs_evidence() -> None:
    none = np.zeros(0)
    verdict = judged(0, champion_loss=none, challenger_loss=none, blocks=none)
    assert (verdict.outcome, verdict.champion_loss, verdict.lower) == ("need evidence", None, None)


@pytest.mark.parametrize(("coverage", "outcome"), [(0.79, "need evidence"), (0.8, "promote")])
def test_too_few_labels_prove_nothing(coverage: float, outcome: str) -> None:
    guards = Guards(load_ok=True, latency_ms=1, size_mb=1, coverage=coverage, min_coverage=0.8)
    assert judged(0.01, guards=guards).outcome == outcome


@pytest.mark.parametrize(
    ("guards", "reason"),
    [
        (
            Guards(load_ok=False, load_error="golden rows differ", latency_ms=0, size_mb=0),
            "the bundle does not load and answer in a fresh process: golden rows differ",
        ),
        (Guards(load_ok=True, latency_ms=50.01, size_mb=1), "one row takes 50.01 ms, at most 50 ms are allowed"),
        (Guards(load_ok=True, latency_ms=float("nan"), size_mb=1), "one row takes nan ms, at most 50 ms are allowed"),
        (Guards(load_ok=True, latency_ms=50, size_mb=100.1), "the bundle has 100.1 MB, at most 100 MB are allowed"),
    ],
)
def test_a_failed_guard_rejects_the_best_challenger(guards: Guards, reason: str) -> None:
    verdict = judged(0.01, guards=guards)
    assert verdict.outcome == "reject"
    assert verdict.reasons[0] == reason


@pytest.mark.parametrize("side", ["champion", "challenger"])
def test_a_loss_that_is_no_number_is_rejected(side: str) -> None:
    broken = losses(0.01)[0].copy()
    broken[:3] = np.nan
    verdict = judged(0.01, **{f"{side}_loss": broken})
    assert verdict.outcome == "reject"
    assert verdict.reasons == (f"the {side}'s loss is not a number on 3 rows",)


def test_a_slice_that_becomes_provably_worse_blocks_a_gain_for_the_rest() -> None:
    carriers = np.tile(["AA", "UA", "UA", "UA"], len(BLOCKS) // 4)
    champion, challenger = losses(0.01)
    challenger = np.where(carriers == "AA", champion + 0.02, challenger)
    facts: dict[str, Any] = {"challenger_loss": challenger, "champion_loss": champion, "slices": {"carrier": carriers}}
    few = judged(0.01, policy=patient(min_slice_rows=176), **facts)
    assert few.outcome == "promote"
    assert [item.value for item in few.slices] == ["UA"]
    verdict = judged(0.01, policy=patient(min_slice_rows=175), **facts)
    assert verdict.outcome == "reject"
    assert verdict.reasons[0].startswith("carrier = AA becomes provably worse: gain -0.02000 on 175 rows")
    assert [(item.value, item.rows, item.worse) for item in verdict.slices] == [("AA", 175, True), ("UA", 525, False)]


def test_equal_models_seldom_fail_by_a_slice() -> None:
    """Ten slices at 5 % together: golden, 2 of 200 seeded challengers that are worse nowhere are blocked."""
    blocked = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        gain, values = rng.normal(0, 0.1, 2_100), rng.integers(0, 10, 2_100)
        found = judge_slices(gain, np.repeat(np.arange(21), 100), {"origin": values.tolist()}, alpha=0.05, min_rows=50)
        assert len(found) == 10
        blocked += found[0].worse
    assert blocked == 2


@settings(deadline=None, max_examples=50)
@given(gain=st.floats(-0.1, 0.1), noise=st.floats(0, 0.3))
def test_a_challenger_and_its_mirror_are_never_both_promoted(gain: float, noise: float) -> None:
    champion, challenger = losses(gain, noise=noise)
    there = judged(0, champion_loss=champion, challenger_loss=challenger)
    back = judged(0, champion_loss=challenger, challenger_loss=champion)
    assert (there.outcome, back.outcome).count("promote") <= 1
    assert (there.gain, there.lower, there.upper) == pytest.approx(
        (-floor(back.gain), -floor(back.upper), -floor(back.lower))
    )
    if there.outcome == "promote":
        assert floor(there.lower) > 0
        assert back.outcome == "reject"


def floor(value: float | None) -> float:
    assert value is not None
    return value


@settings(deadline=None, max_examples=50)
@given(gain=st.floats(-0.1, 0.1), noise=st.floats(0, 0.3), seed=st.integers(0, 99))
def test_the_order_of_rows_within_a_day_changes_nothing(gain: float, noise: float, seed: int) -> None:
    champion, challenger = losses(gain, noise=noise)
    carrier = np.random.default_rng(1).choice(["AA", "UA"], len(BLOCKS))
    order = np.lexsort((np.random.default_rng(seed).random(len(BLOCKS)), BLOCKS))
    first, second = (
        judged(0, champion_loss=champion[rows], challenger_loss=challenger[rows], slices={"carrier": carrier[rows]})
        for rows in (np.arange(len(BLOCKS)), order)
    )
    assert (first.outcome, first.more_blocks) == (second.outcome, second.more_blocks)
    assert (first.gain, first.lower, first.upper) == pytest.approx((second.gain, second.lower, second.upper))
    assert [item.worse for item in first.slices] == [item.worse for item in second.slices]


@settings(deadline=None, max_examples=50)
@given(gain=st.floats(-0.1, 0.1), noise=st.floats(0.001, 0.3), constant=st.floats(0.01, 5))
def test_what_both_models_lose_more_changes_the_shares_alone(gain: float, noise: float, constant: float) -> None:
    champion, challenger = losses(gain, noise=noise)
    policy = patient(min_gain=0.0)
    first = judged(0, champion_loss=champion, challenger_loss=challenger, policy=policy)
    second = judged(0, champion_loss=champion + constant, challenger_loss=challenger + constant, policy=policy)
    assert (first.outcome, first.more_blocks) == (second.outcome, second.more_blocks)
    assert (first.gain, first.lower, first.upper) == pytest.approx((second.gain, second.lower, second.upper))


@settings(deadline=None, max_examples=50)
@given(
    loss=st.lists(st.floats(0, 10), min_size=0, max_size=60),
    min_gain=st.sampled_from([0.0, 0.001, 0.5]),
    by=st.sampled_from(["loss", "auc"]),
    look=st.integers(1, 3),
)
def test_a_model_never_replaces_one_that_is_the_same(loss: list[float], min_gain: float, by: Any, look: int) -> None:
    days = np.arange(len(loss)) // 2
    verdict = judged(
        0,
        champion_loss=np.array(loss),
        challenger_loss=np.array(loss),
        blocks=days,
        policy=patient(min_gain=min_gain, by=by),
        look=look,
        earlier_blocks=(5, 10)[: look - 1],
    )
    assert verdict.outcome != "promote"
    if min_gain == 0 and len(loss) >= 30:  # provably not worth anything is what it is otherwise
        assert verdict.outcome in (("expired",) if look == 3 else ("need evidence", "reject"))


@pytest.mark.parametrize(("correlation", "promoted"), [(0.0, 19), (0.4, 34)])
def test_three_looks_at_equal_models_on_days_that_are_alike_seldom_promote(correlation: float, promoted: int) -> None:
    """800 challengers without a gain, 14 days for each look, alpha 0.05: 40 may be promoted. Golden: how many are."""
    rng, policy, found = np.random.default_rng(41), patient(alpha=0.05, min_gain=0.0), 0
    for _ in range(800):
        level = rng.normal(size=42)
        for day in range(1, 42):
            level[day] = correlation * level[day - 1] + np.sqrt(1 - correlation**2) * level[day]
        outcomes = []
        for look, earlier in ((1, ()), (2, (14,)), (3, (14, 28))):
            days = 14 * look
            both: dict[str, Any] = {"champion_loss": 5 + level[:days], "challenger_loss": np.full(days, 5.0)}
            verdict = judged(0, **both, blocks=np.arange(days), policy=policy, look=look, earlier_blocks=earlier)
            outcomes.append(verdict.outcome)
        found += "promote" in outcomes
    assert found == promoted
    assert found <= 40


OPEN: dict[str, Any] = {"gain": 0.001, "noise": 0.2}  # neither proven nor refuted by seven days


def test_an_open_question_says_how_many_more_days_would_decide() -> None:
    verdict = judged(**OPEN)
    assert (verdict.outcome, verdict.look, verdict.max_looks) == ("need evidence", 1, 3)
    assert verdict.more_blocks is not None
    assert verdict.reasons[1] == (
        f"about {verdict.more_blocks:,} more blocks would probably decide, as it looks now for a promotion"
    )


def test_the_last_look_leaves_nothing_open() -> None:
    verdict = judged(**OPEN, policy=patient(max_looks=2), look=2, earlier_blocks=(5,))
    assert (verdict.outcome, verdict.more_blocks, verdict.earlier_blocks) == ("expired", None, (5,))
    assert verdict.reasons[1] == "this was look 2 of 2: the challenger expires, undecided"
    assert judged(**OPEN, policy=patient(max_looks=1)).outcome == "need evidence", "the next challenger starts anew"


def test_a_single_look_has_all_of_alpha() -> None:
    verdict = judged(0.01, policy=patient(max_looks=1))
    assert (verdict.outcome, verdict.nominal_alpha) == ("promote", 0.2)
    assert "at alpha 0.2, 700 rows in 7 blocks)" in verdict.reasons[0]


def test_a_later_look_asks_for_more_proof_than_the_first() -> None:
    first, second = judged(**OPEN), judged(**OPEN, look=2, earlier_blocks=(5,))
    assert floor(second.nominal_alpha) < floor(first.nominal_alpha) < 0.2
    assert floor(second.lower) < floor(first.lower)


def test_a_look_without_a_new_day_decides_nothing() -> None:
    verdict = judged(0.01, look=2, earlier_blocks=(7,))
    assert (verdict.outcome, verdict.more_blocks) == ("need evidence", 1)
    assert verdict.reasons[0] == "no block has come since the last look, which had 7"


def test_looks_and_their_days_must_agree() -> None:
    with pytest.raises(ValueError, match=r"look 3 must have the blocks of 2 earlier looks, got \(7,\)"):
        judged(0.01, look=3, earlier_blocks=(7,))


def test_a_champion_that_cannot_score_is_replaced_by_nobody_but_a_person() -> None:
    facts: dict[str, Any] = {"champion_is": "unable", "champion_version": "6", "unable_why": "column 'tail' is gone"}
    verdict = judged(0.01, **facts)
    asks = (
        "the champion could not be asked (column 'tail' is gone): "
        "nothing was compared with it, and a person must decide"
    )
    assert (verdict.outcome, verdict.asks, verdict.more_blocks) == ("need evidence", asks, None)
    assert verdict.reasons[0] == asks
    assert "against the base rate's 0.50" in verdict.reasons[1]
    assert (verdict.champion_is, verdict.unable_why) == ("unable", "column 'tail' is gone")
    assert judged(0.01, **facts, policy=patient(mode="dry_run")).asks == ""
    assert judged(0.01, **facts, policy=patient(max_looks=1)).outcome == "need evidence"
    worthless = judged(-0.01, **facts)
    assert (worthless.outcome, worthless.asks) == ("reject", "")


@pytest.mark.parametrize(("baseline", "outcome"), [(0.3751, "promote"), (0.375, "promote"), (0.3749, "reject")])
def test_a_challenger_than_which_a_constant_is_provably_better_is_rejected(baseline: float, outcome: str) -> None:
    verdict = judged(
        0,
        champion_loss=np.full(700, 0.5),
        challenger_loss=np.full(700, 0.375),
        baseline_loss=np.full(700, baseline),
    )
    assert verdict.outcome == outcome
    assert verdict.baseline_loss == pytest.approx(baseline)
    if outcome == "reject":
        assert verdict.reasons[0] == (
            "the challenger's loss is 0.37500, that of always predicting the same 0.37490: it must be below, and is "
            "proven above"
        )


def test_one_odd_day_on_which_a_constant_is_better_is_told_and_rejects_nothing() -> None:
    """On six days of seven the challenger is better than the constant, on one much worse: as the champion is."""
    odd = np.where(BLOCKS < DAYS - 1, 0.3, 1.0)
    verdict = judged(0, champion_loss=odd + 0.1, challenger_loss=odd, baseline_loss=np.full(len(BLOCKS), 0.39))
    assert verdict.outcome == "promote"
    assert verdict.reasons[-1] == (
        "the challenger's loss is 0.40000, that of always predicting the same 0.39000: more, but not proven"
    )


@pytest.mark.parametrize("baseline", [np.zeros(0), np.full(700, np.nan), np.full(700, np.inf)])
def test_a_constant_of_which_nothing_is_known_rejects_nothing(baseline: npt.NDArray[np.float64]) -> None:
    assert judged(0.01, baseline_loss=baseline).outcome == "promote"


def test_churn_is_always_told() -> None:
    for churn, outcome in ((0.3, "promote"), (0.31, "reject")):
        guards = Guards(load_ok=True, latency_ms=1, size_mb=1, churn=churn)
        verdict = judged(0.01, guards=guards, policy=patient(max_churn=0.3))
        assert (verdict.outcome, verdict.churn) == (outcome, churn)
        assert judged(0.01, guards=guards).outcome == "promote", "a limit is set by the definition only"
        assert verdict.reasons[-1] == f"{churn:.1%} of the decisions change"


@pytest.mark.parametrize(
    ("approval", "gain", "noise", "asks"),
    [
        ("always", 0.01, 0.01, "the pipeline asks a person before every promotion"),
        ("always", 0.001, 0.2, ""),
        ("when_need_evidence", 0.01, 0.01, ""),
        ("when_need_evidence", 0.001, 0.2, "the evidence does not decide, and the pipeline asks a person then"),
        ("when_need_evidence", -0.01, 0.01, ""),
        ("never", 0.001, 0.2, ""),
    ],
)
def test_a_person_is_asked_when_the_policy_says_so(approval: Any, gain: float, noise: float, asks: str) -> None:
    assert judged(gain, noise=noise, policy=patient(approval=approval)).asks == asks
    assert judged(gain, noise=noise, policy=patient(approval=approval, mode="dry_run")).asks == ""


def test_a_dry_run_says_what_it_would_do_and_that_it_does_not() -> None:
    verdict = judged(0.01, policy=patient(mode="dry_run"))
    assert (verdict.outcome, verdict.mode) == ("promote", "dry_run")
    assert verdict.reasons[-1] == "this is a dry run: nothing is promoted"
    assert "this is a dry run: nothing is promoted" not in judged(-0.01, policy=patient(mode="dry_run")).reasons


def test_models_may_be_compared_by_their_ranking() -> None:
    rng = np.random.default_rng(6)
    label = rng.random(700) < 0.3
    champion, challenger = (pseudo_losses(label, label + rng.normal(0, noise, 700)) for noise in (1.2, 0.8))
    verdict = judged(0, champion_loss=champion, challenger_loss=challenger, policy=patient(by="auc"))
    assert (verdict.outcome, verdict.by) == ("promote", "auc")
    assert verdict.reasons[0].startswith("the challenger's 1 - AUC is 0.19")


def test_without_a_second_class_a_ranking_needs_evidence() -> None:
    none = pseudo_losses(np.zeros(700), np.arange(700))
    verdict = judged(0, champion_loss=none, challenger_loss=none, policy=patient(by="auc"))
    assert (verdict.outcome, verdict.gain, verdict.more_blocks) == ("need evidence", None, None)
    assert verdict.reasons == (
        "all 700 labels of the holdout are the same, so there is no AUC",
        "how many more blocks would decide cannot be told",
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("min_gain", 1.0),
        ("alpha", 0.5),
        ("slices", "carrier"),
        ("min_blocks", 1),
        ("max_latency_ms", 0),
        ("max_size_mb", float("nan")),
        ("by", "accuracy"),
        ("evidence", "train"),
        ("max_looks", 0),
        ("max_looks", 21),
        ("max_churn", 0.0),
        ("max_churn", 1.1),
        ("max_bias_growth", -0.1),
        ("max_bias_growth", float("nan")),
        ("checks", [Invariant(column="carrier")]),
        ("checks", (patient(),)),
        ("mode", "wet"),
        ("approval", "sometimes"),
        ("approval_timeout", "soon"),
        ("approval_timeout", timedelta(0)),
    ],
)
def test_a_policy_has_sensible_limits(field: str, value: Any) -> None:
    with pytest.raises(DefinitionError, match=rf"gate\.{field} must "):
        patient(**{field: value})


def test_a_policy_names_each_check_once() -> None:
    check = Invariant(column="carrier")
    assert patient(checks=(check,)).checks == (check,)
    with pytest.raises(DefinitionError, match=r"gate\.checks must not name the same check twice"):
        patient(checks=(check, check))


def test_a_policys_time_to_answer_is_a_duration() -> None:
    assert patient().approval_timeout == timedelta(days=3)
    assert patient(approval_timeout="12h").approval_timeout == timedelta(hours=12)


LABEL = np.array([0, 1] * 50)
PROVEN = np.where(LABEL == 1, 0.6, 0.4)


def refit(prediction: Any, **changed: Any) -> tuple[str, ...]:
    facts: dict[str, Any] = {
        "proven_prediction": PROVEN,
        "refit_prediction": prediction,
        "proven_loss": np.full(100, 0.5),
        "refit_loss": np.full(100, 0.49),
        "label": LABEL,
        "task": "binary",
    }
    return guard_refit(**facts | changed)


def test_a_refit_that_is_like_the_proven_model_may_replace_it() -> None:
    assert refit(PROVEN + 0.01) == ()
    assert refit([], proven_prediction=[], label=[], proven_loss=[], refit_loss=[]) == ()


def test_a_refit_that_is_another_model_is_named_as_such() -> None:
    assert refit(np.full(100, np.nan)) == ("the refit's prediction is not a number on 100 rows",)
    assert refit(PROVEN, refit_loss=np.full(100, 0.51)) == (
        "the refit's loss is 0.51000, the proven model's 0.50000, on rows the refit saw",
    )
    assert refit(PROVEN + 0.03) == (
        "the refit's mean of label - prediction is -0.0300, the proven model's +0.0000; it may be 0.02 further from 0",
    )
    assert refit(np.where(np.arange(100) < 16, 1 - PROVEN, PROVEN)) == (
        "the refit decides 16.0% of the rows otherwise, at most 15% may be",
    )


def test_a_refit_of_other_tasks_is_judged_in_their_units() -> None:
    label = np.linspace(-100, 100, 100)
    numbers: dict[str, Any] = {"task": "regression", "label": label, "proven_prediction": label}
    assert refit(label + 1.0, **numbers) == ()
    moved = np.where(np.arange(100) < 20, label + 70.0, label - 70.0 / 4)
    assert refit(moved, **numbers) == ("the refit decides 20.0% of the rows otherwise, at most 15% may be",)
    classes = np.eye(3)[np.arange(100) % 3]
    assert refit(classes, task="multiclass", proven_prediction=classes, label=np.arange(100) % 3) == ()
    assert refit(np.roll(classes, 1, axis=1), task="multiclass", proven_prediction=classes) == (
        "the refit decides 100.0% of the rows otherwise, at most 15% may be",
    )
