"""The alarm as a state machine over windows: what was seen before, and what one more window makes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from validation.watch.policy import Drift

JUDGED = ("quiet", "suspect", "drift")
LOOK_BACK = 3  # windows among which `raise_on` must be suspect


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An earlier verdict under the same profile. `since`: start of the first suspect window of its alarm or suspicion.

    `prediction`: the outcome of the prediction's own alarm. `features`: those that had drifted, and the start of the
    first window of each one's run of findings; `bad_data`: which of them looked like bad data.
    """

    start: datetime
    outcome: str
    since: str = ""
    prediction: str = ""
    features: Mapping[str, str] = field(default_factory=dict)
    bad_data: tuple[str, ...] = ()

    @classmethod
    def from_body(cls, subject: str, outcome: str, body: Mapping[str, Any]) -> "Seen":
        """Read a verdict's ledger row; a body from before a field was there lacks it."""
        found = {item["name"]: item.get("since") or subject for item in body["features"] if item["drifted"]}
        return cls(
            start=datetime.fromisoformat(subject),
            outcome=outcome,
            since=body.get("since") or "",
            prediction=body.get("prediction") or "",
            features=found,
            bad_data=tuple(body.get("bad_data") or ()),
        )


def next_state(previous: Sequence[str], *, suspect: bool | None, at_once: bool, policy: Drift) -> tuple[str, bool]:
    """Outcome of a window and whether the alarm is raised after it. `suspect` None: the window could not be judged;
    such windows count as not there. A raised alarm needs `clear_after` quiet windows in a row to be cleared.
    """
    known = [outcome for outcome in previous if outcome in JUDGED]
    raised = "drift" in known[-policy.clear_after :]
    if suspect is None:
        return "not enough history", raised
    if not suspect:
        return "quiet", "drift" in [*known, "quiet"][-policy.clear_after :]
    suspects = 1 + sum(outcome != "quiet" for outcome in known[1 - LOOK_BACK :])
    raised = raised or at_once or suspects >= policy.raise_on
    return ("drift" if raised else "suspect"), raised


def alarm_since(previous: Sequence[Seen], *, start: datetime, raised: bool, suspect: bool, policy: Drift) -> str:
    """Start of the first suspect window of the alarm that is raised, or of what is only suspected; "" when neither."""
    if not (raised or suspect):
        return ""
    known = [seen for seen in previous if seen.outcome in JUDGED]
    held = any(seen.outcome == "drift" for seen in known[-policy.clear_after :])
    if held and known[-1].since:
        return known[-1].since
    reach = known[-policy.clear_after :] if held else known[1 - LOOK_BACK :]
    return next((seen.start for seen in reach if seen.outcome != "quiet"), start).isoformat()
