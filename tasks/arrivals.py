"""Which files have arrived that the ledger has not finished, in groups: many small ones together, a large one alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from registry.ledger import Batch
from storage.landing import arrived
from storage.objects import Found
from tasks.intake import Intake, intakes
from tasks.site import Site

MAX_FILES = 500  # that are judged one by one, and written together
MAX_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Files of one kind that are taken in together. `gone`: batches that were claimed, and whose file is no more;
    `left`: the numbers of those that somebody has claimed and not finished: perhaps he died of one of them.

    With no files and none gone, verdicts that a process has left behind are told or forgotten.
    """

    intake: Intake
    files: tuple[Found, ...] = ()
    gone: tuple[Batch, ...] = ()
    left: frozenset[int] = frozenset()

    @property
    def title(self) -> str:
        """What it is, for people."""
        names = [*(file.name for file in self.files), *(batch.name for batch in self.gone)]
        if not names:
            return f"what is staged of {self.intake.kind}"
        return self.intake.subject(names[0]) if len(names) == 1 else f"{len(names)} files of {self.intake.kind}"


def landed(site: Site) -> Iterator[Group]:
    """What is to be taken in, kind by kind; each kind is listed when its turn comes."""
    for intake in intakes(site):
        yield from _of_kind(intake)


def _of_kind(intake: Intake) -> Iterator[Group]:
    site = intake.site
    batches = site.ledger.batches(site.name, kind=intake.kind)
    known = {(batch.name, batch.stamp) for batch in batches if batch.verdict_seq is not None}
    files = arrived(site.lake, intake.path, known=known)
    listed = {file.name for file in files}
    unfinished = [batch for batch in batches if batch.verdict_seq is None]
    gone = tuple(batch for batch in unfinished if batch.name not in listed)
    left = frozenset(batch.number for batch in unfinished)
    # What waits to be told, of a process that died, is told or forgotten first.
    if gone or intake.quarantine.staged():
        yield Group(intake=intake, gone=gone)
    yield from (Group(intake=intake, files=part, left=left) for part in _together(files))


def _together(files: Sequence[Found]) -> Iterator[tuple[Found, ...]]:
    part: list[Found] = []
    size = 0
    for file in files:
        if part and (len(part) == MAX_FILES or size + file.size > MAX_BYTES):
            yield tuple(part)
            part, size = [], 0
        part.append(file)
        size += file.size
    if part:
        yield tuple(part)
