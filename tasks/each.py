"""All pipelines in one run: what fails for one is told, and does not keep the others from being served."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from tasks.policies import MISHAPS
from tasks.site import Site
from tasks.telling import log, tell
from validation.errors import AndonError, SomeFailedError
from validation.verdict import Verdict

_LONGEST = 2000


def for_each(activity: str, sites: Iterable[Site], work: Callable[[Site], Sequence[Verdict]]) -> tuple[Verdict, ...]:
    """The verdicts of `work` for all sites, told as one artefact.

    What fails is raised when every site had its turn: of one site alone the error itself, else SomeFailedError.
    """
    verdicts: list[Verdict] = []
    failed: dict[str, BaseException] = {}
    asked = tuple(sites)
    for site in asked:
        try:
            verdicts += work(site)
        except MISHAPS as error:  # whatever it is, it is raised when the others had their turn
            log.error("%s: %s failed: %s", site.name, activity, error)
            failed[site.name] = error
    tell(activity, verdicts)
    if failed:
        first = next(iter(failed.values()))
        if len(asked) == 1:
            raise first
        raise _together(activity, failed, verdicts, asked=len(asked)) from first
    return tuple(verdicts)


def _together(
    activity: str, failed: Mapping[str, BaseException], verdicts: Sequence[Verdict], *, asked: int
) -> SomeFailedError:
    """All errors as one, by whose exit code is the worst."""
    told = "; ".join(f"{name}: {_sentence(error)}" for name, error in failed.items())
    code = max(error.exit_code if isinstance(error, AndonError) else 1 for error in failed.values())
    words = f"{activity} failed for {len(failed)} of {asked} pipelines: {told}"
    return SomeFailedError(words[:_LONGEST], verdicts, exit_code=code)


def _sentence(error: BaseException) -> str:
    return str(error) if isinstance(error, AndonError) else f"{type(error).__name__}: {error}"
