"""What the governor must know, read from the ledger: attempts, the pulled cord, new rows. Writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast

from registry.ledger import Batch, Ledger, Recorded
from validation.governor import Attempt, AttemptOutcome, History
from validation.suppression import TakenBack

if TYPE_CHECKING:  # `andon why` reads the past without Polars
    from storage.snapshot import Snapshot

KEPT = 200  # newest verdicts of a kind that are looked at: years of them
_IN_DATA_TIME = ("training", "gate", "watch")  # kinds that no person writes: their data time is the pipeline's


@dataclass(frozen=True, slots=True, kw_only=True)
class Undelivered:
    """A run of scoring that some `channels` could not take yet, since `since` by the ledger's clock; `why` they could
    not, when it was last told.
    """

    batch: int
    run_id: str
    channels: tuple[str, ...]
    since: datetime
    why: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What waits for what, and why."""
        waits = f"batch {self.batch} waits for {', '.join(self.channels)} since {self.since:%Y-%m-%d %H:%M}"
        return f"{waits}: {'; '.join(self.why)}"


def history(ledger: Ledger, pipeline: str, snapshot: "Snapshot | None" = None) -> History:
    """The pipeline's history for a request to retrain on `snapshot`; without one nothing is said of its rows."""
    gates = ledger.verdicts(pipeline, kind="gate", limit=KEPT)
    trainings = ledger.verdicts(pipeline, kind="training", limit=KEPT)
    failed = [item for item in trainings if item.outcome == "failed" or item.body.get("leaks")]
    rows = snapshot.rows.height if snapshot else 0
    seen = gates[-1] if gates else None
    return History(
        attempts=(
            *_judged(gates, ledger.verdicts(pipeline, kind="rollback")),
            *(Attempt(at=item.data_time, outcome="failed", snapshot=item.body["snapshot"]) for item in failed),
        ),
        snapshot=snapshot.id if snapshot else "",
        newest=_newest(snapshot),
        new_rows=max(rows - (int(seen.body["mature_rows"]) if seen else 0), 0),
        paused=paused(ledger, pipeline),
        resumed_at=_resumed(ledger, pipeline, [*gates, *failed]),
        taken_back=taken_back(ledger, pipeline),
    )


def unscored(ledger: Ledger, pipeline: str) -> tuple[Batch, ...]:
    """Accepted batches without predictions, oldest first. What the first champion has learned from is history."""
    champions = ledger.champions(pipeline)
    if not champions:
        return ()
    began = champions[0].change.trained_until
    scored = {verdict.subject for verdict in ledger.verdicts(pipeline, kind="score")}
    return tuple(
        batch
        for batch in ledger.batches(pipeline, kind="rows")
        if batch.state == "accepted" and batch.span and batch.span[1] >= began and str(batch.number) not in scored
    )


def undelivered(ledger: Ledger, pipeline: str) -> tuple[Undelivered, ...]:
    """What was scored and waits for a channel, oldest first: the newest word about each run says so."""
    waiting: dict[str, Undelivered] = {}
    told = [row for kind in ("score", "delivery") for row in ledger.verdicts(pipeline, kind=kind)]
    for row in sorted(told, key=lambda row: row.seq):
        channels, run_id = tuple(row.body.get("pending", ())), str(row.body.get("run_id", ""))
        before = waiting.pop(run_id, None)
        if channels:
            since = before.since if before else row.recorded_at
            waiting[run_id] = Undelivered(
                batch=int(row.subject), run_id=run_id, channels=channels, since=since, why=tuple(row.reasons)
            )
    return tuple(sorted(waiting.values(), key=lambda item: item.batch))


def since_report(ledger: Ledger, pipeline: str) -> tuple[Recorded, ...]:
    """What the monitor has to report: scored batches that it has not seen, and findings since its last report."""
    last = ledger.verdicts(pipeline, kind="watch", limit=1)
    mark, seen = (last[0].seq, int(last[0].body["scored"])) if last else (0, 0)
    after = {"score": seen, "drift": mark, "window": mark, "performance": mark}
    return tuple(
        row for kind, seq in after.items() for row in ledger.verdicts(pipeline, kind=kind, limit=KEPT) if row.seq > seq
    )


def paused(ledger: Ledger, pipeline: str) -> str | None:
    """Why the cord is pulled, or None."""
    last = ledger.verdicts(pipeline, kind="cord", limit=1)
    return last[0].reasons[0] if last and last[0].outcome == "paused" else None


def taken_back(ledger: Ledger, pipeline: str) -> tuple[TakenBack, ...]:
    """The rollbacks by what they took back, oldest first, with the data time at which the pipeline then was."""
    rollbacks = ledger.verdicts(pipeline, kind="rollback", limit=KEPT)
    if not rollbacks:
        return ()
    reigns = {champion.epoch: champion.change for champion in ledger.champions(pipeline)}
    seen = [item for kind in _IN_DATA_TIME for item in ledger.verdicts(pipeline, kind=kind, limit=KEPT)]
    return tuple(
        TakenBack(
            version=reigns[before].version,
            bundle_sha256=reigns[before].bundle_sha256,
            at=item.data_time,
            why=item.reasons[0],
            known=max((other.data_time for other in seen if other.seq < item.seq), default=None),
        )
        for item in rollbacks
        if (before := int(item.body["epoch"]) - 1) in reigns
    )


def searched_at(ledger: Ledger, pipeline: str) -> datetime | None:
    """When (data time) the last training that searched was."""
    trainings = ledger.verdicts(pipeline, kind="training", limit=KEPT)
    return max((item.data_time for item in trainings if item.body.get("searched")), default=None)


def _newest(snapshot: "Snapshot | None") -> datetime | None:
    return snapshot.until - timedelta(microseconds=1) if snapshot and snapshot.rows.height else None


def _resumed(ledger: Ledger, pipeline: str, attempts: Sequence[Recorded]) -> datetime | None:
    """Data time of the newest attempt that was recorded before a person last resumed the pipeline. In the ledger's
    order, not by the clock of the person, who has no data time: in a replay of last year all attempts lie before it.
    """
    resumed = [item.seq for item in ledger.verdicts(pipeline, kind="cord") if item.outcome == "resumed"]
    before = [item.data_time for item in attempts if resumed and item.seq < resumed[-1]]
    return max(before, default=None)


def _judged(gates: Sequence[Recorded], rollbacks: Sequence[Recorded]) -> list[Attempt]:
    """Attempts that reached the gate, each by its newest look at the challenger; one whose champion was taken back
    counts as rolled back.
    """
    taken = {item.body["from_version"] for item in rollbacks}
    newest = {item.body.get("intent") or item.seq: item for item in gates}
    return [
        Attempt(
            at=item.data_time,
            outcome="rolled back" if item.subject in taken else cast("AttemptOutcome", item.outcome),
            snapshot=item.body["snapshot"],
        )
        for item in newest.values()
    ]
