import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.requests.decoding import RequestError, RowsDecoder
from serving.requests.json_schema import day_pattern, moment_pattern, request_schemas
from serving.requests.openapi import openapi
from tests.e2e.mutation import NUMBERS, OTHERS, TEXTS, bodies
from tests.e2e.strict_reading import FORMATS, Contract

SCHEMA: dict[str, pl.DataType] = {
    "id": pl.String(),
    "at": pl.Datetime("us", "UTC"),
    "dep time": pl.Float64(),
    "half": pl.Float32(),
    "seats": pl.Int16(),
    "big": pl.UInt64(),
    "open": pl.Boolean(),
    "size": pl.Enum(["s", "m"]),
    "day": pl.Date(),
    "ns": pl.Datetime("ns"),
}
CONTRACT = Contract(SCHEMA, required=("id", "at"), groups=(("seats", "size"), ("day",)))
DECODER = RowsDecoder(SCHEMA, required=CONTRACT.required, looked_up={"planes": ("seats", "size"), "sky": ("day",)})
DOCUMENT = openapi({"trips": DECODER}, secured=True)


def accepted(body: bytes, decoder: RowsDecoder = DECODER) -> bool:
    try:
        decoder.decode(body)
    except RequestError:
        return False
    return True


def whole(value: Any) -> Any:
    """JSON Schema calls 3.0 an integer, the scorer does not: no schema can say so."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, dict):
        return {name: whole(held) for name, held in value.items()}
    return [whole(held) for held in value] if isinstance(value, list) else value


def more_than_the_schema_tells(request: dict[str, Any]) -> bool:
    """What is answered, too, and which no schema can express: columns in other orders, lists of several rows."""
    request = {name: held for name, held in request.items() if name != "params"}
    form, held = next(iter(request.items()))
    if form == "dataframe_split":
        return bool(held["columns"] != [name for name in SCHEMA if name in held["columns"]])
    return isinstance(held, dict) and len(held["id"]) > 1


def validator() -> jsonschema_rs.Draft202012Validator:
    components = DOCUMENT["components"]
    return jsonschema_rs.Draft202012Validator({"components": components, **components["schemas"]["trips"]})


def requests() -> Iterator[Any]:
    """Each interesting value in each column, the limits of a request, and mutated ones."""
    row = dict.fromkeys(SCHEMA) | {"id": "a", "at": "2013-01-31T06:15:00Z"}
    for told in (*NUMBERS, *TEXTS, *OTHERS):
        for name in SCHEMA:
            yield f'{{"inputs": [{json.dumps(row | {name: "here"})}]}}'.replace('"here"', told)
    for held in ([row] * 10_000, [row] * 10_001, [], {name: [value] for name, value in row.items()}):
        yield json.dumps({"inputs": held})
    several: list[Any] = [{}, None, {"a": 1}, [], 0]
    for params in several:
        yield json.dumps({"instances": [row], "params": params})
    yield from bodies(CONTRACT, seed=4, count=1_500)


def test_what_the_schema_allows_is_answered_and_what_it_forbids_is_refused() -> None:
    schema, seen = validator(), {True: 0, False: 0}
    for body in requests():
        try:
            request = whole(json.loads(body))
            written = json.dumps(request, allow_nan=False, ensure_ascii=False).encode()  # no lone surrogates
        except (ValueError, RecursionError):
            continue
        valid, answered = schema.is_valid(request), accepted(written)
        if not (answered and not valid and more_than_the_schema_tells(request)):
            assert answered == valid, written[:2000]
        seen[valid] += 1
    assert min(seen.values()) > 200, seen


@pytest.mark.parametrize(
    ("dtype", "pattern"),
    [
        (pl.Datetime("us", "UTC"), moment_pattern(pl.Datetime("us", "UTC"))),
        (pl.Datetime("ns"), moment_pattern(pl.Datetime("ns"))),
        (pl.Date(), day_pattern()),
    ],
)
def test_a_pattern_is_exactly_what_is_read(dtype: pl.DataType, pattern: str) -> None:
    decoder = RowsDecoder({"a": dtype}, required=("a",))

    def check(text: str) -> None:
        body = json.dumps({"inputs": {"a": [text]}}).encode()
        assert accepted(body, decoder) == bool(re.fullmatch(pattern.rstrip("$"), text)), text

    @given(st.from_regex(pattern.rstrip("$") + r"\Z"))
    def allowed(text: str) -> None:
        check(text)

    @given(
        st.from_regex(pattern.rstrip("$") + r"\Z"),
        st.integers(0, 40),
        st.sampled_from("019-+:.TZ tz,"),
        st.sampled_from([0, 1]),
    )
    def changed(text: str, place: int, other: str, cut: int) -> None:
        at = place % len(text)
        check(text[:at] + other + text[at + cut :])

    allowed()
    changed()
    for year in (
        *range(6),
        *range(96, 105),
        *range(1595, 1705),
        *range(1895, 2005),
        *range(2195, 2270),
        *range(9990, 10_000),
    ):
        for day in ("01-01", "12-31", "02-29"):
            check(f"{year:04}-{day}" if dtype == pl.Date else f"{year:04}-{day}T12:00:00+01:00")
    for text in TEXTS:
        check(text.strip('"'))


def test_the_document_tells_every_path_with_its_answers() -> None:
    assert list(DOCUMENT["paths"]) == [
        *("/trips/invocations", "/trips/ping", "/trips/version", "/invocations"),
        *("/ping", "/health", "/version", "/metrics", "/openapi.json"),
    ]
    asked = DOCUMENT["paths"]["/trips/invocations"]["post"]
    assert list(asked["responses"]) == [
        *("200", "400", "401", "405", "408", "413", "414", "415", "422", "431", "500", "503"),
    ]
    assert list(asked["responses"]["200"]["headers"]) == [
        *("x-andon-model-version", "x-andon-prediction-id", "x-andon-hint"),
    ]
    assert asked["security"] == [{"token": []}]
    operations = [
        operation["operationId"]
        for path in DOCUMENT["paths"].values()
        for operation in path.values()
        if "operationId" in operation
    ]
    assert len(operations) == len(set(operations))
    json.dumps(DOCUMENT, allow_nan=False)


def test_open_scorers_several_pipelines_and_those_without_a_champion_are_told_as_they_are() -> None:
    document = openapi({"trips": DECODER, "buses": None}, secured=False)
    assert "/invocations" not in document["paths"]
    assert "securitySchemes" not in document["components"]
    assert "401" not in document["paths"]["/trips/invocations"]["post"]["responses"]
    assert "no champion yet" in document["components"]["schemas"]["buses"]["description"]


def test_many_groups_of_looked_up_columns_are_told_by_all_and_none() -> None:
    schema = {"id": pl.String(), **{f"c{number}": pl.Int64() for number in range(5)}}
    groups = [(f"c{number}",) for number in range(5)]
    told = request_schemas(schema, required=("id",), groups=groups, rows=10)
    records = told["dataframe_records"]["properties"]["dataframe_records"]["anyOf"]
    assert [variant["items"]["required"] for variant in records] == [list(schema), ["id"]]
    assert set(told) == set(FORMATS)
