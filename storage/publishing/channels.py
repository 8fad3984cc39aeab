"""Which channels a definition names, and one run sent by all of them: one that fails never holds up the others."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from andon.places import Delivery
from storage.lake import Lake
from storage.publishing.port import Channel, Predictions, Published, Run
from validation.errors import AndonError, ServiceDownError

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one channel fared: `published`, or what went wrong as a sentence in `error`. `passes`: it may work later as
    it is; if not, a person must act first.
    """

    channel: str
    published: Published | None = None
    error: str = ""
    passes: bool = False


def channels(
    delivery: Delivery, *, lake: Lake, database: SecretStr, key: Sequence[str], work: Path
) -> tuple[Channel, ...]:
    """The channels of a pipeline. Connects to nothing, and raises nothing: one that cannot be says so when it is used.

    `database`: `Settings.delivery`; `key`: the columns that a prediction is looked up by; `work`: a folder of this
    machine for files that are being made.
    """
    from storage.publishing.database import open_database
    from storage.publishing.files import FilesChannel
    from storage.publishing.table import TableChannel

    makers: dict[str, Callable[[], Channel]] = {}
    if (files := delivery.files) is not None:
        makers["files"] = lambda: FilesChannel(lake.delivery(files), remote=lake.remote, work=work)
    if (table := delivery.table) is not None:
        makers["table"] = lambda: TableChannel(lake.delivery(table), remote=lake.remote, work=work)
    if (name := delivery.database) is not None:
        makers["database"] = lambda: open_database(database, name, key=key, seconds=lake.remote.seconds)
    return tuple(_made(name, make) for name, make in makers.items())


@dataclass(frozen=True, slots=True)
class UnusableChannel:
    """A channel that a person must correct first."""

    name: str
    error: AndonError

    def publish(self, run: Run, predictions: Predictions) -> Published:  # noqa: ARG002
        """Say why not."""
        raise self.error


def publish_all(run: Run, predictions: Predictions, channels: Sequence[Channel]) -> tuple[Outcome, ...]:
    """Send the run by each channel, whatever becomes of the others; an outcome for each, in their order."""
    return tuple(_outcome(run, predictions, channel) for channel in channels)


def _made(name: str, make: Callable[[], Channel]) -> Channel:
    try:
        return make()
    except AndonError as error:
        return UnusableChannel(name, error)


def _outcome(run: Run, predictions: Predictions, channel: Channel) -> Outcome:
    try:
        return Outcome(channel=channel.name, published=channel.publish(run, predictions))
    except AndonError as error:
        _LOG.warning("run %s was not delivered to %s: %s", run.run_id, channel.name, error)
        return Outcome(channel=channel.name, error=str(error), passes=isinstance(error, ServiceDownError))
    except Exception as error:  # noqa: BLE001 - one failing channel never blocks the others
        _LOG.exception("run %s was not delivered to %s", run.run_id, channel.name)
        what = f"{type(error).__name__}, which is not foreseen; the log tells more, the next sweep tries again"
        return Outcome(channel=channel.name, error=what, passes=True)
