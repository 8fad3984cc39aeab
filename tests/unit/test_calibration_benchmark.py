"""The calibration benchmark at tiny size: every way gives a figure, and means are means."""

import pytest

from benchmarks.calibration import QUICK, measured, summary, ways


@pytest.mark.slow
def test_every_way_is_measured_on_every_made_up_data_set() -> None:
    found = summary(measured(quick=True))
    assert set(found) == set(QUICK)
    for told in found.values():
        assert set(told) == {*ways(quick=True), "constant", "linear"}
        assert told["as they are"]["cost"] == 1
        assert all(0 <= values["error"] <= 1 for values in told.values())
    assert found["still"]["as they are"]["logloss"] < found["still"]["constant"]["logloss"]


def test_means_are_taken_over_the_cases_of_a_data_set() -> None:
    metrics = {"brier": 0.2, "auc": 0.5, "error": 0.1}
    seen = [("as they are", 0.5, 1.0), ("as they are", 0.7, 3.0), ("ours", 0.4, 6.0), ("ours", 0.6, 2.0)]
    rows = [{"data": "made", "way": way, "logloss": loss, "cpu_s": cpu, **metrics} for way, loss, cpu in seen]
    assert summary(rows)["made"]["ours"] == {**metrics, "logloss": 0.5, "cpu_s": 4.0, "cost": 2.0}
