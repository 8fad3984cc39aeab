from datetime import timedelta

import pytest

from validation.durations import duration
from validation.errors import DefinitionError


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("36h", timedelta(hours=36)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(weeks=2)),
        (timedelta(days=3), timedelta(days=3)),
    ],
)
def test_a_duration_is_read_as_people_write_it(text: str | timedelta, span: timedelta) -> None:
    assert duration(text, field="monitor.every") == span


@pytest.mark.parametrize("text", ["", "7", "d", "7 d", "-7d", "7D", "1.5d", "7d1h", 7, None])
def test_anything_else_is_refused_by_the_name_of_its_field(text: object) -> None:
    with pytest.raises(DefinitionError, match=r"monitor\.every must be a duration like '7d'"):
        duration(text, field="monitor.every")  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["0d", timedelta(0), timedelta(seconds=-1)])
def test_a_duration_is_longer_than_nothing(text: str | timedelta) -> None:
    with pytest.raises(DefinitionError, match=r"governor\.cooldown must be longer than nothing"):
        duration(text, field="governor.cooldown")
