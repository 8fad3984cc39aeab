"""The engine predicts what lightgbm.Booster does, on every path; it gives memory back and refuses what is broken."""

import gc
import re
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from modelling.engine import Engine
from modelling.native import folder_of, library_in
from validation.errors import DefinitionError, RegistryError

Array = NDArray[np.float64]

FEATURES, CATEGORIES = 5, [3, 4]
# Values of which a cell may be anything: also codes that no level has, and no code can be.
ODD = (np.nan, np.inf, -np.inf, -1.0, 0.0, -0.0, 0.5, 7.0, 999.0, 1e18, -1e300, 1e-36)
KINDS: Mapping[str, Mapping[str, Any]] = {
    "binary": {"objective": "binary"},
    "binary, scaled": {"objective": "binary", "sigmoid": 2.5},
    "multiclass": {"objective": "multiclass", "num_class": 3},
    "l2": {"objective": "regression"},
    "l1": {"objective": "regression_l1"},
    "one against all": {"objective": "multiclassova", "num_class": 3},
    "square root": {"objective": "regression", "reg_sqrt": True},
    "poisson": {"objective": "poisson"},
    "forest": {"objective": "binary", "boosting": "rf", "bagging_fraction": 0.5, "bagging_freq": 1},
}
OURS = ("binary", "binary, scaled", "multiclass", "l2", "l1")  # the others are asked of LightGBM as a whole


def rows(count: int, seed: int, *, odd: float = 0.0) -> Array:
    chance = np.random.default_rng(seed)
    made = chance.normal(0, 2, (count, FEATURES))
    made[:, CATEGORIES] = chance.integers(0, 12, (count, len(CATEGORIES)))
    made[chance.random(made.shape) < 0.05] = np.nan
    return np.where(chance.random(made.shape) < odd, chance.choice(ODD, made.shape), made)


@cache
def booster(kind: str, trees: int = 210) -> lgb.Booster:
    inputs = rows(600, 1)
    score = np.nan_to_num(inputs[:, 0]) + np.sin(np.nan_to_num(inputs[:, 1])) + np.nan_to_num(inputs[:, 3]) % 3
    targets = {"l1": score, "l2": score, "square root": score, "poisson": np.floor(np.abs(score))}
    target = targets.get(kind, score > 1)
    if "num_class" in KINDS[kind]:
        target = np.digitize(score, [0.0, 2.0])
    fixed = {"verbosity": -1, "num_threads": 1, "num_leaves": 6, "min_data_in_leaf": 5, "deterministic": True}
    data = lgb.Dataset(inputs, np.asarray(target, dtype=np.float64) * 1.0, categorical_feature=CATEGORIES)
    return lgb.train({**fixed, **KINDS[kind]}, data, num_boost_round=trees)


@cache
def engine(kind: str) -> Engine:
    return Engine.from_text(booster(kind).model_to_string())


def expected(kind: str, inputs: Array) -> Array:
    return np.asarray(booster(kind).predict(inputs, num_threads=1), dtype=np.float64)


def assert_equal(found: Array, wanted: Array) -> None:
    """To 1e-12 of a value's size, or of 1 where it is smaller."""
    assert found.shape == wanted.shape
    assert (np.abs(found - wanted) <= 1e-12 * np.maximum(1.0, np.abs(wanted))).all()


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(count=st.sampled_from([0, 1, 2, 23, 24, 40, 511, 512, 1_100]), seed=st.integers(0, 2**32), odd=st.floats(0, 1))
def test_predictions_are_lightgbms_own(kind: str, count: int, seed: int, odd: float) -> None:
    """At and around all numbers of rows from which on trees are asked in blocks; alone for some of the rows."""
    inputs, made = rows(count, seed, odd=odd), engine(kind)
    if not count:
        assert made.predict(inputs).shape == ((0, 3) if "num_class" in KINDS[kind] else (0,))
        return
    wanted = expected(kind, inputs)
    assert_equal(made.predict(inputs), wanted)
    assert_equal(made.predict(inputs, threads=3), wanted)
    assert_equal(np.array([made.one(row) for row in inputs[:5].tolist()]), wanted[:5])


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_are_used_where_the_objective_is_known(kind: str) -> None:
    """Otherwise the test above would show nothing of them: summed leaves differ in the last digits somewhere."""
    inputs = rows(4_000, 5)
    differs = not np.array_equal(engine(kind).predict(inputs), expected(kind, inputs))
    assert differs == (kind in OURS)


@pytest.mark.parametrize("trees", [1, 39, 40, 200])
def test_models_of_any_length_are_predicted(trees: int) -> None:
    for count in (1, 30, 600):
        inputs, short = rows(count, 3), booster("multiclass", trees)
        wanted = np.asarray(short.predict(inputs, num_threads=1))
        assert_equal(Engine.from_text(short.model_to_string()).predict(inputs), wanted)


def test_whole_numbers_and_truths_are_numbers() -> None:
    assert engine("l2").one([1, True, False, 3, 4]) == engine("l2").one([1.0, 1.0, 0.0, 3.0, 4.0])


