"""What was decided of a challenger in the shadow, and of a champion that is watched, in sentences. Pure."""

from datetime import UTC, datetime
from typing import Literal

from registry.ledger import Champion, Recorded

WATCH = "watch"  # who rolls back when nobody asks for it


def shadow_words(record: Recorded) -> tuple[str, Literal["good", "bad", "asks", "plain"]]:
    """Of a challenger in the shadow."""
    version, until = record.subject, _day(record.body["until"])
    said: dict[str, tuple[str, Literal["good", "bad", "asks", "plain"]]] = {
        "started": (f"version {version} answers in the shadow until {until}, then it takes over", "plain"),
        "passed": (f"version {version} has passed its time in the shadow", "good"),
        "failed": (f"version {version} failed in the shadow, and is not promoted", "bad"),
    }
    return said.get(record.outcome, (f"version {version} answers in the shadow no more", "plain"))


def probation_words(record: Recorded) -> tuple[str, Literal["good", "bad", "asks", "plain"]]:
    """Of a champion that is watched."""
    version, until = record.subject, _day(record.body["until"])
    said: dict[str, tuple[str, Literal["good", "bad", "asks", "plain"]]] = {
        "started": (f"version {version} is watched until {until}", "plain"),
        "waits for labels": (f"version {version} was watched; labels are still to come", "plain"),
        "fine": (f"version {version} was watched, and is fine", "good"),
        "roll back": (f"version {version} is worse than the one before, which is put back", "bad"),
    }
    return said.get(record.outcome, (f"version {version} is worse, and a person must decide", "asks"))


def standing_words(shadow: Recorded | None, probation: Recorded | None, champion: Champion | None) -> tuple[str, ...]:
    """How a challenger and the champion stand now, by the newest row of each kind; nothing of reigns that are over."""
    rows = (row for row in (shadow, probation) if row is not None and champion and row.body["epoch"] == champion.epoch)
    return tuple(_now(row) for row in rows)


def _now(row: Recorded) -> str:
    if row.outcome == "started":
        return row.reasons[0]
    words = shadow_words if row.kind == "shadow" else probation_words
    return f"{words(row)[0]}: {'; '.join(row.reasons)}"


def _day(moment: str) -> str:
    return datetime.fromisoformat(moment).astimezone(UTC).strftime("%Y-%m-%d %H:%M").removesuffix(" 00:00")
