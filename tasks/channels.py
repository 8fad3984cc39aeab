"""Channels, where people are told of incidents. A port, and adapters for webhooks and Prefect's notification blocks.

Promises of every channel (tests/contract/test_channels.py holds them all to these):

- `name` names the channel for people and in the ledger, always the same one, without its secret.
- `send` returns when the other side has taken the message, and raises ChannelError, whose text has no secret, when it
  has not within the time that it is given. The errors of httpx, apprise and Prefect are not chained to it: their texts
  may hold the address, which is the secret. It follows no redirect: a message goes where it was addressed to.
- `look` sends nothing, and raises ChannelError where a message could not be delivered now.
- A message may come twice (a sender that is killed has no memory); its `key` stays the same.
"""

import hashlib
import logging
import random
import socket
import time
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpx
from pydantic import SecretStr

from andon.settings import Settings
from storage.deadline import bounded
from validation.errors import AndonError, ServiceDownError

ALERT = "alert"  # by the name of its thread what is logged there is known
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 4.0
_DIGITS = 6  # of a digest, which tells two webhooks of one host apart
_TOO_MANY, _SERVER_ERROR = 429, 500


class ChannelError(AndonError):
    """The message was not delivered; the text says why, without the channel's secret."""


class BusyError(ChannelError):
    """Nobody answers, or the other side has a trouble of its own: worth another try."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message for people: `title` in one line, `text` below it; `key` is the same when it is sent again."""

    key: str
    title: str
    text: str


