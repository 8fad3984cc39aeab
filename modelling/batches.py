"""A batch, partition by partition: frames in, predictions out, in memory that a partition bounds. Reads nothing."""

import math
from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

CELLS = 4_000_000  # of the matrix that the model gets at once: 32 MB
_ROWS_FOR_THREADS = 2_000  # fewer are done before threads have started


class Predictor(Protocol):
    """What a bundle does."""

    def predict(self, raw: pl.DataFrame, *, threads: int = 1) -> NDArray[np.float64]:
        """One prediction for each row of raw columns: shape (n,), or (n, k) for k classes."""
        ...


def predictions_of(
    model: Predictor, partitions: Iterable[pl.DataFrame], *, threads: int = 1, cells: int = CELLS
) -> Iterator[tuple[pl.DataFrame, NDArray[np.float64]]]:
    """Each partition with its predictions, row by row the model's own for all rows at once.

    The next one is asked for when this one was taken. `cells`: rows times columns that the model gets at a time.
    """
    for rows in partitions:
        yield rows, _in_chunks(model, rows, threads=threads, cells=cells)


def _in_chunks(model: Predictor, rows: pl.DataFrame, *, threads: int, cells: int) -> NDArray[np.float64]:
    """Chunks of one size: the last is not a handful of rows."""
    most = max(1, cells // max(1, rows.width))
    size = max(1, math.ceil(rows.height / max(1, math.ceil(rows.height / most))))
    many = threads if rows.height >= _ROWS_FOR_THREADS else 1
    found = [model.predict(chunk, threads=many) for chunk in rows.iter_slices(size)]
    return found[0] if len(found) == 1 else np.concatenate(found or [model.predict(rows)])
