"""`andon up`: all servers of this home on this machine, watched and revived, until Ctrl-C; and the reconcile loop."""

import signal
import sys
import time
from typing import Annotated, NoReturn

import httpx
import typer
from rich.text import Text

from andon.addresses import without_password
from andon.cli.output import people
from andon.cli.setup import pipelines, run_flow, settings
from andon.processes import Stack, program
from andon.settings import Settings
from validation.errors import AndonError

_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_WATCH_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0


def up(
    *,
    prefect_port: Annotated[
        int, typer.Option("--prefect-port", min=1, max=65_535, help="Port of Prefect's server and UI.")
    ] = 4200,
    scorer_port: Annotated[
        int | None,
        typer.Option(
            "--scorer-port", min=1, max=65_535, help="Port of the scorer; that of ANDON_SCORER_URL when left out."
        ),
    ] = None,
    every: Annotated[float, typer.Option("--every", min=1, help="Seconds between two sweeps of reconcile.")] = 15.0,
) -> None:
    """Start Prefect server, worker, scorer and the reconcile loop here; Ctrl-C stops all of them."""
    place = settings()
    pipelines(None, place)
    for number in _ENDINGS:
        signal.signal(number, _interrupt)
    port = scorer_port or httpx.URL(place.scorer_url).port
    stack = Stack(place, prefect_port=prefect_port, scorer_port=port, tell=_say)
    try:
        with stack:
            stack.add("reconcile", [sys.executable, "-m", "andon.cli", "reconcile", "--every", str(every)])
            _print_addresses(place, stack)
            _watch(stack)
    except KeyboardInterrupt:
        _say("all stopped")


def sweep_for_ever(pipeline: str | None, *, every: float) -> NoReturn:
    """Run the reconcile flow again and again; a failure is told, and tried again."""
    while True:
        started = time.monotonic()
        try:
            for verdict in run_flow("reconcile", pipeline=pipeline, as_of=None):
                _say(str(verdict))
        except AndonError as error:
            _say(f"{type(error).__name__}: {error}")
        time.sleep(max(every - (time.monotonic() - started), 0.1))


def _watch(stack: Stack) -> NoReturn:
    """Start again what has ended by itself, the more patiently the sooner it ended."""
    pauses: dict[str, float] = {}
    due: dict[str, float] = {}
    while True:
        time.sleep(_WATCH_SECONDS)
        now = time.monotonic()
        for name in stack.dead():
            if name not in due:
                lived = now - stack.processes[name].started
                pauses[name] = 0.0 if lived > _LONGEST_PAUSE_SECONDS else min(pauses.get(name, 0.5) * 2, 30.0)
                due[name] = now + pauses[name]
                _say(f"{_told(stack, name)}; starting it again in {pauses[name]:.0f} s")
            if now >= due[name]:
                del due[name]
                _revive(stack, name)


def _revive(stack: Stack, name: str) -> None:
    try:
        stack.start(name)
        _say(f"{name} started again")
    except AndonError as error:
        _say(f"{name} could not be started: {error}")


def _told(stack: Stack, name: str) -> str:
    process = stack.processes[name]
    return f"{name} ended with code {process.popen.returncode}, see {process.log}"


def _print_addresses(place: Settings, stack: Stack) -> None:
    console = people()
    console.print(Text("Andon is up. Ctrl-C stops all of it.", style="bold green"))
    for what, where in (
        ("Prefect", stack.prefect_url),
        ("scorer", f"{stack.scorer_url} (ping, version, PIPELINE/invocations)"),
        ("MLflow", f"{program('mlflow')} ui --backend-store-uri {without_password(place.mlflow)}"),
        ("home", place.home.absolute()),
        ("logs", stack.home / "logs"),
    ):
        console.print(Text(f"  {what:<8} {where}"), soft_wrap=True)


def _say(text: str) -> None:
    people().print(Text(f"{time.strftime('%H:%M:%S')} {text}"), soft_wrap=True)


def _interrupt(_number: int, _frame: object) -> NoReturn:
    for number in _ENDINGS:
        signal.signal(number, signal.SIG_IGN)  # the stop itself is not interrupted by a second Ctrl-C
    raise KeyboardInterrupt
