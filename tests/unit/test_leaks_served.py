"""An input that was filled in after the outcome is told from one that was merely corrected."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from modelling.leaks_served import changed_since_scored
from modelling.spec import Spec, Training
from tests.unit.modelling_world import START

ROWS = 3_000
RANDOM = np.random.default_rng(6)
LATE = RANDOM.random(ROWS) < 0.3
NOW = pl.DataFrame(
    {
        "id": range(ROWS),
        "at": [START + timedelta(minutes=row) for row in range(ROWS)],
        "wind": RANDOM.normal(size=ROWS),
        "gate": RANDOM.choice(["a", "b"], ROWS),
        "claims": np.where(LATE & (RANDOM.random(ROWS) < 0.6), 1, 0),
        "late": LATE,
    },
    schema_overrides={"at": pl.Datetime("us", "UTC")},
)
THEN = NOW.drop("late").with_columns(claims=pl.lit(0, dtype=pl.Int64))
SPEC = Spec(
    features=lambda rows: rows.select("id", "gate", "claims", wind=pl.col("wind") * 2),
    raw_schema=dict(THEN.schema),
    key=("id",),
    time="at",
    target="late",
    task="binary",
    metric="logloss",
)


def test_an_input_that_was_filled_in_after_the_outcome_is_found() -> None:
    (leak,) = changed_since_scored(SPEC, NOW, THEN.sample(fraction=1, shuffle=True, seed=1))
    assert (leak.column, leak.kind) == ("claims", "future")
    assert leak.sentence.startswith(
        "input 'claims' has learned of the outcome: 18% of 3,000 rows had another value when they were scored, and it "
        "tells the target better now (AUC 0."
    )
    assert leak.sentence.endswith("say Training(trusted=('claims',))")
    assert changed_since_scored(replace(SPEC, training=Training(trusted=("claims",))), NOW, THEN) == ()


def test_a_correction_that_tells_no_more_is_no_leak() -> None:
    corrected = NOW.with_columns(claims=pl.lit(0, dtype=pl.Int64), wind=pl.col("wind") + 0.5)
    assert changed_since_scored(SPEC, corrected, THEN) == ()


@pytest.mark.parametrize("served", [THEN.clear(), THEN.head(499), THEN.with_columns(id=pl.col("id") + ROWS)])
def test_without_enough_rows_that_were_scored_nothing_is_told(served: pl.DataFrame) -> None:
    assert changed_since_scored(SPEC, NOW, served) == ()


def test_a_row_that_was_scored_twice_counts_as_it_was_first() -> None:
    """The second answer was asked for when all was known."""
    again = pl.concat([THEN, NOW.select(THEN.columns)])
    assert [leak.column for leak in changed_since_scored(SPEC, NOW, again)] == ["claims"]


def test_what_was_scored_as_it_is_is_no_leak_though_it_is_telling() -> None:
    assert changed_since_scored(SPEC, NOW, NOW.drop("late")) == ()
