"""How the scorer is: whether all is well, what is wrong, and how old the facts are that it works from."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from serving.slot import Slot

Condition = Literal["ok", "degraded", "unready"]


def health(slots: Mapping[str, Slot], *, now: datetime, tokens: str) -> Mapping[str, Any]:
    """What /health tells those who may know; `tokens`: what is wrong with the tokens, or nothing."""
    return {
        "status": condition(slots, tokens=tokens),
        "tokens": tokens,
        "pipelines": {name: _of(slot, now) for name, slot in slots.items()},
    }


def condition(slots: Mapping[str, Slot], *, tokens: str) -> Condition:
    """In one word: "unready" when nothing is served, "degraded" when anything is wrong."""
    if not any(slot.served for slot in slots.values()):
        return "unready"
    return "ok" if not tokens and all(_condition(slot) == "ok" for slot in slots.values()) else "degraded"


def _condition(slot: Slot) -> Condition:
    if slot.served is None:
        return "unready"
    lookups = slot.served.lookups
    return "degraded" if slot.trouble or (lookups is not None and lookups.trouble) else "ok"


def _of(slot: Slot, now: datetime) -> Mapping[str, Any]:
    served, told = slot.served, {"status": _condition(slot), "trouble": slot.trouble}
    lookups = served.lookups if served else None
    return told | {
        "version": served.champion.change.version if served else None,
        "epoch": served.champion.epoch if served else None,
        "ledger_seconds_ago": (now - slot.looked_at).total_seconds() if slot.looked_at else None,
        "lookups": lookups
        and {
            "trouble": lookups.trouble,
            "seconds_old": lookups.age_seconds if math.isfinite(lookups.age_seconds) else None,
        },
        "workers": slot.workers,
    }
