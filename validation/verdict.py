"""The verdict: a frozen value that says what was decided, about what, and why.

A verdict is what a rule returns, what a flow returns, and what the ledger records: there is no second form.
Rules add their own numbers as fields of a subclass; `kind` names the rule.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was decided (`outcome`) about `subject` (a batch, a window's start, a model version), with its reasons.

    `data_time` is the moment, in data time, for which the rule judged. `reasons` are whole sentences for people.
    """

    kind: ClassVar[str] = "note"

    pipeline: str
    subject: str
    outcome: str
    reasons: tuple[str, ...]
    data_time: datetime

    def __str__(self) -> str:
        because = "; ".join(self.reasons) or "no reason given"
        return f"{self.pipeline} {self.kind} {self.subject}: {self.outcome}, because {because}"
