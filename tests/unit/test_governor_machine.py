"""The governor's stage play: wishes, retrains with all endings, rollbacks, a pulled cord, time and rows, in any order.

Everything but the training is the real thing: the ledger's rules, the history read from it, requests, deferrals. The
pipeline's data are of 2013, and persons act today, as in a replay.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any, ClassVar, Literal, cast, get_args

import polars as pl
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from andon import Governor
from registry.ledger import Change, Lease
from registry.memory import MemoryLedger
from storage.snapshot import Question, Snapshot
from tasks.deferrals import look_again
from tasks.orders import Order, _by_hand, _objection
from tasks.requests import request
from tasks.site import Site
from tests.unit.definitions import define
from validation.deeds import Cord, Trained
from validation.governor import GovernorVerdict
from validation.verdict import Verdict

BEGIN = datetime(2013, 1, 1, tzinfo=UTC)
COOLDOWN, BUDGET, MIN_ROWS, BREAKER = timedelta(days=3), 4, 10, 2
POLICY = Governor(cooldown=COOLDOWN, max_per_month=BUDGET, min_new_rows=MIN_ROWS, breaker_after=BREAKER)
SITE: dict[str, Any] = {"pipeline": define(governor=POLICY), "settings": None, "store": None, "lake": None}
Ending = Literal["promote", "reject", "expired", "failed"]
ROWS = pl.DataFrame({"n": range(10_000)})
ENDINGS = st.sampled_from(("promote", *get_args(Ending)))  # one rollback needs two of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Came(Verdict):
    """A batch was taken in."""

    kind: ClassVar[str] = "contract"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate(Verdict):
    """What history reads of the gate's verdict."""

    kind: ClassVar[str] = "gate"

    intent: str
    snapshot: str
    mature_rows: int


@dataclass(slots=True, kw_only=True)
class Run:
    """A retrain that was let run. `cleared`: a person has resumed the pipeline since."""

    at: datetime
    rows: int
    version: str
    ending: str
    cleared: bool = False


