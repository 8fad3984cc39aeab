"""A ledger with a small history, filled by hand: three batches of rows, two of labels, two models, one promotion each.

Row batch 1 was clean, of batch 2 two rows were set aside and released as batch 4, batch 3 has the bytes of batch 1.
Version 1 has learned from batch 1; version 2 from batches 1, 2 and 4 and replaced it; version 3 was rejected.
"""

from dataclasses import replace
from datetime import UTC, datetime

from registry.ledger import Arrival, Batch, BatchState, Change, Ledger
from validation.contract import ContractVerdict, RuleCount
from validation.deeds import Released, Scored, SnapshotTaken, Trained
from validation.gate import GateVerdict
from validation.training_set import Description
from validation.verdict import Verdict

NAME = "trips"


def day(number: int) -> datetime:
    return datetime(2013, 4, number, tzinfo=UTC)


def arrive(ledger: Ledger, name: str, sha256: str, *, kind: str = "rows", number: int = 1) -> Batch:
    (batch,) = ledger.claim_batches(NAME, kind, [Arrival(name=name, sha256=sha256, stamp=f"{number} bytes")])
    return batch


def finish(
    ledger: Ledger, batch: Batch, state: BatchState, *, rows: int, bad: int = 0, suspicions: tuple[str, ...] = ()
) -> Batch:
    outcome = {"accepted": "quarantine" if bad else "accept", "refused": "refuse"}.get(state, state)
    verdict = ContractVerdict(
        pipeline=NAME,
        subject=batch.name if batch.kind == "rows" else f"{batch.kind} {batch.name}",
        outcome=outcome,
        reasons=(f"{rows:,} rows", *suspicions),
        data_time=day(batch.number),
        rows_in=rows,
        rows_accepted=rows - bad,
        rows_quarantined=bad,
        rules=(RuleCount(name="distance.ge", rows=bad, sample=("-1",)),) if bad else (),
    )
    done = replace(
        batch,
        state=state,
        rows_in=rows,
        rows_accepted=rows - bad if state in ("accepted", "suspect") else 0,
        rows_quarantined=bad,
        rows_duplicate=rows if state == "duplicate" else 0,
        span=(day(batch.number), day(batch.number + 1)) if state == "accepted" else None,
    )
    (batch,) = ledger.finish_batches([(done, verdict)], actor="ingester")
    return batch


def learn(ledger: Ledger, version: str, *, batches: dict[str, str], on: int, outcome: str = "promote") -> None:
    """A retrain on day `on`: its intent, snapshot, training and gate verdict, and the promotion if it passed."""
    intent = ledger.ask(intent_id=f"i{version}", pipeline=NAME, reason="the days got longer", data_time=day(on))
    snapshot = f"{version}" * 64
    ledger.record(_snapshot(snapshot, batches, on), actor="trainer")
    ledger.record(_trained(intent.id, snapshot, on), actor="trainer")
    ledger.record(_judged(intent.id, snapshot, version, on, outcome), actor="trainer")
    if outcome == "promote":
        crown(ledger, version, on=on)
    ledger.close(intent.id, outcome=outcome)


def crown(ledger: Ledger, version: str, *, on: int) -> None:
    champion = ledger.champion(NAME)
    change = Change(
        pipeline=NAME,
        kind="promotion",
        version=version,
        bundle_sha256=f"b{version}" * 32,
        trained_until=day(on),
        why="better by 2 %",
        data_time=day(on),
        actor="trainer",
    )
    ledger.crown(change, expected_epoch=champion.epoch if champion else 0)


def score(ledger: Ledger, batch: Batch, version: str) -> None:
    scored = Scored(
        pipeline=NAME,
        subject=str(batch.number),
        outcome="scored",
        reasons=("scored",),
        data_time=day(batch.number),
        rows=batch.rows_accepted,
        versions=(version,),
        span=batch.span,
        through="scorer",
        delivered=("scores/trips",),
    )
    ledger.record(scored, actor="scorer")


def released(batch: Batch, outcome: str = "released") -> Released:
    return Released(
        pipeline=NAME,
        subject=batch.name,
        outcome=outcome,
        reasons=("the meter was mended",),
        data_time=day(9),
        batch=batch.number,
        batch_kind=batch.kind,
    )


def fill(ledger: Ledger) -> None:
    one = finish(ledger, arrive(ledger, "one.parquet", "a1"), "accepted", rows=100)
    for name in ("one.parquet", "two.parquet"):
        finish(ledger, arrive(ledger, name, f"label {name}", kind="labels"), "accepted", rows=90)
    learn(ledger, "1", batches={"rows": "1", "labels": "1"}, on=3)
    two = finish(ledger, arrive(ledger, "two.parquet", "a2"), "accepted", rows=50, bad=2)
    finish(ledger, arrive(ledger, "copy.parquet", "a1"), "duplicate", rows=100)
    score(ledger, two, "1")
    finish(ledger, arrive(ledger, "released 2 two.parquet", "a4"), "accepted", rows=2)
    ledger.record(released(two), actor="ann")
    learn(ledger, "2", batches={"rows": "1-2,4", "labels": "1-2"}, on=5)
    learn(ledger, "3", batches={"rows": "1-2,4", "labels": "1-2"}, on=7, outcome="reject")
    assert one.number == 1


def _snapshot(identity: str, batches: dict[str, str], on: int) -> Verdict:
    return SnapshotTaken(
        pipeline=NAME,
        subject=identity,
        outcome="taken",
        reasons=("88 rows",),
        data_time=day(on),
        description=Description(
            pipeline=NAME,
            id=identity,
            digest="d" * 64,
            definition="f" * 64,
            as_of=day(on),
            as_known_at=day(on),
            batches=batches,
            since=day(1),
            until=day(on),
            rows=88,
            unlabelled=10,
            missing=1,
            coverage=0.9,
            matures_after_seconds=86_400.0,
            grace_seconds=604_800.0,
            columns={},
        ),
    )


def _trained(intent: str, snapshot: str, on: int) -> Verdict:
    return Trained(
        pipeline=NAME,
        subject=intent,
        outcome="trained",
        reasons=("the champion's recipe",),
        data_time=day(on),
        snapshot=snapshot,
        rows=80,
        searched=False,
        recipe={},
    )


def _judged(intent: str, snapshot: str, version: str, on: int, outcome: str) -> Verdict:
    return GateVerdict(
        pipeline=NAME,
        subject=version,
        outcome=outcome,
        reasons=("a gain of 2 %",),
        data_time=day(on),
        champion_is="champion",
        champion_version="",
        challenger_version=version,
        bundle_sha256=f"b{version}" * 32,
        evidence="holdout",
        rows=10,
        blocks=3,
        coverage=1.0,
        champion_loss=0.5,
        challenger_loss=0.4,
        gain=0.1,
        gain_share=0.2,
        standard_error=0.01,
        lower=0.1,
        upper=0.3,
        alpha=0.2,
        min_gain=0.01,
        calibration_bias=0.0,
        latency_ms=1.0,
        size_mb=1.0,
        slices=(),
        intent=intent,
        snapshot=snapshot,
        mature_rows=88,
        trained_until=day(on),
    )
