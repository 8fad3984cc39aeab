"""Predictions where decisions are taken: accepted batches are scored by the champion, logged and delivered."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Literal

from prefect import flow

from tasks.each import for_each
from tasks.reconcile import in_turn
from tasks.score import finish_deliveries, score_new, sites_with_champion
from tasks.site import Site, moment
from tasks.telling import run_name
from validation.verdict import Verdict


@flow(name="score", flow_run_name=run_name)
def score(
    pipeline: str | None = None, as_of: datetime | None = None, through: Literal["engine", "scorer"] = "engine"
) -> tuple[Verdict, ...]:
    """Score every accepted batch that has no predictions yet; NoChampionError when the named pipeline has no champion.

    `through`: "engine" loads the champion here; "scorer" asks the running scorer over REST, as an application would.
    Returns one verdict for each batch, and for each delivery that waited; each is delivered exactly once.
    """
    now = moment(as_of)
    return for_each("score", sites_with_champion(pipeline), lambda site: _score(site, now, through))


def _score(site: Site, now: datetime, through: str) -> list[Verdict]:
    """What waits for a channel has its turn whatever becomes of the new batches."""
    steps: tuple[Callable[[Site, datetime], Sequence[Verdict]], ...] = (
        partial(score_new, through=through), finish_deliveries,
    )  # fmt: skip
    return in_turn(steps, lambda step: step(site, now))
