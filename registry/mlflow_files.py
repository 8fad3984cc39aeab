"""What a run in MLflow holds: the bundle, what shows how the gate came to its verdict, the pages of the monitor, lists
of numbers. Imports nothing of it.
"""

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from registry.mlflow_errors import gone, is_down
from validation.errors import RegistryError

_BUNDLE = "bundle"
_EVIDENCE = "gate"
_BATCH = {"metrics": 1_000, "params": 100, "tags": 100}  # the most that one call of MLflow takes


def bundle_source(artifact_uri: str) -> str:
    """Where a version's bundle lies, below its run."""
    return f"{artifact_uri}/{_BUNDLE}"


def upload_bundle(client: Any, run_id: str, bundle: Path) -> None:
    """Every file of the bundle."""
    client.log_artifacts(run_id, os.fspath(bundle), _BUNDLE)


def with_evidence(files: Mapping[str, bytes], evidence: Mapping[str, bytes]) -> dict[str, bytes]:
    """`files`, and those that show how the gate came to its verdict, in a folder of their own."""
    return {**{f"{_EVIDENCE}/{name}": content for name, content in evidence.items()}, **files}


def upload_files(client: Any, run_id: str | None, files: Mapping[str, bytes], *, uri: str) -> str:
    """Files below the run, in one upload; the address of the run's files at a server, "" where MLflow is a database."""
    check_names(files)
    if not run_id:
        raise RegistryError(
            "the version was not registered by Andon and has no run to put files into; promote another one"
        )
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if files:
            client.log_artifacts(run_id, folder)
    if not uri.startswith("http"):
        return ""
    return f"{uri.rstrip('/')}/#/experiments/{client.get_run(run_id).info.experiment_id}/runs/{run_id}/artifacts"


def check_names(files: Mapping[str, bytes]) -> None:
    """RegistryError for a file that would lie elsewhere than beside the bundle."""
    for name in files:
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts or parts[0] == _BUNDLE:
            raise RegistryError(f"a file beside a bundle must have a name like windows/2013-06-03.html, got {name!r}")


def log_all(client: Any, run_id: str, **lists: Sequence[Any]) -> None:
    """`metrics`, `params` or `tags` of a run, however many there are."""
    for kind, items in lists.items():
        for start in range(0, len(items), _BATCH[kind]):
            part: dict[str, Any] = {kind: items[start : start + _BATCH[kind]]}
            client.log_batch(run_id, **part)


def download_bundle(client: Any, run_id: str | None, beside: Path, *, what: str, remote: bool) -> Path:
    """The bundle, below the folder `beside`; RegistryError when it is gone."""
    if not run_id:
        raise RegistryError(f"{what} was not registered by Andon and holds no bundle; promote another version")
    try:
        return Path(client.download_artifacts(run_id, _BUNDLE, os.fspath(beside)))
    except Exception as error:
        if not gone(error) or (remote and is_down(error)):
            raise
        raise RegistryError(f"the bundle of {what} is gone from MLflow; restore its folder of artifacts") from error
