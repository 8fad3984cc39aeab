"""Changing champions by hand: only what the gate has passed, only what loads; and the way back is always open."""

import shutil
from pathlib import Path

import pytest

from flows.ingest import ingest
from flows.promote import promote
from flows.retrain import retrain
from flows.rollback import rollback
from flows.score import score
from tasks.champions import champion_bundle
from tasks.cord import pull
from tasks.leases import holding
from tests.flows.test_retrain_flow import UNBEATABLE
from tests.flows.world import World, day
from validation.errors import NoChampionError, RefusedError, RegistryError

NOW = day(2, 15)


def versions(world: World) -> list[str]:
    return [champion.change.version for champion in world.ledger.champions("bikes")]


def cached(world: World, version: str) -> Path:
    (change,) = {c.change.bundle_sha256 for c in world.ledger.champions("bikes") if c.change.version == version}
    return world.home / "bundles" / "bikes" / change


def test_the_way_back_and_forth(later: World) -> None:
    back = rollback("bikes", why="complaints from the docks", as_of=NOW)
    assert (back.kind, back.subject, back.outcome) == ("rollback", "1", "rolled_back")
    assert back.reasons == ("complaints from the docks",)
    assert later.aliases()["champion"] == "1"
    forth = promote("bikes", version="2", why="it was the docks' fault", as_of=NOW)
    assert (forth.kind, forth.subject, forth.outcome) == ("promotion", "2", "promoted")
    assert later.aliases()["champion"] == "2"
    assert versions(later) == ["1", "2", "1", "2"]
    assert [champion.epoch for champion in later.ledger.champions("bikes")] == [1, 2, 3, 4]


def test_a_rollback_by_name_waits_for_no_lease_and_is_not_repeated(later: World) -> None:
    with holding(later.site, "retrain"):
        rollback("bikes", why="now", to="1", as_of=NOW)
        with pytest.raises(RefusedError, match="a retrain of 'bikes' is running; wait for it: andon status bikes"):
            promote("bikes", version="2", why="now", as_of=NOW)
    with pytest.raises(RefusedError, match="version 1 of 'bikes' is champion already; nothing is to be done"):
        rollback("bikes", why="now", to="1", as_of=NOW)
    assert versions(later) == ["1", "2", "1"]


def test_a_champion_is_not_changed_without_a_reason(later: World) -> None:
    with pytest.raises(RefusedError, match="say why the champion of 'bikes' is changed: --why"):
        rollback("bikes", why=" ")
    with pytest.raises(RefusedError, match="say why the champion of 'bikes' is changed: --why"):
        promote("bikes", version="2", why="")
    assert versions(later) == ["1", "2"]


def test_only_what_the_gate_has_passed_is_promoted(world: World) -> None:
    world.define(UNBEATABLE)
    world.land(6)
    ingest("bikes", as_of=day(2, 7))
    retrain("bikes", as_of=day(2, 7))
    with pytest.raises(RefusedError, match="the gate's verdict on version 2 of 'bikes' is 'reject': the challenger's"):
        promote("bikes", version="2", why="I like it", as_of=NOW)
    with pytest.raises(NoChampionError, match="the gate has judged no version '9' of 'bikes': andon history bikes"):
        promote("bikes", version="9", why="I like it", as_of=NOW)
    with pytest.raises(RefusedError, match="version 1 of 'bikes' is champion already"):
        promote("bikes", version="1", why="once more", as_of=NOW)
    assert versions(world) == ["1"]


def test_a_pulled_cord_stops_promotions_and_no_rollback(later: World) -> None:
    pull("bikes", "the docks are rebuilt")
    rollback("bikes", why="at once", as_of=NOW)
    with pytest.raises(RefusedError, match=r"'bikes' is paused \(the docks are rebuilt\); nothing is promoted until"):
        promote("bikes", version="2", why="at once", as_of=NOW)
    assert versions(later) == ["1", "2", "1"]


def test_there_is_no_way_back_to_what_never_served(later: World) -> None:
    with pytest.raises(NoChampionError, match="version 7 of 'bikes' was never champion; roll back to one of 1, 2"):
        rollback("bikes", why="now", to="7", as_of=NOW)
    assert versions(later) == ["1", "2"]


def test_the_first_champion_has_none_before_it(world: World) -> None:
    with pytest.raises(NoChampionError, match="'bikes' has no champion before version 1 to go back to"):
        rollback("bikes", why="now", as_of=NOW)
    assert versions(world) == ["1"]


def test_a_bundle_that_was_damaged_on_this_machine_is_fetched_again(later: World) -> None:
    champion_bundle(later.site)
    damaged = [cached(later, "1") / "model.txt", cached(later, "2") / "model.txt"]
    for file in damaged:
        file.write_text("no model any more")
    assert [item.outcome for item in score("bikes", as_of=day(2, 14))] == ["scored"] * 4
    assert rollback("bikes", why="now", as_of=NOW).subject == "1"
    assert all("no model" not in file.read_text() for file in damaged)


def test_a_bundle_whose_stored_bytes_are_not_the_promoted_ones_is_not_gone_back_to(later: World) -> None:
    shutil.rmtree(later.home / "bundles")
    for file in (later.home / "models").rglob("model.txt"):
        file.write_text(file.read_text().replace("leaf_value=", "leaf_value=1", 1))
    with pytest.raises(RegistryError, match=r"bikes version 1: the stored bundle has sha256 .*somebody changed it"):
        rollback("bikes", why="now", as_of=NOW)
    assert (versions(later), later.aliases()["champion"]) == (["1", "2"], "2")
