"""Promotion by hand: a version that the gate has passed, but that was not promoted; or any one, by force."""

from datetime import datetime

from prefect import flow

from tasks.promote import force_version, promote_version
from tasks.site import moment, open_sites
from tasks.telling import run_name, tell
from validation.verdict import Verdict


@flow(name="promote", flow_run_name=run_name)
def promote(
    pipeline: str,
    version: str,
    why: str,
    as_of: datetime | None = None,
    *,
    force: bool = False,
) -> Verdict:
    """Make `version` champion. RefusedError unless the gate, or a person who was asked, has let it through, against the
    champion of now, and neither a pulled cord nor a rollback not long ago speaks against it.

    `force`: whatever they say, as long as its bundle loads and answers; the ledger marks it for ever.
    """
    (site,) = open_sites(pipeline)
    verdict = (force_version if force else promote_version)(site, version, why, moment(as_of))
    tell("promote", [verdict])
    return verdict
