"""What a definition says of training is checked with it, and LightGBM is told it."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import lightgbm as lgb
import numpy as np
import polars as pl
import pytest

from andon import DefinitionError, Training
from modelling.boosting.parameters import parameters
from modelling.encoding import Column, Encoding
from modelling.fixable import FIXABLE
from modelling.labels import label_values
from modelling.metrics import row_losses
from modelling.recipes import OPTIONAL, SPACE
from modelling.spec import Search, Spec
from modelling.training import fit
from tests.unit.definitions import define
from tests.unit.modelling_world import FAST, pipeline_in, rides

ENCODING = Encoding(columns=(Column("stop", ("north",)), Column("wind"), Column("hour"), Column("weekend")))


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    return pipeline_in(tmp_path_factory.mktemp("rides")).spec


def trained(**training: Any) -> object:
    return define(training=Training(**training))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: trained(weight="zone"), "training.weight must be a numeric column of distance; got 'zone'"),
        (lambda: trained(weight="hour"), "training.weight must be a numeric column of distance; got 'hour'"),
        (
            lambda: trained(monotone={"zone": 1}),
            "training.monotone must name numeric inputs of .*; got 'zone'",
        ),
        (lambda: trained(monotone={"speed": -1}), "training.monotone must name numeric .* hour; got 'speed'"),
        (lambda: trained(monotone={"hour": 2}), "training.monotone must be 1 or -1 for each input, got 2"),
        (lambda: trained(monotone={"hour": True}), "training.monotone must be 1 or -1 for each input, got True"),
        (
            lambda: trained(monotone=["hour"]),
            r"""monotone must be a mapping of names, such as {"wind": 1}, got \['hour'""",
        ),
        (lambda: trained(fixed=["max_depth"]), r"""fixed must be a mapping of names, such as {"max_depth": 6}, got"""),
        (lambda: Search(space=["num_leaves"]), "search.space must be a mapping of names"),  # type: ignore[arg-type]
        (lambda: Search(budget_seconds=float("nan")), "search.budget_seconds must be above 0 and finite, got nan"),
        (lambda: Search(space={"learning_rate": (0, 0.1)}), "learning_rate must be two of a number above 0"),
        (lambda: Search(space={"lambda_l2": (1, float("inf"))}), "lambda_l2 must be two of a number of at least 0"),
        (lambda: trained(trusted="hour"), r"""trusted must be a tuple of texts, got 'hour'; write \("hour",\)"""),
        (lambda: trained(trusted=("hour", 3)), r"""trusted must be a tuple of texts, .* write \("wind",\)"""),
        (lambda: trained(trusted=("speed",)), "training.trusted must name inputs of .*zone.*; got 'speed'"),
        (lambda: trained(class_weight="even"), "training.class_weight must be 'none' or 'balanced', got 'even'"),
        (lambda: trained(calibration="platt"), "training.calibration must be 'none' or 'isotonic', got 'platt'"),
        (lambda: trained(fixed={"num_threads": 3}), "training.fixed takes learning_rate, .*; got 'num_threads'"),
        (lambda: trained(fixed={"max_depth": 5.5}), "fixed: max_depth must be a whole number of at least -1, at most"),
        (lambda: trained(fixed={"extra_trees": 2}), "training.fixed: extra_trees must be True or False, got 2"),
        (lambda: trained(fixed={"learning_rate": 0}), "learning_rate must be a number above 0, at most 1, got 0"),
        (lambda: trained(fixed={"lambda_l2": float("nan")}), "lambda_l2 must be a number of at least 0, got nan"),
        (
            lambda: trained(fixed={"lambda_l2": "1"}),
            "lambda_l2 must be a number of at least 0, got '1'",
        ),
        (
            lambda: define(task="regression", training=Training(calibration="isotonic")),
            "training.calibration is for classes, this task is a regression; leave it",
        ),
        (
            lambda: define(task="regression", training=Training(class_weight="balanced")),
            "training.class_weight is for classes, this task is a regression; leave it",
        ),
        (
            lambda: define(task="multiclass", training=Training(monotone={"hour": 1})),
            "training.monotone: several classes cannot all rise with an input",
        ),
        (
            lambda: define(task="regression", metric="l1", training=Training(monotone={"hour": 1})),
            'training.monotone: LightGBM cannot with metric="l1"; take "l2", or leave it out',
        ),
        (
            lambda: define(training=Training(deadline="59s"), search=Search(budget_seconds=30)),
            r"training.deadline \(59 s\) must be at least 2 times search.budget_seconds \(30 s\).* 60 s .* 29.5 s",
        ),
        (
            lambda: define(search=Search(budget_seconds=1_801)),
            r"training.deadline \(3600 s\) must be at least 2 times search.budget_seconds \(1801 s\)",
        ),
    ],
)
def test_training_that_cannot_be_names_field_value_and_what_is_allowed(
    make: Callable[[], object], message: str
) -> None:
    with pytest.raises(DefinitionError, match=message):
        make()


def test_a_deadline_of_two_budgets_is_enough() -> None:
    define(training=Training(deadline="1m"), search=Search(budget_seconds=30))


def test_training_that_can_be_is_part_of_the_definition() -> None:
    said = {"weight": "distance", "monotone": {"hour": -1}, "trusted": ("zone",), "fixed": {"extra_trees": 1}}
    made = define(training=Training(**said))  # type: ignore[arg-type]
    assert made.spec.training == Training(**said)  # type: ignore[arg-type]
    assert made.fingerprint != define().fingerprint


def test_all_that_a_search_may_change_can_be_fixed() -> None:
    assert set(SPACE) | OPTIONAL <= set(FIXABLE)
    for name, (low, high) in SPACE.items():
        assert FIXABLE[name].allows(low), name
        assert FIXABLE[name].allows(high), name


def test_what_is_fixed_goes_before_the_recipe_and_is_of_lightgbms_kind(spec: Spec) -> None:
    fixed = {"num_leaves": 4.0, "extra_trees": 1, "lambda_l1": 2}
    told = parameters(replace(spec, training=Training(fixed=fixed)), FAST, classes=(), seed=7, threads=1)
    assert [told[name] for name in fixed] == [4, True, 2.0]
    assert [type(told[name]) for name in fixed] == [int, bool, float]
    model = fit(replace(spec, training=Training(fixed=fixed)), rides(500), FAST, seed=7, threads=1)
    leaves = [line for line in model.text.splitlines() if line.startswith("num_leaves=")]
    assert set(leaves) <= {f"num_leaves={count}" for count in range(1, 5)}


def test_monotone_constraints_are_told_in_the_order_of_the_inputs(spec: Spec) -> None:
    own = replace(spec, training=Training(monotone={"wind": 1, "weekend": -1}))
    told = parameters(own, FAST, classes=(), seed=7, threads=1, encoding=ENCODING)
    assert told["monotone_constraints"] == [0, 1, 0, -1]
    assert "monotone_constraints" not in parameters(spec, FAST, classes=(), seed=7, threads=1, encoding=ENCODING)
    with pytest.raises(DefinitionError, match="give their encoding"):
        parameters(own, FAST, classes=(), seed=7, threads=1)
    of_stops = replace(own, training=Training(monotone={"stop": 1}))
    with pytest.raises(DefinitionError, match=r"training.monotone names 'stop', which is a category; leave it out"):
        parameters(of_stops, FAST, classes=(), seed=7, threads=1, encoding=ENCODING)


def swept(asked: pl.DataFrame) -> pl.DataFrame:
    """Each row of these with each of 40 winds, in order."""
    winds = pl.DataFrame({"wind": np.linspace(0, 20, 40)})
    return asked.drop("wind").join(winds, how="cross").select(asked.columns)


@pytest.mark.parametrize("sign", [1, -1])
def test_predictions_never_fall_or_never_rise_with_a_monotone_input(spec: Spec, sign: int) -> None:
    """Where the truth goes up with the wind, with noise that trees without a constraint follow."""
    own = replace(spec, training=Training(monotone={"wind": sign}))
    free, bound = (fit(each, rides(1_000), FAST, seed=7, threads=1) for each in (spec, own))
    found, unbound = (model.predict(swept(rides(20, seed=2))).reshape(20, 40) for model in (bound, free))
    assert (np.diff(found, axis=1) * sign >= -1e-12).all()
    assert not (np.diff(unbound, axis=1) * sign >= -1e-12).all()
    assert (found[:, -1] > found[:, 0]).all() == (sign == 1)


def test_the_brier_score_steers_a_model_that_gives_probabilities(spec: Spec) -> None:
    rows, later = rides(2_000), rides(1_000, seed=2)
    model = fit(replace(spec, metric="brier"), rows, FAST, seed=7, threads=1)
    labels = label_values("binary", later["late"])
    loss = row_losses("binary", "brier", labels, model.predict(later)).mean()
    assert loss < 0.95 * np.square(labels - labels.mean()).mean()
    assert parameters(model.spec, FAST, classes=(), seed=7, threads=1)["metric"] == "l2"


def test_the_default_values_are_lightgbms_own() -> None:
    """As it writes them into the text of a model for which nothing was said."""
    rows = lgb.Dataset(np.arange(100.0)[:, None], np.arange(100.0) % 2)
    text = lgb.train({"objective": "binary", "verbosity": -1}, rows, num_boost_round=1).model_to_string()
    told = dict(re.findall(r"^\[(\w+): (.*)\]$", text, flags=re.MULTILINE))
    assert told.pop("max_depth") == "-1"  # it has no limit
    assert FIXABLE["max_depth"].default == FIXABLE["max_depth"].highest
    assert {name: float(told[name]) for name in FIXABLE if name in told} == {
        name: FIXABLE[name].default for name in FIXABLE if name != "max_depth"
    }
