"""The steps of a swap for single workers: prepare, refuse, replace (fleet.py puts them together)."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from registry.ledger import Champion
from serving.member import LateError, Member, MemberError
from serving.messages import Abandon, Prepare

HUNG_SECONDS = 2.0  # what a worker that is replaced gets to finish what it has
_PATIENCE = 5  # a worker may take so many times as long as the supervisor

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What all workers serve of a pipeline; `seconds`: how long the supervisor itself took to load it."""

    champion: Champion
    folder: Path
    seconds: float = 0.0
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Swapped:
    """So many workers serve the new version, and since `at` nobody the old one."""

    workers: int
    at: datetime


async def prepared(member: Member, new: Serving, ticket: int, *, seconds: float) -> MemberError | None:
    """None when the worker is ready within that time, else why it is not."""
    try:
        asked = Prepare(ticket, new.champion, str(new.folder))
        await member.prepare(asked, seconds=max(seconds, _PATIENCE * new.seconds))
    except MemberError as error:
        return error
    return None


async def refused(unable: Mapping[Member, MemberError], ticket: int) -> None:
    """No worker is ready: those that answered serve on; those that did not are stuck."""
    stuck = [(member, why) for member, why in unable.items() if isinstance(why, LateError)]
    for member in unable:
        member.tell(Abandon(ticket))
    await asyncio.gather(*(replaced(member, why) for member, why in stuck))


async def replaced(member: Member, why: MemberError) -> None:
    """End a worker that is of no use; its place is filled again. Returns when it answers no more."""
    if member.alive:
        _LOG.warning("worker %s is replaced: %s", member.name, why)
    member.drain()
    await member.gone(seconds=HUNG_SECONDS)
