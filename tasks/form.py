"""The question in Prefect's UI: a suspended flow run with the evidence and a typed form; and how such a run ends.

Prefect's open-source server does not know who fills the form in: the ledger names the flow run.
"""

from enum import StrEnum
from itertools import count
from typing import TYPE_CHECKING

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import StateType
from prefect.context import FlowRunContext, TaskRunContext
from prefect.exceptions import PrefectException
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from prefect.settings import PREFECT_API_URL
from prefect.states import Completed
from pydantic import Field, ValidationError

from tasks.telling import log

if TYPE_CHECKING:
    from prefect.client.schemas import FlowRun

    from registry.ledger import Recorded


class Decision(StrEnum):
    """What a person may answer."""

    APPROVE = "approve"
    REJECT = "reject"


class Approval(RunInput):
    """May this version become champion?"""

    decision: Decision = Field(title="Decision", description="approve: it becomes champion; reject: it does not")
    why: str = Field(
        title="Why", description="In a sentence, for those who come after; it stands in the ledger.", pattern=r"\S"
    )


def can_ask() -> bool:
    """Whether this is a flow run that may wait for a person: one of a deployment, for one pipeline, in no task."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None or TaskRunContext.get() is not None:
        return False
    return context.flow_run.deployment_id is not None and bool((context.parameters or {}).get("pipeline"))


def who() -> str:
    """Who has filled the form in, as far as can be known."""
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    return f"Prefect UI, flow run {run.name} ({run.id})" if run else "Prefect UI"


def ask(question: "Recorded", *, shown: str, seconds: float) -> Approval:
    """Suspend this flow run until the form is filled in; its second coming returns the answer. Raises Pause.

    A form without a reason counts as not filled in: it is shown again. `seconds`: then Prefect gives up.
    """
    form = Approval.with_initial_data(description=shown)
    for turn in count(1):
        try:
            answer = suspend_flow_run(wait_for_input=form, timeout=max(int(seconds), 1), key=f"{key(question)}-{turn}")
        except ValidationError:
            continue
        if answer.why.strip():
            return answer
    raise AssertionError  # count() does not end


def key(question: "Recorded") -> str:
    """By which the suspended flow runs of a question are known; of no other ledger's question."""
    return f"question-{question.seq}-{question.hash[:12]}"


def end_waiting(questions: "dict[str, str]") -> int:
    """End the flow runs that wait for questions (by `key`) which have their answer: completed, with how it was.

    Returns how many. Prefect is told, not asked: the ledger holds the answer, so a server that is away is no error.
    """
    if not questions or not connected():
        return 0
    wanted = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.PAUSED])))
    try:
        with get_client(sync_client=True) as client:
            found = client.read_flow_runs(flow_run_filter=wanted)
            waiting = [(run, how) for run in found if (how := _how(run, questions))]
            for run, how in waiting:
                client.set_flow_run_state(run.id, Completed(name="Answered", message=how), force=True)
            return len(waiting)
    except (httpx.HTTPError, PrefectException) as error:
        log.warning("flow runs that wait for an answer could not be ended: %s", error)
        return 0


def connected() -> bool:
    """Whether there is a Prefect server to talk to; none is started for it."""
    return FlowRunContext.get() is not None or bool(PREFECT_API_URL.value())


def _how(run: "FlowRun", questions: "dict[str, str]") -> str:
    """How the question was answered that the run waits for; "" when it waits for none of them."""
    asked = (run.state.state_details.pause_key or "") if run.state else ""
    return questions.get(asked.rpartition("-")[0], "")
