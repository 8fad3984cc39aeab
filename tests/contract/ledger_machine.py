"""The ledger's stage play: promoters, a rollback, reconcilers and people on one ledger, in any order, shot at any call.

hypothesis draws the schedule, one call of a port at a time (interleaving.py); what is to be true is asserted after
each.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import count

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from registry import chain, promotion, seal
from registry.ledger import Champion, Change, ChangeKind, Ledger
from registry.promotion import promote, repair_alias, roll_back
from registry.sql import SqlLedger
from registry.store import ModelStore
from tests.contract.interleaving import Actor, Win, World
from tests.contract.ledger_world import KEY, MONDAY
from validation.deeds import Cord
from validation.errors import StaleEpochError

NAME = "flights"
VERSIONS = ("1", "2", "3", "4")
PROMOTERS, ROLLBACK = ("promoter one", "promoter two"), "rollback"
RECONCILERS = ("reconciler one", "reconciler two")
ACTORS = (*PROMOTERS, *PROMOTERS, ROLLBACK, ROLLBACK, *RECONCILERS)
LIVES = timedelta(hours=1)


@dataclass(slots=True)
class Job:
    """A promotion that somebody wants: `epoch` and `over`, once known, say with whom its version was compared."""

    change: Change
    leased: bool
    epoch: int | None = None
    over: str | None = None

    def run(self, ledger: Ledger, store: ModelStore) -> Champion | None:
        """As a retrain does it: lease, champion to compare with, promotion. None when somebody else has the lease."""
        lease = ledger.acquire(NAME, "retrain", holder=f"{self.change.intent}", ttl=LIVES) if self.leased else None
        if self.leased and lease is None:
            return None
        if self.epoch is None:
            current = ledger.champion(NAME)
            self.over = current.change.version if current else None
            self.epoch = current.epoch if current else 0
        champion = promote(ledger, store, change=self.change, expected_epoch=self.epoch, lease=lease)
        if lease is not None:
            ledger.release(lease)
        return champion


def change(number: int, version: str, kind: ChangeKind) -> Change:
    return Change(
        pipeline=NAME,
        kind=kind,
        version=version,
        bundle_sha256=version * 64,
        trained_until=MONDAY,
        why="it is better",
        data_time=MONDAY,
        actor=f"promoter {number}",
        intent=f"intent-{number}",
    )


def going_back(to: str | None) -> Callable[[Ledger, ModelStore], Champion]:
    def work(ledger: Ledger, store: ModelStore) -> Champion:
        return roll_back(ledger, store, pipeline=NAME, to=to, why="complaints", actor="rollback", data_time=MONDAY)

    return work


def reconcile(ledger: Ledger, store: ModelStore) -> None:
    promotion.repair_alias(ledger, store, NAME)
    for lease in ledger.leases(NAME):
        if lease.expires_at <= ledger.now():
            ledger.release(lease)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody who comes wants: a promoter all of it, a rollback the version, if it names one."""

    version: str
    kind: ChangeKind = "promotion"
    leased: bool = False
    taken_up: bool = False
    by_name: bool = False


WISHES = st.builds(
    Wish,
    version=st.sampled_from(VERSIONS),
    kind=st.sampled_from(["promotion", "promotion", "forced", "adoption"]),
    leased=st.sampled_from([True, True, False]),
    taken_up=st.booleans(),
    by_name=st.booleans(),
)


