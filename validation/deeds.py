"""What the flows did, as verdicts, so that the ledger tells the whole story and not only the judgements."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from validation.training_set import Description
from validation.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored(Verdict):
    """A batch was scored and delivered; `subject` is its number, outcome "scored", or "pending" where a channel could
    not take it yet. `versions`: who answered; `delivered`: the places that have it; `pending`: channels that wait.
    """

    kind: ClassVar[str] = "score"

    rows: int
    versions: tuple[str, ...]
    span: tuple[datetime, datetime] | None
    through: str
    delivered: tuple[str, ...]
    run_id: str = ""
    pending: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered(Verdict):
    """What a channel waited for was tried again; `subject` is the batch, outcome "delivered", "pending" where channels
    (`pending`) still wait, or "failed" where nothing is left to deliver. `delivered`: the places that have it now.
    """

    kind: ClassVar[str] = "delivery"

    run_id: str
    delivered: tuple[str, ...]
    pending: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotTaken(Verdict):
    """A retrain took this snapshot; `subject` is its id, outcome "taken". Written once for each id of a pipeline."""

    kind: ClassVar[str] = "snapshot"

    description: Description


@dataclass(frozen=True, slots=True, kw_only=True)
class RungLoss:
    """What one way of using the rows lost, the mean over the `rows` of a window."""

    start: datetime
    stop: datetime
    rung: str
    loss: float
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained(Verdict):
    """An attempt to train; `subject` is the intent, outcome "trained", "kept" (a candidate is looked at again), "not
    trained" (too few rows, or inputs that know the target) or "failed".

    `losses` are the search's trials. `leaks`: the inputs that know too much. `rungs`: what the
    ways of using the rows lost on the newest windows, for a recipe and a definition whose mark is `rungs_of`; `chosen`
    is the one that was taken. `champion_sha256` of the bundle with which they were compared.
    """

    kind: ClassVar[str] = "training"

    snapshot: str
    rows: int
    searched: bool
    recipe: dict[str, float]
    losses: tuple[float, ...] = ()
    seconds: float = 0.0
    leaks: tuple[str, ...] = ()
    rungs: tuple[RungLoss, ...] = ()
    rungs_of: str = ""
    chosen: str = ""
    champion_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched(Verdict):
    """The monitor has come to its end; outcome "reported". What was found before this row has been acted upon, what
    was scored up to the row `scored` has been judged.
    """

    kind: ClassVar[str] = "watch"

    scored: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cord(Verdict):
    """A person stopped or released the line; outcome "paused" or "resumed". Paused, a pipeline serves as it is."""

    kind: ClassVar[str] = "cord"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(Verdict):
    """A person is asked whether the version (`subject`) may become champion; outcome "asked".

    `gate`: seq of the gate's verdict that it rests on; `why` a person is asked; `deadline` on the ledger's clock, after
    which silence is a no.
    """

    kind: ClassVar[str] = "question"

    intent: str
    gate: int
    why: str
    deadline: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply(Verdict):
    """The one answer to a question (its seq); outcome "approved", "rejected" or "timed out", which is a no."""

    kind: ClassVar[str] = "answer"

    question: int
    intent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Released(Verdict):
    """A person decided about what was set aside; outcome "released", "still refused" or "dropped"."""

    kind: ClassVar[str] = "release"

    batch: int
    batch_kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair(Verdict):
    """What reconcile found; outcome "repaired", "reported" where a person or a restarted service must act, or "waiting"
    (never written to the ledger) where a lease has to end first.

    `found`: the version that a moved alias named.
    """

    kind: ClassVar[str] = "repair"

    found: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped(Verdict):
    """Nothing was done (outcome "skipped", or "failed"), and why; never written to the ledger."""

    kind: ClassVar[str] = "skip"


def skipped(activity: str, pipeline: str, reason: str, as_of: datetime) -> Skipped:
    """The verdict of a flow that had nothing to do."""
    return Skipped(pipeline=pipeline, subject=activity, outcome="skipped", reasons=(reason,), data_time=as_of)


def failed(activity: str, pipeline: str, reason: str, as_of: datetime) -> Skipped:
    """The verdict of a flow that could not do one of its things, went on with the others, and will try it again."""
    why = f"{reason[:500]}; it is tried again, look into the log: andon --verbose {activity} {pipeline}"
    return Skipped(pipeline=pipeline, subject=activity, outcome="failed", reasons=(why,), data_time=as_of)
