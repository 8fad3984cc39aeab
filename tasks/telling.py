"""Telling what was decided: one log line and one ledger row for each verdict, one artefact for each flow run."""

import logging
from collections import Counter
from collections.abc import Sequence

from prefect.artifacts import create_markdown_artifact
from prefect.context import FlowRunContext
from prefect.runtime import flow_run

from registry.ledger import Lease, Recorded
from tasks.site import Site
from validation.contract import ContractVerdict
from validation.verdict import Verdict

log = logging.getLogger("andon")
_ROWS = 40


def note(site: Site, verdict: Verdict, *, lease: Lease | None = None) -> Recorded:
    """Write the verdict to the ledger, and one line to the log."""
    recorded = site.ledger.record(verdict, actor=site.actor, lease=lease)
    log.info("%s", verdict)
    return recorded


def tell(activity: str, verdicts: Sequence[Verdict]) -> None:
    """Show the verdicts in Prefect's UI, newest last, as a table with the reasons. Outside a flow run: nothing."""
    if verdicts and FlowRunContext.get() is not None:
        pipelines = sorted({verdict.pipeline for verdict in verdicts})
        key = f"{activity}-{'-'.join(pipelines)}"[:200].lower().replace("_", "-")
        outcomes = Counter(f"{verdict.kind} {verdict.outcome}" for verdict in verdicts)
        told = ", ".join(f"{outcome} x{count}" if count > 1 else outcome for outcome, count in outcomes.items())
        markdown = f"{as_markdown(activity, verdicts)}\n{_samples(verdicts)}"
        create_markdown_artifact(key=key, markdown=markdown, description=told)


def run_name() -> str:
    """A flow run's name for people: what is done, and for which pipeline."""
    parameters = flow_run.parameters or {}
    as_of = f" as of {parameters['as_of']:%Y-%m-%d %H:%M}" if parameters.get("as_of") else ""
    return f"{flow_run.flow_name} {parameters.get('pipeline') or 'all pipelines'}{as_of}"


def as_markdown(activity: str, verdicts: Sequence[Verdict]) -> str:
    """A Markdown table of the newest verdicts."""
    rows = [
        f"| {item.data_time:%Y-%m-%d %H:%M} | {item.pipeline} | {item.kind} | {item.subject} | **{item.outcome}** "
        f"| {'<br>'.join(_cell(reason) for reason in item.reasons)} |"
        for item in verdicts[-_ROWS:]
    ]
    left_out = (
        f"\n{len(verdicts) - _ROWS} earlier ones are in the ledger: `andon history`.\n" if len(verdicts) > _ROWS else ""
    )
    head = (
        f"## {activity}\n{left_out}\n| data time | pipeline | rule | about | verdict | why |\n|---|---|---|---|---|---|"
    )
    return "\n".join([head, *rows])


def _samples(verdicts: Sequence[Verdict]) -> str:
    """A Markdown table of the rules that were broken, with some of the rows; empty when none was."""
    broken = [(item, rule) for item in verdicts if isinstance(item, ContractVerdict) for rule in item.rules]
    rows = [
        f"| {_cell(item.subject)} | {_cell(rule.name)} | {rule.rows:,} | {'<br>'.join(map(_cell, rule.sample))} |"
        for item, rule in broken[:_ROWS]
    ]
    head = "\n## rows set aside\n\n| file | rule | rows | such as |\n|---|---|---|---|"
    return "\n".join([head, *rows, "", "All of them: `andon quarantine list`"]) if rows else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
