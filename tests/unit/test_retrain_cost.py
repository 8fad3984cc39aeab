from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from benchmarks.retrain_cost import main, summary
from benchmarks.retrain_cost_cycles import OURS, STALE, TUNED
from benchmarks.retrain_cost_streams import turning


def cycle(rows: int, *, asked: bool = False, choice: str = "1/2", **losses: float) -> dict[str, object]:
    cost = {STALE: 0.0, TUNED: 20.0, OURS: 1.0}
    served = {
        name.replace("_", " "): {"loss": loss, "cpu_s": cost.get(name.replace("_", " "), 2.0)}
        for name, loss in losses.items()
    }
    return {"rows": rows, "known": 1, "served": served, "choice": choice, "asked": asked}


def test_the_gain_kept_is_of_the_best_other_strategy_by_rows() -> None:
    """By hand: stale (3 * 1.0 + 1 * 2.0) / 4 = 1.25, rung 0.85, ours 0.95: 0.30 of 0.40, at a twentieth of the cost."""
    told = summary(
        [
            cycle(300, stale=1.0, full_tune=0.95, rung=0.8, ours=0.9),
            cycle(100, stale=2.0, full_tune=1.15, rung=1.0, ours=1.1, choice="1/4", asked=True),
        ]
    )
    assert told["best"] == "rung"
    assert told["gain_of_best"] == pytest.approx(0.4 / 1.25)
    assert told["gain_kept_vs_best"] == pytest.approx(0.75)
    assert told["cost_vs_full_tune"] == pytest.approx(0.05)
    assert (told["cycles"], told["rows"], told["asked_for_a_search"]) == (2, 400, 1)
    assert told["choices"] == {"1/2": 1, "1/4": 1}


def test_where_nothing_gains_over_the_stale_champion_nothing_can_be_kept() -> None:
    told = summary([cycle(10, stale=1.0, full_tune=1.1, rung=1.0, ours=0.9)])
    assert np.isnan(told["gain_kept_vs_best"])


def test_a_cycle_knows_no_row_whose_label_has_not_come() -> None:
    stream = turning(weeks=20, rows=100)
    at = stream.cuts[1]
    known, served = stream.known(at), stream.served(1)
    assert known["at"].max() < at - stream.gap  # type: ignore[operator]
    assert served["at"].min() >= at  # type: ignore[operator]
    assert served["at"].max() < at + timedelta(weeks=3)  # type: ignore[operator]
    after = timedelta(days=60)
    slow = replace(stream, known_at=stream.rows["at"] + after).known(at)["at"].max()
    assert slow + after <= at  # type: ignore[operator]
    assert slow + after > at - timedelta(hours=2)  # type: ignore[operator]


@pytest.mark.slow
def test_the_benchmark_runs(capsys: pytest.CaptureFixture[str]) -> None:
    told = main(["--quick", "--only", "turning"])
    assert told["turning"]["cycles"] == 2
    assert set(told) >= {"gain_kept_vs_best", "cost_vs_full_tune", "turning"}
    assert capsys.readouterr().out.startswith('{"gain_kept_vs_best"')
