"""A panic in Polars is a BaseException: wherever an author's `features` runs, it becomes the author's error."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from modelling.inputs import inputs_of, matrix_of
from modelling.isolation import Limits, isolated
from modelling.training import fit
from tests.unit import isolation_jobs as jobs
from tests.unit.modelling_world import FAST, pipeline_in, rides
from validation.errors import DefinitionError, TrainingFailedError


def panicking(_: pl.LazyFrame) -> pl.LazyFrame:
    raise pl.exceptions.PanicException("called unwrap on nothing")


def test_features_that_panic_are_a_definition_error(tmp_path: Path) -> None:
    spec, rows = pipeline_in(tmp_path).spec, rides(100)
    model = fit(spec, rows, FAST, seed=7, threads=1)
    words = "features fails on 100 rows; mend it: PanicException: called unwrap on nothing"
    with pytest.raises(DefinitionError, match=words):
        inputs_of(replace(spec, features=panicking), rows)
    with pytest.raises(DefinitionError, match=words):
        matrix_of(replace(spec, features=panicking), model.encoding, rows)


def test_a_panic_in_the_training_process_is_told_with_its_words() -> None:
    with pytest.raises(TrainingFailedError, match="PanicException: called unwrap on nothing"):
        isolated(jobs.panic, "called unwrap on nothing", limits=Limits(seconds=60))
