import asyncio
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from serving.messages import Failed, Prepare, ToSupervisor
from serving.slot import Slot
from serving.worker import Orders
from tests.unit.serving_world import champion


class Broken:
    """A loader whose bundles raise."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def load(self, *_: Any, **__: Any) -> Any:
        raise self._error


@pytest.mark.parametrize("error", [ValueError("no"), pl.exceptions.PanicException("no"), SystemExit("no")])
def test_a_bundle_that_fails_in_whatever_way_is_reported_and_ends_nothing(error: BaseException) -> None:
    async def prepare(say: Callable[[ToSupervisor], None]) -> None:
        loader: Any = Broken(error)
        orders = Orders({"trips": Slot("trips")}, loader, say)
        orders.handle(Prepare(7, champion(), "nowhere"))
        async with asyncio.timeout(5):
            while not said:
                await asyncio.sleep(0.001)
        orders.close()

    said: list[ToSupervisor] = []
    asyncio.run(prepare(said.append))
    assert said == [Failed(7, f"{type(error).__name__}: no")]
