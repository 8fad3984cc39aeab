"""Asking the running scorer for predictions, as an application does: MLflow's protocol over HTTP."""

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import msgspec
import polars as pl

from tasks.site import Site
from validation.errors import ServiceDownError

ROWS_PER_REQUEST = 200
_DEADLINE_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The predictions of some rows (binary, regression: numbers; multiclass: lists), and who gave them."""

    predictions: list[float] | list[list[float]]
    version: str
    prediction_id: str


def ask_scorer(site: Site, rows: pl.DataFrame) -> Iterator[tuple[pl.DataFrame, Answer]]:
    """Each chunk of `rows` with its answer, in order; the scorer logs them. ServiceDownError when it is down."""
    url = f"{site.settings.scorer_url.rstrip('/')}/{site.name}/invocations"
    token = site.settings.scorer_token.get_secret_value()
    headers = {"content-type": "application/json", **({"authorization": f"Bearer {token}"} if token else {})}
    with httpx.Client(timeout=_DEADLINE_SECONDS, trust_env=False, headers=headers) as client:
        for chunk in rows.iter_slices(ROWS_PER_REQUEST):
            yield chunk, _ask(client, url, chunk)


def _ask(client: httpx.Client, url: str, rows: pl.DataFrame) -> Answer:
    body = msgspec.json.encode({"dataframe_split": {"columns": rows.columns, "data": rows.rows()}})
    try:
        response = client.post(url, content=body)
    except httpx.HTTPError as cause:
        raise ServiceDownError(
            f"the scorer at {url} does not answer ({type(cause).__name__}); start it: andon up, or "
            "python -m serving.scorer"
        ) from cause
    if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise ServiceDownError(f"the scorer at {url} refuses the token; set ANDON_SCORER_TOKEN to one that it takes")
    if response.status_code != httpx.codes.OK:
        raise ServiceDownError(f"the scorer at {url} answered {response.status_code}: {response.text[:300]}")
    return Answer(
        predictions=response.json()["predictions"],
        version=response.headers["x-andon-model-version"],
        prediction_id=response.headers["x-andon-prediction-id"],
    )
