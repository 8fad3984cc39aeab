"""What a retrain's plan leaves behind is taken away, and what cannot be is told and stops nothing."""

import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from andon.processes import free_port
from andon.settings import Settings
from registry.memory import MemoryLedger
from storage.lake import open_lake
from tasks.plans import forget_study, study_of
from tasks.site import Site
from tests.fakes import FolderStore
from tests.unit.modelling_world import pipeline_in


def site_in(folder: Path, *, study_url: str = "") -> Site:
    settings = Settings(home=folder / "home", study_url=SecretStr(study_url))
    return Site(
        pipeline=pipeline_in(folder), settings=settings, ledger=MemoryLedger(), store=FolderStore(folder),
        lake=open_lake(settings), actor="me",
    )  # fmt: skip


def test_the_study_of_one_intent_is_forgotten_and_that_of_another_stays(tmp_path: Path) -> None:
    site = site_in(tmp_path)
    first, other = (
        site.ledger.ask(intent_id=name, pipeline=name, reason="a test", data_time=datetime(2024, 1, 1, tzinfo=UTC))
        for name in ("first", "first-2")
    )
    folder = Path(study_of(site, first).where)
    folder.mkdir(parents=True)
    for intent in (first, other):
        (folder / f"{study_of(site, intent).name}.journal").touch()
    forget_study(site, first)
    assert [file.name for file in folder.iterdir()] == ["rides-first-2.journal"]


def test_a_study_that_cannot_be_deleted_is_told_without_the_databases_password(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = site_in(tmp_path, study_url=f"postgresql://me:hunter2@127.0.0.1:{free_port()}/studies")
    intent = site.ledger.ask(
        intent_id="wish", pipeline="rides", reason="a test", data_time=datetime(2024, 1, 1, tzinfo=UTC)
    )
    with caplog.at_level(logging.WARNING, logger="andon"):
        forget_study(site, intent)
    assert "rides: the study rides-wish could not be deleted (OperationalError); see to the database" in caplog.text
    assert "hunter2" not in caplog.text
