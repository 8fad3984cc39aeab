"""Promotion by hand: a version that the gate has passed, but that was not promoted."""

from datetime import datetime

from prefect import flow

from tasks.promote import promote_version
from tasks.site import moment, open_sites
from tasks.telling import run_name, tell
from validation.verdict import Verdict


@flow(name="promote", flow_run_name=run_name)
def promote(pipeline: str, version: str, why: str, as_of: datetime | None = None) -> Verdict:
    """Make `version` champion. RefusedError unless its gate verdict is "promote" and the pipeline is not paused."""
    (site,) = open_sites(pipeline)
    verdict = promote_version(site, version, why, moment(as_of))
    tell("promote", [verdict])
    return verdict
