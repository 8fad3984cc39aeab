"""All pipelines in one run: what fails for one is told, and does not keep the others from being served."""

from collections.abc import Callable, Iterable, Sequence

from tasks.policies import MISHAPS
from tasks.site import Site
from tasks.telling import log, tell
from validation.errors import AndonError
from validation.verdict import Verdict


def for_each(activity: str, sites: Iterable[Site], work: Callable[[Site], Sequence[Verdict]]) -> tuple[Verdict, ...]:
    """The verdicts of `work` for all sites, told as one artefact. Errors are raised when every site had its turn."""
    verdicts: list[Verdict] = []
    errors: list[BaseException] = []
    for site in sites:
        try:
            verdicts += work(site)
        except MISHAPS as error:  # whatever it is, it is raised when the others had their turn
            log.error("%s: %s failed: %s", site.name, activity, error)
            errors.append(error)
    tell(activity, verdicts)
    if len(errors) > 1:
        told = "; ".join(str(error) for error in errors)
        raise AndonError(f"{activity} failed for {len(errors)} pipelines: {told}"[:2000]) from errors[0]
    if errors:
        raise errors[0]
    return tuple(verdicts)