class Line(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.ledger = MemoryLedger()
        self.site = Site(ledger=self.ledger, actor="test", **SITE)
        self.now, self.rows, self.paused = BEGIN, 5, False
        self.runs: list[Run] = []
        self.rolled_back: list[datetime] = []
        self.answered: set[str] = set()
        self.reigns: list[str] = []

    # What happens.

    @rule(
        hours=st.sampled_from([1, 20, 71, 72, 80, 400]),
        rows=st.sampled_from([0, 9, 10, 50]),
        ending=st.none() | ENDINGS,
    )
    def a_day(self, hours: int, rows: int, ending: Ending | None) -> None:
        """Time passes, data come, the monitor asks, and its event is heard (an ending) or lost."""
        self.now += timedelta(hours=hours)
        self._rows_come(rows)
        for reason in ("regret", "drift"):
            self._check(request(self.site, self._snapshot(), reason, self.now))
        if ending is not None:
            self._answer(ending)

    @rule(hours=st.sampled_from([0, 72, 800]), ending=ENDINGS)
    def a_sweep(self, hours: int, ending: Ending) -> None:
        """What may run now runs, also what nobody has heard of."""
        self.now += timedelta(hours=hours)
        self._check(look_again(self.site, self.now, take=self._snapshot))
        self._answer(ending)

    @rule(rows=st.sampled_from([0, 1, 10]), ending=ENDINGS)
    def a_person_retrains(self, rows: int, ending: Ending) -> None:
        self._rows_come(rows)
        self._retrain(_by_hand(self.site, self.now, "asked for by hand"), ending, by_hand=True)

    @precondition(lambda self: len(self.reigns) > 1)
    @rule(today=st.booleans(), hours=st.sampled_from([0, 80]))
    def a_person_rolls_back(self, hours: int, *, today: bool) -> None:
        """Typed today, long after the data, it counts from the newest attempt on."""
        self.now += timedelta(hours=hours)
        taken = self.reigns.pop()
        self._crown(self.reigns[-1], kind="rollback", at=datetime.now(UTC) if today else self.now)
        for run in self.runs:
            run.ending = "rolled back" if run.version == taken else run.ending
        self.rolled_back.append(self.runs[-1].at if today else self.now)

    @rule()
    def the_cord_is_pulled(self) -> None:
        self.paused = True
        self._cord("paused")

    @rule()
    def the_cord_is_released(self) -> None:
        self.paused = False
        for run in self.runs:
            run.cleared = True
        self._cord("resumed")

    # What must hold.

    @invariant()
    def a_wish_waits_for_something_or_was_answered(self) -> None:
        for intent in self.ledger.intents("trips"):
            assert (intent.state == "closed") == (intent.id in self.answered), intent
            assert intent.state != "deferred" or intent.until or intent.condition

    def teardown(self) -> None:
        """Whatever has happened: when nothing objects any more, what was asked for comes back and runs."""
        self.the_cord_is_released()
        self.now += timedelta(days=31)
        self._rows_come(MIN_ROWS)
        waiting = {intent.id for intent in self.ledger.intents("trips") if intent.state != "closed"}
        self.a_sweep(0, "reject")
        assert waiting <= self.answered

    # How it is done.

    def _rows_come(self, count: int) -> None:
        if count:
            self.rows += count
            told: dict[str, Any] = {"subject": f"{self.rows}", "outcome": "accept", "reasons": ()}
            self.ledger.record(Came(pipeline="trips", data_time=self.now, **told), actor="test")

    def _answer(self, ending: Ending) -> None:
        for intent in self.ledger.intents("trips", states=("open",)):
            self._retrain(intent.id, ending, by_hand=False)

    def _retrain(self, wanted: str, ending: Ending, *, by_hand: bool) -> None:
        with self._lease() as lease:
            intent = self.ledger.claim(wanted, lease=lease)
            assert intent is not None
            order = Order(
                site=self.site, intent=intent, lease=lease, snapshot=self._snapshot(), description=cast("Any", None),
                as_of=self.now, epoch=0,
            )  # fmt: skip
            objection = _objection(order, by_hand=by_hand)
            if objection is not None:
                self._check((cast("GovernorVerdict", objection),))
                return
            self._may_run(by_hand=by_hand)
            self._end(intent.id, ending)
            self.ledger.close(intent.id, outcome=ending, lease=lease)
            self.answered.add(intent.id)
            self.now += timedelta(minutes=1)

    def _may_run(self, *, by_hand: bool) -> None:
        assert not self.paused
        failed = takewhile(lambda run: run.ending in ("failed", "rolled back") and not run.cleared, self.runs[::-1])
        assert len(list(failed)) < BREAKER
        judged = [run for run in self.runs if run.ending != "failed"]
        more = self.rows - (judged[-1].rows if judged else 0)
        assert more > 0
        if not by_hand:
            assert more >= MIN_ROWS
            assert all(self.now - at >= COOLDOWN for at in (*(run.at for run in judged), *self.rolled_back))
            assert sum(run.at > self.now - timedelta(days=30) for run in self.runs) < BUDGET

    def _end(self, intent: str, ending: Ending) -> None:
        version = str(len(self.runs) + 1)
        self.runs.append(Run(at=self.now, rows=self.rows, version=version, ending=ending))
        told: dict[str, Any] = {"pipeline": "trips", "outcome": ending, "reasons": ("so",), "data_time": self.now}
        if ending == "failed":
            numbers: dict[str, Any] = {"snapshot": "", "rows": 0, "searched": False, "recipe": {}}
            self.ledger.record(Trained(subject=intent, **told, **numbers), actor="test")
            return
        judged = Gate(subject=version, intent=intent, snapshot=self._snapshot().id, mature_rows=self.rows, **told)
        self.ledger.record(judged, actor="test")
        if ending == "promote":
            self.reigns.append(version)
            self._crown(version, kind="promotion", at=self.now)

    def _snapshot(self) -> Snapshot:
        asked = Question(as_of=self.now, as_known_at=self.now, batches={})
        rows, none = ROWS.head(self.rows), ROWS["n"].head(0)
        return Snapshot(
            question=asked, rows=rows, batch=rows["n"], unlabelled=none, missing=0, until=self.now,
            columns={"n": str(self.rows)},
        )  # fmt: skip

    def _crown(self, version: str, *, kind: Any, at: datetime) -> None:
        champion = self.ledger.champion("trips")
        change = Change(
            pipeline="trips", kind=kind, version=version, bundle_sha256=version, trained_until=self.now, why="so",
            data_time=at, actor="test",
        )  # fmt: skip
        self.ledger.crown(change, expected_epoch=champion.epoch if champion else 0)

    def _cord(self, outcome: str) -> None:
        told: dict[str, Any] = {"subject": "trips", "outcome": outcome, "reasons": ("so",)}
        self.ledger.record(Cord(pipeline="trips", data_time=datetime.now(UTC), **told), actor="test")

    @contextmanager
    def _lease(self) -> Iterator[Lease]:
        lease = self.ledger.acquire("trips", "retrain", holder="test", ttl=timedelta(hours=1))
        assert lease is not None
        yield lease
        self.ledger.release(lease)

    def _check(self, answers: tuple[GovernorVerdict, ...]) -> None:
        for answer in answers:
            assert answer.outcome in ("run", "defer")
            assert answer.outcome == "run" or answer.until or answer.condition
            assert answer.until is None or answer.until > self.now
            assert answer.outcome != "run" or not self.paused


@pytest.fixture
def nobody_listens() -> Iterator[None]:
    """What is announced goes nowhere, and truth is none the worse for it. NOTE: with a key and no address of a server,
    Prefect emits no events, and starts no server for them.
    """
    from prefect.settings import PREFECT_API_KEY, PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_KEY: "nobody"}, restore_defaults={PREFECT_API_URL}):
        yield


@pytest.mark.usefixtures("nobody_listens")
def test_whatever_happens_limits_hold_and_no_wish_is_lost() -> None:
    run_state_machine_as_test(
        Line,
        settings=settings(
            max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
