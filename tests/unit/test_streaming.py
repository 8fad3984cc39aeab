"""Rows reach LightGBM by three ways, a matrix, columns, parts of a scan: the same bins, so the same trees."""

import re
from collections.abc import Iterator
from pathlib import Path

import lightgbm as lgb
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from modelling.boosting.dataset import BINNING, Dataset, dataset
from modelling.boosting.growing import grown
from modelling.boosting.streaming import Part, scan_dataset, stream_dataset
from modelling.encoding import Encoding, fit_encoding
from validation.errors import ContractError, DefinitionError

PARAMS = {**BINNING, "objective": "binary", "verbosity": -1, "num_threads": 1, "deterministic": True, "num_leaves": 8}
FEW = PARAMS | {"bin_construct_sample_cnt": 400}  # rows that bins are made of
INTEGERS = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64, pl.Int128)


def rows_of(count: int, *, seed: int = 1) -> tuple[pl.DataFrame, NDArray[np.float64]]:
    """Inputs of every kind, with nulls, nan, infinities and rare levels; and labels that follow some of them."""
    random = np.random.default_rng(seed)
    wind = random.normal(size=count)
    stop = random.choice(["north", "south", "west", "rare"], count, p=[0.5, 0.3, 0.19, 0.01])
    made = pl.DataFrame(
        {
            "wind": pl.Series(wind, nan_to_null=False),
            "gust": np.where(random.random(count) < 0.01, np.inf, np.exp(wind)).astype(np.float32),
            "stop": stop,
            "kind": pl.Series(random.choice(["b", "a"], count), dtype=pl.Categorical()),
            "line": pl.Series(random.choice(["z", "y"], count), dtype=pl.Enum(["y", "x", "z"])),
            "holiday": random.random(count) < 0.3,
            "price": pl.Series(random.integers(0, 900, count)).cast(pl.Decimal(10, 2)),
            **{f"n{number}": random.integers(0, 99, count) for number, _ in enumerate(INTEGERS)},
        }
    ).with_columns(pl.col(f"n{number}").cast(dtype) for number, dtype in enumerate(INTEGERS))
    gone = pl.Series(random.random(count) < 0.1)
    inputs = made.with_columns(pl.when(~gone).then(pl.all())).with_columns(
        gust=pl.when(pl.Series(wind) > 1.5).then(float("nan")).otherwise("gust").cast(pl.Float32)
    )
    late = (wind + (stop == "north") + random.normal(size=count) > 0).astype(np.float64)
    return inputs, late


def by_matrix(
    encoding: Encoding, inputs: pl.DataFrame, labels: NDArray[np.float64], weights: NDArray[np.float64] | None = None
) -> str:
    """The trees that LightGBM grows on the plain float64 matrix, bins out of all its rows."""
    rows = lgb.Dataset(
        encoding.encode(inputs), labels, weight=weights, categorical_feature=encoding.categorical, params=dict(PARAMS)
    )
    return str(lgb.train(dict(PARAMS), rows, num_boost_round=5).model_to_string())


def test_columns_give_the_trees_of_the_matrix_whatever_their_types() -> None:
    inputs, labels = rows_of(3_000)
    encoding = fit_encoding(inputs)
    weights = np.linspace(1, 2, len(labels))
    text = grown(PARAMS, dataset(encoding, inputs, labels, params=PARAMS, weights=weights), rounds=5)
    assert text == by_matrix(encoding, inputs, labels, weights)
    assert re.search("num_cat=[1-9]", text)  # categories are told as such


@pytest.mark.parametrize("start", [1, 5, 7, 64])
def test_a_slice_of_a_frame_is_read_from_where_it_starts(start: int) -> None:
    """Its bits, of nulls and Booleans, do not start with a byte; and its values lie in several chunks."""
    inputs, labels = rows_of(1_000)
    cut = pl.concat([inputs[start:400], inputs[400 + start :]], rechunk=False)
    own = np.concatenate([labels[start:400], labels[400 + start :]])
    encoding = fit_encoding(inputs)
    text = grown(PARAMS, dataset(encoding, cut, own, params=PARAMS), rounds=5)
    assert text == by_matrix(encoding, cut, own)


