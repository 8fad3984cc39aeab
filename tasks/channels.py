"""Channels: where people are told of incidents. A port, and the adapters for webhooks and Prefect's notification blocks.

Promises of every channel (tests/contract/test_channels.py holds them all to these):

- `name` names the channel for people and in the ledger, always the same one, without its secret.
- `send` returns when the other side has taken the message, and raises ChannelError, whose text has no secret, when it
  has not within the time that it is given. It never follows a redirect: a message goes where it was addressed to.
- A message may come twice (a sender that is killed has no memory); its `key` stays the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from andon.settings import Settings
from validation.errors import AndonError


class ChannelError(AndonError):
    """The message was not delivered; the text says why, without the channel's secret."""


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

    def send(self, message: Message, *, seconds: float) -> None:
        """Deliver the message within `seconds`."""


def channels_of(settings: Settings) -> Sequence[Channel]:
    """The channels that the settings name, webhooks first."""
    raise NotImplementedError
