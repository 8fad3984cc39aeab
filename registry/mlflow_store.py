"""The model store on MLflow, and the only file that imports it (4 s, hence inside functions).

One experiment and one registered model per pipeline, one run per challenger. What stands here is a projection: MLflow's
tags and aliases can be edited by anyone, so nothing is decided from them.
"""

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError

from registry.mlflow_words import dataset_words, key, tags
from registry.store import Submission
from validation.errors import NoChampionError, RegistryError, ServiceDownError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_FOLDER = "bundle"
_TRIAL = "trial_loss"
_BATCH = {"metrics": 1_000, "params": 100, "tags": 100}  # the most that one call of MLflow takes
_NOTE = "mlflow.note.content"
_CONTEXT = "mlflow.data.context"
_DESCRIPTION_CHARACTERS = 5_000
_DOWN = {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "DEADLINE_EXCEEDED", "REQUEST_LIMIT_EXCEEDED"}
_ENVIRONMENT = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",  # a dead server is told after seconds, not after minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


class MlflowStore:
    """Keeps the promises of `ModelStore`. `artifacts`: folder of the models, unless a server at `uri` keeps its own."""

    def __init__(self, uri: str, artifacts: Path) -> None:
        self._uri = uri
        self._artifacts = artifacts

    def register(self, submission: Submission) -> str:
        """Log the challenger's run and create the version from it: about 0.2 s."""
        with self._answering(), self._run(submission) as run:
            self._log(run, submission)
            with _existing_is_fine():
                self._client.create_registered_model(submission.pipeline)
            created = self._client.create_model_version(
                submission.pipeline,
                source=f"{run.info.artifact_uri}/{_FOLDER}",
                run_id=run.info.run_id,
                tags=tags(submission),
                description=submission.notes[:_DESCRIPTION_CHARACTERS],
            )
            version = str(created.version)
            self._client.set_registered_model_alias(submission.pipeline, "challenger", version)
            return version

    def find(self, pipeline: str, *, intent: str) -> str | None:
        """The newest of the versions whose tag `intent` says so."""
        with self._answering():
            versions = self._client.search_model_versions(f"name = '{pipeline}'")
            found = [int(item.version) for item in versions if item.tags.get("intent") == intent]
            return str(max(found)) if found else None

    def fetch(self, pipeline: str, version: str, *, into: Path) -> Path:
        """Download beside `into`, then rename: the folder is there completely or not at all."""
        if into.exists():
            raise RegistryError(f"{into} is there already; fetch a bundle into a new folder")
        with self._answering(), _missing_is_no_champion(pipeline, version):
            run_id = self._client.get_model_version(pipeline, version).run_id
        into.parent.mkdir(parents=True, exist_ok=True)
        with self._answering(), tempfile.TemporaryDirectory(dir=into.parent, prefix=".fetch-") as beside:
            self._download(run_id, Path(beside), what=f"version {version} of {pipeline!r}").rename(into)
        return into

    def project(self, pipeline: str, version: str | None) -> None:
        """Set or remove the alias; last write wins, so only what the ledger says may be written."""
        with self._answering():
            if version is None:
                with _missing_is_fine():
                    self._client.delete_registered_model_alias(pipeline, "champion")
            else:
                with _missing_is_no_champion(pipeline, version):
                    self._client.set_registered_model_alias(pipeline, "champion", version)

    def projected(self, pipeline: str) -> str | None:
        """What the alias says, moved by hand or not."""
        with self._answering(), _missing_is_fine():
            alias = self._client.get_registered_model(pipeline).aliases.get("champion")
            return None if alias is None else str(alias)
        return None

    @cached_property
    def _client(self) -> "MlflowClient":
        _quieten()
        _check_database(self._uri)
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self._uri, registry_uri=self._uri)

    def _experiment(self, pipeline: str) -> str:
        found = self._client.get_experiment_by_name(pipeline)
        if found is None:
            place = None if self._uri.startswith("http") else (self._artifacts / pipeline).absolute().as_uri()
            with _existing_is_fine():
                return self._client.create_experiment(pipeline, artifact_location=place)
            return self._experiment(pipeline)
        if found.lifecycle_stage == "deleted":  # by hand, in MLflow's UI
            self._client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    @contextmanager
    def _run(self, submission: Submission) -> Iterator["Run"]:
        name = f"{submission.verdict}: {submission.intent}-{submission.attempt}"
        run = self._client.create_run(self._experiment(submission.pipeline), run_name=name)
        status = "FAILED"
        try:
            yield run
            status = "FINISHED"
        finally:
            self._client.set_terminated(run.info.run_id, status=status)

    def _log(self, run: "Run", submission: Submission) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

        now = int(time() * 1_000)
        metrics = [Metric(key(name), value, now, 0) for name, value in submission.metrics.items()]
        metrics += [Metric(_TRIAL, loss, now, step) for step, loss in enumerate(submission.trials)]
        shown = {**submission.tags, **tags(submission), _NOTE: submission.notes}
        content: dict[str, list[Any]] = {
            "metrics": metrics,
            "params": [Param(key(name), str(value)) for name, value in submission.params.items()],
            "tags": [RunTag(key(name), value) for name, value in shown.items()],
        }
        for kind, items in content.items():
            for start in range(0, len(items), _BATCH[kind]):
                part: dict[str, Any] = {kind: items[start : start + _BATCH[kind]]}
                self._client.log_batch(run.info.run_id, **part)
        if submission.learned is not None:
            told = DatasetInput(Dataset(**dataset_words(submission.learned)), [InputTag(_CONTEXT, "training")])
            self._client.log_inputs(run.info.run_id, datasets=[told])
        self._client.log_artifacts(run.info.run_id, os.fspath(submission.bundle), _FOLDER)

    def _download(self, run_id: str | None, beside: Path, *, what: str) -> Path:
        from mlflow.exceptions import MlflowException

        if not run_id:
            raise RegistryError(f"{what} was not registered by Andon and holds no bundle; promote another version")
        try:
            found = Path(self._client.download_artifacts(run_id, _FOLDER, os.fspath(beside)))
        except (MlflowException, FileNotFoundError) as error:
            if getattr(error, "error_code", "") in _DOWN and self._uri.startswith("http"):
                raise
            raise RegistryError(f"the bundle of {what} is gone from MLflow; restore its folder of artifacts") from error
        return found

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """ServiceDownError or RegistryError, without the password, for whatever MLflow raises."""
        _quieten()
        from mlflow.exceptions import MlflowException

        parts = urlsplit(self._uri)
        secret = f"{parts.username}:{parts.password}@" if parts.password else ""
        place = self._uri.replace(secret, "") if secret else self._uri
        try:
            yield
        except (MlflowException, DBAPIError, OSError) as error:
            cause = (str(error).replace(secret, "") if secret else str(error)).split("\n")[0][:300]
            shown = None if secret else error
            if isinstance(error, MlflowException) and error.error_code not in _DOWN:
                raise RegistryError(f"MLflow at {place} refused: {cause}; look at it in MLflow's UI") from shown
            raise ServiceDownError(
                f"MLflow at {place} does not answer: {cause}; start it, or correct ANDON_MLFLOW_URI"
            ) from shown


def _quieten() -> None:
    """No telemetry, no emojis, no pickles; what the operator has set stays."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def _check_database(uri: str) -> None:
    """Fail at once where MLflow would try for 100 s to reach a database server."""
    if urlsplit(uri).scheme.startswith(("postgresql", "mysql")):
        engine = create_engine(uri, connect_args={"connect_timeout": 10})
        try:
            engine.connect().close()
        finally:
            engine.dispose()


@contextmanager
def _swallow(code: str) -> Iterator[None]:
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code != code:
            raise


def _existing_is_fine() -> AbstractContextManager[None]:
    return _swallow("RESOURCE_ALREADY_EXISTS")


def _missing_is_fine() -> AbstractContextManager[None]:
    return _swallow("RESOURCE_DOES_NOT_EXIST")


@contextmanager
def _missing_is_no_champion(pipeline: str, version: str) -> Iterator[None]:
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise NoChampionError(
            f"{pipeline!r} has no version {version} in MLflow; see which there are: andon history {pipeline}"
        ) from error
