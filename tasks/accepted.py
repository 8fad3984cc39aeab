"""Which batches of a kind were accepted, and when a person let them in. Reads the ledger alone."""

from datetime import datetime

from registry.ledger import BatchKind
from tasks.site import Site


def accepted(site: Site, kind: BatchKind) -> dict[int, datetime | None]:
    """The numbers of the accepted batches, and when a person released them; None for those that were never held.

    What was held counts from its release on: before it, nobody had it.
    """
    found: dict[int, datetime | None] = {}
    for batch in site.ledger.batches(site.name, kind=kind, states=("accepted",)):
        settled = site.ledger.verdicts(site.name, seq=batch.settled_seq) if batch.settled_seq else ()
        found[batch.number] = settled[0].data_time if settled else None
    return found
