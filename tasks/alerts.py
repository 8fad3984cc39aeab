"""Alerts: every channel is told of every incident, at least once, and how that went stands in the ledger.

What an incident has become is told, not each step to it: after a channel's bad hour it hears of every incident once.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from registry.ledger import Lease, Recorded
from tasks.channels import Channel, ChannelError, Message, channels_of
from tasks.history import KEPT
from tasks.leases import holding
from tasks.site import Site
from tasks.telling import log, note
from validation.failpoints import reached
from validation.watch.incidents import Alert, restored
from validation.watch.telling import text_of, title_of

SENDING = "alerts"  # the lease's activity
SECONDS = 10.0  # that each channel is given, for all that is due; channels are told side by side
_AT_LEAST = 2.0  # seconds for a message; with less left, it waits for the next time
GIVEN_UP_AFTER = timedelta(hours=24)
_LONGEST_PAUSE = timedelta(hours=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A row of an incident that a channel has not been told of, and how often that was tried."""

    channel: Channel
    row: Recorded
    attempts: int


def deliver_waiting(site: Site, as_of: datetime) -> tuple[Alert, ...]:
    """Tell what has not been told, or was told in vain and long enough ago. Writes an `alert` for each try.

    A channel that fails is left alone for a minute, then for longer and longer; it keeps no other channel waiting, and
    after a day a message is given up. Another process that is telling meanwhile is left to it.
    """
    if not any(_due(site)):
        return ()
    with holding(site, SENDING) as lease:
        return () if lease is None else tuple(_tell_all(site, list(_due(site)), as_of, lease))


def waiting(site: Site) -> Iterator[Waiting]:
    """What each channel has still to be told, the least often tried first; nothing that was given up."""
    rows = site.ledger.verdicts(site.name, kind="incident", limit=KEPT)
    newest = {row.subject: row for row in rows}
    alerts = site.ledger.verdicts(site.name, kind="alert", limit=10 * KEPT) if newest else ()
    for channel in channels_of(site.settings):
        told = [alert for alert in alerts if alert.body["channel"] == channel.name]
        found = (_standing(channel, row, told, site.ledger.now()) for row in newest.values())
        yield from sorted((item for item in found if item), key=lambda item: (item.attempts, item.row.seq))


def message_of(row: Recorded) -> Message:
    """The row of an incident as people are told of it."""
    incident = restored(row.body)
    return Message(key=f"{row.subject}-{row.seq}", title=title_of(incident), text=text_of(incident))


def _standing(channel: Channel, row: Recorded, told: Sequence[Recorded], now: datetime) -> Waiting | None:
    """NOTE: what was over a day before a channel was there is not told to it, and what is open is."""
    tries = [alert for alert in told if alert.body["row"] == row.seq]
    if any(alert.outcome == "delivered" or alert.body["is_final"] for alert in tries):
        return None
    if not tries and row.outcome == "closed" and now - row.recorded_at > GIVEN_UP_AFTER:
        return None
    return Waiting(channel=channel, row=row, attempts=len(tries))


def _due(site: Site) -> Iterator[Waiting]:
    """What is waiting, of channels that are not left alone for a while."""
    now = site.ledger.now()
    alerts = site.ledger.verdicts(site.name, kind="alert", limit=KEPT)
    for item in waiting(site):
        mine = [alert for alert in alerts if alert.body["channel"] == item.channel.name]
        failures = next((n for n, alert in enumerate(reversed(mine)) if alert.outcome != "failed"), len(mine))
        if not failures or now >= mine[-1].recorded_at + _pause(failures):
            yield item


def _pause(failures: int) -> timedelta:
    """A minute, four, a quarter of an hour, one, four."""
    return min(timedelta(minutes=4.0 ** min(failures - 1, 10)), _LONGEST_PAUSE)


def _tell_all(site: Site, due: Sequence[Waiting], as_of: datetime, lease: Lease) -> Iterator[Alert]:
    """Channels side by side, the messages of a channel one after the other until one fails."""
    queues: dict[str, list[Waiting]] = {}
    for item in due:
        queues.setdefault(item.channel.name, []).append(item)
    if not queues:
        return
    with ThreadPoolExecutor(len(queues)) as pool:
        sending = [pool.submit(copy_context().run, partial(_send_in_turn, queue)) for queue in queues.values()]
        for item, why in (sent for future in as_completed(sending) for sent in future.result()):
            alert = _alert(site, item, why, as_of)
            note(site, alert, lease=lease)
            yield alert


def _send_in_turn(queue: Sequence[Waiting]) -> list[tuple[Waiting, str]]:
    """What was tried, and why it failed, "" when it did not."""
    tried: list[tuple[Waiting, str]] = []
    until = time.monotonic() + SECONDS
    for item in queue:
        left = until - time.monotonic()
        if tried and left < _AT_LEAST:
            break
        try:
            item.channel.send(message_of(item.row), seconds=left)
        except ChannelError as error:
            return [*tried, (item, str(error))]
        reached("alert.sent")
        tried.append((item, ""))
    return tried


def _alert(site: Site, item: Waiting, why: str, as_of: datetime) -> Alert:
    name, number = item.channel.name, item.attempts + 1
    is_final = bool(why) and site.ledger.now() - item.row.recorded_at > GIVEN_UP_AFTER
    if why:
        log.warning("%s: %s could not be told of %s: %s", site.name, name, item.row.subject, why)
    return Alert(
        pipeline=site.name,
        subject=item.row.subject,
        outcome="failed" if why else "delivered",
        reasons=(f"{name}: {why}{'; given up after a day' if is_final else ''}" if why else name,),
        data_time=as_of,
        channel=name,
        row=item.row.seq,
        attempt=number,
        is_final=is_final,
    )
