"""Name -> Pipeline: every file of the pipeline folders that defines `PIPELINE`. Loads files by path; keeps no state."""

import importlib.util
import logging
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from andon.pipeline import Pipeline
from validation.errors import DefinitionError

_LOG = logging.getLogger("andon")


def load(path: Path) -> Pipeline:
    """The pipeline that the file `path` defines; DefinitionError when it cannot be imported or defines none."""
    pipeline = getattr(load_module(path), "PIPELINE", None)
    if not isinstance(pipeline, Pipeline):
        raise DefinitionError(f"{path} must define PIPELINE = Pipeline(...), found {type(pipeline).__name__}")
    return pipeline


def load_module(path: Path) -> ModuleType:
    """The Python file as a module; DefinitionError when it cannot be imported."""
    name = f"andon_pipeline_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise DefinitionError(f"{path} is not a Python file; a pipeline is one file named like flights.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pandera resolves annotations through sys.modules
    try:
        spec.loader.exec_module(module)
    except DefinitionError as error:
        raise DefinitionError(f"{path}: {error}") from error
    except (Exception, SystemExit) as cause:  # whatever the author's file raises is the author's error
        raise DefinitionError(f"{path} cannot be imported: {type(cause).__name__}: {cause}; mend the file") from cause
    return module


def catalogue(folders: Iterable[Path]) -> dict[str, Pipeline]:
    """All pipelines of `folders` by name, sorted; DefinitionError when one of the files is wrong."""
    found, wrong = survey(folders)
    if wrong:
        raise wrong[0]
    return found


def survey(folders: Iterable[Path]) -> tuple[dict[str, Pipeline], tuple[DefinitionError, ...]]:
    """All pipelines of `folders` by name, sorted, and what is wrong with the other files.

    Files that start with "_" are left out. Of two pipelines with one name the first counts.
    """
    found: dict[str, Pipeline] = {}
    origin: dict[str, Path] = {}
    wrong: list[DefinitionError] = []
    for path in _files(folders):
        try:
            pipeline = load(path)
        except DefinitionError as error:
            wrong.append(error)
            continue
        first = origin.setdefault(pipeline.name, path)
        if first != path:
            wrong.append(DefinitionError(f"two pipelines are named {pipeline.name!r}: {first} and {path}; rename one"))
        found.setdefault(pipeline.name, pipeline)
    return dict(sorted(found.items())), tuple(wrong)


def loadable(folders: Iterable[Path]) -> dict[str, Pipeline]:
    """The pipelines whose files are right: one wrong file is told in the log and stops no other pipeline.

    DefinitionError when none is right.
    """
    found, wrong = survey(folders)
    for error in wrong:
        _LOG.error("left out: %s", error)
    if wrong and not found:
        raise wrong[0]
    return found


def find(name: str, folders: Iterable[Path]) -> Pipeline:
    """The pipeline called `name`; DefinitionError with the known names otherwise."""
    folders = tuple(folders)
    for folder in folders:
        path = folder / f"{name}.py"
        if path.is_file() and (pipeline := load(path)).name == name:
            return pipeline
    known, wrong = survey(folders)
    if name not in known and wrong:
        raise wrong[0]
    if name not in known:
        raise DefinitionError(f"there is no pipeline {name!r}; known are: {', '.join(known) or 'none'}")
    return known[name]


def _files(folders: Iterable[Path]) -> list[Path]:
    files = []
    for folder in folders:
        if not folder.is_dir():
            raise DefinitionError(f"the pipeline folder {folder} does not exist; correct ANDON_PIPELINES")
        files += sorted(path for path in folder.glob("*.py") if not path.name.startswith("_"))
    return files
