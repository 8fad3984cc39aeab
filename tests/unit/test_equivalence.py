"""A compiled contract says what Pandera's own eager validation with a full report (`lazy=True`) says: the same verdict,
the same number of failures for each check, the same rows where all are accepted.

The exceptions, each counted, none skipped in silence (`EXCEPTIONS`, and what is compared nevertheless):
"""

import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandera.errors import SchemaError, SchemaErrors

from tests.unit.random_contracts import KEY, NOON, TIME, Case, draw
from validation.contract import Judged, Quarantine, Terms, judge_batch

EXCEPTIONS = {
    "pandera crashes": "a check answers a plain False, an expression or raises beside other failures: Pandera's report "
    "cannot be put together (ShapeError, SchemaError, ColumnNotFoundError of Polars). Nothing to compare with.",
    "a warning cannot be asked": "a check with raise_warning that raises fails the batch in Pandera; here it warns.",
    "the columns are wrong": "a missing, mistyped, unexpected or misplaced column: the verdict is the same, but "
    "nothing else is asked here, where Pandera goes on with the other columns.",
    "coercion fails": "Pandera stops at the first column that cannot be converted; the verdict is the same.",
    "a default retypes": "filling a default in, Pandera may turn a wrong type into the right one; here it is refused.",
    "several composite uniques": "Pandera stops at the first violated one; all other rules are compared.",
}
NAN = "NaN is null to Andon: it is made so before both are asked."
ALWAYS, IN_ALL = 400, 3_000
STRUCTURE = ("column_in_dataframe", "column_in_schema", "column_ordered", "no_regex", "dtype(", "add_missing")
COMPOSITE = "multiple_fields_uniqueness"

Failures = Counter[tuple[Any, str, Any]]


def ours(case: Case, folder: Path) -> Judged:
    terms = Terms(contract=case.schema, policy=Quarantine(max_bad_share=0.0), key=(KEY,), time=TIME)
    path = folder / "dead_letter.parquet"
    return judge_batch(case.frame.lazy(), terms, pipeline="p", batch="b", as_of=NOON, dead_letter=path)


def told_by_us(judged: Judged) -> Failures:
    found: Failures = Counter()
    for item in judged.outcomes:
        origin = item.rule.origin
        if origin is not None and item.failures and not item.rule.only_warns:
            found[origin.column, origin.check, origin.index] += item.failures
    return found


def told_by_pandera(case: Case) -> tuple[Failures, pl.DataFrame | None]:
    found: Failures = Counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of checks that only warn
            frame = case.frame.with_columns(pl.selectors.float().fill_nan(None))
            return found, case.schema.validate(frame, lazy=True)
    except SchemaErrors as errors:
        for error in errors.schema_errors:
            cells = error.failure_cases
            name = error.check if isinstance(error.check, str) else str(error.check.error or error.check.name)
            found[error.schema.name, name, error.check_index] += cells.height if isinstance(cells, pl.DataFrame) else 1
        return found, None
    except SchemaError:  # raised past the report: a pattern that no column matches
        return Counter({(case.schema.name, "no_regex_column_match", None): 1}), None


def exception_of(case: Case) -> str:
    """Hold the two to the same answers; returns the name of the exception that applies, or ""."""
    with tempfile.TemporaryDirectory() as folder:
        judged = ours(case, Path(folder))
        try:
            theirs, accepted = told_by_pandera(case)
        except (pl.exceptions.PolarsError, TypeError):
            return "pandera crashes"
        if any(item.rule.only_warns and item.fault for item in judged.outcomes):
            return "a warning cannot be asked"
        if is_retyped(case) and not theirs:
            return "a default retypes"
        assert (judged.verdict.outcome == "accept") == (not theirs), (judged.verdict.reasons, theirs)
        if any(name.startswith(STRUCTURE) for _, name, _ in theirs) or not judged.outcomes:
            return "the columns are wrong"
        mine = told_by_us(judged)
        if any(name.startswith("coerce") for _, name, _ in (*theirs, *mine)):
            return "coercion fails"
        several = bool(case.schema.unique) and not isinstance(case.schema.unique[0], str)
        if several:
            theirs, mine = without(theirs, COMPOSITE), without(mine, COMPOSITE)
        assert mine == theirs
        if accepted is not None:
            good = judged.good.collect()  # of columns beside the contract's, which Pandera leaves, nothing is kept
            assert good.equals(accepted.select(name for name in good.columns if name in accepted.columns))
        return "several composite uniques" if several else ""


def is_retyped(case: Case) -> bool:
    """Is there a column with a default that came in another type?"""
    got = case.frame.schema
    return any(
        column.default is not None and name in got and got[name] != column.dtype.type
        for name, column in case.schema.columns.items()
    )


def without(failures: Failures, name: str) -> Failures:
    return Counter({key: count for key, count in failures.items() if key[1] != name})


def compare(examples: int) -> Counter[str]:
    """So many random cases; how often which exception applied."""
    found: Counter[str] = Counter()

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 2**40))
    def same(seed: int) -> None:
        found[exception_of(draw(seed))] += 1

    same()
    return found


def check_shares(found: Counter[str], examples: int) -> None:
    assert found.total() >= examples
    assert set(found) <= {"", *EXCEPTIONS}
    assert found[""] >= 0.55 * found.total(), found
    assert found["pandera crashes"] <= 0.25 * found.total(), found


def test_some_hundred_random_contracts_say_what_pandera_says() -> None:
    check_shares(compare(ALWAYS), ALWAYS)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_thousands_of_random_contracts_say_what_pandera_says() -> None:
    found = compare(IN_ALL)
    print(dict(found))  # noqa: T201 - how often which exception applied, for the one who reads the log
    check_shares(found, IN_ALL)
