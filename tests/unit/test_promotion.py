"""Promotion and rollback over the two ports: the ledger decides, the alias follows."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from registry.ledger import Champion, Change, Lease
from registry.memory import MemoryLedger
from registry.promotion import MovedAlias, previous, promote, repair_alias, roll_back, rollback_target
from registry.store import Submission
from tests.fakes import FolderStore
from validation.errors import NoChampionError, ServiceDownError, StaleEpochError

MONDAY = datetime(2013, 4, 1, tzinfo=UTC)


class DeafStore(FolderStore):
    """A store whose aliases cannot be set."""

    def project(self, pipeline: str, version: str | None) -> None:
        raise ServiceDownError(f"MLflow does not answer for {pipeline} {version}; start it")


class RacedLedger(MemoryLedger):
    """A ledger in which somebody else acts just before each of the next crownings."""

    def __init__(self, *others: Change) -> None:
        super().__init__()
        self.others = list(others)

    def crown(self, change: Change, *, expected_epoch: int, lease: Lease | None = None) -> Champion:
        if self.others:
            other = self.others.pop(0)
            super().crown(other, expected_epoch=expected_epoch)
        return super().crown(change, expected_epoch=expected_epoch, lease=lease)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    """Five registered versions."""
    folder = FolderStore(tmp_path / "store")
    (tmp_path / "bundle").mkdir()
    for number in range(5):
        folder.register(
            Submission(
                pipeline="flights",
                bundle=tmp_path / "bundle",
                bundle_sha256=f"ab{number}",
                intent="intent-1",
                attempt=1,
                verdict="promote",
            )
        )
    return folder


def change(version: str, *, kind: Any = "promotion", intent: str | None = "intent-1") -> Change:
    return Change(
        pipeline="flights",
        kind=kind,
        version=version,
        bundle_sha256=f"sha of {version}",
        trained_until=MONDAY,
        why="a gain of 2 %",
        data_time=MONDAY,
        actor="gate",
        intent=intent,
    )


def promoted(*versions: str) -> MemoryLedger:
    ledger = MemoryLedger()
    for epoch, version in enumerate(versions):
        ledger.crown(change(version), expected_epoch=epoch)
    return ledger


def rolled_back(ledger: MemoryLedger, store: FolderStore, to: str | None = None) -> Champion:
    return roll_back(ledger, store, pipeline="flights", to=to, why="complaints", actor="ann", data_time=MONDAY)


def test_a_promotion_is_crowned_and_projected(store: FolderStore) -> None:
    ledger = MemoryLedger()
    champion = promote(ledger, store, change=change("1"), expected_epoch=0)

    assert ledger.champions("flights") == (champion,)
    assert store.projected("flights") == "1"


def test_a_promotion_that_is_repeated_changes_nothing_and_mends_the_alias(store: FolderStore) -> None:
    ledger = promoted("1")
    champion = promote(ledger, store, change=change("1"), expected_epoch=0)

    assert ledger.champions("flights") == (champion,)
    assert store.projected("flights") == "1"


def test_the_same_version_for_another_intent_is_a_new_promotion(store: FolderStore) -> None:
    ledger = promoted("1")
    assert promote(ledger, store, change=change("1", intent="intent-2"), expected_epoch=1).epoch == 2


def test_a_promotion_that_loses_the_race_tells_it_and_leaves_the_alias(store: FolderStore) -> None:
    ledger = RacedLedger(change("2", intent="intent-2"))
    with pytest.raises(StaleEpochError, match="is at epoch 1, expected 0: version 2 was promoted by gate"):
        promote(ledger, store, change=change("1"), expected_epoch=0)
    assert store.projected("flights") is None


def test_a_promotion_that_loses_the_race_to_its_own_twin_has_won(store: FolderStore) -> None:
    ledger = RacedLedger(change("1"))
    assert promote(ledger, store, change=change("1"), expected_epoch=0).epoch == 1
    assert store.projected("flights") == "1"


def test_an_alias_that_cannot_be_set_is_recorded_and_repaired_later(tmp_path: Path, store: FolderStore) -> None:
    ledger = MemoryLedger()
    champion = promote(ledger, DeafStore(tmp_path / "store"), change=change("2"), expected_epoch=0)

    verdict = ledger.verdicts(kind="projection")[0]
    assert ledger.champion("flights") == champion
    assert (verdict.subject, verdict.outcome) == ("2", "failed")
    assert "MLflow does not answer" in verdict.reasons[0]
    moved = repair_alias(ledger, store, "flights")
    assert moved is not None
    assert moved.found == ""
    assert moved.sentence.startswith("the alias champion of 'flights' said nothing, the ledger says version 2: alias")
    assert store.projected("flights") == "2"
    assert repair_alias(ledger, store, "flights") is None


def test_an_alias_without_a_champion_is_removed(store: FolderStore) -> None:
    store.project("flights", "3")
    assert repair_alias(MemoryLedger(), store, "flights") == MovedAlias(
        found="3",
        sentence="the alias champion of 'flights' said version 3, the ledger says nothing: alias repaired; whoever "
        "moved it and meant it: andon adopt flights --why ...",
    )
    assert store.projected("flights") is None


HISTORIES: list[tuple[str, str | None]] = [
    ("", None),
    ("1", None),
    ("1 2", "1"),
    ("1 2 3 <2", "1"),
    ("1 2 3 <2 <1", None),
    ("1 2 3 <2 3", "2"),  # promoted anew after its rollback
    ("1 2 3 <2 4", "2"),
    ("1 2 3 <1", None),  # 2 was jumped over
    ("1 2 3 <1 4", "1"),
    ("1 2 3 <2 <3", "1"),  # a person went back to 3, and so away from 2
    ("1 2 1 <2", None),  # 1 was rolled back from, its older promotion does not count
    ("1 2 2", "1"),
    ("1 2 !3", "2"),  # a forced or adopted one is a champion like any other
    ("1 2 !3 <2", "1"),
]
KINDS = {"<": "rollback", "!": "forced"}


@pytest.mark.parametrize(("history", "expected"), HISTORIES)
def test_the_previous_champion_is_the_newest_that_nobody_rolled_back_from(history: str, expected: str | None) -> None:
    ledger = MemoryLedger()
    for epoch, step in enumerate(history.split()):
        kind = KINDS.get(step[0], "promotion")
        ledger.crown(change(step.lstrip("<!"), kind=kind), expected_epoch=epoch)
    assert previous(ledger.champions("flights")) == expected


def test_a_rollback_puts_the_previous_champions_bytes_back_without_a_lease(store: FolderStore) -> None:
    ledger = promoted("1", "2")
    champion = rolled_back(ledger, store)

    assert ledger.champion("flights") == champion
    assert (champion.epoch, champion.from_version) == (3, "2")
    assert champion.change == replace(
        change("1", kind="rollback", intent=None), bundle_sha256="sha of 1", why="complaints", actor="ann"
    )
    assert store.projected("flights") == "1"


def test_a_rollback_to_a_named_version_may_be_repeated(store: FolderStore) -> None:
    ledger = promoted("1", "2", "3")
    first = rolled_back(ledger, store, to="1")
    assert rolled_back(ledger, store, to="1") == first
    assert first.epoch == 4


def test_a_rollback_that_is_overtaken_by_a_promotion_still_lands_on_the_good_version(store: FolderStore) -> None:
    ledger = RacedLedger()
    for epoch, version in enumerate("123"):
        ledger.crown(change(version), expected_epoch=epoch)
    ledger.others = [change("4"), change("5")]

    champion = rolled_back(ledger, store)

    assert (champion.change.version, champion.from_version, champion.epoch) == ("2", "5", 6)


def test_a_rollback_that_always_loses_gives_up(store: FolderStore) -> None:
    ledger = RacedLedger()
    for epoch, version in enumerate("12"):
        ledger.crown(change(version), expected_epoch=epoch)
    ledger.others = [change(f"{number}") for number in range(3, 9)]
    with pytest.raises(StaleEpochError, match="somebody else"):
        rolled_back(ledger, store)


@pytest.mark.parametrize(
    ("ledger", "to", "message"),
    [
        (MemoryLedger, None, "has no champion yet; train one first: andon retrain flights"),
        (lambda: promoted("1"), None, "no champion before version 1 to go back to; name one of 1"),
        (lambda: promoted("1", "2"), "7", "version 7 of 'flights' was never champion; roll back to one of 1, 2"),
    ],
)
def test_a_rollback_to_nowhere_is_told(
    ledger: Callable[[], MemoryLedger], to: str | None, message: str, store: FolderStore
) -> None:
    with pytest.raises(NoChampionError, match=message):
        rolled_back(ledger(), store, to=to)


def test_the_target_of_a_rollback_is_told_before_anything_is_changed() -> None:
    ledger = promoted("1", "2")
    assert rollback_target(ledger, pipeline="flights") == change("1")
    assert rollback_target(ledger, pipeline="flights", to="2") == change("2")
    assert len(ledger.champions("flights")) == 2
