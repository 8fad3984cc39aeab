"""Any interleaving of promoters, rollbacks, reconcilers and crashes leaves one champion, and the alias converges.

The schedules are hypothesis's (ledger_machine.py). The last tests break the ledger, and see that a schedule is found
that shows it: a proof that cannot fail would prove nothing.
"""

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from registry import promotion, rules
from registry.ledger import Champion, Change, Lease, Ledger
from registry.memory import MemoryLedger
from registry.sql import SqlLedger, open_ledger
from registry.store import ModelStore, Submission
from registry.tables import METADATA
from tests.contract import ledger_machine
from tests.contract.ledger_machine import NAME, VERSIONS, Machine
from tests.contract.ledger_world import KEY
from tests.fakes import FolderStore
from tests.postgres import create_database
from validation.errors import LeaseLostError


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """One for all schedules: its versions never change, and the alias is removed before each."""
    made, bundle = FolderStore(tmp_path / "store"), tmp_path / "bundle"
    bundle.mkdir()
    for number in VERSIONS:
        made.register(
            Submission(
                pipeline=NAME, bundle=bundle, bundle_sha256=number * 64, intent=number, attempt=1, verdict="promote"
            )
        )
    return made


Opener = Callable[[], Ledger]


def in_memory() -> Ledger:
    return MemoryLedger(key=KEY)


def on_sqlite(folder: Path) -> Opener:
    """Each ledger is a copy of one with its tables made."""
    template, numbers = folder / "template.db", count()
    made = open_ledger(f"sqlite:///{template}", key=KEY)
    assert isinstance(made, SqlLedger)
    made.dispose()

    def open_one() -> Ledger:
        copy = folder / f"{next(numbers)}.db"
        shutil.copy(template, copy)
        return open_ledger(f"sqlite:///{copy}", key=KEY)

    return open_one


def on_postgres(server: str) -> Opener:
    """Each ledger is the same database, emptied."""
    url = create_database(server)
    tables = ", ".join(table.name for table in METADATA.sorted_tables)

    def open_one() -> Ledger:
        ledger = open_ledger(url, key=KEY)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"TRUNCATE {tables}".encode())
        return ledger

    return open_one


def prove(open_one: Opener, store: ModelStore, *, schedules: int, phases: tuple[Phase, ...] = tuple(Phase)) -> None:
    """Run so many schedules, the same ones every time."""
    run_state_machine_as_test(
        lambda: Machine(open_one, store),  # type: ignore[arg-type]  # any callable will do
        settings=settings(
            max_examples=schedules,
            stateful_step_count=50,
            derandomize=True,
            deadline=None,
            database=None,
            phases=phases,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_any_interleaving_leaves_one_champion_and_the_alias_converges(store: ModelStore) -> None:
    prove(in_memory, store, schedules=60)


def test_any_interleaving_on_sqlite(store: ModelStore, tmp_path: Path) -> None:
    prove(on_sqlite(tmp_path), store, schedules=10)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_many_more_interleavings(store: ModelStore) -> None:
    prove(in_memory, store, schedules=1_500)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_many_more_interleavings_on_sqlite(store: ModelStore, tmp_path: Path) -> None:
    prove(on_sqlite(tmp_path), store, schedules=150)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_interleavings_on_postgres(store: ModelStore, postgres: str) -> None:
    prove(on_postgres(postgres), store, schedules=50)


# The proof can fail


class WithoutCompare(MemoryLedger):
    """Crowns whoever comes."""

    def crown(self, change: Change, *, expected_epoch: int, lease: Lease | None = None) -> Champion:  # noqa: ARG002
        current = self.champion(change.pipeline)
        return super().crown(change, expected_epoch=current.epoch if current else 0, lease=lease)


class WithoutFence(MemoryLedger):
    """Looks at no lease."""

    def crown(self, change: Change, *, expected_epoch: int, lease: Lease | None = None) -> Champion:
        with suppress(LeaseLostError):
            return super().crown(change, expected_epoch=expected_epoch, lease=lease)
        return super().crown(change, expected_epoch=expected_epoch)


class WithoutTransaction(MemoryLedger):
    """Takes its second, fourth, ... crowning back after the verdict was written."""

    def crown(self, change: Change, *, expected_epoch: int, lease: Lease | None = None) -> Champion:
        champion = super().crown(change, expected_epoch=expected_epoch, lease=lease)
        if champion.epoch % 2 == 0:
            self._champions[change.pipeline].pop()
        return champion


class Forgetful(MemoryLedger):
    """Numbers from 1 again after the second."""

    def crown(self, change: Change, *, expected_epoch: int, lease: Lease | None = None) -> Champion:
        champion = super().crown(change, expected_epoch=expected_epoch, lease=lease)
        if champion.epoch > 2:
            champion = replace(champion, epoch=1)
            self._champions[change.pipeline][-1] = champion
        return champion


class Rewriting(MemoryLedger):
    """Betters an old record when the cord is turned."""

    def record(self, *given: Any, **named: Any) -> Any:
        if len(self._records.all) > 1:
            self._records.all[0] = replace(self._records.all[0], actor="nobody")
        return super().record(*given, **named)


BROKEN: dict[str, tuple[type[MemoryLedger], str]] = {
    "no compare-and-set": (WithoutCompare, "crowned over a champion that it did not know"),
    "no fencing": (WithoutFence, "crowned under a lease that it had lost"),
    "two transactions": (WithoutTransaction, "nobody's win is missing"),
    "epochs again": (Forgetful, "epochs have gaps"),
    "rewritten": (Rewriting, "the chain is broken"),
}


def lost(ledger: type[MemoryLedger], store: ModelStore) -> None:
    prove(lambda: ledger(key=KEY), store, schedules=1_000, phases=(Phase.generate,))


@pytest.mark.parametrize(("ledger", "told"), BROKEN.values(), ids=BROKEN)
def test_a_broken_ledger_is_found(store: ModelStore, ledger: type[MemoryLedger], told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        lost(ledger, store)


def test_a_promotion_that_does_not_know_itself_again_is_found(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promotion, "_standing", lambda *_: None)
    with pytest.raises(AssertionError, match="a champion was told that it came too late"):
        lost(MemoryLedger, store)


def test_a_rollback_that_judges_by_the_champion_it_saw_first_is_found(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A put back that looks at the champion once, and then crowns whatever the epoch has become."""
    crowned = rules.crowned

    def careless(current: Champion | None, change: Change, *, expected_epoch: int, now: Any) -> Champion:
        epoch = current.epoch if current and change.kind == "rollback" else expected_epoch
        return replace(crowned(current, change, expected_epoch=epoch, now=now))

    monkeypatch.setattr(rules, "crowned", careless)
    with pytest.raises(AssertionError, match="crowned over a champion that it did not know"):
        lost(MemoryLedger, store)


def test_an_alias_that_nobody_repairs_is_found(store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_machine, "repair_alias", lambda *_: None)
    with pytest.raises(AssertionError, match="the alias does not say what the ledger says"):
        lost(MemoryLedger, store)
