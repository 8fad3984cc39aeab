"""The right to watch a pipeline: one monitor at a time, which knows what it was started after."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from registry.ledger import Lease
from tasks.leases import holding
from tasks.site import Site
from validation.deeds import Skipped, skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A monitor at work. `seen`: the newest score verdict when it began; what was scored later is not its business."""

    site: Site
    lease: Lease
    seen: int


@contextmanager
def watching(site: Site, as_of: datetime) -> Iterator[Watch | Skipped]:
    """The watch under the pipeline's monitor lease; or, while another process has it, a verdict that says so."""
    with holding(site, "monitor") as lease:
        if lease is None:
            yield skipped("monitor", site.name, "another process is watching this pipeline", as_of)
            return
        scored = site.ledger.verdicts(site.name, kind="score", limit=1)
        yield Watch(site=site, lease=lease, seen=scored[0].seq if scored else 0)
