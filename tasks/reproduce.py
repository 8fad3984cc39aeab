"""Making a model again, of its snapshot, by its own definition, recipe, seed and threads; and saying what differs.

Writes nothing, and asks no clock: what is made again is what the bundle says of itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl

from modelling.bundle import Bundle
from modelling.golden import TOLERANCE
from modelling.made import Made, libraries
from modelling.model import Model
from modelling.prepared import restored
from modelling.refitting import fitted
from storage.snapshot import Snapshot
from tasks.apart import apart, ready
from tasks.champions import bundle_folder
from tasks.descriptions import describe, differences
from tasks.site import Site
from tasks.taking import take_again
from validation.errors import RefusedError
from validation.training_set import Description

_ASKED = 5_000  # rows, evenly out of the training rows, whose predictions are compared

Outcome = Literal["identical bytes", "same predictions", "different"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """How a version compares with what was made again. "same predictions": other bytes, but on `asked` of the training
    rows no prediction is further `apart` than what two libraries' rounding explains.

    `differences`: what was not as it had been: the rows, libraries, the model's parts. `rows` it learned from.
    """

    pipeline: str
    version: str
    outcome: Outcome
    rows: int
    asked: int
    apart: float
    differences: tuple[str, ...]


def reproduce(site: Site, version: str, found: Bundle) -> Reproduction:
    """Make `found`, the bundle of `version`, again. RefusedError where the bundle does not say how it was made, or the
    lake holds none of its rows any more; TrainingFailedError when the training process fails.
    """
    learned, made = _told(version, found)
    then = replace(site, pipeline=found.definition)
    taken = take_again(then, learned)
    if taken is None or not taken.rows.height:
        raise RefusedError(f"the rows that version {version} learned from are not in the lake any more; restore them")
    rows = _training_rows(taken, found, made)
    if rows.is_empty():
        raise RefusedError(f"of the rows that version {version} learned from none is in the lake; restore them")
    again = _made_again(then, found, made, rows)
    asked = rows.gather_every(-(-rows.height // _ASKED))
    apart = _apart(found.model.predict(asked), again.predict(asked))
    return Reproduction(
        pipeline=site.name,
        version=version,
        outcome=_outcome(found.model, again, apart),
        rows=rows.height,
        asked=asked.height,
        apart=apart,
        differences=(
            *differences(learned, describe(then, taken)),
            *_of_libraries(made),
            *_of_parts(found.model, again),
        ),
    )


def _told(version: str, found: Bundle) -> tuple[Description, Made]:
    learned, made = found.manifest.learned, found.manifest.made
    if learned is None or made is None:
        raise RefusedError(
            f"version {version} was made before bundles said how; a version that is trained now can be made again"
        )
    return learned, made


def _training_rows(taken: Snapshot, found: Bundle, made: Made) -> pl.DataFrame:
    moment = pl.col(found.manifest.time)
    return taken.rows.filter(moment >= made.since, moment < found.manifest.trained_until)


def _made_again(site: Site, found: Bundle, made: Made, rows: pl.DataFrame) -> Model:
    recipe = found.manifest.recipe
    base = _base(site, recipe.base) if recipe.base else None
    given = ready(site, rows)
    base = replace(base, spec=given.spec) if base else None  # its own `features` cannot be sent to the process
    again = apart(site, fitted, given.spec, given.rows, recipe, seed=made.seed, threads=made.threads, base=base)
    return restored(again, found.model.spec)


def _base(site: Site, sha256: str) -> Model:
    """The model whose trees this one goes on with: it was champion."""
    from modelling import bundle

    for row in site.ledger.champions(site.name):
        if row.change.bundle_sha256 == sha256:
            return bundle.load(bundle_folder(site, row.change), sha256=sha256).model
    raise RefusedError(f"it goes on with the trees of the bundle {sha256[:12]}, which never was champion; restore it")


def _apart(before: np.typing.NDArray[np.float64], after: np.typing.NDArray[np.float64]) -> float:
    """The largest difference of two predictions, as a share of the prediction where that is above 1."""
    if before.shape != after.shape:
        return float("inf")
    return float(np.max(np.abs(before - after) / np.maximum(1.0, np.abs(before)), initial=0.0))


def _outcome(before: Model, after: Model, apart: float) -> Outcome:
    if not any(_of_parts(before, after)):
        return "identical bytes"
    return "same predictions" if apart <= TOLERANCE else "different"


def _of_libraries(made: Made) -> Iterator[str]:
    for name, now in libraries().items():
        if (then := made.libraries.get(name, "none")) != now:
            yield f"{name} was {then}, here it is {now}"


def _of_parts(before: Model, after: Model) -> Iterator[str]:
    """The parts of a model that are not the same to the byte."""
    if before.text != after.text:
        yield "other trees"
    if before.encoding != after.encoding:
        yield "other levels of categories"
    if before.classes != after.classes:
        yield "other classes"
    if before.calibration != after.calibration:
        yield "another table of calibration"
