"""Predictions where decisions are taken: accepted batches are scored by the champion, logged and delivered."""

from datetime import datetime
from typing import Literal

from prefect import flow

from tasks.each import for_each
from tasks.score import batches_to_score, score_batch, sites_with_champion
from tasks.site import moment
from tasks.telling import run_name
from validation.verdict import Verdict


@flow(name="score", flow_run_name=run_name)
def score(
    pipeline: str | None = None, as_of: datetime | None = None, through: Literal["engine", "scorer"] = "engine"
) -> tuple[Verdict, ...]:
    """Score every accepted batch that has no predictions yet; NoChampionError when the named pipeline has no champion.

    `through`: "engine" loads the champion here; "scorer" asks the running scorer over REST, as an application would.
    Returns one verdict for each batch; each is delivered exactly once.
    """
    now = moment(as_of)
    return for_each(
        "score",
        sites_with_champion(pipeline),
        lambda site: [score_batch(site, batch, now, through=through) for batch in batches_to_score(site)],
    )