class Machine(RuleBasedStateMachine):
    """`open_one` gives each schedule a ledger of its own; `store` knows the VERSIONS."""

    def __init__(self, open_one: Callable[[], Ledger], store: ModelStore) -> None:
        super().__init__()
        store.project(NAME, None)
        self.world = World(ledger=open_one(), store=store)
        self.actors: dict[str, Actor] = {}
        self.jobs: dict[str, Job] = {}  # of the promoters' newest lives
        self.unfinished: list[Job] = []  # their promoters were shot
        self.wanted: dict[str | None, Job] = {}  # all that were ever begun, by their intent
        self.numbers = count(1)
        self.verified = 0

    @initialize(versions=st.lists(st.sampled_from(VERSIONS), max_size=3, unique=True))
    def a_history(self, versions: list[str]) -> None:
        for version in versions:
            self._go_on(PROMOTERS[0], Wish(version=version), calls=20)

    @rule(name=st.sampled_from(ACTORS), wish=WISHES, calls=st.sampled_from([1, 1, 2, 3, 4, 20]))
    def somebody_comes_or_goes_on(self, name: str, wish: Wish, calls: int) -> None:
        self._go_on(name, wish, calls=calls)

    @precondition(lambda self: self.actors)
    @rule(which=st.integers(0, 4))
    def somebody_is_shot(self, which: int) -> None:
        name = list(self.actors)[which % len(self.actors)]
        self.actors.pop(name).kill()
        if name in PROMOTERS:
            self.unfinished.append(self.jobs[name])

    @rule()
    def leases_run_out(self) -> None:
        for lease in self.world.ledger.leases(NAME):
            self.world.ledger.heartbeat(lease, ttl=timedelta(microseconds=1))

    @rule(what=st.sampled_from(["cord", "store", *VERSIONS]))
    def the_world_turns(self, what: str) -> None:
        """The cord is pulled, the model store goes or returns, a person moves the alias to one of the versions."""
        if what == "cord":
            cord = Cord(pipeline=NAME, subject=NAME, outcome="paused", reasons=("stop",), data_time=MONDAY)
            self.world.ledger.record(cord, actor="operator")
        elif what == "store":
            self.world.store_is_down = not self.world.store_is_down
        else:
            self.world.store.project(NAME, what)

    def _go_on(self, name: str, wish: Wish, *, calls: int) -> None:
        if name not in self.actors:
            self.actors[name] = Actor(name, self.world, self._work(name, wish))
        actor = self.actors[name]
        for _ in range(calls):
            actor.step()
            if actor.done:
                self._ended(self.actors.pop(name))
                break
            self.one_champion_of_whom_all_is_known()

    def _work(self, name: str, wish: Wish) -> Callable[[Ledger, ModelStore], object]:
        """A promoter may take up the work of one that was shot, or adopt an alias that was moved by hand."""
        if name in RECONCILERS:
            return reconcile
        if name == ROLLBACK:
            return going_back(wish.version if wish.by_name else None)
        if wish.taken_up and self.unfinished:
            job = self.unfinished.pop()
        else:
            moved = self.world.store.projected(NAME) if wish.kind == "adoption" else None
            asked = change(next(self.numbers), moved or wish.version, wish.kind)
            job = Job(change=asked, leased=wish.leased)
        self.jobs[name] = self.wanted[job.change.intent] = job
        return job.run

    # What is true

    @invariant()
    def one_champion_of_whom_all_is_known(self) -> None:
        ledger, wins = self.world.ledger, self.world.wins
        champions = ledger.champions(NAME)
        assert champions == tuple(win.champion for win in wins), "each row is somebody's, and nobody's win is missing"
        assert [champion.epoch for champion in champions] == list(range(1, len(champions) + 1)), "epochs have gaps"
        assert ledger.champion(NAME) == (champions[-1] if champions else None)
        before: str | None = None
        for win in wins:
            check_win(win, before=before)
            before = win.champion.change.version
        promoted = [champion for champion in champions if champion.change.kind != "rollback"]
        for champion in promoted:
            assert champion.from_version == self.wanted[champion.change.intent].over, "not the one it was compared with"
        assert len({champion.change.intent for champion in promoted}) == len(promoted), "crowned twice for one intent"
        records = ledger.verdicts()
        if len(records) > self.verified:
            self.verified = len(records)
            check_chain(ledger)

    def _ended(self, actor: Actor) -> None:
        """Who was told that it won, has; who was told that it came too late, is not champion."""
        job, newest = self.jobs.pop(actor.name, None), self.world.ledger.champion(NAME)
        if isinstance(actor.error, StaleEpochError):
            own = job is not None and newest is not None and newest.change.intent == job.change.intent
            assert not own, "a champion was told that it came too late"
        elif isinstance(actor.result, Champion):
            assert actor.result in self.world.ledger.champions(NAME)

    def teardown(self) -> None:
        """All are shot where they stand; after one repair the alias says what the ledger says."""
        for actor in self.actors.values():
            actor.kill()
        try:
            repair_alias(self.world.ledger, self.world.store, NAME)
            champion = self.world.ledger.champion(NAME)
            wanted = champion.change.version if champion else None
            assert self.world.store.projected(NAME) == wanted, "the alias does not say what the ledger says"
            assert repair_alias(self.world.ledger, self.world.store, NAME) is None
            self.one_champion_of_whom_all_is_known()
        finally:
            if isinstance(self.world.ledger, SqlLedger):
                self.world.ledger.dispose()


def check_win(win: Win, *, before: str | None) -> None:
    """It came over the champion that it was compared with, under its own lease; a rollback changes something."""
    champion = win.champion
    assert champion.epoch == win.expected_epoch + 1, f"{win.actor} crowned over a champion that it did not know"
    assert champion.from_version == before
    assert win.fenced, f"{win.actor} crowned under a lease that it had lost"
    assert champion.change.kind != "rollback" or champion.change.version != before


def check_chain(ledger: Ledger) -> None:
    """All records follow from each other, the sealed head names the newest, each champion is told in its words."""
    records, head = ledger.verdicts(), ledger.head()
    assert chain.verify(records) is None, "the chain is broken"
    assert head is not None
    assert (head.seq, head.hash, seal.state(head, KEY)) == (records[-1].seq, records[-1].hash, "right")
    told = [(item.body["epoch"], item.subject) for item in records if item.kind in ("promotion", "rollback")]
    crowned = [(item.epoch, item.change.version) for item in ledger.champions(NAME)]
    assert told == crowned, "what is told is not what is"
