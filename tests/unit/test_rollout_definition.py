"""Rollout: what it takes, and what it refuses with a remedy."""

from datetime import timedelta
from typing import Any

import pytest

from andon import Rollout
from validation.errors import DefinitionError


def test_durations_may_be_words_and_nothing_is_declared_by_default_but_the_watch() -> None:
    assert Rollout() == Rollout(shadow=None, watch=timedelta(days=7), max_error_share=0.01, alpha=0.01)
    assert Rollout(shadow="24h", watch=None).shadow == timedelta(hours=24)
    assert Rollout(max_error_share=1.0, min_requests=1, max_latency_ms=0.5).max_error_share == 1.0


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"shadow": "1 day"}, "rollout.shadow must be a duration like '7d', '36h'"),
        ({"shadow": "0h"}, "rollout.shadow must be longer than nothing"),
        ({"watch": "0d"}, "rollout.watch must be longer than nothing"),
        ({"max_error_share": 0.0}, r"rollout.max_error_share must be a share in \(0, 1\], got 0.0"),
        ({"max_error_share": 1.01}, r"rollout.max_error_share must be a share in \(0, 1\], got 1.01"),
        ({"max_latency_ms": 0.0}, "rollout.max_latency_ms must be above 0, got 0.0"),
        ({"min_requests": 0}, "rollout.min_requests must be at least 1, got 0"),
        ({"alpha": 0.0}, r"rollout.alpha must be in \(0, 0.5\), got 0.0"),
        ({"alpha": 0.5}, r"rollout.alpha must be in \(0, 0.5\), got 0.5"),
        ({"watch": 7}, "rollout.watch"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(DefinitionError, match=why):
        Rollout(**wrong)
