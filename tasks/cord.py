"""The cord: a person stops a pipeline's line, and releases it. Paused, it serves as it is and promotes nothing."""

from tasks.history import paused
from tasks.site import moment, open_sites
from tasks.telling import note
from validation.deeds import Cord
from validation.errors import RefusedError
from validation.verdict import Verdict


def pull(pipeline: str, why: str, *, actor: str | None = None) -> Verdict:
    """Pause the pipeline, with the reason; RefusedError when it is paused already."""
    return _turn(pipeline, why, outcome="paused", actor=actor)


def release(pipeline: str, why: str, *, actor: str | None = None) -> Verdict:
    """Resume the pipeline; also closes the governor's breaker. RefusedError without a reason."""
    return _turn(pipeline, why, outcome="resumed", actor=actor)


def _turn(pipeline: str, why: str, *, outcome: str, actor: str | None) -> Verdict:
    (site,) = open_sites(pipeline, actor=actor)
    if outcome == "paused" and (reason := paused(site.ledger, pipeline)) is not None:
        raise RefusedError(f"{pipeline!r} is paused already ({reason}); to go on: andon resume {pipeline} --why ...")
    if not why.strip():
        raise RefusedError(f"say why {pipeline!r} is to be {outcome}: --why 'the reason, for those who come after'")
    verdict = Cord(pipeline=pipeline, subject=pipeline, outcome=outcome, reasons=(why,), data_time=moment(None))
    note(site, verdict)
    return verdict
