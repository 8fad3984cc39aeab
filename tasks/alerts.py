"""Alerts: every channel is told of every incident, at least once, and how that went stands in the ledger."""

from datetime import datetime

from registry.ledger import Recorded
from tasks.site import Site
from validation.verdict import Verdict


def send(site: Site, incident: Recorded) -> tuple[Verdict, ...]:
    """Tell all channels of this row of an incident, each on its own; the `alert` verdicts."""
    del site, incident
    return ()


def deliver_waiting(site: Site, as_of: datetime) -> tuple[Verdict, ...]:
    """Tell what has not been told yet, or in vain and long enough ago; for the sweep."""
    del site, as_of
    return ()