@given(
    st.lists(st.one_of(st.none(), st.integers(0, 100)), min_size=1, max_size=50),
    st.sampled_from([*INTEGERS, pl.Float32, pl.Float64, pl.Boolean, pl.Decimal(6, 1), pl.Null]),
    st.integers(0, 9),
)
def test_columns_and_rows_hold_the_values_of_the_matrix(
    values: list[int | None], dtype: type[pl.DataType], start: int
) -> None:
    column = pl.Series("n", values).cast(pl.Int64).cast(dtype) if dtype != pl.Null else pl.Series("n", [None])
    frame = column.to_frame()[start:]
    encoding = fit_encoding(pl.DataFrame({"n": [1]}))
    matrix = encoding.encode(frame)
    found = encoding.numbers(frame)
    assert found.dtypes[0] in {pl.UInt8, *INTEGERS[:-1], pl.Float32, pl.Float64}  # which LightGBM reads
    assert encoding.rows(frame).flags.c_contiguous
    np.testing.assert_array_equal(found.cast(pl.Float64).to_numpy(), matrix)
    np.testing.assert_array_equal(encoding.rows(frame), matrix)


def test_what_is_large_is_not_rounded_to_float32() -> None:
    frame = pl.DataFrame({"n": [2**24 + 1], "code": ["a"]})
    encoding = fit_encoding(frame, min_rows=1)
    assert encoding.rows(frame).tolist() == [[2.0**24 + 1, 0.0]]
    assert encoding.rows(frame.with_columns(n=pl.lit(7, dtype=pl.Int16))).dtype == np.float32


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([None, None], dtype=pl.Date),
        pl.Series([[1], [2]]),
        pl.Series([b"a", b"b"]),
        pl.Series([None, None]),
        pl.Series([{"a": 1}] * 2),
    ],
)
def test_what_would_end_the_process_is_refused_before_lightgbm_sees_it(values: pl.Series) -> None:
    inputs = pl.DataFrame({"wind": [1.0, 2.0], "odd": values})
    with pytest.raises(DefinitionError, match=r"features returns 'odd' as .*; convert it to a number or a string"):
        fit_encoding(inputs)
    if values.dtype == pl.Null:  # which later rows may have
        return
    for kind, seen in (("a string", "a"), ("a number", 1)):
        known = fit_encoding(pl.DataFrame({"wind": [1.0], "odd": [seen]}))
        with pytest.raises(DefinitionError, match=rf"'odd' as .*, the model was trained on {kind}"):
            dataset(known, inputs, np.zeros(2), params=PARAMS)


def parts_of(frame: pl.DataFrame, labels: NDArray[np.float64], sizes: list[int]) -> Iterator[Part]:
    ends = np.cumsum(sizes)
    for start, stop in zip([0, *ends], [*ends, frame.height], strict=True):
        yield frame[start:stop], labels[start:stop], np.full(stop - start, 1.0 + (start > 0))


@settings(deadline=None, max_examples=5)
@given(st.lists(st.integers(0, 500), max_size=4), st.integers(0, 3))
def test_parts_of_any_size_give_the_trees_of_all_rows_together(sizes: list[int], seed: int) -> None:
    inputs, labels = rows_of(2_001, seed=seed)
    encoding = fit_encoding(inputs, min_rows=30)
    weights = np.concatenate([weight for *_, weight in parts_of(inputs, labels, sizes) if weight is not None])
    streamed = stream_dataset(
        encoding, parts_of(inputs, labels, sizes), rows=inputs.height, sample=inputs, params=PARAMS
    )
    whole = dataset(encoding, inputs, labels, params=PARAMS, weights=weights)
    assert grown(PARAMS, streamed, rounds=5) == grown(PARAMS, whole, rounds=5)
    np.testing.assert_array_equal(streamed.get_label(), whole.get_label())
    np.testing.assert_array_equal(streamed.get_weight(), whole.get_weight())


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> pl.LazyFrame:
    """Files of several row groups; without the types that Parquet does not keep."""
    folder = tmp_path_factory.mktemp("scan")
    inputs, labels = rows_of(6_000)
    rows = inputs.drop("n8").with_columns(
        late=pl.Series(labels) > 0, weight=pl.Series(1 + np.arange(labels.size) % 3, dtype=pl.Int8)
    )
    rows[:2_500].write_parquet(folder / "a.parquet", row_group_size=700)
    rows[2_500:].write_parquet(folder / "b.parquet", row_group_size=900)
    return pl.scan_parquet(folder / "*.parquet")


