"""The files of a run in MLflow: the bundle, and what shows how the gate came to its verdict. Imports nothing of it."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from registry.mlflow_errors import gone, is_down
from validation.errors import RegistryError

_BUNDLE = "bundle"
_EVIDENCE = "gate"


def bundle_source(artifact_uri: str) -> str:
    """Where a version's bundle lies, below its run."""
    return f"{artifact_uri}/{_BUNDLE}"


def upload_bundle(client: Any, run_id: str, bundle: Path) -> None:
    """Every file of the bundle."""
    client.log_artifacts(run_id, os.fspath(bundle), _BUNDLE)


def upload_evidence(client: Any, run_id: str, evidence: Mapping[str, bytes]) -> None:
    """The files below `gate/`; those of an earlier look are replaced."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in evidence.items():
            (Path(folder) / name).write_bytes(content)
        if evidence:
            client.log_artifacts(run_id, folder, _EVIDENCE)


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
