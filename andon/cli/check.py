"""`andon check`: what is here, what is missing, and how to get it. Changes nothing."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from time import perf_counter

import httpx
import typer
from rich.text import Text

from andon.addresses import announced, without_password
from andon.catalogue import load, survey
from andon.cli.options import Json
from andon.cli.output import coloured, grid, moment, people, print_json
from andon.cli.setup import settings
from andon.pipeline import Pipeline
from andon.settings import Settings
from validation.errors import AndonError, DefinitionError, ServiceDownError

_USAGE, _SERVICE = DefinitionError.exit_code, ServiceDownError.exit_code
_LOOK_SECONDS, _ALERTS = 10.0, 500
_TIMES = {1: "once", 2: "twice"}
_TEST_PROGRAMS = {"chromium": ("chromium", "chromium-browser", "google-chrome"), "postgresql": ("pg_ctl", "psql")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at. `code` is the exit code that it asks for (0: all is well, or it is optional)."""

    what: str
    state: str
    detail: str
    code: int = 0


def check(*, json: Json = False) -> None:
    """Tell what is missing on this machine, and how to get it."""
    place = settings()
    looks: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
        _python, _packages, _pipelines, _ledger, _mlflow, _prefect, _scorer, _delivery, _alerts, _test_programs,
    )  # fmt: skip
    findings = [finding for look in looks for finding in look(place)]
    if json:
        print_json(findings)
    else:
        table = grid("what", "state", "detail")
        for finding in findings:
            table.add_row(finding.what, coloured(finding.state), Text(finding.detail))
        people().print(table)
    raise typer.Exit(max(finding.code for finding in findings))


def is_new(url: str) -> bool:
    """Whether this is a SQLite database that nobody has made yet."""
    return url.startswith("sqlite:///") and not os.path.exists(url.removeprefix("sqlite:///"))  # noqa: PTH110


def _python(_place: Settings) -> Iterator[Finding]:
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] == (3, 11):
        yield Finding(what="Python", state="ok", detail=found)
    else:
        yield Finding(what="Python", state="broken", detail=f"{found}; Andon needs 3.11: make setup", code=_USAGE)


def _packages(_place: Settings) -> Iterator[Finding]:
    from packaging.requirements import Requirement

    wrong = []
    for line in requires("andon") or []:
        asked = Requirement(line)
        if asked.marker is not None and not asked.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(asked.name)
        except PackageNotFoundError:
            wrong.append(f"{asked.name} is missing")
            continue
        if not asked.specifier.contains(found, prereleases=True):
            wrong.append(f"{asked.name} is {found}, not {asked.specifier}")
    if wrong:
        yield Finding(what="packages", state="missing", detail=f"{'; '.join(wrong)}; get them: make setup", code=_USAGE)
    else:
        yield Finding(what="packages", state="ok", detail="all that pyproject.toml asks for")


def _pipelines(place: Settings) -> Iterator[Finding]:
    names: set[str] = set()
    for folder in place.pipeline_folders:
        files = sorted(path for path in folder.glob("*.py") if not path.name.startswith("_"))
        if not files:
            detail = f"{folder} holds none; write one there, or correct ANDON_PIPELINES"
            yield Finding(what="pipelines", state="missing", detail=detail, code=_USAGE)
        for path in files:
            try:
                found = load(path)
            except DefinitionError as error:
                yield Finding(what=f"pipeline {path.stem}", state="broken", detail=str(error), code=_USAGE)
                continue
            if found.name in names:
                detail = f"{path}: another file defines {found.name!r} as well; rename one"
                yield Finding(what=f"pipeline {path.stem}", state="broken", detail=detail, code=_USAGE)
            else:
                detail = f"{found.task}, {len(found.inputs)} inputs, {path}"
                yield Finding(what=f"pipeline {found.name}", state="ok", detail=detail)
                yield from _rules(found)
            names.add(found.name)


def _rules(pipeline: Pipeline) -> Iterator[Finding]:
    """Rules that cannot be asked in the one pass over a file, and what they cost."""
    from validation.costs import ROWS, costs

    asked = [(f"rules of {pipeline.name}", pipeline.contract, pipeline.source.key, pipeline.source.time)]
    asked += [(f"rules of {t.name}", t.contract, (*t.key, t.time), t.time) for t in pipeline.tables]
    for what, contract, key, time in asked:
        told = [
            f"{cost.rule} reads {', '.join(cost.columns)} {_TIMES.get(cost.scans, f'{cost.scans} times')} more, "
            f"{cost.milliseconds:.0f} ms for {ROWS:,} rows: {cost.why}"
            for cost in costs(contract, key=key, time=time, clock=perf_counter)
        ]
        yield Finding(what=what, state="ok", detail=f"all in one pass over a file, but: {'; '.join(told)}")


