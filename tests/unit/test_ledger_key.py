"""The key that seals the ledger: configured, or made once for the ledger below home, and never shown."""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from andon import DefinitionError
from andon.processes import environment
from andon.settings import Settings


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"ANDON_{name}".upper(), raising=False)


def key_of(home: Path) -> bytes | None:
    return Settings(home=home).seal_key()


def test_the_ledger_below_home_has_a_key_of_its_own_that_only_its_owner_reads(tmp_path: Path) -> None:
    key = key_of(tmp_path / "home")
    file = tmp_path / "home" / "ledger.key"

    assert key is not None
    assert len(bytes.fromhex(key.decode())) == 32
    assert key == file.read_bytes().strip()
    assert file.stat().st_mode & 0o777 == 0o600
    assert key_of(tmp_path / "home") == key
    assert key_of(tmp_path / "other") != key
    assert os.listdir(tmp_path / "home") == ["ledger.key"]  # noqa: PTH208 - nothing is left beside it


def test_who_only_reads_makes_no_key(tmp_path: Path) -> None:
    assert Settings(home=tmp_path / "home").seal_key(on_missing="none") is None
    assert not (tmp_path / "home").exists()
    key = key_of(tmp_path / "home")
    assert Settings(home=tmp_path / "home").seal_key(on_missing="none") == key


def test_of_processes_that_make_it_at_once_one_wins_for_all(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("fork")) as pool:
        assert len(set(pool.map(key_of, [tmp_path] * 16))) == 1


def test_a_configured_key_counts_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = Settings(home=tmp_path, ledger_url="postgresql://db/andon")
    assert elsewhere.seal_key() is None
    monkeypatch.setenv("ANDON_LEDGER_KEY", "sixteen letters!")
    assert Settings(home=tmp_path).seal_key() == b"sixteen letters!"
    assert Settings(home=tmp_path, ledger_url="postgresql://db/andon").seal_key() == b"sixteen letters!"
    assert not (tmp_path / "ledger.key").exists()


def test_a_process_that_andon_starts_finds_the_key_of_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path)
    for name, value in environment(settings, prefect_port=4200).items():
        if name.startswith("ANDON_"):
            monkeypatch.setenv(name, value)
    assert Settings().ledger_url == settings.ledger
    assert Settings().seal_key() == settings.seal_key()


def test_a_key_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDON_LEDGER_KEY", "sixteen letters!")
    assert "sixteen" not in f"{Settings()!r} {Settings()} {Settings().model_dump_json()}"


def test_a_key_that_is_too_short_is_told_and_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ledger.key").write_text("hunter2\n")
    with pytest.raises(DefinitionError, match=r"ledger\.key must hold a key of at least 16 characters"):
        key_of(tmp_path)
    monkeypatch.setenv("ANDON_LEDGER_KEY", "hunter2")
    with pytest.raises(DefinitionError, match="openssl rand -hex 32") as caught:
        Settings()
    assert "hunter2" not in str(caught.value)
