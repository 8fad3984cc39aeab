"""The benchmark of the prediction log at tiny size: each way keeps what it is given, and the answer is whole."""

from pathlib import Path

import pytest

from benchmarks.prediction_log import WAYS, _rows, measure


@pytest.mark.parametrize("way", WAYS)
def test_each_way_really_keeps_the_rows(tmp_path: Path, way: str) -> None:
    rows = _rows()
    with WAYS[way](tmp_path) as keep:
        for number in range(20):
            keep(rows[number], f"request-{number:02}", number)
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert all(f"request-{number:02}".encode() in content for number in range(20))
    assert rows[19][-1][0].encode() in content


def test_the_answer_has_a_figure_for_each_way() -> None:
    found = measure(requests=200, rounds=1)
    assert list(found["cpu_us"]) == list(WAYS)
    assert found["append_cpu_us"] == found["cpu_us"]["ours"] > 0
    assert found["read_cpu_us_a_row"] > 0
    assert found["segment_bytes_a_row"] > 200
