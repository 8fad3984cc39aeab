"""`andon approve`, `reject` and `adopt`: what a person decides beside the gate. Each calls one task function."""

from typing import TYPE_CHECKING, Annotated

import typer

from andon.cli.options import Json, OnePipeline, Why
from andon.cli.output import print_verdicts, working
from andon.cli.setup import choose_prefect, pipelines, settings
from validation.errors import RefusedError

if TYPE_CHECKING:
    from tasks.site import Site
    from validation.verdict import Verdict

_DONE = {"promoted", "rejected", "adopted"}  # other outcomes: the request was not carried out (exit code 1)
Version = Annotated[str | None, typer.Argument(help="The version, to be sure; the one in question when left out.")]


def approve(pipeline: OnePipeline, version: Version = None, *, why: Why, json: Json = False) -> None:
    """Answer the open question with yes: the version becomes champion."""
    _finish(_answered(pipeline, version, why, approve=True), json=json)


def reject(pipeline: OnePipeline, version: Version = None, *, why: Why, json: Json = False) -> None:
    """Answer the open question with no: the pipeline stays as it is."""
    _finish(_answered(pipeline, version, why, approve=False), json=json)


def adopt(pipeline: OnePipeline, version: Version = None, *, why: Why, json: Json = False) -> None:
    """Make champion what MLflow's alias was moved to by hand, once it has loaded and answered."""
    site = _site(pipeline)
    from tasks import adoption

    with working(f"adopting the alias of {pipeline}"):
        verdict = adoption.adopt(site, version, why)
    _finish(verdict, json=json)


def _answered(pipeline: str, version: str | None, why: str, *, approve: bool) -> "Verdict":
    site = _site(pipeline)
    from tasks.approval import answer_question, open_question

    question = open_question(site)
    if question is None:
        newest = site.ledger.verdicts(pipeline, kind="question", limit=1)
        answer = site.ledger.answer_to(newest[0].seq) if newest else None
        last = (
            f"; the last one, about version {newest[0].subject}, was {answer.outcome} by {answer.actor}"
            if answer
            else ""
        )
        raise RefusedError(f"no question about {pipeline!r} waits for an answer{last}: andon history {pipeline}")
    if version not in (None, question.subject):
        raise RefusedError(
            f"the question about {pipeline!r} is about version {question.subject}, not {version}; look at it: "
            f"andon show {pipeline} --version {question.subject}"
        )
    with working(f"carrying out the answer about {pipeline} version {question.subject}"):
        return answer_question(site, question, approve=approve, why=why)


def _site(pipeline: str) -> "Site":
    place = settings()
    pipelines(pipeline, place)
    choose_prefect(place)
    from tasks.site import open_sites

    (site,) = open_sites(pipeline)
    return site


def _finish(verdict: "Verdict", *, json: bool) -> None:
    print_verdicts(verdict, json=json)
    if verdict.outcome not in _DONE:
        raise typer.Exit(1)
