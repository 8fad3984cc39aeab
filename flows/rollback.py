"""The way back: an earlier champion serves again, at once, whatever else is running."""

from datetime import datetime

from prefect import flow

from tasks.promote import roll_back_to
from tasks.site import moment, open_sites
from tasks.telling import run_name, tell
from validation.verdict import Verdict


@flow(name="rollback", flow_run_name=run_name)
def rollback(pipeline: str, why: str, to: str | None = None, as_of: datetime | None = None) -> Verdict:
    """Put back the champion before this one, or the version `to`. It must load and answer first; waits for no lease."""
    (site,) = open_sites(pipeline)
    verdict = roll_back_to(site, to, why, moment(as_of))
    tell("rollback", [verdict])
    return verdict
