"""What a command needs before it starts: the settings, the pipeline, and which Prefect it talks to."""

import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from andon.addresses import announced
from andon.catalogue import find, loadable
from andon.pipeline import Pipeline
from andon.settings import Settings
from validation.errors import DefinitionError

_EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
_SLACK = timedelta(days=1)


def settings() -> Settings:
    """The settings, with the addresses of a running `andon up`; DefinitionError names a variable that is wrong."""
    try:
        found = Settings()
        if "ANDON_SCORER_URL" not in os.environ and (running := announced(found.home)):
            found = found.model_copy(update={"scorer_url": running["ANDON_SCORER_URL"]})
    except ValidationError as cause:
        first = cause.errors()[0]
        name = f"ANDON_{'_'.join(str(part) for part in first['loc'])}".upper()
        raise DefinitionError(
            f"{name}: {first['msg']}, got {first.get('input')!r}; all variables: andon show --settings"
        ) from cause
    return found


def pipelines(name: str | None, place: Settings) -> list[Pipeline]:
    """The pipeline `name`, or all of them, where a wrong file is told and hides no other."""
    folders = place.pipeline_folders
    return [find(name, folders)] if name else list(loadable(folders).values())


def data_time(text: str | None, *, option: str = "--as-of") -> datetime | None:
    """Read an option that takes an ISO moment; without a zone it is UTC."""
    if text is None:
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError as cause:
        raise DefinitionError(
            f"{option} must be a moment like 2013-04-07 or 2013-04-07T12:00+02:00, got {text!r}"
        ) from cause
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when
    if not _EARLIEST <= when <= datetime.now(UTC) + _SLACK:  # a cooldown from 2113 on would hold for a century
        raise DefinitionError(f"{option} must lie between 1900 and now, got {text!r}")
    return when.astimezone(UTC)


def choose_prefect(place: Settings) -> None:
    """Before Prefect is imported: the server that the environment names, else that of a running `andon up`, else the
    user's own profile, else an embedded one whose database lies in this home.
    """
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("ANDON_SCORER_URL", place.scorer_url)
    if "PREFECT_API_URL" in os.environ or "PREFECT_PROFILE" in os.environ:
        return
    home = place.home.absolute()
    if running := announced(home):
        os.environ.update(running)
    elif not (Path.home() / ".prefect" / "profiles.toml").exists():
        home.mkdir(parents=True, exist_ok=True)
        os.environ.setdefault("PREFECT_HOME", str(home / "prefect"))
        os.environ.setdefault("PREFECT_API_DATABASE_CONNECTION_URL", f"sqlite+aiosqlite:///{home / 'prefect.db'}")


def quieten(*, verbose: bool) -> None:
    """What the flows log goes to Prefect's UI; a person sees it in the terminal only when asked for."""
    level = "INFO" if verbose else "CRITICAL"
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", level)
    os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", "andon")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "INFO" if verbose else "ERROR")
    if not verbose:
        logging.getLogger("alembic").setLevel(logging.ERROR)


def run_flow(name: str, **arguments: Any) -> Any:
    """Call the flow `flows/<name>.py:<name>` in this process."""
    from importlib import import_module

    place = settings()
    if arguments.get("pipeline"):
        find(arguments["pipeline"], place.pipeline_folders)
    choose_prefect(place)
    flow = getattr(import_module(f"flows.{name}"), name)
    return flow(**arguments)