def test_gains_are_lightgbms_own() -> None:
    np.testing.assert_array_equal(engine("l2").gains, booster("l2").feature_importance(importance_type="gain"))


def test_any_layout_of_a_matrix_is_taken() -> None:
    inputs = rows(100, 2)
    for other in (np.asfortranarray(inputs), np.repeat(inputs, 2, axis=0)[::2], inputs.astype(np.float64)[:, ::1]):
        assert_equal(engine("binary").predict(other), expected("binary", inputs))
    whole = np.arange(10).reshape(2, 5)
    assert_equal(engine("l2").predict(whole), expected("l2", whole.astype(np.float64)))  # type: ignore[arg-type]


@pytest.mark.parametrize("row", [[1.0] * 4, [1.0] * 6, [], [None] * 5, ["1"] * 5])
def test_a_row_must_be_so_many_numbers(row: list[Any]) -> None:
    with pytest.raises(DefinitionError, match=r"a row must be 5 numbers: .*; mend `features`"):
        engine("binary").one(row)
    assert engine("binary").one([0.0] * 5) == expected("binary", np.zeros((1, 5)))[0]


@pytest.mark.parametrize("shape", [(5,), (2, 4), (2, 6), (0, 4), (1, 2, 5)])
def test_a_matrix_must_have_so_many_columns(shape: tuple[int, ...]) -> None:
    with pytest.raises(DefinitionError, match=re.escape(f"rows must be (n, 5), got {shape}; mend `features`")):
        engine("binary").predict(np.zeros(shape))


TEXT = booster("multiclass", 12).model_to_string()


@pytest.mark.parametrize(
    "text",
    [
        *("", "tree", "\n\n", TEXT[:500], TEXT[: len(TEXT) // 2], TEXT.replace("end of trees", ""), TEXT + "\0"),
        *(TEXT.replace("leaf_value=", "leaf=", 1), TEXT.replace("Tree=7", "Tree=8")),
        *(TEXT.replace("tree_sizes", "sizes"), TEXT.replace("\nTree=0\n", "\n\nTree=0\n")),
        TEXT.replace("num_tree_per_iteration=3", "num_tree_per_iteration=x"),
    ],
)
def test_what_is_no_whole_model_is_refused_before_lightgbm_would_abort(text: str) -> None:
    with pytest.raises(RegistryError, match=r"this is no LightGBM model: .*; train anew"):
        Engine.from_text(text)


def test_what_lightgbm_says_is_passed_on() -> None:
    with pytest.raises(RegistryError, match=r"LightGBM failed and says: .*max_feature_idx.*; train anew, or install"):
        Engine.from_text(TEXT.replace("max_feature_idx", "least_feature_idx"))


def test_a_missing_or_a_broken_library_is_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"no_such_package is not installed; install requirements\.lock"):
        folder_of("no_such_package")
    with pytest.raises(RegistryError, match=r"LightGBM's library is not in .*; install requirements.lock"):
        library_in(tmp_path)
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "lib_lightgbm.so").write_bytes(b"no library")
    with pytest.raises(RegistryError, match=r"LightGBM's library cannot be used: .*; install requirements.lock"):
        library_in(tmp_path)


def test_threads_that_ask_at_the_same_time_get_their_own_answers() -> None:
    """One by one, in blocks of both sizes, and whole: all of one engine. LightGBM's own ranges of trees would mix."""
    made, inputs = engine("multiclass"), rows(700, 9, odd=0.1)
    wanted = expected("multiclass", inputs)

    def ask(number: int) -> None:
        for turn in range(12):
            count = (1, 10, 40, 700)[(number + turn) % 4]
            if count == 1:
                for row in range(60):
                    assert_equal(np.array(made.one(inputs[row].tolist())), wanted[row])
            assert_equal(made.predict(inputs[:count], threads=2), wanted[:count])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(ask, range(6)))


def test_a_request_that_holds_an_engine_is_answered_after_the_swap() -> None:
    inputs = rows(3_000, 4)
    wanted, served = expected("binary", inputs), [Engine.from_text(booster("binary").model_to_string())]
    begun, found = threading.Event(), list[Array]()

    def ask(made: Engine) -> None:
        begun.set()
        found.extend(made.predict(inputs) for _ in range(20))

    thread = threading.Thread(target=ask, args=(served[0],))
    thread.start()
    begun.wait(10)
    served[0] = engine("l2")
    gc.collect()
    thread.join(60)
    assert len(found) == 20
    for each in found:
        assert_equal(each, wanted)


def test_two_hundred_swaps_leave_no_memory_behind() -> None:
    """Each holds 0.2 MB for the whole, and twice as much for blocks: 180 that stayed would be above 50 MB."""
    text, inputs = booster("binary").model_to_string(), rows(600, 1)

    def swap() -> None:
        made = Engine.from_text(text)
        made.one(inputs[0].tolist())
        made.predict(inputs[:30])
        made.predict(inputs)

    for _ in range(20):
        swap()
    before = _resident_mb()
    for _ in range(180):
        swap()
    assert _resident_mb() - before < 25


def _resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096 / 2**20
