"""Labels too large to be squared are told in words; numpy's warnings are errors in tests."""

from dataclasses import replace
from math import isnan
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from modelling.leak_scores import explained, likeness, made_of, on_one_line
from modelling.metric_table import metric_values
from modelling.metrics import row_losses
from modelling.prepared import prepare
from modelling.spec import Training
from tests.unit.modelling_world import START, pipeline_in, rides
from tests.unit.test_gate import FINE
from validation.errors import ContractError
from validation.gate import Evidence, Gate, judge

HUGE = np.array([1e200, -1e200, 2.0] * 200)
HUGEST = HUGE * 1e108


def test_losses_and_metrics_of_huge_labels_are_infinite_or_none() -> None:
    assert row_losses("regression", "l2", HUGE[:3], 0.0).tolist() == [np.inf, np.inf, 4.0]
    assert row_losses("regression", "l1", HUGEST[:2], -HUGEST[:2]).tolist() == [np.inf, np.inf]
    found = metric_values("regression", HUGE, np.zeros(600))
    assert "r2" not in found
    assert found["median_error"] == 1e200


@pytest.mark.parametrize("target", [HUGE, HUGEST])
def test_leak_scores_of_a_huge_target_say_nothing(target: NDArray[np.float64]) -> None:
    rows = np.arange(600)
    assert isnan(explained(rows % 5, target, rows % 2 == 0))
    assert isnan(likeness(target, target))
    assert made_of(np.stack([target, rows.astype(float)], axis=1), target, enough=0.9, most=2)[0] == []
    assert np.nan_to_num(on_one_line(rows.astype(float), target)) == 0


@pytest.mark.parametrize(("champion", "outcome"), [(np.inf, "reject"), (1e200, "need evidence")])
def test_a_gate_of_huge_losses_tells_what_it_finds(champion: float, outcome: str) -> None:
    own, random = np.full(600, champion), np.random.default_rng(1)
    evidence = Evidence(
        champion_loss=own, challenger_loss=own * random.choice([0.5, 1.5], 600), blocks=np.arange(600) // 10
    )
    found = judge(evidence, FINE, policy=Gate(), pipeline="rides", subject="7", as_of=START)
    assert found.outcome == outcome, found.reasons


def test_a_bad_weight_is_told_by_its_own_column_and_all_rows(tmp_path: Path) -> None:
    spec = replace(pipeline_in(tmp_path).spec, training=Training(weight="wind"))
    rows = rides(100).with_columns(wind=pl.when(pl.col("ride") < 3).then(-1.0).otherwise(1.0))
    bad = rows.filter(pl.col("wind") < 0).height
    assert bad
    with pytest.raises(ContractError, match=rf"weight column 'wind': {bad} of 100 weights are null"):
        prepare(spec, rows)
