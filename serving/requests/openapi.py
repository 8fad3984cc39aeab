"""The scorer's interface as an OpenAPI 3.1 document, made from the columns of what it serves at the moment."""

from collections.abc import Collection, Mapping
from typing import Any, Protocol

import polars as pl

from serving.requests.decoding import MAX_ROWS
from serving.requests.json_schema import Json, request_schemas

_ERRORS = {
    400: "The body is no JSON, or the request no HTTP; send what this document shows.",
    401: "A good token is missing.",
    408: "The body did not come in time.",
    413: "The body is too long; send fewer rows at a time, or land a file for batch scoring.",
    414: "The path is too long.",
    415: "The body's content-type or content-encoding is not read here.",
    422: "The rows do not keep the pipeline's contract; the sentence names column and row.",
    431: "The request's head is too long.",
    500: "The scorer failed; its log says why.",
    503: "Nothing can be answered at the moment: no champion, or too much to do.",
}
_METHOD = {405: "The path does not answer this method; the header allow names those that it does."}


class Described(Protocol):
    """What is known of a pipeline's requests (serving/requests/decoding.py: RowsDecoder)."""

    @property
    def schema(self) -> Mapping[str, pl.DataType]:
        """The raw columns."""
        ...

    @property
    def required(self) -> Collection[str]:
        """Those that may not hold nulls."""
        ...

    @property
    def looked_up(self) -> Mapping[str, Collection[str]]:
        """For each lookup the columns that a request may leave out, all of them together."""
        ...


def openapi(served: Mapping[str, Described | None], *, secured: bool) -> Json:
    """The document. `served`: None for a pipeline without a champion: its columns are not known yet.

    `secured`: requests need a bearer token.
    """
    schemas = {name: _request(name, described) for name, described in served.items()}
    paths = {f"/{name}/invocations": _invocations(name, secured=secured) for name in served}
    for name in served:
        paths[f"/{name}/ping"] = _get(f"Whether {name} can be answered", {}, may_be_down=True, secured=secured)
        paths[f"/{name}/version"] = _get(f"Which version of {name} answers", _OBJECT, secured=secured)
    if len(served) == 1:
        paths["/invocations"] = _invocations(next(iter(served)), secured=secured, alone=True)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Andon scorer", "version": "1", "description": "Predictions of the champions."},
        "paths": {**paths, **_common(secured=secured)},
        "components": {"schemas": {**_SCHEMAS, **schemas}, **(_SECURITY if secured else {})},
    }


_OBJECT: Json = {"type": "object"}
_SCHEMAS: Json = {
    "error": {
        "type": "object",
        "properties": {"error": {"type": "string", "description": "A sentence: what is wrong, and what to do"}},
        "required": ["error"],
    },
    "predictions": {
        "type": "object",
        "properties": {
            "predictions": {
                "type": "array",
                "minItems": 1,
                "description": "One for each row, in order: a number, or of several classes each one's probability",
                "items": {"anyOf": [{"type": "number"}, {"type": "array", "items": {"type": "number"}}]},
            }
        },
        "required": ["predictions"],
    },
}
_SECURITY: Json = {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}}
_HEADERS: Json = {
    "x-andon-model-version": {"schema": {"type": "string"}, "description": "The version that answered"},
    "x-andon-prediction-id": {
        "schema": {"type": "string"},
        "description": "Under which the rows are in the log: ID-0, ..",
    },
    "x-andon-hint": {"schema": {"type": "string"}, "description": "When batch scoring is the better way"},
}


def _request(name: str, described: Described | None) -> Json:
    if described is None:
        return {"description": f"{name} has no champion yet: its columns are known when it has one", **_OBJECT}
    forms = request_schemas(
        described.schema, required=described.required, groups=tuple(described.looked_up.values()), rows=MAX_ROWS
    )
    return {"description": "One of MLflow's four formats", "oneOf": list(forms.values())}


def _invocations(name: str, *, secured: bool, alone: bool = False) -> Json:
    """The path for requests of a pipeline; `alone`: the one without its name."""
    answer = {
        "description": "The predictions",
        "headers": {header: {**told, "required": "hint" not in header} for header, told in _HEADERS.items()},
        "content": _content("predictions"),
    }
    operation = {
        "operationId": f"predict_{name}" + "_alone" * alone,
        "summary": f"Predictions of {name}",
        "requestBody": {"required": True, "content": _content(name)},
        "responses": {"200": answer, **_refusals({**_ERRORS, **_METHOD}, secured=secured)},
    }
    return {"post": {**operation, **_secured(secured=secured)}}


def _common(*, secured: bool) -> Json:
    text = {"text/plain": {"schema": {"type": "string"}}}
    return {
        "/ping": _get("Whether the scorer answers", {}, secured=False),
        "/health": _get("How it is; with a token also why", _OBJECT, may_be_down=True, secured=False),
        "/version": _get("Which versions answer", _OBJECT, secured=secured),
        "/metrics": _get("Counters and times, as Prometheus reads them", {}, secured=secured, content=text),
        "/openapi.json": _get("This document", _OBJECT, secured=secured),
    }


def _get(summary: str, schema: Json, *, secured: bool, may_be_down: bool = False, content: Json | None = None) -> Json:
    told = {
        **({503: _ERRORS[503]} if may_be_down else {}),
        **{status: _ERRORS[status] for status in (400, 401, 408, 414, 431, 500)},
    }
    answer = {"description": "The answer", "content": content or {"application/json": {"schema": schema}}}
    responses = {"200": answer, **_refusals({**told, **_METHOD}, secured=secured)}
    return {"get": {"summary": summary, "responses": responses, **_secured(secured=secured)}}


def _refusals(told: Mapping[int, str], *, secured: bool) -> Json:
    return {
        str(status): {"description": sentence, "content": _content("error")}
        for status, sentence in sorted(told.items())
        if secured or status != 401
    }


def _secured(*, secured: bool) -> dict[str, Any]:
    return {"security": [{"token": []}]} if secured else {}


def _content(component: str) -> Json:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{component}"}}}