def scanned(scan: pl.LazyFrame, *, cells: int) -> tuple[Encoding, Dataset]:
    return scan_dataset(scan, label="late", weight="weight", min_rows=80, params=FEW, cells=cells)


def test_a_scan_read_in_parts_gives_the_model_of_its_frame_although_bins_are_of_some_rows(scan: pl.LazyFrame) -> None:
    """LightGBM draws the sample by itself where it has all rows: the parts are asked for the same ones."""
    encodings, made = zip(*(scanned(scan, cells=cells) for cells in (0, 10**9)), strict=True)
    assert encodings[0] == encodings[1]
    assert encodings[0].columns[2].levels == ("north", "south", "west")  # not the 60 rare ones of 6,000
    parts, whole = (grown(FEW, rows, rounds=5) for rows in made)
    assert parts == whole
    other = scan_dataset(scan, label="late", weight="weight", min_rows=80, params=FEW | {"data_random_seed": 5})[1]
    assert grown(FEW | {"data_random_seed": 5}, other, rounds=5) != whole  # or the sample would not matter here


def test_later_rows_are_judged_in_the_bins_of_streamed_ones(scan: pl.LazyFrame) -> None:
    later, labels = rows_of(500, seed=9)
    found = []
    for cells in (0, 10**9):
        encoding, rows = scanned(scan, cells=cells)
        judged = dataset(encoding, later, labels, params=FEW, reference=rows)
        losses: dict[str, dict[str, list[float]]] = {}
        lgb.train(dict(FEW), rows, 5, valid_sets=[judged], callbacks=[lgb.record_evaluation(losses)])
        found.append(losses["valid_0"]["binary_logloss"])
    assert found[0] == found[1]
    assert found[0][-1] < found[0][0]


@pytest.mark.parametrize("rows", [1_999, 2_001])
def test_rows_that_changed_meanwhile_are_told_before_lightgbm_writes_beyond_them(rows: int) -> None:
    inputs, labels = rows_of(2_000)
    with pytest.raises(ContractError, match=f"there are no longer {rows} rows as at first; read them again"):
        stream_dataset(fit_encoding(inputs), parts_of(inputs, labels, [900]), rows=rows, sample=inputs, params=PARAMS)


def test_a_scan_without_rows_or_with_bad_labels_is_told(scan: pl.LazyFrame) -> None:
    with pytest.raises(ContractError, match="no labelled rows to train on; wait for labels"):
        scanned(scan.filter(pl.lit(value=False)), cells=0)
    with pytest.raises(ContractError, match="6000 of 6000 'late' are no finite numbers; leave such rows out"):
        scanned(scan.with_columns(late=pl.lit(None, dtype=pl.Float64)), cells=0)
    with pytest.raises(ContractError, match="2000 of 6000 'weight' are no finite numbers"):
        scanned(scan.with_columns(weight=pl.when(pl.col("weight") > 1).then("weight")), cells=0)


def test_levels_of_a_scan_are_those_of_its_frame_and_rare_ones_are_the_callers(tmp_path: Path) -> None:
    frame = pl.DataFrame({"stop": ["b"] * 3 + ["a"] * 2 + [None] * 9, "stop_rows": [1] * 14})
    frame.write_parquet(tmp_path / "rows.parquet")
    for inputs in (frame, pl.scan_parquet(tmp_path / "rows.parquet")):
        assert [fit_encoding(inputs, min_rows=rows).columns[0].levels for rows in (1, 3, 4)] == [("a", "b"), ("b",), ()]
