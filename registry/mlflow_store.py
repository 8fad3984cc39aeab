"""The model store on MLflow, and the only file that imports it (4 s, hence inside functions).

One experiment and one registered model per pipeline, one run per challenger. What stands here is a projection: MLflow's
tags and aliases can be edited by anyone, so nothing is decided from them.
"""

import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from itertools import product
from pathlib import Path
from time import time
from typing import TYPE_CHECKING

from registry import mlflow_words as words
from registry.mlflow_errors import answering, deleted_is_fine, existing_is_fine, missing_is_fine, missing_is_no_champion
from registry.mlflow_files import bundle_source, download_bundle, log_all, upload_bundle, upload_files, with_evidence
from registry.mlflow_setup import check_database, quieten
from registry.mlflow_study import tell_study
from registry.store import ABANDONED, Shown, Submission
from validation.errors import RegistryError
from validation.failpoints import reached

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel

_RUNNING = "RUNNING"


class MlflowStore:
    """Keeps the promises of `ModelStore`. `artifacts`: folder of the models, unless a server at `uri` keeps its own."""

    def __init__(self, uri: str, artifacts: Path) -> None:
        self._uri = uri
        self._artifacts = artifacts

    def register(self, submission: Submission) -> str:
        """Log the challenger's run and create the version from it: about 0.2 s."""
        with answering(self._uri):
            known = self._known(submission)
            version = self._again(known, submission) if known else self._new(submission)
            reached("store.version_created")
            self._client.set_registered_model_alias(submission.pipeline, "challenger", version)
            reached("store.aliased")
            return version

    def find(self, pipeline: str, *, intent: str) -> str | None:
        """The newest of the versions whose tag `intent` says so."""
        with answering(self._uri):
            found = [int(item.version) for item in self._versions(pipeline) if item.tags.get("intent") == intent]
            return str(max(found)) if found else None

    def fetch(self, pipeline: str, version: str, *, into: Path) -> Path:
        """Download beside `into`, then rename: the folder is there completely or not at all."""
        if into.exists():
            raise RegistryError(f"{into} is there already; fetch a bundle into a new folder")
        with answering(self._uri), missing_is_no_champion(pipeline, version):
            run_id = self._client.get_model_version(pipeline, version).run_id
        into.parent.mkdir(parents=True, exist_ok=True)
        with answering(self._uri), tempfile.TemporaryDirectory(dir=into.parent, prefix=".fetch-") as beside:
            what, remote = f"version {version} of {pipeline!r}", self._uri.startswith("http")
            download_bundle(self._client, run_id, Path(beside), what=what, remote=remote).rename(into)
        return into

    def project(self, pipeline: str, version: str | None) -> None:
        """Set or remove the alias; last write wins, so only what the ledger says may be written."""
        with answering(self._uri):
            if version is None:
                with missing_is_fine():
                    self._client.delete_registered_model_alias(pipeline, "champion")
            else:
                with missing_is_no_champion(pipeline, version):
                    self._client.set_registered_model_alias(pipeline, "champion", version)

    def projected(self, pipeline: str) -> str | None:
        """What the alias says, moved by hand or not."""
        with answering(self._uri):
            return self._alias(pipeline, "champion")

    def shown(self, pipeline: str) -> Shown:
        """Two queries, however many versions there are."""
        with answering(self._uri):
            model = self._model(pipeline)
            tags = {str(item.version): words.told(item.tags) for item in self._versions(pipeline)}
            return Shown(story=(model.description if model else None) or "", tags=tags)

    def tell(self, pipeline: str, version: str, *, tags: Mapping[str, str], notes: str | None = None) -> None:
        """Read the version, then write what differs; its run shows the same in the list of runs."""
        with answering(self._uri):
            with missing_is_no_champion(pipeline, version):
                there = self._client.get_model_version(pipeline, version)
            new, gone = words.changes(there.tags, tags)
            for name, value in new.items():
                self._client.set_model_version_tag(pipeline, version, name, value)
            if words.STATUS in new and there.run_id:
                with deleted_is_fine():
                    self._client.set_tag(there.run_id, words.STATUS, new[words.STATUS])
            for name in gone:
                self._client.delete_model_version_tag(pipeline, version, name)
            if notes is not None:
                self._client.update_model_version(pipeline, version, words.description(notes))

    def describe(self, pipeline: str, text: str) -> None:
        """The registered model's description."""
        with answering(self._uri), missing_is_fine():
            self._client.update_registered_model(pipeline, words.description(text))

    def attach(self, pipeline: str, version: str, files: Mapping[str, bytes]) -> str:
        """Beside the bundle, below the version's run; the page is MLflow's own, where a server shows one."""
        with answering(self._uri), missing_is_no_champion(pipeline, version):
            run_id = self._client.get_model_version(pipeline, version).run_id
            return upload_files(self._client, run_id, files, uri=self._uri)

    def abandoned(self, pipeline: str, *, judged: Collection[str], mark: bool = True) -> tuple[str, ...]:
        """Each mark is a write of its own: a sweep that is interrupted is continued by the next one."""
        with answering(self._uri):
            runs, versions = self._running(pipeline), list(self._versions(pipeline))
            left = [item for item in versions if words.is_left(str(item.version), item.tags, judged)]
            to = words.newest((str(item.version) for item in versions), among=judged)
            for run in runs if mark else ():
                self._client.set_terminated(run.info.run_id, status="KILLED")
            for item, name in product(left, (words.STATUS, "verdict")) if mark else ():
                self._client.set_model_version_tag(pipeline, str(item.version), name, ABANDONED)
            moved = alias if (alias := self._alias(pipeline, "challenger")) not in judged else None
            if moved and mark and to:
                self._client.set_registered_model_alias(pipeline, "challenger", to)
            elif moved and mark:
                self._client.delete_registered_model_alias(pipeline, "challenger")
        return (
            *(words.left_run(pipeline, str(run.info.run_name)) for run in runs),
            *(words.left_version(pipeline, str(item.version), item.tags) for item in left),
            *([words.moved_challenger(pipeline, moved, to)] if moved else []),
        )

    @cached_property
    def _client(self) -> "MlflowClient":
        quieten()
        check_database(self._uri)
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self._uri, registry_uri=self._uri)

    def _model(self, pipeline: str) -> "RegisteredModel | None":
        with missing_is_fine():
            return self._client.get_registered_model(pipeline)
        return None

    def _alias(self, pipeline: str, name: str) -> str | None:
        model = self._model(pipeline)
        return str(model.aliases[name]) if model and name in model.aliases else None

    def _versions(self, pipeline: str) -> "Iterator[ModelVersion]":
        token = None
        while True:
            page = self._client.search_model_versions(f"name = '{pipeline}'", page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _running(self, pipeline: str) -> "list[Run]":
        """Runs of ours that have not ended; a person's own in the same experiment are left alone."""
        experiment = self._client.get_experiment_by_name(pipeline)
        if experiment is None:
            return []
        runs = self._client.search_runs([experiment.experiment_id], f"attributes.status = '{_RUNNING}'")
        return [run for run in runs if "intent" in run.data.tags]

    def _known(self, submission: Submission) -> "ModelVersion | None":
        """The newest version of the same bundle for the same intent."""
        same = {"intent": submission.intent, "sha256": submission.bundle_sha256}
        found = [item for item in self._versions(submission.pipeline) if same.items() <= item.tags.items()]
        return max(found, key=lambda item: int(item.version), default=None)

    def _again(self, known: "ModelVersion", submission: Submission) -> str:
        """Tell what is known now of a version that is there; its run may have died before it ended."""
        version, run_id = str(known.version), str(known.run_id)
        self._tell_run(run_id, submission)
        if self._client.get_run(run_id).info.status == _RUNNING:
            self._client.set_terminated(run_id, status="FINISHED")
        for name, value in words.tags(submission).items():
            self._client.set_model_version_tag(submission.pipeline, version, name, value)
        self._client.update_model_version(submission.pipeline, version, words.description(submission.notes))
        return version

    def _new(self, submission: Submission) -> str:
        with self._run(submission) as run:
            reached("store.run_created")
            self._log(run, submission)
            reached("store.logged")
            with existing_is_fine():
                self._client.create_registered_model(submission.pipeline)
            created = self._client.create_model_version(
                submission.pipeline,
                source=bundle_source(str(run.info.artifact_uri)),
                run_id=run.info.run_id,
                tags=words.tags(submission),
                description=words.description(submission.notes),
            )
            return str(created.version)

    def _experiment(self, pipeline: str) -> str:
        found = self._client.get_experiment_by_name(pipeline)
        if found is None:
            place = None if self._uri.startswith("http") else (self._artifacts / pipeline).absolute().as_uri()
            with existing_is_fine():
                return self._client.create_experiment(pipeline, artifact_location=place)
            return self._experiment(pipeline)
        if found.lifecycle_stage == "deleted":  # by hand, in MLflow's UI
            self._client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    @contextmanager
    def _run(self, submission: Submission) -> Iterator["Run"]:
        """A run that says from its first moment whose it is: one that is killed in the middle is found by that."""
        experiment, name = self._experiment(submission.pipeline), words.run_name(submission)
        run = self._client.create_run(experiment, run_name=name, tags=words.tags(submission))
        status = "FAILED"
        try:
            yield run
            status = "FINISHED"
        finally:
            self._client.set_terminated(run.info.run_id, status=status)

    def _log(self, run: "Run", submission: Submission) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag, Param

        run_id, told = run.info.run_id, submission.params.items()
        log_all(self._client, run_id, params=[Param(words.key(name), str(value)) for name, value in told])
        if submission.learned is not None:
            dataset = Dataset(**words.dataset_words(submission.learned))
            inputs = [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])]
            self._client.log_inputs(run_id, datasets=inputs)
        upload_bundle(self._client, run_id, submission.bundle)
        self._tell_run(run_id, submission)

    def _tell_run(self, run_id: str, submission: Submission) -> None:
        """What the gate says; another look says something else of the same bundle."""
        from mlflow.entities import Metric, RunTag

        now = int(time() * 1_000)
        metrics = [Metric(words.key(name), value, now, 0) for name, value in submission.metrics.items()]
        tags = [RunTag(words.key(name), text) for name, text in words.run_tags(submission)]
        log_all(self._client, run_id, metrics=metrics, tags=tags)
        upload_files(self._client, run_id, with_evidence(submission.files, submission.evidence), uri="")
        experiment = self._experiment(submission.pipeline)
        tell_study(self._client, submission, experiment=experiment, parent=run_id, metric=Metric)
