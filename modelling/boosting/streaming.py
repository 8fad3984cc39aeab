"""Binned rows that were never together in memory: bins out of a sample, then the rows part by part.

The bins are those that `dataset` makes of the same rows, so the models are the same. What is held: the binned rows,
their labels and weights, the sample, and a part. `frame_dataset` is for frames that lie in files, as those of a retrain
(modelling/mapped.py), `scan_dataset` for whoever has Parquet files and no pipeline.

NOTE: this uses what LightGBM's Python package keeps for itself (`_create_sample_indices`, `_init_from_ref_dataset`,
`_push_rows`), as its own `lightgbm.Sequence` does, which reads rows one by one and so cannot be given Parquet files.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import lightgbm as lgb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.boosting.dataset import Dataset, dataset
from modelling.encoding import Encoding, fit_encoding
from modelling.native import Handle
from validation.errors import ContractError

# Rows times inputs above which a scan, or a frame of a fit, is streamed. Parts of a scan take a tenth more CPU than a
# frame, since the sample is read first, and much less memory: 2M x 20 0.4 GB in place of 0.7, 8M 0.6 in place of 2.4,
# 20M 1.4 in place of 5.9, trees included (benchmarks/memory.py).
STREAM_CELLS = 100_000_000
_BATCH_ROWS = 65_536

Numbers = NDArray[np.float64]
# Inputs, and the label and weight of each row (None: all weigh the same).
Part = tuple[pl.DataFrame, Numbers, Numbers | None]


def stream_dataset(
    encoding: Encoding, parts: Iterable[Part], *, rows: int, sample: pl.DataFrame, params: Mapping[str, Any]
) -> Dataset:
    """The binned rows of all parts, in their order. `sample`: inputs that the bins are made of.

    ContractError unless the parts hold `rows` rows altogether: that much memory is taken before the first comes.
    """
    made = _empty(encoding, sample, rows=rows, params=params)
    labels, weights, done = np.empty(rows, dtype=np.float32), None, 0
    for inputs, label, weight in parts:
        own = slice(done, done + inputs.height)
        if own.stop > rows:  # NOTE: LightGBM would write beyond its memory
            raise _changed(rows)
        for start in range(0, inputs.height, _BATCH_ROWS):
            made._push_rows(encoding.rows(inputs[start : start + _BATCH_ROWS]))  # noqa: SLF001  # NOTE above
        labels[own] = label
        if weight is not None:
            weights = np.ones(rows, dtype=np.float32) if weights is None else weights
            weights[own] = weight
        done = own.stop
    if done != rows:  # NOTE: LightGBM ends the process over rows that never came
        raise _changed(rows)
    made.set_label(labels).set_weight(weights)
    made.label = made.weight = None  # LightGBM has its own copies, and is asked for them
    return made


def parted(inputs: pl.DataFrame) -> pl.DataFrame | pl.LazyFrame:
    """How `fit_encoding` is to be given these inputs: those of more than STREAM_CELLS lazily, to be read in parts."""
    return inputs.lazy() if inputs.height * inputs.width > STREAM_CELLS else inputs


def frame_dataset(encoding: Encoding, inputs: pl.DataFrame, labels: Numbers, *, params: Mapping[str, Any]) -> Dataset:
    """`dataset` of these rows, with the same bins; those of more than STREAM_CELLS are streamed, so that a frame which
    lies in a file (modelling/mapped.py) never is in memory as a whole.
    """
    rows = inputs.height
    if rows * len(encoding.columns) <= STREAM_CELLS:
        return dataset(encoding, inputs, labels, params=params)
    parts = (
        (inputs[start : start + _BATCH_ROWS], labels[start : start + _BATCH_ROWS], None)
        for start in range(0, rows, _BATCH_ROWS)
    )
    sample = inputs[_sampled(rows, params)]
    return stream_dataset(encoding, parts, rows=rows, sample=sample, params=params)


def scan_dataset(
    scan: pl.LazyFrame,
    *,
    label: str,
    weight: str = "",
    min_rows: int,
    params: Mapping[str, Any],
    cells: int = STREAM_CELLS,
) -> tuple[Encoding, Dataset]:
    """Encoding and binned rows of a scan (of Parquet files, say) whose columns are the inputs, and label and weight as
    numbers. Up to so many `cells` are collected; more are read in parts: for levels, for the sample, for good.

    ContractError without rows, for labels and weights that are no finite numbers, and for rows that change meanwhile.
    """
    told = [name for name in (label, weight) if name]
    inputs, rows = scan.drop(told), _checked_rows(scan, told)
    encoding = fit_encoding(inputs, min_rows=min_rows)
    if rows * len(encoding.columns) <= cells:
        inputs_, labels, weights = _part(scan.collect(), label, weight)
        return encoding, dataset(encoding, inputs_, labels, params=params, weights=weights)
    sample = _sample(inputs, rows=rows, params=params)
    parts = (_part(batch, label, weight) for batch in _batches(scan))
    return encoding, stream_dataset(encoding, parts, rows=rows, sample=sample, params=params)


def _checked_rows(scan: pl.LazyFrame, told: Sequence[str]) -> int:
    """How many rows there are; ContractError as `scan_dataset`."""
    bad = [
        (~pl.col(name).cast(pl.Float64).is_finite()).fill_null(value=True).sum().alias(f"no {name}") for name in told
    ]
    rows, *bads = scan.select(pl.len().alias("rows"), *bad).collect(engine="streaming").row(0)
    if not rows:
        raise ContractError("there are no labelled rows to train on; wait for labels or widen the training span")
    for name, count in zip(told, bads, strict=True):
        if count:
            raise ContractError(f"{count} of {rows} {name!r} are no finite numbers; leave such rows out")
    return int(rows)


def _empty(encoding: Encoding, sample: pl.DataFrame, *, rows: int, params: Mapping[str, Any]) -> Dataset:
    """Room for so many rows in the bins of the sample."""
    reference = dataset(encoding, sample, np.zeros(sample.height), params=params)
    made = lgb.Dataset(None, categorical_feature=encoding.categorical, params=reference.params)
    made._init_from_ref_dataset(rows, cast("Handle", reference._handle))  # noqa: SLF001  # NOTE above
    made.feature_name = reference.feature_name
    return made


def _sample(inputs: pl.LazyFrame, *, rows: int, params: Mapping[str, Any]) -> pl.DataFrame:
    """The rows of `_sampled`."""
    wanted, first, found = _sampled(rows, params), 0, list[pl.DataFrame]()
    for batch in _batches(inputs):
        start, stop = np.searchsorted(wanted, (first, first + batch.height))
        found.append(batch[wanted[start:stop] - first])
        first += batch.height
    return pl.concat(found, rechunk=True)


def _sampled(rows: int, params: Mapping[str, Any]) -> NDArray[np.int32]:
    """Positions of the rows that LightGBM would make its bins of, if it had all of them: at most 200,000, ascending."""
    made: NDArray[np.int32] = lgb.Dataset(None, params=dict(params))._create_sample_indices(total_nrow=rows)  # noqa: SLF001  # NOTE above
    return made


def _batches(scan: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    return scan.collect_batches(chunk_size=_BATCH_ROWS, maintain_order=True, engine="streaming")


def _part(rows: pl.DataFrame, label: str, weight: str) -> Part:
    weights = rows[weight].cast(pl.Float64).to_numpy() if weight else None
    return rows.drop(label, *([weight] if weight else [])), rows[label].cast(pl.Float64).to_numpy(), weights


def _changed(rows: int) -> ContractError:
    return ContractError(
        f"there are no longer {rows} rows as at first; read them again, from files that stay as they are"
    )
