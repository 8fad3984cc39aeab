"""What a worker makes of a bundle besides its answers: the log."""

from dataclasses import replace
from pathlib import Path

from andon.settings import Settings
from modelling import bundle
from serving.loading import Loader
from tests.unit.test_loadcheck import bundled


def test_a_log_is_shared_by_bundles_of_one_task_and_schema_only(tmp_path: Path) -> None:
    """The answers of a segment are one column: a number and a list of them make it unreadable."""
    bundled(tmp_path / "bundle")
    binary = bundle.load(tmp_path / "bundle")
    multiclass = replace(binary, manifest=replace(binary.manifest, task="multiclass"))
    loader = Loader(Settings(home=tmp_path))
    try:
        logs = [loader._log("rides", loaded) for loaded in (binary, multiclass, replace(binary, sha256="0" * 64))]
        assert logs[0] is logs[2] is not logs[1]
    finally:
        loader.close()
