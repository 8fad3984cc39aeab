"""What the rollout decides, as verdicts: of a challenger before it takes over, and of a champion after it did."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from validation.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialVerdict(Verdict):
    """A version (`subject`) and another one answer the same live rows, one of them in the shadow.

    `since` and `until` in data time; `epoch` of the reign in which it is. `labelled` rows have a mature label, in
    `blocks` of time: there `gain` is the other version's loss - the subject's, per row, between `lower` and `upper`.
    """

    epoch: int
    since: datetime
    until: datetime
    labelled: int = 0
    blocks: int = 0
    gain: float | None = None
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowVerdict(TrialVerdict):
    """A challenger answers live rows in the shadow (`subject`: its version); outcome "started", then once "passed",
    "failed" or "ended", because something else became of it; the later one is the ledger's answer to "started".

    `epoch`: of the champion that it wants to replace (0: none), which is the other version. `gate`: seq of the gate's
    verdict, `intent` that waits. `rows` it scored, `failed` of them without an answer, `ms_per_row`.
    """

    kind: ClassVar[str] = "shadow"

    intent: str
    gate: int
    bundle_sha256: str
    trained_until: datetime
    rows: int = 0
    failed: int = 0
    ms_per_row: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbationVerdict(TrialVerdict):
    """A new champion is watched (`subject`: its version); outcome "started", perhaps "waits for labels" when its span
    is over, then once "fine", "roll back" or "told" (a person put it there, or nobody is to go back to).

    `epoch`: its own. `previous`: the other version, which answers in the shadow meanwhile. `requests`, `failed` of
    them, `p95_ms`: live figures. `looks`: blocks at each look at the labels so far; `found`: what was found, in a word
    ("errors", "latency", "quality").
    """

    kind: ClassVar[str] = "probation"

    previous: str
    requests: int = 0
    failed: int = 0
    p95_ms: float | None = None
    looks: tuple[int, ...] = ()
    found: str = ""
