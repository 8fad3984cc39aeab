"""Requests that arrive together are predicted together: where `features` has expressions, 64 rows cost what one costs.

Nobody waits for company: what has gathered is predicted on the event loop's next turn.
"""

import asyncio
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import polars as pl

from serving.requests.rows import Rows

MOST_ROWS = 256  # in one prediction: about 10 ms in which nothing else is answered
ALL_ERRORS = (Exception, pl.exceptions.PanicException)  # a panic in Polars is no Exception

Predict = Callable[[Sequence[Sequence[Any]]], Sequence[Any]]
_Waiting = tuple[Rows, asyncio.Future[Sequence[Any]]]


class Batcher:
    """Gathers requests for one `predict` (columns of values -> one prediction for each row); for one event loop."""

    def __init__(self, predict: Predict, *, most_rows: int = MOST_ROWS) -> None:
        self._predict, self._most_rows = predict, most_rows
        self._waiting: list[_Waiting] = []

    def ask(self, rows: Rows) -> asyncio.Future[Sequence[Any]]:
        """The predictions of these rows, or what `predict` raises for them alone."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._flush)
        answer: asyncio.Future[Sequence[Any]] = loop.create_future()
        self._waiting.append((rows, answer))
        return answer

    def _flush(self) -> None:
        """Predict what fits into one batch, in order of arrival; the rest has its turn after other work."""
        batch: list[_Waiting] = []
        rows = 0
        for each in self._waiting:
            rows += each[0].height
            if batch and rows > self._most_rows:
                break
            batch.append(each)
        del self._waiting[: len(batch)]
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        try:
            self._settle([each for each in batch if not each[1].cancelled()])
        finally:
            for _, answer in batch:
                if not answer.done():  # whoever waits for it would wait for ever
                    answer.set_exception(RuntimeError("the prediction was broken off"))

    def _settle(self, batch: list[_Waiting]) -> None:
        """Answer all of them; when they fail together, each half by itself, down to those that fail alone."""
        if not batch:
            return
        try:
            predictions = self._predict(_together([rows for rows, _ in batch]))
        except ALL_ERRORS as error:  # whatever it is, it belongs to the request that causes it alone
            if len(batch) == 1:
                batch[0][1].set_exception(error)
                return
            middle = len(batch) // 2
            self._settle(batch[:middle])
            self._settle(batch[middle:])
            return
        start = 0
        for rows, answer in batch:
            answer.set_result(predictions[start : start + rows.height])
            start += rows.height


def _together(parts: Sequence[Rows]) -> Sequence[Sequence[Any]]:
    """The columns of all parts, one part's rows after the other's."""
    if len(parts) == 1:
        return parts[0].columns
    return [list(chain.from_iterable(columns)) for columns in zip(*(rows.columns for rows in parts), strict=True)]
