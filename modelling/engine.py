"""LightGBM's prediction, called in its shared library: one engine for single requests, batches and the gate.

Does not import the lightgbm package, whose import alone takes seconds of CPU. Trains nothing.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class Engine:
    """A loaded model. Any thread may ask; its memory is freed when the last reference goes.

    `features`: values of a row; `outputs`: predictions of a row, 1 or the number of classes.
    """

    features: int
    outputs: int

    @classmethod
    def from_text(cls, text: str) -> "Engine":
        """Read LightGBM's text format; RegistryError when it is none."""
        raise NotImplementedError

    def one(self, row: Sequence[float]) -> float | list[float]:
        """The prediction of one row, or its k; by LightGBM's path for single rows, under the interpreter's lock."""
        raise NotImplementedError

    def predict(self, matrix: NDArray[np.float64], *, threads: int = 1) -> NDArray[np.float64]:
        """The predictions of the rows (n, features): (n,), or (n, k) for k classes, without the interpreter's lock."""
        raise NotImplementedError
