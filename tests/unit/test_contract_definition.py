"""What a contract must be to be kept, and what it says as a digest."""

import subprocess
import sys
from typing import Any

import pandera.polars as pa
import polars as pl
import pytest
from pandera.api.dataframe.model_components import parser
from pandera.api.parsers import Parser
from pandera.engines.polars_engine import PydanticModel
from pydantic import BaseModel

from validation.contract import contract_fingerprint
from validation.definition import check_contract
from validation.errors import DefinitionError

ALLOWED = ["a", "b"]


class Point(BaseModel):
    x: int


class Trips(pa.DataFrameModel):
    trip: str = pa.Field(unique=True)
    carrier: str = pa.Field(isin=["AA"], nullable=True)

    @pa.check("carrier")
    @classmethod
    def known(cls, data: pa.PolarsData) -> pl.LazyFrame:
        return data.lazyframe.select(pl.col(data.key).is_in(ALLOWED))


def of(column: pa.Column, **settings: Any) -> Any:
    return pa.DataFrameSchema({"x": column}, **settings)


def check(**settings: Any) -> pa.Check:
    return pa.Check(lambda data: data.lazyframe.select(pl.col("x") > 0), name="c", **settings)


POINT: Any = PydanticModel(Point)
WRONG: list[tuple[Any, str]] = [
    ("flights", "must be a pandera.polars DataFrameModel or DataFrameSchema, got 'flights'; import it"),
    (of(pa.Column(int), parsers=Parser(lambda data: data)), "it has parsers, which Pandera does not run on Polars"),
    (of(pa.Column(int, parsers=Parser(lambda data: data))), "column 'x' has parsers, which Pandera does not run"),
    (of(pa.Column(int, check(groupby="x"))), "the check 'c' of column 'x' has groupby, which Pandera ignores"),
    (of(pa.Column(int), checks=check(groupby="x")), "the check 'c' of the frame has groupby, which Pandera ignores"),
    (of(pa.Column(POINT)), "is a pydantic model, which judges row by row in Python; write its fields as columns"),
    (pa.DataFrameSchema(dtype=POINT), "is a pydantic model, which judges row by row in Python"),
    (of(pa.Column(None, default=1)), "column 'x' has a default and no type; name the type"),
    (of(pa.Column(int, default="one")), "column 'x': the default 'one' is no Int64"),
    (of(pa.Column(int, default=pl.col("row"))), "column 'x': the default must be one value"),
    (pa.DataFrameSchema({"x(": pa.Column(int, regex=True)}), "column 'x(' is no regular expression"),
]


@pytest.mark.parametrize(("contract", "reason"), WRONG, ids=[reason[:40] for _, reason in WRONG])
def test_a_contract_that_cannot_be_kept_is_a_wrong_definition(contract: Any, reason: str) -> None:
    with pytest.raises(DefinitionError) as error:
        check_contract(contract)
    assert reason in str(error.value)


def test_parsers_of_a_model_are_a_wrong_definition() -> None:
    class Parsed(pa.DataFrameModel):
        x: int

        @parser("x")
        @classmethod
        def doubled(cls, data: Any) -> Any:
            return data

    with pytest.raises(DefinitionError, match="parsers are not supported"):
        check_contract(Parsed)


@pytest.mark.parametrize("contract", [Trips, Trips.to_schema(), of(pa.Column(float, default=1), coerce=True)])
def test_contracts_that_can_be_kept_are_right(contract: Any) -> None:
    check_contract(contract)


def test_a_type_that_converts_in_its_own_way_is_a_wrong_definition() -> None:
    from pandera.engines import polars_engine

    class Odd(polars_engine.Int64):
        def coerce(self, data_container: Any) -> Any:
            return data_container

    odd: Any = Odd()
    with pytest.raises(DefinitionError, match="converts in a way of its own, which cannot be compiled"):
        check_contract(of(pa.Column(odd, coerce=True)))


def test_the_fingerprint_of_a_contract_is_that_of_its_schema_and_of_its_twin() -> None:
    assert contract_fingerprint(Trips) == contract_fingerprint(Trips.to_schema())
    assert contract_fingerprint(of(pa.Column(int, pa.Check.gt(0)))) == contract_fingerprint(
        of(pa.Column(int, pa.Check.gt(0)))
    )
    assert len(contract_fingerprint("no contract at all")) == 64


def bound_by(limit: int) -> pa.Check:
    return pa.Check(lambda data: data.lazyframe.select(pl.col("x") > limit), name="bound")


CHANGED: dict[str, Any] = {
    "as it is": of(pa.Column(int, pa.Check.gt(0))),
    "type": of(pa.Column(float, pa.Check.gt(0))),
    "bound": of(pa.Column(int, pa.Check.gt(1))),
    "another check": of(pa.Column(int, pa.Check.ge(0))),
    "nulls": of(pa.Column(int, pa.Check.gt(0), nullable=True)),
    "uniqueness": of(pa.Column(int, pa.Check.gt(0), unique=True)),
    "optional": of(pa.Column(int, pa.Check.gt(0), required=False)),
    "default": of(pa.Column(int, pa.Check.gt(0), default=1)),
    "null answers": of(pa.Column(int, pa.Check.gt(0, ignore_na=False))),
    "only warned": of(pa.Column(int, pa.Check.gt(0, raise_warning=True))),
    "strict": of(pa.Column(int, pa.Check.gt(0)), strict=True),
    "coerced": of(pa.Column(int, pa.Check.gt(0)), coerce=True),
    "unique together": of(pa.Column(int, pa.Check.gt(0)), unique=["x"]),
    "a custom check": of(pa.Column(int, [pa.Check.gt(0), bound_by(1)])),
    "what it closes over": of(pa.Column(int, [pa.Check.gt(0), bound_by(2)])),
    "its text": of(pa.Column(int, [pa.Check.gt(0), check()])),
    "another name": pa.DataFrameSchema({"y": pa.Column(int, pa.Check.gt(0))}),
}


def test_the_fingerprint_follows_all_that_a_contract_says() -> None:
    assert len({contract_fingerprint(contract) for contract in CHANGED.values()}) == len(CHANGED)


def test_the_fingerprint_is_the_same_in_another_process() -> None:
    """No addresses and no order of sets get into it."""
    program = (
        "import pandera.polars as pa; from validation.contract import contract_fingerprint;"
        "print(contract_fingerprint(pa.DataFrameSchema({'x': pa.Column(str, pa.Check.unique_values_eq("
        "{'a', 'b', 'c', 'd'}))})))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1
