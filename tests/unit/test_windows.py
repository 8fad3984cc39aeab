"""What is told of a window when its labels come, come late, or are corrected."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from validation.watch.estimates import Estimate
from validation.watch.windows import Labelled, WindowVerdict, estimated, realised

START = datetime(2013, 6, 3, tzinfo=UTC)
AS_OF = datetime(2013, 6, 10, tzinfo=UTC)
SAID = Estimate(method="CBPE", rows=4, loss=0.5, lower=0.4, upper=0.6, metrics={}, intervals={})


def labelled(loss: list[float], **given: Any) -> Labelled:
    count = len(loss)
    told: dict[str, Any] = {
        "label": np.ones(count), "prediction": np.full(count, 0.75), "slices": {}, "digest": f"of {loss}"
    }  # fmt: skip
    return Labelled(loss=np.array(loss), **{**told, **given})


def judged(found: Labelled, *, rows: int = 4, mature: bool = True, before: WindowVerdict | None = None) -> Any:
    return realised(
        found, pipeline="p", start=START, version="3", rows=rows, mature=mature, before=before, as_of=AS_OF
    )  # fmt: skip


def said() -> WindowVerdict:
    return estimated(pipeline="p", start=START, version="3", rows=4, estimate=SAID, as_of=AS_OF)


def test_a_window_without_labels_has_its_estimate_and_calls_it_one() -> None:
    verdict = said()
    assert (verdict.outcome, verdict.loss, verdict.coverage) == ("estimated", None, 0.0)
    assert "estimated as 0.50000 (0.40000 to 0.60000, CBPE)" in verdict.reasons[0]


def test_a_mature_window_is_realised_and_its_estimate_scored() -> None:
    verdict = judged(labelled([0.1, 0.3, 0.2, 0.2]), before=said())
    assert (verdict.outcome, verdict.loss, verdict.coverage) == ("realised", pytest.approx(0.2), 1.0)
    assert verdict.estimate == SAID
    assert verdict.estimate_error == pytest.approx(0.3)
    assert verdict.standard_error == pytest.approx(np.std([0.1, 0.3, 0.2, 0.2], ddof=1) / 2)
    assert (verdict.bias, verdict.bias_lower) == (pytest.approx(0.25), pytest.approx(0.25))
    assert "outside its interval" in verdict.reasons[1]


def test_the_same_labels_again_are_no_news_and_other_ones_are_a_correction() -> None:
    first = judged(labelled([0.1, 0.3]))
    assert judged(labelled([0.1, 0.3]), before=first) is None
    again = judged(labelled([0.1, 0.3, 0.5]), before=first)
    assert (again.outcome, again.labelled, again.coverage) == ("corrected", 3, 0.75)
    assert again.reasons[0].startswith("labels have come late or were corrected")


def test_a_window_without_any_label_is_not_told() -> None:
    assert judged(labelled([])) is None


@pytest.mark.parametrize(("more", "told"), [(24, False), (25, True), (26, True)])
def test_a_window_that_fills_up_is_told_again_after_a_quarter_of_its_rows(more: int, told: bool) -> None:  # noqa: FBT001
    first = judged(labelled([0.1] * 10), rows=100, mature=False)
    assert first.outcome == "partly labelled"
    second = judged(labelled([0.1] * (10 + more)), rows=100, mature=False, before=first)
    assert (second is not None) is told


def test_what_was_partly_labelled_is_realised_when_it_is_mature_also_by_the_same_labels() -> None:
    first = judged(labelled([0.1]), mature=False)
    assert judged(labelled([0.1]), before=first).outcome == "realised"


def test_slices_with_enough_rows_are_told_worst_first_and_nulls_are_a_value() -> None:
    origin = ["JFK"] * 40 + [None] * 40 + ["EWR"] * 29
    loss = [0.1] * 40 + [0.4] * 40 + [0.9] * 29
    verdict = judged(labelled(loss, slices={"origin": origin}), rows=109)
    told = [(item.value, item.rows, item.loss, item.bias) for item in verdict.slices]
    assert told == [
        ("null", 40, pytest.approx(0.4), pytest.approx(0.25)), ("JFK", 40, pytest.approx(0.1), pytest.approx(0.25))
    ]  # fmt: skip


def test_several_classes_have_no_bias() -> None:
    found = labelled([0.1, 0.2], prediction=np.array([[0.1, 0.9], [0.2, 0.8]]))
    verdict = judged(found, rows=2)
    assert (verdict.bias, verdict.bias_lower, verdict.loss) == (None, None, pytest.approx(0.15))


def test_one_label_has_no_standard_error() -> None:
    verdict = judged(labelled([0.1]))
    assert (verdict.standard_error, verdict.bias_lower) == (None, None)
