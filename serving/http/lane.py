"""What answers for one served champion: from a request's body to the answer's, logged on the way.

A request keeps the lane that it started in, so a swap in between does not touch it.
"""

import time
from collections.abc import Sequence
from random import Random
from typing import Any, NamedTuple

import msgspec

from modelling.encoding import UnknownLevelError
from serving.http.batching import Batcher
from serving.http.metrics import Tally
from serving.requests.decoding import RequestError
from serving.requests.rows import Rows
from serving.slot import Served

HINT_ROWS = 1_000  # as many are cheaper by a scoring run
_HINT = (b"x-andon-hint", b"for so many rows at a time batch scoring is cheaper: andon score")
JSON = (b"content-type", b"application/json")
_OF_STATUS = {
    401: (b"www-authenticate", b'Bearer realm="andon"'),
    413: (b"connection", b"close"),  # the rest of the body is not read
    503: (b"retry-after", b"1"),
}
_encode = msgspec.json.Encoder().encode


class Reply(NamedTuple):
    """What goes back. `headers` are all of them but `content-length`."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class Lane:
    """A served champion with what is found once for it: the batcher, its numbers, its header."""

    __slots__ = ("_bits", "_version", "_version_header", "batcher", "served", "tally")

    def __init__(self, served: Served, tally: Tally) -> None:
        self.served, self.tally = served, tally
        self._version = served.champion.change.version
        self._version_header = (b"x-andon-model-version", self._version.encode())
        self._bits = Random().getrandbits  # seeded by the system, which is too slow to be asked each time
        predictor = served.predictor
        self.batcher = None if predictor.is_direct else Batcher(predictor.predict_values)

    def rows(self, body: bytes) -> Rows:
        """The rows of a body, what the request left out looked up; RequestError when they do not keep the contract."""
        rows = self.served.decoder.decode(body)
        if rows.absent and self.served.lookups is not None:
            self.served.lookups.fill(rows)
        return rows

    def answer(self, rows: Rows) -> Reply:
        """Predict, log, and only then answer."""
        return self.reply(rows, self.served.predictor.predict_values(rows.columns))

    def work(self, body: bytes) -> Reply:
        """All of it, for a thread."""
        return self.answer(self.rows(body))

    def reply(self, rows: Rows, predictions: Sequence[Any]) -> Reply:
        """The answer, once it is in the log; its rows are logged as `prediction_id`-0, -1, ..."""
        prediction_id = f"{self._bits(128):032x}"
        body = _encode({"predictions": predictions})
        self.served.log.append(
            self._version, rows.columns, predictions, prediction_id=prediction_id, at_us=time.time_ns() // 1_000
        )
        headers = (JSON, self._version_header, (b"x-andon-prediction-id", prediction_id.encode()))
        return Reply(200, headers if rows.height < HINT_ROWS else (*headers, _HINT), body)


def sentence(status: int, message: str, *more: tuple[bytes, bytes]) -> Reply:
    """An answer that is no prediction, but why there is none."""
    headers = (JSON, *more, _OF_STATUS[status]) if status in _OF_STATUS else (JSON, *more)
    return Reply(status, headers, _encode({"error": message}))


def refusal(error: BaseException) -> Reply | None:
    """The answer to a request that is itself to blame; None for other errors."""
    if isinstance(error, UnknownLevelError):
        error = RequestError(422, str(error))  # bounds its length
    return sentence(error.status, str(error)) if isinstance(error, RequestError) else None
