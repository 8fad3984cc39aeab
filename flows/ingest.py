"""The on-ramp: files that have landed become curated rows and labels; bad rows are set aside with their reasons."""

from datetime import datetime

from prefect import flow

from tasks.arrivals import landed
from tasks.each import for_each
from tasks.ingest import take_in
from tasks.site import moment, open_sites
from tasks.telling import run_name
from validation.verdict import Verdict


@flow(name="ingest", flow_run_name=run_name)
def ingest(pipeline: str | None = None, as_of: datetime | None = None) -> tuple[Verdict, ...]:
    """Take in what has landed, labels first, then what rows look up, then rows; for one pipeline or all of them.

    `as_of`: the data time for freshness and for the verdicts; now when None. Returns one verdict for each new file;
    running it again, or twice at once, takes nothing twice.
    """
    now = moment(as_of)
    return for_each(
        "ingest",
        open_sites(pipeline),
        lambda site: [verdict for group in landed(site) for verdict in take_in(group, now)],
    )
