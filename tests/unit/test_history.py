"""What the governor is told of the past: in the ledger's order, whatever the clocks of those who wrote it."""

from datetime import UTC, datetime, timedelta

from registry.memory import MemoryLedger
from tasks.history import history
from validation.deeds import Cord, Trained
from validation.governor import Governor, judge

NOW = datetime(2013, 5, 1, tzinfo=UTC)


def failed(ledger: MemoryLedger, *, days: int) -> None:
    at = NOW + timedelta(days=days)
    facts = {"snapshot": "", "rows": 0, "searched": False, "recipe": {}}
    ledger.record(
        Trained(pipeline="trips", subject="i", outcome="failed", reasons=("broken",), data_time=at, **facts),  # type: ignore[arg-type]
        actor="test",
    )


def resume(ledger: MemoryLedger) -> None:
    today = datetime.now(UTC)  # a person has no data time
    ledger.record(
        Cord(pipeline="trips", subject="trips", outcome="resumed", reasons=("mended",), data_time=today), actor="test"
    )


def answer(ledger: MemoryLedger) -> str:
    facts, policy = history(ledger, "trips", None), Governor(breaker_after=2, min_new_rows=1)
    return judge(
        facts, policy=policy, pipeline="trips", subject="i", as_of=NOW + timedelta(days=9), by_hand=True
    ).outcome


def test_in_a_replay_of_the_past_a_resumed_pipeline_has_its_breaker_still() -> None:
    ledger = MemoryLedger()
    failed(ledger, days=0)
    failed(ledger, days=1)
    assert answer(ledger) == "refuse"
    resume(ledger)
    assert answer(ledger) == "run"
    failed(ledger, days=2)
    assert answer(ledger) == "run"
    failed(ledger, days=3)
    assert answer(ledger) == "refuse"
