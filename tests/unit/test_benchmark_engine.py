"""The engine's benchmark runs from end to end at small size."""

import json

import pytest

from benchmarks import engine


@pytest.mark.slow
def test_the_engine_is_measured_beside_lightgbm(capsys: pytest.CaptureFixture[str]) -> None:
    engine.main([45], train_rows=1_000, rows=10_000)
    found = json.loads(capsys.readouterr().out.splitlines()[-1])["cpu_us_per_row"]["45"]
    assert found.pop("largest_difference") < 1e-12
    assert len(found) == 9
    assert all(cost > 0 for cost in found.values())
