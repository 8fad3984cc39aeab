"""`andon`: what an operator types. Each command calls one flow or reads the ledger; exit code 0 is done, 1 refused by a
rule, 2 a wrong request or definition, 3 a needed service is down.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.text import Text

from andon.cli import contracts, quarantine, snapshots
from andon.cli.bar import counting_rows, showing_training
from andon.cli.check import check
from andon.cli.decide import adopt, approve, reject
from andon.cli.diff import diff
from andon.cli.history import history
from andon.cli.incidents import incidents
from andon.cli.lineage import lineage
from andon.cli.options import AnyPipeline, AsOf, From, Json, OnePipeline, To, Why
from andon.cli.output import people, print_verdicts, working
from andon.cli.read import show, status
from andon.cli.report import report
from andon.cli.reproduce import reproduce
from andon.cli.setup import data_time, pipelines, quieten, run_flow, settings
from andon.cli.tables import catalogue
from andon.cli.up import up
from andon.cli.verify import verify
from andon.cli.why import why
from validation.errors import AndonError, ServiceDownError, SomeFailedError
from validation.verdict import Verdict

# Outcomes by which a request was not carried out (exit code 1). A gate that rejects a challenger answers the request to
# retrain; a governor that defers one which `monitor` found does what it is there for.
_NOT_DONE = {"refuse", "defer", "skipped", "failed", "not trained"}
_CAN_BE_REFUSED = {"ingest", "score", "retrain"}
_EVERYWHERE = ("--debug", "--verbose")

app = typer.Typer(
    name="andon",
    help="Continuous training on Prefect: data arrives, is checked, watched, learned from, proven and served.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The entry point. Errors become one sentence and an exit code; `--debug` shows where they come from."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    ordered = [flag for flag in _EVERYWHERE if flag in given] + [item for item in given if item not in _EVERYWHERE]
    try:
        app(ordered, prog_name="andon")
    except Exception as error:  # noqa: BLE001 - the last line of defence: whatever it is, a person gets a sentence
        if "--debug" in given:
            people().print_exception()
        sys.exit(_tell(error, given))
    sys.exit(0)


def _tell(error: Exception, given: Sequence[str]) -> int:
    """Say what went wrong, below what went well before it; the exit code."""
    if isinstance(error, SomeFailedError) and error.verdicts:
        print_verdicts(error.verdicts, json="--json" in given)
    if isinstance(error, AndonError):
        title, text, code = type(error).__name__, str(error), error.exit_code
    elif _unreachable(error):
        title, code = "ServiceDownError", ServiceDownError.exit_code
        text = f"a needed service does not answer: {_summary(error)}; see what is missing: andon check"
    else:
        again = "" if "--debug" in given else f"; to see where: andon --debug {' '.join(given)}"
        title, text, code = f"Unexpected {type(error).__name__}", f"{_summary(error)}{again}", 1
    people().print(Text.assemble((title, "bold red"), ": ", text), soft_wrap=True)
    return code


def _summary(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "no message")[:300]


def _unreachable(error: BaseException | None) -> bool:
    """Whether a network connection stands at the root of an error (also of Prefect's "Failed to reach API")."""
    import httpx

    while error is not None:
        if isinstance(error, httpx.TransportError | ConnectionError) or "Failed to reach API" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


@app.callback()
def _everywhere(
    *,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False,  # noqa: ARG001
    verbose: Annotated[bool, typer.Option("--verbose", help="Show what the flows log.")] = False,
) -> None:
    quieten(verbose=verbose)


@app.command()
def ingest(pipeline: AnyPipeline = None, *, as_of: AsOf = None, json: Json = False) -> None:
    """Take in the files that have landed; set bad rows aside, refuse bad files."""
    with working(f"taking in what has landed for {pipeline or 'all pipelines'}"):
        verdicts = run_flow("ingest", pipeline=pipeline, as_of=data_time(as_of))
    _finish("ingest", verdicts, json=json, nothing="no new files have landed")


@app.command()
def score(pipeline: AnyPipeline = None, *, as_of: AsOf = None, json: Json = False) -> None:
    """Score accepted batches with the champion and deliver the predictions."""
    with counting_rows(f"scoring {pipeline or 'all pipelines'}"):
        verdicts = run_flow("score", pipeline=pipeline, as_of=data_time(as_of))
    _finish("score", verdicts, json=json, nothing="every accepted batch has its predictions")


@app.command()
def monitor(
    pipeline: AnyPipeline = None, *, since: From = None, until: To = None, as_of: AsOf = None, json: Json = False
) -> None:
    """Judge drift and performance of the windows that are due; ask for a retrain where it is worth it.

    With --from: judge past windows again, and say what would be decided about them now. Nothing is changed by that.
    """
    past = {"since": data_time(since, option="--from"), "until": data_time(until, option="--to")}
    with working(f"watching {pipeline or 'all pipelines'}"):
        verdicts = run_flow("monitor", pipeline=pipeline, as_of=data_time(as_of), **past)
    _finish("monitor", verdicts, json=json, nothing="no window is due")


@app.command()
def retrain(
    pipeline: AnyPipeline = None,
    *,
    why: Why = "asked for by hand",
    intent: Annotated[str | None, typer.Option("--intent", help="Answer this intent of the ledger.")] = None,
    search: Annotated[bool, typer.Option("--search", help="Look for a better recipe, due or not.")] = False,
    as_of: AsOf = None,
    json: Json = False,
) -> None:
    """Train a challenger now, let the gate judge it, promote it if it is proven better."""
    asked = {"pipeline": pipeline, "intent": intent, "as_of": data_time(as_of), "reason": why, "search": search}
    with showing_training(f"retraining {pipeline or 'every pipeline that is due'}"):
        verdicts = run_flow("retrain", **asked)
    _finish("retrain", verdicts, json=json, nothing="no retrain is due; name a pipeline to retrain it now")


@app.command()
def promote(
    pipeline: OnePipeline,
    version: str,
    *,
    why: Why,
    force: Annotated[bool, typer.Option("--force", help="Past gate, cord, answer, rollback; marked for ever.")] = False,
    as_of: AsOf = None,
    json: Json = False,
) -> None:
    """Make VERSION the champion; only one that the gate has passed, or any that loads, by force."""
    with working(f"promoting {pipeline} version {version}"):
        verdict = run_flow("promote", pipeline=pipeline, version=version, why=why, as_of=data_time(as_of), force=force)
    _finish("promote", verdict, json=json)


@app.command()
def rollback(
    pipeline: OnePipeline,
    *,
    why: Why,
    to: Annotated[str | None, typer.Option("--to", help="The version; the champion before when left out.")] = None,
    as_of: AsOf = None,
    json: Json = False,
) -> None:
    """Put an earlier champion back, at once."""
    with working(f"rolling back {pipeline}"):
        verdict = run_flow("rollback", pipeline=pipeline, why=why, to=to, as_of=data_time(as_of))
    _finish("rollback", verdict, json=json)


@app.command()
def reconcile(
    pipeline: AnyPipeline = None,
    *,
    every: Annotated[float | None, typer.Option("--every", min=1, help="Repeat after so many seconds.")] = None,
    as_of: AsOf = None,
    json: Json = False,
) -> None:
    """Compare what should be with what is, and repair the difference."""
    if every is not None:
        from andon.cli.up import sweep_for_ever

        sweep_for_ever(pipeline, every=every)
    with working(f"comparing what should be with what is for {pipeline or 'all pipelines'}"):
        verdicts = run_flow("reconcile", pipeline=pipeline, as_of=data_time(as_of))
    _finish("reconcile", verdicts, json=json, nothing="all is as it should be")


@app.command()
def pause(pipeline: OnePipeline, *, why: Why, json: Json = False) -> None:
    """Pull the cord: the pipeline serves on, but retrains and promotes nothing."""
    from tasks.cord import pull

    pipelines(pipeline, settings())
    _finish("pause", pull(pipeline, why), json=json)


@app.command()
def resume(pipeline: OnePipeline, *, why: Why, json: Json = False) -> None:
    """Release the cord."""
    from tasks.cord import release

    pipelines(pipeline, settings())
    _finish("resume", release(pipeline, why), json=json)


@app.command()
def demo(
    *,
    weeks: Annotated[int | None, typer.Option("--weeks", min=1, help="So many weeks after the first quarter.")] = None,
    folder: Annotated[Path, typer.Option("--folder", help="Where databases and report go; emptied first.")] = Path(
        "andon-demo"
    ),
) -> None:
    """Replay a year of New York departures through the whole loop (a quarter of an hour)."""
    from demo.main import run

    raise typer.Exit(run(folder, weeks))


for name, group in {"contract": contracts, "quarantine": quarantine, "snapshot": snapshots}.items():
    app.add_typer(group.app, name=name, no_args_is_help=True)
commands: Sequence[Callable[..., None]] = (
    approve, reject, adopt, up, status, why, incidents, report, history, diff, show, lineage, reproduce, catalogue,
    check, verify,
)  # fmt: skip
for command in commands:
    app.command()(command)


def _finish(command: str, verdicts: Verdict | Sequence[Verdict], *, json: bool, nothing: str = "") -> None:
    print_verdicts(verdicts, json=json, nothing=nothing)
    found = (verdicts,) if isinstance(verdicts, Verdict) else verdicts
    if command in _CAN_BE_REFUSED and any(verdict.outcome in _NOT_DONE for verdict in found):
        raise typer.Exit(1)
