"""Binned rows that were never together in memory: bins out of a sample, then the rows part by part.

The bins are those that `dataset` gives to the same rows, so the model is the same. What is held: the binned rows, their
labels and weights, the sample, and one part.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.boosting.dataset import Dataset
from modelling.encoding import Encoding

# Inputs, and the label and weight (None: all the same) of each row.
Part = tuple[pl.DataFrame, NDArray[np.float64], NDArray[np.float64] | None]


def stream_dataset(
    encoding: Encoding, parts: Iterable[Part], *, rows: int, sample: pl.DataFrame, params: Mapping[str, Any]
) -> Dataset:
    """The binned rows of all parts, in their order: `rows` altogether. `sample`: inputs that the bins are made of."""
    raise NotImplementedError


def scan_dataset(
    scan: pl.LazyFrame, *, label: str, weight: str = "", min_rows: int, params: Mapping[str, Any]
) -> tuple[Encoding, Dataset]:
    """Encoding and binned rows of a scan (of Parquet files, say) whose columns are the inputs, and label and weight as
    numbers. Few cells are collected; more than STREAM_CELLS are read three times, in parts.
    """
    raise NotImplementedError
