"""The binned rows: LightGBM's Dataset out of encoded inputs, made once and shared by all that is grown on it."""

from collections.abc import Mapping
from typing import Any

import lightgbm as lgb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.encoding import Encoding

# Fixed with the binning, so that all recipes of a search share one binned Dataset. 63 bins cost 20 ms of CPU a tree
# where 255 cost 30 (160k x 30), for 0.3 % of loss after 40 trees: research/tuning.md. By columns: a tree of 31 leaves
# on 160k x 20 with 0.4 of the features took 12 ms of CPU, by rows 15 (with 0.7 of them 14 and 16; with all, or 255
# leaves, the same), on 8M x 20 660 and 745; and rows need a second copy of the binned values for each booster.
# Bins are made of at most 200,000 rows, LightGBM's own number; which ones must not depend on a recipe's seed.
BINNING: Mapping[str, Any] = {
    "max_bin": 63,
    "feature_pre_filter": False,
    "force_col_wise": True,
    "data_random_seed": 1,
}

Dataset = lgb.Dataset


def dataset(
    encoding: Encoding,
    inputs: pl.DataFrame,
    labels: NDArray[np.float64],
    *,
    params: Mapping[str, Any],
    weights: NDArray[np.float64] | None = None,
    reference: Dataset | None = None,
) -> Dataset:
    """The binned rows, weighted row by row where `weights` (n,) are given; with `reference`, in that dataset's bins.

    LightGBM reads the inputs where they lie, so beside them and the binned rows only the categories' codes are made:
    2M rows x 20 took 0.2 GB and 2.5 s of CPU, of a float64 matrix 0.5 GB and 3.1 s.
    """
    numbers = encoding.numbers(inputs)
    made = lgb.Dataset(
        numbers.rename(dict(zip(numbers.columns, feature_names(encoding), strict=True))),
        labels,
        weight=weights,
        reference=reference,
        categorical_feature=encoding.categorical,
        params=dict(params),
    )
    return made.construct()


def feature_names(encoding: Encoding) -> list[str]:
    """As LightGBM names the columns of a matrix: its text allows few characters, and needs no names."""
    return [f"Column_{position}" for position in range(len(encoding.columns))]
