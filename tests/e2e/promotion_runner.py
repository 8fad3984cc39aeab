"""Flows, answers and scorers in processes that are killed. Run as a module it serves `Runner` (promotion_world.py):
each act is done by a process of its own, forked from one that has imported everything, which takes seconds, and done
nothing.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import lightgbm  # noqa: F401  # what follows is imported for the processes to come
import mlflow  # noqa: F401
import optuna  # noqa: F401
import uvicorn.protocols.http.httptools_impl  # noqa: F401
import uvloop  # noqa: F401

from demo.stage import in_process_flows
from flows.ingest import ingest
from flows.monitor import monitor
from flows.reconcile import reconcile
from flows.retrain import retrain
from flows.rollback import rollback
from flows.score import score
from serving import scorer
from serving.loading import Loader  # noqa: F401
from tasks.site import open_sites
from validation.verdict import Verdict

FLOWS: dict[str, Callable[..., Any]] = {
    "ingest": ingest,
    "monitor": monitor,
    "reconcile": reconcile,
    "retrain": retrain,
    "rollback": rollback,
    "score": score,
}


def answer(pipeline: str, as_of: datetime, *, approve: bool) -> Verdict:  # noqa: ARG001 - as all acts
    """As `andon approve|reject` does it."""
    from tasks import approval

    (site,) = open_sites(pipeline)
    question = approval.open_question(site)
    assert question is not None, "nobody was asked"
    return approval.answer_question(site, question, approve=approve, why="seen by a test")


def call(name: str, pipeline: str, as_of: datetime, **more: Any) -> Any:
    """Call a flow as `andon` does, in this process."""
    with in_process_flows():
        return FLOWS[name](pipeline, as_of=as_of, **more)


def _act(asked: dict[str, Any]) -> Any:
    for name in [name for name in os.environ if name.startswith("ANDON_")]:
        del os.environ[name]
    os.environ.update(asked["env"])
    act, more = asked["act"], asked["more"]
    if act == "scorer":
        return scorer.main(["--port", "0", "--pipeline", asked["pipeline"]])
    as_of = datetime.fromisoformat(asked["as_of"])
    found = answer(asked["pipeline"], as_of, **more) if act == "answer" else call(act, asked["pipeline"], as_of, **more)
    verdicts = (found,) if isinstance(found, Verdict) else found
    return [[item.kind, item.subject, item.outcome, *item.reasons] for item in verdicts]


def _begin(asked: dict[str, Any]) -> int:
    child = os.fork()
    if child:
        return child
    log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    code = 1
    try:
        Path(asked["answer"]).write_text(json.dumps(_act(asked)))
        code = 0
    except BaseException:  # noqa: BLE001 - for the test to look at
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _serve(requests: Iterator[str]) -> None:
    for line in requests:
        asked = json.loads(line)
        if asked["do"] == "begin":
            told: object = _begin(asked)
        else:
            told = os.waitstatus_to_exitcode(os.waitpid(asked["pid"], 0)[1])
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve(iter(sys.stdin.readline, ""))
