"""`andon verify`: what it says of a whole and of a changed ledger, and the files that it writes and reads."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from registry.sql import open_ledger
from tests.contract.ledger_world import note
from tests.unit.shell import Shell


@pytest.fixture
def kept(andon: Shell) -> Shell:
    """An installation with three sealed verdicts."""
    ledger = andon.ledger()
    for number in range(3):
        ledger.record(note(subject=f"week {number}"), actor="monitor")
    return andon


@contextmanager
def burglar(shell: Shell) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(shell.home / "ledger.db")) as connection:
        connection.executescript("DROP TRIGGER andon_verdicts_no_update; DROP TRIGGER andon_verdicts_no_delete")
        yield connection
        connection.commit()


def told(shell: Shell, *words: str) -> Any:
    return json.loads(shell("verify", *words, "--json").out)


def test_a_whole_ledger_is_told_in_a_sentence_with_its_seal(kept: Shell) -> None:
    ran = kept("verify", "--sealed")
    assert (ran.code, ran.out) == (0, "")
    assert "The ledger is whole: 3 records; the newest is record 3 with the hash" in ran.err
    assert "Its head is sealed with the key" in ran.err

    found = told(kept)
    assert (found["whole"], found["records"], found["seal"], found["faults"]) == (True, 3, "right", [])


def test_a_changed_record_is_named_with_what_to_do(kept: Shell) -> None:
    with burglar(kept) as database:
        database.execute("update andon_verdicts set outcome = 'drift' where seq = 2")
    ran = kept("verify")
    assert ran.code == 1
    assert "The ledger is not whole: 3 records" in ran.err
    assert "record 2: it was changed after it was written" in ran.err
    assert "put back its last good copy" in ran.err
    assert [fault["seq"] for fault in told(kept)["faults"]] == [2]


def test_a_person_vouches_and_what_was_found_stands_in_the_ledger(kept: Shell) -> None:
    with burglar(kept) as database:
        database.execute("delete from andon_verdicts where seq = 3")
    assert kept("verify").code == 1
    for words in (["--vouch"], ["--vouch", "--why", " "], ["--why", "so"]):
        assert kept("verify", *words).code == 2

    ran = kept("verify", "--vouch", "--why", "the last note was a test of mine")

    assert ran.code == 0
    assert "record 3: vouched by " in ran.err
    assert (
        "the last note was a test of mine; found before: the head names it as the newest, found is record 2" in ran.err
    )


def test_a_ledger_without_a_key_is_whole_but_not_sealed(andon: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{andon.home.parent / 'elsewhere.db'}"
    monkeypatch.setenv("ANDON_LEDGER_URL", url)
    open_ledger(url).record(note(), actor="monitor")

    ran = andon("verify")
    assert ran.code == 0
    assert "Its head is not sealed: nobody would notice that its end was cut off or written anew" in ran.err
    assert andon("verify", "--sealed").code == 1
    assert "not sealed" in andon("check").err
    assert not (andon.home / "ledger.key").exists()


def test_a_ledger_that_is_not_there_is_not_made(andon: Shell) -> None:
    ran = andon("verify")
    assert ran.code == 1
    assert "there is no ledger at sqlite:////" in ran.err
    assert not (andon.home / "ledger.db").exists()


def test_an_export_is_verified_without_database_and_key(kept: Shell, tmp_path: Path) -> None:
    file = tmp_path / "kept" / "ledger.jsonl"
    assert kept("verify", "--export", str(file)).code == 0
    assert len(file.read_text().splitlines()) == 5
    assert told(kept, "--file", str(file))["seal"] == "right"
    (kept.home / "ledger.db").unlink()
    (kept.home / "ledger.key").unlink()

    ran = kept("verify", "--file", str(file), "--against", str(file))
    assert ran.code == 0
    assert "which is not here, so the seal was not checked" in ran.err

    file.write_bytes(file.read_bytes().replace(b'"week 1"', b'"week 9"'))
    ran = kept("verify", "--file", str(file))
    assert ran.code == 1
    assert "record 2: it was changed: its hash is not that of its content" in ran.err


def test_a_ledger_that_was_put_back_to_an_earlier_state_is_found_by_its_exported_head(
    kept: Shell, tmp_path: Path
) -> None:
    head, backup = tmp_path / "head.json", (kept.home / "ledger.db")
    with closing(sqlite3.connect(tmp_path / "backup.db")) as copy, closing(sqlite3.connect(backup)) as database:
        database.backup(copy)
    kept.ledger().record(note(subject="week 3"), actor="monitor")
    assert kept("verify", "--head", str(head)).code == 0
    assert kept("verify", "--against", str(head)).code == 0

    for leftover in kept.home.glob("ledger.db*"):
        leftover.unlink()
    (tmp_path / "backup.db").rename(backup)

    assert kept("verify").code == 0
    ran = kept("verify", "--against", str(head))
    assert ran.code == 1
    assert "record 4: the earlier head names it, and there is none: the ledger is an older copy" in ran.err


def test_files_that_cannot_be_read_or_are_something_else_are_told(kept: Shell, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("nothing of ours\n")
    assert "No such file or directory; name another file" in kept("verify", "--file", str(tmp_path / "no")).err
    assert kept("verify", "--file", str(tmp_path / "no")).code == 2
    assert kept("verify", "--file", str(other)).code == 1
    assert "other.txt: it is no export of a ledger or of its head" in kept("verify", "--against", str(other)).err
    assert kept("verify", "--file", str(other), "--export", str(other)).code == 2
    assert other.read_text() == "nothing of ours\n"
