"""A fitted model and how it is asked. Knows nothing of training: loading one needs no lightgbm package."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.calibration import Calibration
from modelling.encoding import Encoding
from modelling.engine import Engine
from modelling.inputs import inputs_of, matrix_of
from modelling.labels import Classes, label_values
from modelling.made import Made
from modelling.recipes import Recipe
from modelling.spec import Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A fitted model together with all it takes to ask it with raw rows.

    `calibration` corrects what `engine` says: ask by `predict`, `answers` or `one`, never the engine itself.
    """

    spec: Spec
    encoding: Encoding
    classes: Classes
    recipe: Recipe
    trained_until: datetime
    engine: Engine
    calibration: Calibration | None = None
    made: Made | None = None  # not known of what was made before this was kept

    def predict(self, raw: pl.DataFrame, *, threads: int = 1) -> NDArray[np.float64]:
        """binary: the probability of 1, (n,); regression: the value, (n,); multiclass: (n, k) in order of `classes`.

        A level that the model does not know is scored as missing, whatever the definition says of single requests.
        """
        return self.answers(self.matrix(raw), threads=threads)

    def answers(self, matrix: NDArray[np.float64], *, threads: int = 1) -> NDArray[np.float64]:
        """The predictions of encoded rows, as `predict` gives them."""
        found = self.engine.predict(matrix, threads=threads)
        return found if self.calibration is None else self.calibration.many(found)

    def one(self, row: Sequence[float]) -> float | list[float]:
        """The prediction of one encoded row, or its k, by the engine's path for single rows."""
        found = self.engine.one(row)
        return found if self.calibration is None else self.calibration.one(found)

    def matrix(self, raw: pl.DataFrame) -> NDArray[np.float64]:
        """The encoded inputs of the raw rows: (n, inputs), as `engine` takes them."""
        return matrix_of(self.spec, self.encoding, raw)

    def inputs(self, raw: pl.DataFrame) -> pl.DataFrame:
        """What this model's `features` makes of the raw rows."""
        return inputs_of(self.spec, raw)

    def labels(self, frame: pl.DataFrame) -> NDArray[np.float64]:
        """The target column as `metrics.row_losses` takes it."""
        return label_values(self.spec.task, frame[self.spec.target], self.classes)

    @property
    def text(self) -> str:
        """LightGBM's own text format."""
        return self.engine.text
