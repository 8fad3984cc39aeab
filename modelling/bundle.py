"""A model as a folder of files: what the registry stores, the ledger names by its sha256 and the scorer loads.

`model.txt` (LightGBM's text), `andon.json` (the manifest), `profile.json` (drift's reference) and `definition.py` (the
pipeline's module: this version's own `features`); `estimator.json` (what estimates its performance before labels come)
where there is one. A bundle is written once, whole, and never changed.
"""

import hashlib
import math
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.engine import ENOUGH_FOR_BLOCKS, Array, Engine
from modelling.golden import TOLERANCE, alone, as_table, deviation, from_json
from modelling.manifest import BundleError, Manifest, describe, parse, to_json, to_model
from modelling.model import Model
from modelling.plain import Answers, Plain, plain
from validation.errors import DefinitionError, RegistryError
from validation.serving import Serving
from validation.training_set import Description

__all__ = ["FILES", "OPTIONAL", "Bundle", "BundleError", "Manifest", "digest", "load", "write"]

FILES = ("andon.json", "definition.py", "model.txt", "profile.json")
OPTIONAL = ("estimator.json",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A loaded bundle, ready to predict. `definition`: its own Pipeline (which this package does not know)."""

    sha256: str
    manifest: Manifest
    model: Model
    profile_json: str
    estimator_json: str | None = None
    definition: Any
    plain: Plain
    refuses: bool

    def predict(self, raw: pl.DataFrame, *, threads: int = 1) -> NDArray[np.float64]:
        """See `Model.predict`; `raw` holds the contract's columns, others are ignored.

        Refuses no level, whatever `serving` says: these rows were accepted by the contract, and all get an answer.
        """
        return self.model.predict(raw, threads=threads)

    def predict_values(self, columns: Sequence[Sequence[Any]]) -> Answers:
        """Predictions for plain values: `columns` in the order of `raw_schema`, each with one value per row (n >= 1).

        Values are as a request's Rows have them, and certain to fit their column's type. UnknownLevelError where the
        definition refuses levels that are not the model's. Any thread may call it.
        """
        return self.plain.predict(columns, refuse=self.refuses)

    @property
    def is_direct(self) -> bool:
        """Whether `predict_values` needs no frame, and so next to no time besides the trees'."""
        return self.plain.way is not None

    @property
    def serving(self) -> Serving:
        """How the definition wants single requests to be answered; an older one has the defaults."""
        return _serving(self.definition)

    def inputs(self, raw: pl.DataFrame) -> pl.DataFrame:
        """See `Model.inputs`."""
        return self.model.inputs(raw)

    def labels(self, frame: pl.DataFrame) -> NDArray[np.float64]:
        """See `Model.labels`."""
        return self.model.labels(frame)

    @property
    def raw_schema(self) -> Mapping[str, pl.DataType]:
        """The raw columns and their types, as this version's contract asked for them."""
        return self.model.spec.raw_schema

    def verify(self) -> None:
        """Predict the golden rows in each way of asking; BundleError unless they get the stored predictions.

        Afterwards everything that requests need is loaded.
        """
        rows = from_json(self.manifest.golden_rows, self.raw_schema)
        expected = np.array(self.manifest.golden_predictions)
        for how, found, wanted in self._golden(rows, expected):
            if (worst := deviation(found, wanted)) > TOLERANCE:
                raise BundleError(
                    f"bundle {self.sha256[:12]} predicts its golden rows ({how}) {worst:.2g} away from what was "
                    "stored: these libraries compute something else; install requirements.lock or train anew"
                )

    def _golden(self, rows: pl.DataFrame, expected: NDArray[np.float64]) -> Iterator[tuple[str, Array, Array]]:
        """Each way of asking, with what was found and what should be."""
        values = [series.to_list() for series in rows.select(*self.raw_schema)]
        yield "together", as_table(self.predict(rows)), expected
        yield "alone", alone(self.model, rows), expected
        yield "as values", _table(self.plain.predict(values, refuse=False)), expected
        singly = [self.plain.predict([[value[row]] for value in values], refuse=False) for row in range(rows.height)]
        yield "as values alone", np.vstack([_table(answer) for answer in singly]), expected
        many = -(-ENOUGH_FOR_BLOCKS // rows.height)
        yield "among many", as_table(self.predict(pl.concat([rows] * many))), np.tile(expected, (many, 1))


def write(  # noqa: PLR0913  # the parts of a bundle, each by its name
    folder: Path,
    *,
    model: Model,
    pipeline: str,
    definition: str,
    definition_hash: str,
    snapshot: str,
    rows: pl.DataFrame,
    profile_json: str,
    estimator_json: str | None = None,
    holdout_loss: float | None = None,
    learned: Description | None = None,
) -> str:
    """Write the bundle into the new `folder` and return its sha256; a half-written one is never seen there.

    `rows`: raw rows (at least one), of which the golden ones are taken. `definition`: the pipeline module's source.
    `estimator_json`: what estimates this model's performance; None writes no such file. `learned`: what the snapshot is
    made of.
    """
    manifest = describe(
        model,
        rows,
        pipeline=pipeline,
        definition_hash=definition_hash,
        snapshot=snapshot,
        holdout_loss=holdout_loss if holdout_loss is not None and math.isfinite(holdout_loss) else None,
        learned=learned,
    )
    contents = {
        "andon.json": to_json(manifest),
        "definition.py": definition.encode(),
        "model.txt": model.text.encode(),
        "profile.json": profile_json.encode(),
    }
    if estimator_json is not None:
        contents["estimator.json"] = estimator_json.encode()
    _write_whole(folder, contents)
    return _digest(contents)


def digest(folder: Path) -> str:
    """The sha256 over names and contents of the bundle's files; BundleError unless it holds these, and no other."""
    return _digest(_read(folder))


def load(folder: Path, *, sha256: str | None = None) -> Bundle:
    """Read a bundle and run its `definition.py`; with `sha256`, only after the bytes proved to be these.

    What is checked, executed and parsed are the same bytes, read once. BundleError for anything unexpected.
    """
    contents = _read(folder)
    found = _digest(contents)
    if sha256 is not None and found != sha256:
        raise BundleError(f"bundle {folder} has sha256 {found[:12]}, expected {sha256[:12]}: fetch it again")
    manifest = parse(contents["andon.json"])
    module = _execute(contents["definition.py"], name=f"andon_bundle_{found[:12]}", path=folder / "definition.py")
    try:
        definition, engine = module.PIPELINE, Engine.from_text(contents["model.txt"].decode())
        model = to_model(manifest, features=definition.features, engine=engine)
        answering = plain(model, from_json(manifest.golden_rows, model.spec.raw_schema))
        profile_json, estimator = contents["profile.json"].decode(), contents.get("estimator.json")
        estimator_json = None if estimator is None else estimator.decode()
    except (AttributeError, UnicodeDecodeError, RegistryError, DefinitionError) as cause:
        raise BundleError(f"bundle {folder} is damaged: {cause}; train anew") from cause
    return Bundle(
        sha256=found,
        manifest=manifest,
        model=model,
        profile_json=profile_json,
        estimator_json=estimator_json,
        definition=definition,
        plain=answering,
        refuses=_serving(definition).on_unknown == "refuse",
    )


def _serving(definition: Any) -> Serving:
    return getattr(definition, "serving", None) or Serving()


def _table(answers: Answers) -> NDArray[np.float64]:
    return as_table(np.array(answers))


def _write_whole(folder: Path, contents: Mapping[str, bytes]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for name, content in contents.items():
            (beside / name).write_bytes(content)
        beside.chmod(0o755)  # mkdtemp's folder is the writer's alone
        beside.replace(folder)
    except OSError as cause:
        shutil.rmtree(beside, ignore_errors=True)
        raise BundleError(f"cannot write the bundle {folder}: {cause}; give a new folder with enough space") from cause


def _read(folder: Path) -> dict[str, bytes]:
    if folder.is_symlink() or not folder.is_dir():
        raise BundleError(f"there is no bundle {folder}; fetch it from the registry")
    entries = {entry.name: entry for entry in sorted(folder.iterdir())}
    if odd := [name for name, entry in entries.items() if entry.is_symlink() or not entry.is_file()]:
        raise BundleError(f"{folder / odd[0]} is not a plain file; fetch the bundle again")
    if not set(FILES) <= set(entries) <= {*FILES, *OPTIONAL}:
        found = ", ".join(entries) or "nothing"
        raise BundleError(f"a bundle holds {', '.join(FILES)}; {folder} holds {found}; fetch it again")
    return {name: entry.read_bytes() for name, entry in entries.items()}


def _digest(contents: Mapping[str, bytes]) -> str:
    lines = [f"{name} {hashlib.sha256(contents[name]).hexdigest()}\n" for name in sorted(contents)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _execute(source: bytes, *, name: str, path: Path) -> ModuleType:
    """Run the definition as the module `name`.

    NOTE: not by an import loader: that would leave a __pycache__ in the bundle, and read the file a second time.
    """
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # pandera resolves annotations through sys.modules
    try:
        exec(compile(source, path, "exec"), module.__dict__)  # noqa: S102  # the bytes that the sha256 vouches for
    except (Exception, SystemExit) as cause:  # whatever the author's module raises, the bundle is of no use
        del sys.modules[name]
        raise BundleError(f"{path} cannot be executed: {type(cause).__name__}: {cause}; train anew") from cause
    return module