class Channel(Protocol):
    """See the module's promises."""

    @property
    def name(self) -> str:
        """What the channel is called."""

    @property
    def needs_prefect(self) -> bool:
        """Whether it is Prefect's server that knows how to reach it."""

    def send(self, message: Message, *, seconds: float) -> None:
        """Deliver the message within `seconds`."""

    def look(self, *, seconds: float) -> None:
        """Is it there?"""


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address that takes a POST of {"text": ...}, as Slack's, Mattermost's and Teams' workflows do.

    The header Idempotency-Key has the message's key. Tried again while nobody answers, or it answers 429 or 5xx.
    """

    url: SecretStr

    @property
    def name(self) -> str:
        """The host, and a few digits by which two webhooks of one host are told apart."""
        secret = self.url.get_secret_value()
        return f"webhook {urlsplit(secret).hostname} {hashlib.sha256(secret.encode()).hexdigest()[:_DIGITS]}"

    @property
    def needs_prefect(self) -> bool:
        """No."""
        return False

    def send(self, message: Message, *, seconds: float) -> None:
        """See the promises."""
        until = time.monotonic() + seconds
        _within(seconds, lambda: _repeated(lambda: self._post(message, until), until))

    def look(self, *, seconds: float) -> None:
        """Whether somebody listens there; where a proxy stands between, that cannot be known without sending."""
        url = urlsplit(self.url.get_secret_value())
        if getproxies() and not _is_local(self.url.get_secret_value()):
            return
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            socket.create_connection((url.hostname or "", port), timeout=seconds).close()
        except OSError as error:
            raise BusyError(
                f"nobody answers at {url.hostname}:{port} ({error.strerror or type(error).__name__})"
            ) from None

    def _post(self, message: Message, until: float) -> None:
        url, left = self.url.get_secret_value(), max(until - time.monotonic(), 0.1)
        body = {"text": _escaped(f"*{message.title}*\n\n{message.text}")}
        headers = {"Idempotency-Key": message.key, "User-Agent": "andon"}
        try:
            answer = httpx.post(url, json=body, headers=headers, timeout=left, trust_env=not _is_local(url))
        except httpx.TimeoutException:
            raise BusyError("no answer in time") from None
        except httpx.HTTPError as error:
            raise BusyError(f"no answer ({type(error).__name__})") from None
        _judge(answer.status_code)


@dataclass(frozen=True, slots=True)
class NotificationBlock:
    """A Prefect notification block by its slug, like "slack-webhook/ops"; it is loaded anew for each message."""

    slug: str

    @property
    def name(self) -> str:
        """The slug."""
        return f"block {self.slug}"

    @property
    def needs_prefect(self) -> bool:
        """Yes."""
        return True

    def send(self, message: Message, *, seconds: float) -> None:
        """See the promises; `key` stands in the text's last line as the incident's id."""
        _within(seconds, lambda: self._notify(message))

    def look(self, *, seconds: float) -> None:
        """Whether Prefect has the block."""
        _within(seconds, lambda: self.load() and None)

    def load(self) -> Any:
        """The block; ChannelError when Prefect has none of this slug, or does not answer."""
        import prefect.blocks.notifications  # noqa: F401  # by this import the kinds of blocks are known
        from prefect.blocks.abstract import NotificationBlock as Notifier
        from prefect.blocks.core import Block

        try:
            block = Block.load(self.slug)
        except ValueError:
            raise ChannelError(
                f"Prefect has no such block; make it, or correct ANDON_ALERT_BLOCKS: {self.slug}"
            ) from None
        except Exception as error:  # noqa: BLE001  # of many kinds, and its text may hold an address
            raise BusyError(f"Prefect did not give the block ({type(error).__name__})") from None
        if not isinstance(block, Notifier):
            raise ChannelError("it is a block, but none that notifies; correct ANDON_ALERT_BLOCKS")
        return block

    def _notify(self, message: Message) -> None:
        block, status = self.load(), 200
        try:
            with block.raise_on_failure():  # NOTE: without it a failed message is no error in Prefect
                block.notify(body=_tame(message.text), subject=_tame(message.title))
        except httpx.HTTPStatusError as error:
            status = error.response.status_code
        except Exception as error:  # noqa: BLE001  # whatever the block's kind raises; its text may hold the address
            raise ChannelError(f"the block could not send it ({type(error).__name__})") from None
        _judge(status)


def channels_of(settings: Settings) -> tuple[Channel, ...]:
    """The channels that the settings name, webhooks first."""
    return (
        *(Webhook(url) for url in settings.webhooks),
        *(NotificationBlock(slug) for slug in settings.blocks),
    )


def _repeated(post: Callable[[], None], until: float) -> None:
    """Again and again, after longer and longer pauses, while it is worth it and there is time."""
    pause = _FIRST_PAUSE
    while True:
        try:
            return post()
        except BusyError:
            wait = pause * random.uniform(0.5, 1.0)
            if time.monotonic() + wait >= until:
                raise
            time.sleep(wait)
            pause = min(2 * pause, _LONGEST_PAUSE)


def _judge(status: int) -> None:
    if status < 300:
        return
    if status < 400:
        raise ChannelError(f"it answered {status}, a redirect, which is not followed; correct the address")
    if status == _TOO_MANY or status >= _SERVER_ERROR:
        raise BusyError(f"it answered {status}")
    raise ChannelError(f"it answered {status}; correct the address, or make it anew")


def _within(seconds: float, call: Callable[[], None]) -> None:
    """In a thread of its own, and in the caller's context: Prefect's settings are there."""
    _hush()
    try:
        bounded(partial(copy_context().run, call), seconds=seconds, what=ALERT)
    except ServiceDownError:
        raise BusyError(f"no answer within {seconds:g} s") from None


def _tame(text: str) -> str:
    """For blocks of any kind: nothing becomes a link, or calls a whole channel."""
    return text.replace("<", "< ")


def _escaped(text: str) -> str:
    """As Slack wants it: nothing in a column's name or value becomes a link or calls a whole channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _is_local(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


def _hush() -> None:
    """Keep addresses out of the logs: these log each that is called. Adding a filter twice is nothing."""
    for name in ("httpx", "apprise", "urllib3.connectionpool"):
        logging.getLogger(name).addFilter(_is_not_of_a_channel)


def _is_not_of_a_channel(record: logging.LogRecord) -> bool:
    return record.threadName != f"bounded {ALERT}"
