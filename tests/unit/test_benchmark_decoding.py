import json

import pytest

from benchmarks import decoding


def test_every_reader_is_timed_with_every_format(capsys: pytest.CaptureFixture[str]) -> None:
    decoding.main(["--quick"])
    told = json.loads(capsys.readouterr().out.splitlines()[-1])["cpu_us"]
    assert set(told) == {f"{form} {rows}" for form in decoding.FORMS for rows in (1, 100)}
    assert all(set(times) == {"ours", "ours, as a frame", "json", "msgspec"} for times in told.values())
    assert all(us > 0 for times in told.values() for us in times.values())
