from datetime import UTC, datetime

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelling.encoding import Column, Encoding, fit_encoding
from modelling.labels import classes_of, label_values
from modelling.schema import conform, dtype_name, parse_dtype
from validation.errors import ContractError, DefinitionError

SEEN = pl.DataFrame(
    {
        "stop": ["west"] * 20 + ["north"] * 21 + ["rare"] * 19 + [None],
        "wind": [1.5] * 61,
        "holiday": [True] * 61,
    }
)


def test_levels_are_sorted_and_need_twenty_rows() -> None:
    assert fit_encoding(SEEN) == Encoding(
        columns=(Column("stop", ("north", "west")), Column("wind"), Column("holiday"))
    )
    assert fit_encoding(SEEN).categorical == [0]


def test_null_rare_and_unseen_are_nan_and_columns_keep_the_models_order() -> None:
    batch = pl.DataFrame(
        {"holiday": [None, False, True, True], "wind": [None, 2, 3, 4], "stop": ["new", "rare", None, "west"]}
    )
    np.testing.assert_array_equal(
        fit_encoding(SEEN).encode(batch),
        [[np.nan, np.nan, np.nan], [np.nan, 2.0, 0.0], [np.nan, 3.0, 1.0], [1.0, 4.0, 1.0]],
    )


@pytest.mark.parametrize("dtype", [pl.Categorical(), pl.Enum(["zebra", "rare", "west", "north"])])
def test_codes_do_not_depend_on_how_a_batch_stores_its_categories(dtype: pl.DataType) -> None:
    batch = pl.DataFrame({"stop": pl.Series(["west", "north", "rare"], dtype=dtype), "wind": 0.0, "holiday": False})
    np.testing.assert_array_equal(fit_encoding(SEEN).encode(batch)[:, 0], [1.0, 0.0, np.nan])


def test_an_encoding_survives_json() -> None:
    encoding = fit_encoding(SEEN)
    assert msgspec.json.decode(msgspec.json.encode(encoding), type=Encoding) == encoding


def test_a_missing_input_and_a_changed_kind_are_refused() -> None:
    encoding = fit_encoding(SEEN)
    with pytest.raises(DefinitionError, match="no longer returns 'wind'"):
        encoding.encode(SEEN.drop("wind"))
    with pytest.raises(DefinitionError, match="'wind' as String, the model was trained on a number"):
        encoding.encode(SEEN.with_columns(wind=pl.lit("1.5")))


def test_a_moment_is_no_input() -> None:
    with pytest.raises(DefinitionError, match=r"'at' as Datetime.*convert it"):
        fit_encoding(pl.DataFrame({"at": [datetime(2024, 1, 1, tzinfo=UTC)]}))


@given(st.lists(st.one_of(st.none(), st.text(max_size=3)), min_size=1, max_size=200))
def test_each_code_points_at_its_level(values: list[str | None]) -> None:
    frame = pl.DataFrame({"stop": pl.Series(values, dtype=pl.String)})
    encoding = fit_encoding(frame)
    levels = encoding.columns[0].levels or ()
    codes = encoding.encode(frame)[:, 0]
    decoded = [None if np.isnan(code) else levels[int(code)] for code in codes]
    assert decoded == [value if values.count(value) >= 20 else None for value in values]


DTYPES = [
    *(pl.Int8(), pl.UInt64(), pl.Float32(), pl.Boolean(), pl.String(), pl.Date(), pl.Categorical()),
    *(pl.Datetime("us", "UTC"), pl.Datetime("ns"), pl.Datetime("ms", "America/New_York"), pl.Enum(["a, b)", 'ö"'])),
]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_column_type_survives_its_name(dtype: pl.DataType) -> None:
    assert parse_dtype(dtype_name(dtype)) == dtype


def test_other_types_have_no_name() -> None:
    with pytest.raises(DefinitionError, match=r"a raw column cannot be List\(Int64\)"):
        dtype_name(pl.List(pl.Int64()))
    with pytest.raises(DefinitionError, match="'Datetime' is no column type"):
        parse_dtype("Datetime")


def test_a_frame_is_brought_to_its_schema_where_nothing_is_lost() -> None:
    wanted = {"wind": pl.Float64(), "stop": pl.Enum(["a", "b"]), "note": pl.String()}
    given_ = pl.DataFrame({"more": [1], "stop": ["b"], "wind": [3], "note": [None]})
    assert conform(given_, wanted).equals(
        pl.DataFrame({"wind": [3.0], "stop": ["b"], "note": [None]}, schema=wanted), null_equal=True
    )


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pl.DataFrame({"other": [1]}), "column 'wind' .* is missing; got other"),
        (pl.DataFrame({"wind": ["0.5"]}), "column 'wind' must be Int8, got String"),
        (pl.DataFrame({"wind": [0.5]}), "column 'wind' must be Int8, got Float64"),
        (pl.DataFrame({"wind": [True]}), "column 'wind' must be Int8, got Boolean"),
        (pl.DataFrame({"wind": [300]}), "a value does not fit"),
    ],
)
def test_what_would_be_a_guess_is_refused(frame: pl.DataFrame, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        conform(frame, {"wind": pl.Int8()})


def test_labels_become_numbers() -> None:
    assert label_values("binary", pl.Series([True, False])).tolist() == [1.0, 0.0]
    assert label_values("regression", pl.Series([3, -1])).tolist() == [3.0, -1.0]
    species = pl.Series(["owl", "cat", "owl"])
    assert classes_of("multiclass", species) == ("cat", "owl")
    assert label_values("multiclass", pl.Series(["owl", "emu"]), ("cat", "owl")).tolist() == [1.0, -1.0]


@pytest.mark.parametrize(
    ("task", "labels", "message"),
    [
        ("binary", pl.Series("late", [0, 1, 2]), "labels 'late' must be 0 or 1, got 2.0"),
        ("binary", pl.Series("late", [True, None]), "1 labels 'late' are null"),
        ("binary", pl.Series("late", ["yes"]), "must be numbers, got String"),
        ("regression", pl.Series("late", [1.0, float("nan")]), "must be finite, got nan"),
    ],
)
def test_bad_labels_are_refused(task: str, labels: pl.Series, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        label_values(task, labels)  # type: ignore[arg-type]


def test_classes_are_integers_or_strings_and_at_least_two() -> None:
    with pytest.raises(ContractError, match="must be integers or strings, got Float64"):
        classes_of("multiclass", pl.Series("kind", [0.5]))
    with pytest.raises(ContractError, match=r"hold 1 class\(es\), a model needs two"):
        classes_of("multiclass", pl.Series("kind", ["owl", "owl"]))
