"""Plain values get the predictions that a frame of them gets, by whichever way; unknown levels may be refused."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from andon.catalogue import load as load_pipeline
from modelling.bundle import Bundle, load, write
from modelling.direct import direct
from modelling.encoding import Encoding, UnknownLevelError, fit_encoding
from modelling.inputs import frame_of, inputs_of, matrix_of
from modelling.model import Model
from modelling.plain import plain
from modelling.spec import Features, Spec
from modelling.training import fit
from tests.unit.modelling_world import FAST, START, pipeline_in, rides
from validation.errors import DefinitionError
from validation.serving import Serving

ROOT = Path(__file__).resolve().parents[2]
SCHEMA: dict[str, pl.DataType] = {
    "id": pl.String(),
    "at": pl.Datetime("us", "UTC"),
    "stop": pl.String(),
    "line": pl.Categorical(),
    "kind": pl.Enum(["bus", "tram"]),
    "wind": pl.Float64(),
    "mild": pl.Float32(),
    "count": pl.Int64(),
    "large": pl.UInt64(),
    "open": pl.Boolean(),
    "day": pl.Date(),
}
INPUTS = ["open", "large", "count", "mild", "wind", "kind", "line", "stop"]


def chosen(rows: pl.LazyFrame) -> pl.LazyFrame:
    return rows.select(*INPUTS, "id")


def spec_of(features: Features = chosen) -> Spec:
    return Spec(
        features=features, raw_schema=SCHEMA, key=("id",), time="at", target="late", task="binary", metric="logloss"
    )


def generated(count: int = 300) -> pl.DataFrame:
    chance = np.random.default_rng(5)
    values: dict[str, Any] = {
        "id": [str(number) for number in range(count)],
        "at": [START + timedelta(minutes=number) for number in range(count)],
        "stop": ["north", "south", None] * (count // 3),
        "line": chance.choice(["1", "2"], count).tolist(),
        "kind": ["bus", None, "tram", "bus"] * (count // 4),
        "wind": chance.normal(size=count).tolist(),
        "mild": chance.normal(size=count).tolist(),
        "count": chance.integers(-5, 5, count).tolist(),
        "large": chance.integers(0, 2**63, count).tolist(),
        "open": chance.choice([True, False], count).tolist(),
        "day": [date(2024, 1, 1)] * count,
    }
    return pl.DataFrame({name: pl.Series(values[name], dtype=dtype) for name, dtype in SCHEMA.items()})


ENCODING = fit_encoding(inputs_of(spec_of(), generated()))


def model(features: Features = chosen) -> Model:
    rows = generated().with_columns(
        late=pl.col("wind") + pl.col("open") + (pl.col("stop") == "north").fill_null(0) > 0.7
    )
    return fit(spec_of(features), rows, FAST, seed=7, threads=1)


MODEL = model()


def values() -> dict[str, st.SearchStrategy[Any]]:
    levels = st.sampled_from(["north", "south", "1", "2", "never seen", "", None])
    number = st.floats(allow_nan=True, allow_infinity=True)
    return {
        "id": st.text(max_size=3),
        "at": st.datetimes().map(lambda moment: moment.replace(tzinfo=UTC)),
        "stop": levels,
        "line": levels,
        "kind": st.sampled_from(["bus", "tram", None]),
        "wind": st.none() | number | st.integers(-(2**60), 2**60).map(float),
        "mild": st.none() | st.floats(width=32),
        "count": st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(2**53 - 2, 2**53 + 5),
        "large": st.none() | st.integers(0, 2**64 - 1),
        "open": st.none() | st.booleans(),
        "day": st.none() | st.dates(),
    }


ROWS = st.lists(st.tuples(*values().values()), min_size=1, max_size=9)


def columns_of(rows: list[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


@settings(max_examples=150, deadline=None)
@given(rows=ROWS)
def test_inputs_without_a_frame_are_those_of_a_frame(rows: list[tuple[Any, ...]]) -> None:
    way, columns = direct(spec_of(), ENCODING), columns_of(rows)
    assert way is not None
    wanted = ENCODING.encode(inputs_of(spec_of(), frame_of(columns, SCHEMA)))
    np.testing.assert_array_equal(way.matrix(columns), wanted)
    np.testing.assert_array_equal(matrix_of(spec_of(), ENCODING, frame_of(columns, SCHEMA)), wanted)
    np.testing.assert_array_equal([way.row(columns, at) for at in range(len(rows))], wanted)


@settings(max_examples=60, deadline=None)
@given(rows=ROWS)
def test_predictions_of_values_are_those_of_a_frame_by_both_ways(rows: list[tuple[Any, ...]]) -> None:
    columns, by_frame = columns_of(rows), replace(plain(MODEL, generated()), way=None)
    wanted = MODEL.predict(frame_of(columns, SCHEMA)).tolist()
    for answering in (plain(MODEL, generated()), by_frame):
        np.testing.assert_allclose(answering.predict(columns, refuse=False), wanted, rtol=0, atol=1e-12)


def test_a_frame_of_values_has_the_types_of_its_schema() -> None:
    schema = {"ns": pl.Datetime("ns"), "york": pl.Datetime("ms", "America/New_York"), "at": pl.Datetime("us", "UTC")}
    noon = datetime(2024, 1, 1, 12, tzinfo=UTC)
    made = frame_of([[noon, None]] * 3, schema)
    assert dict(made.schema) == schema
    assert made["york"].dt.convert_time_zone("UTC").to_list() == [noon, None]
    assert made["ns"].to_list() == [noon.replace(tzinfo=None), None]


ONE_PASS: list[tuple[Features, str]] = [
    (lambda rows: rows.filter(pl.col("wind") > 0), "features made .* rows of 36"),
    (lambda rows: rows.reverse(), "features changed id or the order of rows"),
    (lambda rows: rows.drop("stop"), "features no longer returns 'stop'"),
    (lambda rows: rows.with_columns(wind=pl.lit("1.5")), "'wind' as String, the model was trained on a number"),
    (lambda rows: rows.with_columns(wind=pl.col("stop").cast(pl.Float64)), "features fails on 36 rows; mend it: "),
    (lambda rows: rows.select(1 / 0), "features fails on 36 rows; mend it: ZeroDivisionError"),
]


@pytest.mark.parametrize(("features", "message"), ONE_PASS)
def test_one_pass_refuses_what_two_would(features: Features, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        matrix_of(spec_of(features), ENCODING, generated(36))
    with pytest.raises(DefinitionError, match=message):
        ENCODING.encode(inputs_of(spec_of(features), generated(36)))


@pytest.mark.parametrize(
    "features",
    [
        chosen,
        lambda rows: rows,
        lambda rows: rows.drop("day").select(pl.exclude("at")),
        lambda rows: rows.select(pl.col(pl.Float64, pl.Float32, pl.Int64), "large", pl.col("^([skio].*|line)$")),
    ],
)
def test_choosing_columns_needs_no_frame(features: Features) -> None:
    assert direct(spec_of(features), ENCODING) is not None


@pytest.mark.parametrize(
    "features",
    [
        lambda rows: rows.with_columns(pl.col("wind") * 2),
        lambda rows: rows.with_columns(wind=pl.col("wind")).with_columns(pl.col("wind").fill_null(0)),
        lambda rows: rows.rename({"wind": "mild", "mild": "wind"}),
        lambda rows: rows.select(*INPUTS[:-1], stop=pl.lit("north")),
        lambda rows: rows.select(*INPUTS, "id").filter(pl.col("wind") > 0),
        lambda rows: rows.select(*INPUTS, "id").head(1),
        lambda rows: rows.map_batches(lambda frame: frame),
        lambda rows: rows.collect().with_columns(pl.col("wind") * 2).lazy(),
        lambda rows: rows.select(pl.col("wind").shift(1), *INPUTS[:4], *INPUTS[5:]),
        lambda rows: rows.drop("wind"),
        lambda rows: rows.with_columns(pl.col("count").cast(pl.Int32)),
        lambda rows: rows.select(1 / 0),
    ],
)
def test_whatever_does_more_goes_by_a_frame(features: Features) -> None:
    assert direct(spec_of(features), ENCODING) is None


def test_a_number_that_the_model_takes_for_a_category_goes_by_a_frame() -> None:
    first, *others = ENCODING.columns
    swapped = Encoding(columns=(replace(first, levels=("true",)), *others))
    assert direct(spec_of(), swapped) is None


def test_a_way_that_differs_on_the_proof_is_not_taken() -> None:
    """These features look what they are given: their plan says nothing of what they do with rows."""

    def sly(rows: pl.LazyFrame) -> pl.LazyFrame:
        doubled = rows.with_columns(pl.col("wind") * 2)
        return (rows if "PYTHON SCAN" in rows.explain() else doubled).select(*INPUTS)

    assert direct(spec_of(sly), ENCODING) is not None
    assert plain(replace(MODEL, spec=spec_of(sly)), generated(12)).way is None
    assert plain(MODEL, generated(12)).way is not None


def bundle(folder: Path, features: str, *, serving: str = "") -> Bundle:
    pipeline = pipeline_in(folder)
    start = pipeline.module_source.index("    return rides.select(")
    end = pipeline.module_source.index("\n\n\nPIPELINE")
    source = f"{pipeline.module_source[:start]}    return rides.{features}{pipeline.module_source[end:]}"
    if serving:
        source = source.replace("import Labels,", "import Labels, Serving,").replace(
            "    task=", f"    {serving},\n    task="
        )
    (folder / "rides2.py").write_text(source)
    own = load_pipeline(folder / "rides2.py")
    made = fit(own.spec, rides(), FAST, seed=7, threads=1)
    write(
        folder / "bundle",
        model=made,
        pipeline="rides",
        definition=source,
        definition_hash="h",
        snapshot="s",
        rows=rides(),
        profile_json="{}",
    )
    return load(folder / "bundle")


WAYS: dict[str, bool] = {
    'select("ride", "stop", "wind")': True,
    'select("ride", "stop", wind=pl.col("wind") + 0.0)': False,
}
LONG = "x" * 60


def asked(*stops: str | None) -> list[list[Any]]:
    count = len(stops)
    moment = datetime(2024, 5, 1, tzinfo=UTC)
    return [list(range(count)), [moment] * count, list(stops), [moment.date()] * count, [3.0] * count]


@pytest.mark.parametrize("features", WAYS)
def test_a_level_that_the_model_does_not_know_is_refused_where_the_definition_says_so(
    tmp_path: Path, features: str
) -> None:
    found = bundle(tmp_path, features, serving='serving=Serving(on_unknown="refuse")')
    found.verify()
    assert (found.is_direct, found.serving) == (WAYS[features], Serving(on_unknown="refuse"))
    assert len(found.predict_values(asked("north", None))) == 2
    with pytest.raises(
        UnknownLevelError, match=r"column 'stop', row 1: a level that the model does not know"
    ) as caught:
        found.predict_values(asked("north", LONG))
    assert "xxx" not in str(caught.value), "an answer and a log quote no values"
    with pytest.raises(UnknownLevelError, match=r"column 'stop', row 0: a level that the model does not know"):
        found.predict_values(asked(""))
    assert np.isfinite(found.predict(rides(5).with_columns(stop=pl.lit(LONG)))).all()  # a batch is never refused


@pytest.mark.parametrize("features", WAYS)
def test_otherwise_it_is_scored_like_a_missing_one(tmp_path: Path, features: str) -> None:
    found = bundle(tmp_path, features)
    assert (found.is_direct, found.serving) == (WAYS[features], Serving())
    unseen, missing = found.predict_values(asked(LONG, None))
    assert unseen == missing
    many = found.predict_values(asked(*(["north"] * 30), LONG))
    assert many == pytest.approx([*found.predict_values(asked("north")) * 30, missing], abs=1e-12)


CHILD = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from modelling.bundle import load

found = load(Path(sys.argv[1]))
found.verify()
moment = datetime(2024, 5, 1, tzinfo=UTC)
found.predict_values([[1], [moment], ["north"], [moment.date()], [3.0]])
print(sorted({"lightgbm", "scipy", "mlflow"} & set(sys.modules)))
"""


def test_serving_a_bundle_imports_no_lightgbm(tmp_path: Path) -> None:
    bundle(tmp_path, 'select("ride", "stop", "wind")')
    command = [sys.executable, "-c", CHILD, str(tmp_path / "bundle")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=60)
    assert done.stdout == "[]\n"


def test_calls_from_many_kinds_of_tasks_have_one_shape_each(tmp_path: Path) -> None:
    spec = replace(pipeline_in(tmp_path).spec, task="multiclass")
    classes = fit(spec, rides().with_columns(late=pl.col("ride") % 3), FAST, seed=7, threads=1)
    answers = plain(classes, rides(5)).predict([column[:1] for column in asked("north")], refuse=False)
    assert [len(answer) for answer in answers if isinstance(answer, list)] == [3]
