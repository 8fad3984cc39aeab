"""Changing champions by hand: only what the gate has passed, only what loads; and the way back is always open."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from threading import Barrier

import pytest

from flows.promote import promote
from flows.rollback import rollback
from registry.promotion import roll_back
from tasks.champions import bundle_folder
from tasks.cord import pull, release
from tasks.history import history
from tasks.leases import holding
from tasks.promote import crown, roll_back_to
from tasks.proof import Proven, prove
from tasks.site import Site, moment
from tests.flows.deciding import NAME, Deciding, day
from tests.flows.world import at_once
from validation import governor
from validation.errors import NoChampionError, RefusedError, RegistryError, StaleEpochError
from validation.verdict import Verdict

NOW = day(15)
LATER = day(18)  # the cooldown of 3 days is over


def damage(decided: Deciding, version: str) -> None:
    """Change one leaf of what MLflow holds of this version."""
    with closing(sqlite3.connect(decided.home / "mlflow.db")) as database:
        about = "SELECT source FROM model_versions WHERE version = ?"
        (source,) = database.execute(about, (version,)).fetchone()
    file = Path(source.removeprefix("file://")) / "model.txt"
    file.write_text(file.read_text().replace("leaf_value=", "leaf_value=1", 1))


def taken_back(decided: Deciding, at: datetime) -> None:
    """Rolled back to version 1; its proof, which takes seconds, is left out."""
    site = decided.site
    roll_back(site.ledger, site.store, pipeline=NAME, why="complaints", actor=site.actor, data_time=at)


def test_the_way_back_and_forth(decided: Deciding) -> None:
    back = rollback(NAME, why="complaints from the stops", as_of=NOW)
    assert (back.kind, back.subject, back.outcome) == ("rollback", "1", "rolled_back")
    assert back.reasons == ("complaints from the stops",)
    assert decided.site.store.projected(NAME) == "1"
    suppressed = (
        r"version 2 was rolled back from \(complaints from the stops\) and may not return before 2013-04-18 00:00"
    )
    with pytest.raises(RefusedError, match=f"{suppressed}.*; to pass over .*: andon promote rides 2 --force --why"):
        promote(NAME, version="2", why="it was the stops' fault", as_of=NOW)
    forth = promote(NAME, version="2", why="it was the stops' fault", as_of=LATER)
    assert (forth.kind, forth.subject, forth.outcome) == ("promotion", "2", "promoted")
    assert decided.site.store.projected(NAME) == "2"
    assert decided.reigns() == [("promotion", "1"), ("promotion", "2"), ("rollback", "1"), ("promotion", "2")]
    newest = decided.ledger.champions(NAME)[-1]
    (judged,) = decided.ledger.verdicts(NAME, kind="gate", subject="2")
    assert (newest.epoch, newest.change.evidence, newest.change.bundle_sha256) == (4, judged.seq, decided.digest("2"))


def test_a_rollback_waits_for_no_lease_and_no_cord_and_mends_a_damaged_bundle(decided: Deciding) -> None:
    first = decided.ledger.champions(NAME)[0].change
    file = bundle_folder(decided.site, first) / "model.txt"
    file.write_text("no model any more")
    with holding(decided.site, "retrain"):
        pull(NAME, "the stops are rebuilt")
        rollback(NAME, why="now", to="1", as_of=NOW)
        assert "no model" not in file.read_text()
        release(NAME, "they are rebuilt")
        with pytest.raises(RefusedError, match="a retrain of 'rides' is running; wait for it: andon status rides"):
            promote(NAME, version="2", why="now", as_of=LATER)
    with pytest.raises(RefusedError, match="version 1 of 'rides' is champion already; nothing is to be done"):
        rollback(NAME, why="now", to="1", as_of=NOW)
    assert [version for _, version in decided.reigns()] == ["1", "2", "1"]


def test_after_a_rollback_typed_today_nothing_returns_before_the_cooldown_of_the_data_is_over(
    decided: Deciding,
) -> None:
    taken_back(decided, moment(None))  # typed without a data time: today, years after all that the pipeline knows
    facts, policy = history(decided.ledger, NAME, None), decided.site.pipeline.governor

    def ask(at: int, **how: bool) -> Verdict:
        return governor.judge(facts, policy=policy, pipeline=NAME, subject="i", as_of=day(at), **how)

    early = ask(16, permitted=True)
    assert (early.outcome, getattr(early, "until", None)) == ("defer", day(17))
    assert early.reasons == (
        "version 2 was rolled back from (complaints); the cooldown after it ends at 2013-04-17 00:00",
    )
    assert ask(17, permitted=True).outcome == "run"
    assert ask(16, by_hand=True).outcome == "run"
    with pytest.raises(RefusedError, match="may not return before 2013-04-17 00:00"):
        promote(NAME, version="2", why="now", as_of=day(16))
    same_bytes = replace(decided.ledger.champions(NAME)[1].change, version="9", data_time=day(16), intent="another")
    with holding(decided.site, "retrain") as lease:
        assert lease is not None
        with pytest.raises(RefusedError, match=r"version 9, which has the bytes of version 2, was rolled back from"):
            crown.fn(decided.site, same_bytes, epoch=3, lease=lease)  # as a retrain does it


def test_a_champion_is_not_changed_without_a_reason(decided: Deciding) -> None:
    with pytest.raises(RefusedError, match="say why the champion of 'rides' is changed: --why"):
        rollback(NAME, why=" ")
    for force in (False, True):
        with pytest.raises(RefusedError, match="say why the champion of 'rides' is changed: --why"):
            promote(NAME, version="2", why="", force=force)
    assert len(decided.reigns()) == 2


def test_what_speaks_against_a_promotion_is_told_with_the_way_past_it(decided: Deciding) -> None:
    decided.judge("3", "reject")
    by_force = "; to pass over this rule, marked for ever: andon promote rides 3 --force --why"
    with pytest.raises(
        RefusedError, match=f"the gate's verdict on version 3 of 'rides' is 'reject': a gain.*{by_force}"
    ):
        promote(NAME, version="3", why="I like it", as_of=NOW)
    decided.judge("3", asks="the champion cannot score")
    with pytest.raises(
        RefusedError, match=f"a person is to be asked about version 3 .*champion cannot score{by_force}"
    ):
        promote(NAME, version="3", why="I like it", as_of=NOW)
    decided.judge("3", champion_version="1")
    with pytest.raises(RefusedError, match=f"compared version 3 with version 1, and now version 2 is .*{by_force}"):
        promote(NAME, version="3", why="I like it", as_of=NOW)
    pull(NAME, "the stops are rebuilt")
    decided.judge("3")
    with pytest.raises(RefusedError, match=rf"the cord is pulled \(the stops are rebuilt\); when it is .*{by_force}"):
        promote(NAME, version="3", why="I like it", as_of=NOW)
    with pytest.raises(
        NoChampionError, match=r"the gate has judged no version '4' of 'rides': andon history rides; .*--force"
    ):
        promote(NAME, version="4", why="I like it", as_of=NOW)
    with pytest.raises(RefusedError, match="version 2 of 'rides' is champion already"):
        promote(NAME, version="2", why="once more", as_of=NOW)
    assert len(decided.reigns()) == 2


def test_force_passes_over_cord_gate_and_rollback_and_is_marked_for_ever(decided: Deciding) -> None:
    taken_back(decided, NOW)
    pull(NAME, "nothing may change")
    with holding(decided.site, "retrain"):
        back = promote(NAME, version="2", why="the complaints were wrong", as_of=NOW, force=True)
    unjudged = promote(NAME, version="4", why="the regulator wants it", as_of=NOW, force=True)
    assert [(item.kind, item.subject, item.outcome) for item in (back, unjudged)] == [
        ("promotion", "2", "forced"),
        ("promotion", "4", "forced"),
    ]
    newest = decided.ledger.champions(NAME)[-1].change
    assert (newest.kind, newest.bundle_sha256, newest.evidence) == ("forced", decided.digest("4"), None)
    assert newest.trained_until.year == 2024, "as its manifest says"
    assert decided.site.store.projected(NAME) == "4"
    shown = decided.site.store.shown(NAME).tags
    assert (shown["4"]["andon.status"], shown["2"]["andon.status"]) == ("champion", "was champion")
    assert "the complaints were wrong" in shown["2"]["andon.forced"], "for ever"
    with pytest.raises(RefusedError, match="version 4 of 'rides' is champion already"):
        promote(NAME, version="4", why="once more", as_of=NOW, force=True)


def test_nobody_forces_what_does_not_load_or_is_not_what_was_judged(decided: Deciding) -> None:
    decided.judge("3", "reject")
    damage(decided, "3")
    damage(decided, "4")
    with pytest.raises(RegistryError, match=r"rides version 3: the stored bundle has sha256 .*somebody changed it"):
        promote(NAME, version="3", why="I like it", as_of=NOW, force=True)
    with pytest.raises(RefusedError, match="version 4 of 'rides' does not load and answer"):
        promote(NAME, version="4", why="I like it", as_of=NOW, force=True)
    with pytest.raises(NoChampionError, match="'rides' has no version 9 in MLflow"):
        promote(NAME, version="9", why="I like it", as_of=NOW, force=True)
    assert len(decided.reigns()) == 2


@pytest.mark.slow
def test_of_two_that_are_forced_at_once_one_wins_and_the_other_learns_it(
    decided: Deciding, monkeypatch: pytest.MonkeyPatch
) -> None:
    both_proven = Barrier(2, timeout=120)  # by then each has read the epoch; a busy machine runs them one by one

    def proven(site: Site, version: str) -> Proven:
        found = prove(site, version)
        both_proven.wait()
        return found

    monkeypatch.setattr("tasks.promote.prove", proven)
    answers = at_once(
        *(lambda version=version: promote(NAME, version=version, why="now", as_of=NOW, force=True) for version in "34")
    )
    assert sorted(type(item).__name__ for item in answers) == ["Promotion", StaleEpochError.__name__]
    assert len(decided.reigns()) == 3


def test_there_is_no_way_back_to_what_never_served(decided: Deciding) -> None:
    with pytest.raises(NoChampionError, match="version 7 of 'rides' was never champion; roll back to one of 1, 2"):
        rollback(NAME, why="now", to="7", as_of=NOW)
    assert len(decided.reigns()) == 2


def test_with_mlflow_away_and_the_champions_bundle_lost_the_way_back_is_open(
    decided: Deciding, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = [item.change for item in decided.ledger.champions(NAME)]
    bundle_folder(decided.site, first)
    (bundle_folder(decided.site, second) / "model.txt").write_text("no model any more")
    monkeypatch.setenv("ANDON_MLFLOW_URI", f"sqlite:///{decided.home / 'mlflow.db'}/gone.db")
    back = roll_back_to(decided.site, None, "the error rate", NOW, actor="andon's guard")
    assert (back.outcome, decided.reigns()[-1]) == ("rolled_back", ("rollback", "1"))
    assert decided.ledger.champions(NAME)[-1].change.actor == "andon's guard"
    (told,) = decided.ledger.verdicts(NAME, kind="projection")
    assert told.reasons[0].startswith("version 1 is champion, but its alias could not be set: MLflow at sqlite")


def test_a_bundle_whose_stored_bytes_are_not_the_promoted_ones_is_not_gone_back_to(decided: Deciding) -> None:
    damage(decided, "1")
    with pytest.raises(RegistryError, match=r"rides version 1: the stored bundle has sha256 .*somebody changed it"):
        rollback(NAME, why="now", as_of=NOW)
    assert (len(decided.reigns()), decided.site.store.projected(NAME)) == (2, "2")