def _ledger(place: Settings) -> Iterator[Finding]:
    from registry.sql import open_ledger

    if is_new(place.ledger):
        yield Finding(what="ledger", state="ok", detail=f"{without_password(place.ledger)}, made at first use")
        return
    try:
        head = open_ledger(place.ledger).head()
        sealed = place.seal_key(on_missing="none") or (head and head.mac) or head is None
        hint = "" if sealed else "; not sealed, so a cut or rewritten end would not be noticed: set ANDON_LEDGER_KEY"
        yield Finding(what="ledger", state="ok", detail=f"{without_password(place.ledger)}{hint}")
    except AndonError as error:
        yield Finding(what="ledger", state="not reachable", detail=str(error), code=max(error.exit_code, _USAGE))


def _mlflow(place: Settings) -> Iterator[Finding]:
    url = place.mlflow
    if not url.startswith("http"):
        state = ", made at first use" if is_new(url) else ""
        yield Finding(what="MLflow", state="ok", detail=f"{without_password(url)}{state}")
    elif _answers(f"{url.rstrip('/')}/health"):
        yield Finding(what="MLflow", state="ok", detail=without_password(url))
    else:
        detail = f"{without_password(url)} does not answer; start it, or correct ANDON_MLFLOW_URI"
        yield Finding(what="MLflow", state="not reachable", detail=detail, code=_SERVICE)


def _prefect(place: Settings) -> Iterator[Finding]:
    url = os.environ.get("PREFECT_API_URL") or announced(place.home).get("PREFECT_API_URL")
    if not url:
        detail = "no server: each command brings its own for its length; a lasting one: andon up"
        yield Finding(what="Prefect", state="ok", detail=detail)
    elif _answers(f"{url}/health"):
        yield Finding(what="Prefect", state="ok", detail=url)
    else:
        detail = f"{url} does not answer; start it (andon up), or correct PREFECT_API_URL"
        yield Finding(what="Prefect", state="not reachable", detail=detail, code=_SERVICE)


def _scorer(place: Settings) -> Iterator[Finding]:
    if _answers(f"{place.scorer_url}/ping"):
        yield Finding(what="scorer", state="ok", detail=place.scorer_url)
    else:
        detail = f"{place.scorer_url} does not answer; start all servers: andon up (batch scoring works without)"
        yield Finding(what="scorer", state="not running", detail=detail)


def _delivery(place: Settings) -> Iterator[Finding]:
    """Whether the database for predictions can be reached, when a pipeline delivers there."""
    from storage.publishing.database import open_store

    found, _ = survey(place.pipeline_folders)
    if not any(pipeline.delivery.database for pipeline in found.values()):
        return
    try:
        detail = open_store(place.delivery, seconds=_LOOK_SECONDS).look()
        yield Finding(what="delivery database", state="ok", detail=detail)
    except AndonError as error:
        code = max(error.exit_code, _USAGE)
        yield Finding(what="delivery database", state="not reachable", detail=str(error), code=code)


def _alerts(place: Settings) -> Iterator[Finding]:
    """Whether the channels are there, and how the last message to each fared. Sends nothing."""
    from tasks.channels import ChannelError, channels_of

    if not (channels := channels_of(place)):
        detail = "nobody is told of incidents: set ANDON_ALERT_WEBHOOKS or ANDON_ALERT_BLOCKS (andon show --settings)"
        yield Finding(what="alerts", state="not set", detail=detail)
    for channel in channels:
        if channel.needs_prefect and not _prefect_is_there(place):
            yield Finding(what=channel.name, state="not known", detail="Prefect's server does not run: andon up")
            continue
        try:
            channel.look(seconds=_LOOK_SECONDS)
        except ChannelError as error:
            yield Finding(what=channel.name, state="not reachable", detail=str(error), code=_SERVICE)
        else:
            yield _last_alert(place, channel.name)


def _prefect_is_there(place: Settings) -> bool:
    """Also tells this process where, before Prefect is imported."""
    for name, value in announced(place.home).items():
        os.environ.setdefault(name, value)
    url = os.environ.get("PREFECT_API_URL")
    return bool(url and _answers(f"{url}/health"))


def _last_alert(place: Settings, channel: str) -> Finding:
    from registry.sql import open_ledger

    alerts = () if is_new(place.ledger) else open_ledger(place.ledger).verdicts(kind="alert", limit=_ALERTS)
    last = next((alert for alert in reversed(alerts) if alert.body["channel"] == channel), None)
    if last is None:
        return Finding(what=channel, state="ok", detail="it was never told of anything")
    told = f"{last.reasons[0]} ({moment(last.recorded_at)}, {last.pipeline})"
    if last.outcome == "failed":
        return Finding(what=channel, state="failed", detail=told, code=_SERVICE)
    return Finding(what=channel, state="ok", detail=f"last told on {moment(last.recorded_at)}")


def _test_programs(_place: Settings) -> Iterator[Finding]:
    for package, programs in _TEST_PROGRAMS.items():
        if any(shutil.which(program) for program in programs):
            yield Finding(what=package, state="ok", detail="for the tests")
        else:
            detail = f"only the tests need it: apt-get install {package}"
            yield Finding(what=package, state="not here", detail=detail)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2.0, trust_env=not url.startswith("http://127.")).is_success
    except httpx.HTTPError:
        return False
