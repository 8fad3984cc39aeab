"""The gate's verdict as the model store shows it."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from registry.verdict_page import verdict_page
from validation.behaviour import BehaviourResult
from validation.gate import Evidence, Gate, GateVerdict, Guards, judge
from validation.slices import SliceGain

DAY = datetime(2013, 4, 7, 12, tzinfo=UTC)


def verdict(champion: str = "7") -> GateVerdict:
    """Of 1,000 rows in ten days, each with a gain of 0.05 of 0.5; decided by the gate itself."""
    blocks = np.repeat(np.arange(10), 100)
    evidence = Evidence(
        champion_loss=np.full(1_000, 0.5),
        challenger_loss=np.full(1_000, 0.45) - blocks / 1_000,
        blocks=blocks,
        champion_version=champion,
        champion_is="champion" if champion else "base rate",
        challenger_version="8",
    )
    guards = Guards(load_ok=True, latency_ms=1.25, size_mb=0.5)
    return judge(evidence, guards, policy=Gate(), pipeline="trips", subject="8", as_of=DAY)


def test_the_first_line_says_how_it_ended_and_the_rest_why() -> None:
    found = verdict()
    page = verdict_page(found, asked="the days got longer", made=["the champion's recipe"]).splitlines()
    assert page[0].startswith("promote against version 7 (+10.90% of the loss), as of 2013-04-07 12:00")
    assert page[2 : 3 + len(found.reasons)] == [
        *(f"- {reason}" for reason in found.reasons),
        "- trained: the champion's recipe",
    ]
    assert "- asked for: the days got longer" in page
    assert "| | version 7 | challenger |" in page
    assert "| loss | 0.50000 | 0.44550 |" in page
    assert "| gain, as a share of the champion's loss | | +10.90% |" in page
    assert "| one row takes, in ms | | 1.25 |" in page
    assert "slice" not in verdict_page(found)
    assert "check" not in verdict_page(found)


def test_what_was_not_measured_is_not_told() -> None:
    page = verdict_page(replace(verdict(), latency_ms=0.0, size_mb=0.0, champion_loss=None, gain_share=None))
    assert "in ms" not in page
    assert "in MB" not in page
    assert "| loss |  | 0.44550 |" in page
    assert page.startswith("promote against version 7, as of")


def test_a_first_model_is_held_against_the_base_rate() -> None:
    assert "promote against the base rate (+10.90% of the loss)" in verdict_page(verdict(""))


def test_a_dry_run_a_second_look_and_a_question_stand_out() -> None:
    page = verdict_page(replace(verdict(), mode="dry_run", look=2, max_looks=3, asks="always"))
    assert page.splitlines()[0].endswith("as of 2013-04-07 12:00, look 2 of 3, in a dry run")
    assert "- **a person is asked**: always" in page


def test_slices_and_checks_are_tables_that_no_value_can_break() -> None:
    slices = tuple(
        SliceGain(column="zone", value=value, rows=1_200, gain=gain, upper=upper, worse=gain < 0)
        for value, gain, upper in (("a|b\nc", -0.01, -0.001), ("d", 0.02, None))
    )
    check = BehaviourResult(check="increasing in distance", ok=False, violations=0.25, reason="too many")
    page = verdict_page(replace(verdict(), slices=slices * 20, behaviour=(check,))).splitlines()
    assert page.count("| zone = a\\|b c | 1,200 | -0.01000 | -0.00100 | **yes** |") == 15, "the first 30 in all"
    assert "| zone = d | 1,200 | +0.02000 |  | no |" in page
    assert page[-1] == "| increasing in distance | **no** | 25.0% |"
