"""`andon.json`: what is known of a model besides its trees, its drift profile and its code; written and read back."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import polars as pl

from modelling.calibration import Calibration
from modelling.encoding import Encoding
from modelling.engine import Engine
from modelling.golden import Row, golden
from modelling.labels import Classes
from modelling.made import Made
from modelling.model import Model
from modelling.recipes import Recipe
from modelling.schema import dtype_name, parse_dtype
from modelling.spec import Features, Spec, Task
from validation.errors import DefinitionError, RegistryError
from validation.training_set import Description

FORMAT = 1


class BundleError(RegistryError):
    """A bundle is not whole, not the one that was asked for, or does not predict what it did when it was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """`andon.json`: all that is known of a model besides its trees, its drift profile and its code.

    `definition_hash`: the pipeline's fingerprint. `snapshot`: the identity of the training rows, `learned` what they
    are made of (None in older bundles). `holdout_loss`: mean loss on the rows that the gate judged by, if it judged.
    """

    format: int
    pipeline: str
    definition_hash: str
    snapshot: str
    holdout_loss: float | None
    task: Task
    metric: str
    key: tuple[str, ...]
    time: str
    target: str
    raw_schema: dict[str, str]
    encoding: Encoding
    classes: Classes
    recipe: Recipe
    trained_until: datetime
    golden_rows: tuple[Row, ...]
    golden_predictions: tuple[tuple[float, ...], ...]
    learned: Description | None = None
    calibration: Calibration | None = None
    made: Made | None = None


def describe(model: Model, rows: pl.DataFrame, **told: Any) -> Manifest:
    """The manifest of `model`, with golden rows out of `rows`; `told` are the fields that the model does not know."""
    golden_rows, golden_predictions = golden(model, rows)
    spec = model.spec
    return Manifest(
        format=FORMAT,
        task=spec.task,
        metric=spec.metric,
        key=spec.key,
        time=spec.time,
        target=spec.target,
        raw_schema={name: dtype_name(dtype) for name, dtype in spec.raw_schema.items()},
        encoding=model.encoding,
        classes=model.classes,
        recipe=model.recipe,
        trained_until=model.trained_until,
        golden_rows=golden_rows,
        golden_predictions=golden_predictions,
        calibration=model.calibration,
        made=model.made,
        **told,
    )


def to_model(manifest: Manifest, *, features: Features, engine: Engine) -> Model:
    """The model that the manifest describes; DefinitionError when it holds no column types, RegistryError when the
    engine takes other inputs.
    """
    if engine.features != len(manifest.encoding.columns):
        raise RegistryError(
            f"the trees ask {engine.features} inputs, the manifest has {len(manifest.encoding.columns)}"
        )
    spec = Spec(
        features=features,
        raw_schema={name: parse_dtype(text) for name, text in manifest.raw_schema.items()},
        key=manifest.key,
        time=manifest.time,
        target=manifest.target,
        task=manifest.task,
        metric=manifest.metric,
    )
    return Model(
        spec=spec,
        encoding=manifest.encoding,
        classes=manifest.classes,
        recipe=manifest.recipe,
        trained_until=manifest.trained_until,
        engine=engine,
        calibration=manifest.calibration,
        made=manifest.made,
    )


def to_json(manifest: Manifest) -> bytes:
    """The content of `andon.json`."""
    return msgspec.json.format(msgspec.json.encode(manifest))


def parse(content: bytes) -> Manifest:
    """The inverse of `to_json`; BundleError for anything that it does not write."""
    try:
        written = msgspec.json.decode(content, type=_Format).format
        if written != FORMAT:
            raise BundleError(f"the bundle has format {written}, this Andon reads {FORMAT}; train anew or update it")
        return msgspec.json.decode(content, type=Manifest)
    except (msgspec.MsgspecError, DefinitionError) as cause:
        raise BundleError(f"the bundle's andon.json cannot be read: {cause}; train anew") from cause


class _Format(msgspec.Struct):
    """What can be read of the manifest of any format."""

    format: int
