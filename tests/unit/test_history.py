"""What the governor is told of the past: in the ledger's order, whatever the clocks of those who wrote it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from registry.ledger import Change, Recorded
from registry.memory import MemoryLedger
from tasks.history import history, since_report, taken_back
from tasks.report import _why
from tasks.site import Site
from tests.unit.definitions import define
from validation.deeds import Cord, Trained, Watched
from validation.gate import GateVerdict
from validation.governor import Attempt, Governor, judge
from validation.suppression import TakenBack
from validation.watch.drift import DriftVerdict
from validation.watch.estimates import Estimate
from validation.watch.findings import FeatureDrift
from validation.watch.windows import estimated

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
    assert answer(ledger) == "defer"
    resume(ledger)
    assert answer(ledger) == "run"
    failed(ledger, days=2)
    assert answer(ledger) == "run"
    failed(ledger, days=3)
    assert answer(ledger) == "defer"


def judged(ledger: MemoryLedger, version: str, outcome: str, *, days: int, intent: str) -> None:
    at = NOW + timedelta(days=days)
    numbers: dict[str, Any] = dict.fromkeys(
        ("coverage", "champion_loss", "challenger_loss", "gain", "gain_share", "standard_error", "lower", "upper",
         "alpha", "min_gain", "calibration_bias", "latency_ms", "size_mb"), 0.0,
    )  # fmt: skip
    verdict = GateVerdict(
        pipeline="trips", subject=version, outcome=outcome, reasons=("because",), data_time=at, champion_is="champion",
        champion_version="1", challenger_version=version, bundle_sha256="ab", evidence="holdout", rows=9, blocks=3,
        slices=(), intent=intent, snapshot=f"snapshot of {days}", mature_rows=9, **numbers,
    )  # fmt: skip
    ledger.record(verdict, actor="test")


def crowned(ledger: MemoryLedger, version: str, *, kind: Any = "promotion", at: datetime = NOW) -> None:
    champion = ledger.champion("trips")
    change = Change(
        pipeline="trips", kind=kind, version=version, bundle_sha256=f"sha of {version}", trained_until=NOW, why="so",
        data_time=at, actor="test",
    )  # fmt: skip
    ledger.crown(change, expected_epoch=champion.epoch if champion else 0)


def test_several_looks_at_one_challenger_are_one_attempt_by_its_newest() -> None:
    ledger = MemoryLedger()
    judged(ledger, "2", "need evidence", days=0, intent="a")
    judged(ledger, "2", "need evidence", days=1, intent="a")
    judged(ledger, "3", "reject", days=2, intent="b")
    judged(ledger, "2", "promote", days=3, intent="a")
    judged(ledger, "4", "reject", days=4, intent="")  # of an older ledger
    judged(ledger, "5", "reject", days=5, intent="")
    assert sorted((item.at.day, item.outcome) for item in history(ledger, "trips", None).attempts) == [
        (3, "reject"),
        (4, "promote"),
        (5, "reject"),
        (6, "reject"),
    ]


def test_a_rollback_is_told_by_what_it_took_back_and_when_the_data_were_by_then() -> None:
    ledger = MemoryLedger()
    crowned(ledger, "1")
    judged(ledger, "2", "promote", days=1, intent="a")
    crowned(ledger, "2")
    assert taken_back(ledger, "trips") == ()
    today = datetime.now(UTC)
    resume(ledger)  # a person's row: its data time is no pipeline's
    crowned(ledger, "1", kind="rollback", at=today)
    judged(ledger, "3", "reject", days=30, intent="b")
    expected = TakenBack(version="2", bundle_sha256="sha of 2", at=today, why="so", known=NOW + timedelta(days=1))
    assert taken_back(ledger, "trips") == (expected,)
    found = history(ledger, "trips", None)
    assert found.taken_back == (expected,)
    first = Attempt(at=NOW + timedelta(days=1), outcome="rolled back", snapshot="snapshot of 1")
    assert first in found.attempts


def moved(ledger: MemoryLedger, *, days: int, **changed: Any) -> None:
    """A window in which the prediction drifted; its loss is estimated as twice the usual one."""
    start, told = NOW + timedelta(days=days), changed.pop("usual", 0.5)
    feature = FeatureDrift(
        name="prediction", drifted=True, p_value=1e-6, cause="shift", shift=0.5, spread=1.0, nulls=float("nan"),
        sentence="prediction moved",
    )  # fmt: skip
    known: dict[str, Any] = {
        "outcome": "drift", "raised": True, "prediction": "drift", "features": (feature,), "bad_data": (),
    }  # fmt: skip
    drift = DriftVerdict(
        pipeline="trips", subject=start.isoformat(), reasons=("so",), data_time=start, rows=9, p_value=0.0, judged=1,
        **known | changed,
    )  # fmt: skip
    estimate = Estimate(method="expected", rows=9, loss=1.0, lower=0.8, upper=1.2, metrics={}, intervals={}, usual=told)
    window = estimated(pipeline="trips", start=start, version="1", rows=9, estimate=estimate, as_of=start)
    for verdict in (window, drift):
        ledger.record(verdict, actor="test")


def why(ledger: MemoryLedger, *found: Recorded) -> str | None:
    rest: dict[str, Any] = {"settings": None, "store": None, "lake": None}
    site = Site(pipeline=define(), ledger=ledger, actor="test", **rest)
    return _why(site, None, found or since_report(ledger, "trips"), None)


def test_what_the_monitor_found_is_read_back_and_judged_as_it_was_written() -> None:
    ledger = MemoryLedger()
    crowned(ledger, "1")
    assert why(ledger) is None
    moved(ledger, days=0, bad_data=("zone",))
    assert why(ledger) is None, "bad data asks for no retrain"
    moved(ledger, days=1, usual=0.9)
    assert why(ledger) == "drift in the window of 2013-05-02: prediction moved"
    moved(ledger, days=2)
    estimate_first = why(ledger)
    assert estimate_first is not None
    assert estimate_first.startswith(
        "estimate: before its labels, the loss of the window of 2013-05-03 is estimated as"
    )
    assert estimate_first.endswith("; drift in the window of 2013-05-03: prediction moved")
    ledger.record(
        Watched(pipeline="trips", subject="x", outcome="reported", reasons=(), data_time=NOW, scored=0), actor="test"
    )
    assert (since_report(ledger, "trips"), why(ledger)) == ((), None), "what was reported has been acted upon"


def test_a_verdict_of_an_older_andon_is_read_back() -> None:
    ledger, new = MemoryLedger(), {"since", "bad_data", "rarity", "prediction"}
    crowned(ledger, "1")
    moved(ledger, days=1)
    (drift,) = ledger.verdicts("trips", kind="drift")
    features = [{name: item[name] for name in item if name not in new} for item in drift.body["features"]]
    body = {name: drift.body[name] for name in drift.body if name not in new} | {"features": features}
    assert why(ledger, replace(drift, body=body)) == "drift in the window of 2013-05-02: prediction moved"
