"""A site: one pipeline with the places and ports that act for it. Opened once at the start of a flow, never stored."""

import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from andon.catalogue import find, loadable
from andon.pipeline import Pipeline
from andon.settings import Settings
from registry.ledger import Ledger
from registry.sql import open_ledger
from registry.store import ModelStore
from storage.lake import Lake, open_lake
from storage.probe import require_conditional_writes


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What a task needs to act for one pipeline."""

    pipeline: Pipeline
    settings: Settings
    ledger: Ledger
    store: ModelStore
    lake: Lake
    actor: str

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return self.pipeline.name

    @property
    def work(self) -> Path:
        """A folder for files that are being made; whatever a killed run leaves here is worthless."""
        folder = self.settings.home.absolute() / "work"
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def open_sites(pipeline: str | None, settings: Settings | None = None, *, actor: str | None = None) -> tuple[Site, ...]:
    """The site of one pipeline, or of all (None), where a wrong file is told and the others go on.

    DefinitionError for an unknown name or a wrong file, ServiceDownError when the ledger does not answer, or when the
    lake is in a store that would lose commits.
    """
    settings = settings or Settings()
    folders = settings.pipeline_folders
    pipelines = [find(pipeline, folders)] if pipeline else list(loadable(folders).values())
    ledger = open_ledger(settings.ledger, key=settings.seal_key())
    store, lake = open_store(settings), open_lake(settings)
    require_conditional_writes(lake.root, lake.remote)
    return tuple(
        Site(pipeline=found, settings=settings, ledger=ledger, store=store, lake=lake, actor=actor or who(settings))
        for found in pipelines
    )


def due_sites(pipeline: str | None) -> tuple[Site, ...]:
    """The site of one pipeline; with None, of all that are due: an open intent, or no champion and no intent yet."""
    return tuple(site for site in open_sites(pipeline) if pipeline or _is_due(site))


def _is_due(site: Site) -> bool:
    """NOTE: an intent that is deferred waits for the governor, also where there is no champion yet."""
    states = {intent.state for intent in site.ledger.intents(site.name)} - {"closed"}
    return "open" in states or not (states or site.ledger.champion(site.name))


def open_store(settings: Settings) -> ModelStore:
    """The model store that the settings name (MLflow)."""
    from registry.mlflow_store import MlflowStore

    return MlflowStore(settings.mlflow, settings.models)


def who(settings: Settings) -> str:
    """Who acts: user, host and process, for the audit trail and for leases."""
    user = settings.actor or os.environ.get("USER") or "andon"
    return f"{user}@{socket.gethostname()}:{os.getpid()}"


def moment(as_of: datetime | None) -> datetime:
    """The data time for which to act: `as_of` in UTC (naive means UTC), or now."""
    if as_of is None:
        return datetime.now(UTC)
    return as_of.replace(tzinfo=UTC) if as_of.tzinfo is None else as_of.astimezone(UTC)
