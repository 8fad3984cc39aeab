import asyncio
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.http.batching import Batcher
from serving.requests.rows import Rows
from tests.unit.serving_world import Asking, Twice, asking, row, served, slots


class Model:
    """Says each row's number and fails on negative ones; remembers how many rows it was asked at a time."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def predict_values(self, columns: Any) -> list[float]:
        self.asked.append(len(columns[0]))
        if any(number < 0 for number in columns[0]):
            raise ValueError(f"row {next(row for row, number in enumerate(columns[0]) if number < 0)} is negative")
        return [float(number) for number in columns[0]]


def rows(*numbers: int) -> Rows:
    return Rows(columns=[list(numbers), ["x"] * len(numbers)], height=len(numbers))


async def outcome(batcher: Batcher, turns: int, numbers: tuple[int, ...]) -> list[float] | str:
    for _ in range(turns):
        await asyncio.sleep(0)
    try:
        return list(await batcher.ask(rows(*numbers)))
    except ValueError as error:
        return str(error)


def alone(numbers: tuple[int, ...]) -> list[float] | str:
    try:
        return Model().predict_values([list(numbers)])
    except ValueError as error:
        return str(error)


REQUESTS = st.lists(
    st.tuples(st.integers(0, 3), st.lists(st.integers(-1, 20), min_size=1, max_size=5).map(tuple)), max_size=12
)


@given(requests=REQUESTS, most_rows=st.integers(1, 12))
def test_each_request_gets_the_predictions_of_its_own_rows_whoever_asks_beside_it(
    requests: list[tuple[int, tuple[int, ...]]], most_rows: int
) -> None:
    """`turns` of the loop pass before each asks; a request with a negative number fails, its neighbours do not."""

    async def all_at_once() -> list[list[float] | str]:
        batcher = Batcher(Model().predict_values, most_rows=most_rows)
        return await asyncio.gather(*(outcome(batcher, turns, numbers) for turns, numbers in requests))

    assert asyncio.run(all_at_once()) == [alone(numbers) for _, numbers in requests]


def asked(*requests: tuple[int, ...], most_rows: int = 256) -> list[int]:
    async def all_at_once() -> None:
        batcher = Batcher(model.predict_values, most_rows=most_rows)
        await asyncio.gather(*(outcome(batcher, 0, numbers) for numbers in requests))

    model = Model()
    asyncio.run(all_at_once())
    return model.asked


def test_what_arrives_together_is_predicted_together_up_to_the_most_rows() -> None:
    assert asked((1,), (2, 3), (4,)) == [4]
    assert asked((1,), (2, 3), (4,), most_rows=3) == [3, 1]
    assert asked((1, 2, 3, 4), (5,), most_rows=3) == [4, 1], "one that is larger by itself is predicted alone"


def test_one_failing_request_among_many_costs_few_predictions() -> None:
    assert asked(*((number,) for number in range(7)), (-1,)) == [8, 4, 4, 2, 2, 1, 1]


def test_who_left_is_not_predicted_and_hinders_nobody() -> None:
    async def one_leaves() -> tuple[list[float], list[int]]:
        model = Model()
        batcher = Batcher(model.predict_values)
        leaving, staying = batcher.ask(rows(-1)), batcher.ask(rows(5))
        leaving.cancel()
        return list(await staying), model.asked

    assert asyncio.run(one_leaves()) == ([5.0], [1])


def test_a_request_is_predicted_without_waiting_for_another() -> None:
    async def turns() -> int:
        batcher, passed = Batcher(Model().predict_values), 0
        answer = batcher.ask(rows(1))
        while not answer.done():
            await asyncio.sleep(0)
            passed += 1
        return passed

    assert asyncio.run(turns()) == 1


@pytest.mark.parametrize("requests", [1, 3, 64])
def test_requests_to_a_pipeline_with_expressions_are_answered_from_one_prediction(requests: int) -> None:
    model = Twice(is_direct=False)

    async def all_at_once(ask: Asking) -> list[bytes]:

        bodies = (msgspec.json.encode({"dataframe_records": [row(number)]}) for number in range(requests))
        answers = await asyncio.gather(*(ask.ask("POST", "/invocations", body) for body in bodies))
        return [answer.body for answer in answers]

    with asking(slots(served(model=model))) as ask:
        answers = asyncio.run(all_at_once(ask))
    assert answers == [b'{"predictions":[%.1f]}' % (2 * number) for number in range(requests)]
    assert model.asked == [requests]


def panics(columns: Any) -> list[float]:
    if any(number < 0 for number in columns[0]):
        raise pl.exceptions.PanicException("called unwrap on\nnothing")
    return [float(number) for number in columns[0]]


def test_a_panic_in_polars_is_the_failure_of_the_request_that_causes_it_alone() -> None:
    async def ask() -> list[Any]:
        batcher = Batcher(panics)
        async with asyncio.timeout(5):
            answers: list[Any] = await asyncio.gather(
                *map(batcher.ask, (rows(1), rows(-1), rows(2))), return_exceptions=True
            )
        return answers

    first, failed, last = asyncio.run(ask())
    assert (first, type(failed), last) == ([1.0], pl.exceptions.PanicException, [2.0])


def test_nobody_waits_for_what_was_broken_off() -> None:
    """Whatever `predict` raises or returns; here no predictions at all, and something that is no Exception."""

    class Stop(BaseException):
        pass

    def stop(_: Any) -> list[float]:
        raise Stop

    async def ask(predict: Any) -> list[Any]:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        batcher = Batcher(predict)
        async with asyncio.timeout(5):
            answers: list[Any] = await asyncio.gather(*map(batcher.ask, (rows(1), rows(2))), return_exceptions=True)
        return answers

    for predict in (stop, lambda _: None):
        assert [str(answer) for answer in asyncio.run(ask(predict))] == ["the prediction was broken off"] * 2
