"""A search in MLflow: one run for all its trials, below the run of the version that it has made. Imports nothing of it.

A run for each trial would take tens of seconds and bury the versions; as steps of one run, a hundred take a fifth of a
second, and MLflow draws them.
"""

import re
from collections.abc import Callable, Iterator
from math import inf, isfinite
from typing import Any

from registry.mlflow_files import log_all
from registry.mlflow_words import key
from registry.store import Study, Submission

_STUDY = "study"
_NOTE_CHARACTERS = 1_000


def tell_study(
    client: Any,
    submission: Submission,
    *,
    experiment: str,
    parent: str,
    metric: Callable[[str, float, int, int], Any],
) -> None:
    """Log the submission's search, if it has one, below the run `parent`; what was logged before is told again in the
    run that it has. `metric`: MLflow's, of name, value, moment and step.
    """
    study = submission.study
    if study is None:
        return
    run = _run(client, submission, study, experiment=experiment, parent=parent)
    began = int(run.info.start_time)  # the same moments again: nothing stands there twice
    points = [metric(name, value, began + step, step) for name, step, value in study_points(study)]
    log_all(client, run.info.run_id, metrics=points)
    client.set_terminated(run.info.run_id, status="FINISHED")


def study_points(study: Study) -> Iterator[tuple[str, int, float]]:
    """Name, step and value: each trial's loss, the best up to it, the winner's curves by round, and what it came to.

    A trial that was given up has no finite loss, and no point: MLflow would draw it as the largest number there is.
    """
    best = inf
    for number, loss in enumerate(study.losses):
        if isfinite(loss):
            best = min(best, loss)
            yield "trial_loss", number, loss
            yield "best_loss", number, best
    for name, points in study.curves.items():
        yield from ((key(name), step, value) for step, value in points)
    yield from ((key(name), 0, value) for name, value in study.metrics.items())


def _run(client: Any, submission: Submission, study: Study, *, experiment: str, parent: str) -> Any:
    name = re.sub(r"['\"]", "_", study.name)  # it stands between quotes
    tags = {
        "mlflow.parentRunId": parent,
        "mlflow.note.content": study.ended[:_NOTE_CHARACTERS],
        "intent": submission.intent,
        _STUDY: name,
    }
    known = client.search_runs([experiment], f"tags.{_STUDY} = '{name}'", max_results=1)
    if not known:
        return client.create_run(experiment, run_name=f"search: {name}", tags=tags)
    for tag, text in tags.items():
        client.set_tag(known[0].info.run_id, tag, text)
    return known[0]
