"""The gate's verdict in short: the numbers that decided, as shares of the champion's loss. Pure.

From the JSON body of the ledger, also of one that an older Andon wrote: what is not there is not told.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from registry.ledger import Recorded

_NUMBERS = "a gain of "  # stands in the gate's own sentence of numbers, which ends with what it concludes from them


def gate_reasons(record: Recorded) -> Iterator[str]:
    """What spoke against the challenger, then the gain with its bounds and what the gate concluded from it."""
    body = record.body
    for reason in record.reasons:
        if _NUMBERS in reason and _is_compared(body):
            yield f"{_gain(body)}: {reason.rpartition(': ')[2]}"
        else:
            yield reason
    worst = next(iter(body.get("slices") or ()), None)
    if worst and not worst.get("worse") and worst["gain"] < 0 and record.outcome != "reject":
        where = f"{worst['column']} = {worst['value']}"
        yield f"the worst slice is {where}: {_share(worst['gain'], body)} on {worst['rows']:,} rows, not proven"
    if body.get("asks"):
        yield f"a person is asked: {body['asks']}"


def _is_compared(body: Mapping[str, Any]) -> bool:
    return all(body.get(name) is not None for name in ("gain", "gain_share", "champion_loss")) and body["champion_loss"]


def _gain(body: Mapping[str, Any]) -> str:
    against = f"version {body['champion_version']}" if body.get("champion_is") == "champion" else "the base rate"
    bounds = " to ".join(_share(body[side], body) for side in ("lower", "upper"))
    evidence = f"{body['rows']:,} rows in {body['blocks']} blocks"
    return f"gain {body['gain_share']:+.2%} over {against} ({bounds}, {evidence})"


def _share(gain: float | None, body: Mapping[str, Any]) -> str:
    return "unknown" if gain is None or not body.get("champion_loss") else f"{gain / body['champion_loss']:+.2%}"
