import asyncio
import gc
import json
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import polars as pl
import pytest

from serving.http.app import App
from serving.http.auth import Auth
from serving.http.desk import INLINE_BYTES, INLINE_ROWS
from serving.http.lane import HINT_ROWS
from serving.http.limits import Limits
from serving.http.metrics import Metrics
from serving.slot import Served, Slot
from tests.unit.serving_world import TOKEN, Answer, Asking, Kinds, ListLog, Twice, asking, row, served, slots

GOOD = {"authorization": f"Bearer {TOKEN}"}


def body(*rows: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"dataframe_records": rows or [row()]})


def ask(
    method: str, path: str, *chunks: bytes, of: Served | None = None, headers: dict[str, str] | None = None, **more: Any
) -> Answer:
    with asking(slots(of or served()), **more) as client:
        return asyncio.run(client.ask(method, path, *chunks, headers=headers))


def error(answer: Answer) -> tuple[int, str]:
    return answer.status, msgspec.json.decode(answer.body)["error"]


@pytest.mark.parametrize("is_direct", [True, False])
@pytest.mark.parametrize("path", ["/invocations", "/trips/invocations"])
def test_rows_are_answered_and_logged_under_the_version_and_id_of_the_headers(path: str, is_direct: bool) -> None:  # noqa: FBT001
    log, before = ListLog(), datetime.now(UTC)
    answer = ask("POST", path, body(row(1), row(2)), of=served("7", model=Twice(is_direct=is_direct), log=log))
    assert (answer.status, answer.body) == (200, b'{"predictions":[2.0,4.0]}')
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-andon-model-version"] == "7"
    (version, columns, predictions, prediction_id, at_us), *others = log.entries
    assert (version, columns, predictions) == ("7", [[1, 2], [1.0, 2.0], ["a", "a"]], [2.0, 4.0])
    assert prediction_id == answer.headers["x-andon-prediction-id"]
    assert before <= datetime.fromtimestamp(at_us / 1e6, UTC) + timedelta(milliseconds=1)
    assert not others


def test_rows_that_the_log_must_drop_are_answered() -> None:
    log = ListLog(full=True)
    assert ask("POST", "/invocations", body(), of=served(log=log)).status == 200
    assert log.dropped == 1


@pytest.mark.parametrize("rows", [1, INLINE_ROWS + 1])
@pytest.mark.parametrize("is_direct", [True, False])
def test_nothing_is_answered_that_did_not_pass_the_log(rows: int, is_direct: bool) -> None:  # noqa: FBT001
    class Broken(ListLog):
        def append(self, *_: Any, **__: Any) -> bool:
            raise OSError("the disk is gone")

    sent = body(*(row(number) for number in range(rows)))
    assert ask("POST", "/invocations", sent, of=served(model=Twice(is_direct=is_direct), log=Broken())).status == 500


def test_what_a_request_leaves_out_is_looked_up() -> None:
    log = ListLog()
    without = {name: value for name, value in row().items() if name != "kind"}
    assert ask("POST", "/invocations", body(without), of=served(log=log, lookups=Kinds())).status == 200
    assert log.entries[0][1][2] == ["b"]


@pytest.mark.parametrize("rows", [1, INLINE_ROWS, INLINE_ROWS + 1, HINT_ROWS - 1, HINT_ROWS, 5_000])
def test_any_number_of_rows_is_answered_and_very_many_with_a_hint(rows: int) -> None:
    answer = ask("POST", "/invocations", body(*(row(number) for number in range(rows))))
    assert msgspec.json.decode(answer.body) == {"predictions": [2.0 * number for number in range(rows)]}
    assert ("x-andon-hint" in answer.headers) == (rows >= HINT_ROWS)


@pytest.mark.parametrize(
    ("sent", "status", "told"),
    [
        (b"no json", 400, "the body is not JSON"),
        (b"", 400, "the body is not JSON"),
        (body({"id": 1, "wind": "2", "kind": "a"}), 422, "column 'wind', row 0"),
        (body(row(), row(kind="z")), 422, "column 'kind', row 1: it is none of the model's; send a or b"),
        (body(row(wind=-1.0)), 500, "the scorer failed on this request; its log says why"),
    ],
)
@pytest.mark.parametrize("is_direct", [True, False])
def test_what_cannot_be_answered_gets_a_sentence_and_is_counted_for_the_version(
    sent: bytes,
    status: int,
    told: str,
    is_direct: bool,  # noqa: FBT001
) -> None:
    with asking(slots(served("3", model=Twice(is_direct=is_direct)))) as client:
        answer = asyncio.run(client.ask("POST", "/invocations", sent))
        found, said = error(answer)
        assert (found, said[: len(told)]) == (status, told)
        assert "ZeroDivision" not in said
        counted = f'{{epoch="3",pipeline="trips",status="{status // 100}xx",version="3"}} 1.0'
        assert f"andon_requests_total{counted}" in asyncio.run(client.ask("GET", "/metrics")).body.decode()


def test_a_request_in_a_thread_that_fails_is_answered_as_well() -> None:
    rows = [row(number) for number in range(INLINE_ROWS)] + [row(wind=-1.0)]
    assert ask("POST", "/invocations", body(*rows)).status == 500
    long = json.dumps({"dataframe_records": [row()]}).encode() + b" " * INLINE_BYTES
    assert ask("POST", "/invocations", long).body == b'{"predictions":[2.0]}'
    assert ask("POST", "/invocations", long + b"?").status == 400


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"content-type": "application/json"}, 200),
        ({"content-type": "Application/JSON; charset=UTF-8"}, 200),
        ({"content-type": 'application/json; charset="utf-8"'}, 200),
        ({"content-encoding": "identity"}, 200),
        ({"content-type": "application/json; charset=latin-1"}, 415),
        ({"content-type": "text/csv"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-encoding": "gzip"}, 415),
    ],
)
def test_only_plain_json_is_read(headers: dict[str, str], status: int) -> None:
    answer = ask("POST", "/invocations", body(), headers=headers)
    assert answer.status == status
    if status == 415:
        assert "; send " in error(answer)[1]


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/invocations", 405, "POST"),
        ("PUT", "/trips/invocations", 405, "POST"),
        ("POST", "/ping", 405, "GET, HEAD"),
        ("DELETE", "/metrics", 405, "GET, HEAD"),
        *((method, path, 200, None) for method in ("GET", "HEAD") for path in (
            "/ping", "/trips/ping", "/health", "/version", "/trips/version", "/metrics", "/openapi.json"
        )),
        *(("GET", path, 404, None) for path in (
            "/", "/trips", "/trips/health", "/trips/invocations/1", "/buses/ping", "/docs", "/../etc/passwd"
        )),
    ],
)  # fmt: skip
def test_paths_and_methods(method: str, path: str, status: int, allow: str | None) -> None:
    answer = ask(method, path)
    assert (answer.status, answer.headers.get("allow")) == (status, allow)


def test_no_answer_repeats_what_was_sent() -> None:
    for method, path, sent in (
        ("GET", "/<script>", b""), ("GET", "/<script>/ping", b""), ("POST", "/invocations", b'"<script>"'),
        ("POST", "/invocations", body(row(kind="<script>"))), ("<script>", "/ping", b""),
        ("POST", "/invocations", body(row(wind="<script>"))),
    ):  # fmt: skip
        if method != "<script>":
            assert b"<script>" not in ask(method, path, sent).body


def test_where_several_pipelines_are_served_a_request_names_one() -> None:
    both = slots(served(), served("2", pipeline="buses", model=Twice(factor=10)))
    with asking(both) as client:
        assert asyncio.run(client.ask("POST", "/buses/invocations", body())).body == b'{"predictions":[10.0]}'
        status, told = error(asyncio.run(client.ask("POST", "/invocations", body())))
        assert (status, "trips, buses" in told) == (404, True)
        told = msgspec.json.decode(asyncio.run(client.ask("GET", "/version")).body)
        assert {name: one["version"] for name, one in told.items()} == {"trips": "1", "buses": "2"}


def test_without_a_champion_it_says_what_to_do() -> None:
    with asking({"trips": Slot("trips")}) as client:
        answer = asyncio.run(client.ask("POST", "/invocations", body()))
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert error(answer)[1] == ("pipeline 'trips' cannot answer yet: no champion; train one: andon retrain trips")
        assert asyncio.run(client.ask("GET", "/trips/ping")).status == 503
        assert asyncio.run(client.ask("GET", "/ping")).status == 200
        assert asyncio.run(client.ask("GET", "/health")).status == 503


PROTECTED = ("/version", "/metrics", "/openapi.json", "/trips/ping", "/trips/version", "/nothing")


def test_everything_but_ping_and_health_needs_a_token() -> None:
    auth = Auth([TOKEN])
    for path in PROTECTED:
        answer = ask("GET", path, auth=auth)
        assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Bearer realm="andon"')
        assert ask("GET", path, auth=auth, headers=GOOD).status == (404 if path == "/nothing" else 200)
    assert ask("POST", "/invocations", body(), auth=auth).status == 401
    assert ask("POST", "/invocations", body(), auth=auth, headers={"authorization": "Bearer x"}).status == 401
    assert ask("POST", "/invocations", body(), auth=auth, headers=GOOD).status == 200
    assert ask("GET", "/ping", auth=auth).status == 200


def test_health_says_one_word_to_everybody_and_why_to_those_who_may_know() -> None:
    given = slots(served(lookups=Kinds()), served("2", pipeline="buses"))
    given["buses"].trouble = "degraded: the ledger at db.internal does not answer"
    given["trips"].looked_at, given["trips"].workers = datetime.now(UTC), {"0": "1"}
    with asking(given, auth=Auth([TOKEN])) as client:
        short = asyncio.run(client.ask("GET", "/health"))
        whole = msgspec.json.decode(asyncio.run(client.ask("GET", "/health", headers=GOOD)).body)
    assert (short.status, short.body) == (200, b'{"status":"degraded"}')
    trips, buses = whole["pipelines"]["trips"], whole["pipelines"]["buses"]
    assert 0 <= trips.pop("ledger_seconds_ago") < 60
    assert trips == {
        "status": "ok", "trouble": "", "version": "1", "epoch": 1, "workers": {"0": "1"},
        "lookups": {"trouble": "", "seconds_old": 1.0},
    }  # fmt: skip
    assert (whole["status"], buses["status"], buses["trouble"]) == (
        "degraded", "degraded", "degraded: the ledger at db.internal does not answer",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("lookups", "expected"),
    [
        (Kinds(), ("ok", {"trouble": "", "seconds_old": 1.0})),
        (Kinds(trouble="no lake", age_seconds=float("inf")), ("degraded", {"trouble": "no lake", "seconds_old": None})),
    ],
)
def test_health_tells_the_age_of_lookups(lookups: Kinds, expected: object) -> None:
    told = msgspec.json.decode(ask("GET", "/health", of=served(lookups=lookups)).body)
    assert (told["status"], told["pipelines"]["trips"]["lookups"]) == expected


def test_a_body_that_is_too_long_is_refused_as_soon_as_that_is_known() -> None:
    limits = Limits(body_bytes=1_000)
    declared = ask("POST", "/invocations", b"", limits=limits, headers={"content-length": "1001"})
    assert (declared.status, declared.headers["connection"]) == (413, "close")
    assert ask("POST", "/invocations", b" " * 600, b" " * 400, b"?", limits=limits).status == 413
    assert ask("POST", "/invocations", b" " * 500, b" " * (500 - len(body())) + body(), limits=limits).status == 200


def test_a_caller_who_leaves_gets_nothing() -> None:
    with asking(slots(served())) as client:

        async def leave() -> int:
            sent: list[object] = []

            async def receive() -> dict[str, Any]:
                return {"type": "http.disconnect"}

            async def send(message: object) -> None:
                sent.append(message)

            await client.app({"method": "POST", "path": "/invocations", "headers": []}, receive, send)
            return len(sent)

        assert asyncio.run(leave()) == 0


def many(client: Asking, requests: int, sent: bytes, model: Twice) -> list[int]:
    """The statuses of requests that are all under way before the model begins to answer."""

    async def all_at_once() -> list[int]:
        asked = [asyncio.ensure_future(client.ask("POST", "/invocations", sent)) for _ in range(requests)]
        await asyncio.sleep(0.1)
        assert model.gate is not None
        model.gate.set()
        answers = await asyncio.gather(*asked)
        assert {answer.headers.get("retry-after") for answer in answers if answer.status == 503} <= {"1"}
        return sorted(answer.status for answer in answers)

    return asyncio.run(all_at_once())


BIG = body(*(row(number) for number in range(INLINE_ROWS + 1)))


def test_more_heavy_requests_than_may_wait_are_told_to_come_again() -> None:
    model = Twice(gate=threading.Event())
    with asking(slots(served(model=model)), limits=Limits(waiting=3)) as client:
        assert many(client, 5, BIG, model) == [200, 200, 200, 503, 503]
        assert many(client, 3, BIG, model) == [200] * 3, "the places are free again"
        told = asyncio.run(client.ask("GET", "/metrics")).body.decode()
    assert 'andon_requests_total{epoch="",pipeline="",status="5xx",version=""} 2.0' in told
    assert 'andon_requests_total{epoch="1",pipeline="trips",status="5xx",version="1"} 0.0' in told


def test_more_requests_than_may_be_under_way_are_told_to_come_again() -> None:
    model = Twice(gate=threading.Event())
    with asking(slots(served(model=model)), limits=Limits(requests=2)) as client:
        assert many(client, 3, BIG, model) == [200, 200, 503]
        assert many(client, 2, BIG, model) == [200, 200]


def test_all_long_bodies_together_are_bounded() -> None:
    model, long = Twice(gate=threading.Event()), body() + b" " * INLINE_BYTES
    with asking(slots(served(model=model)), limits=Limits(held_bytes=2 * len(long))) as client:
        assert many(client, 3, long, model) == [200, 200, 503]
        assert many(client, 2, long, model) == [200, 200]


@pytest.mark.parametrize("rows", [1, INLINE_ROWS + 1])
def test_a_request_is_answered_by_the_champion_that_it_started_with(rows: int) -> None:
    """The swap comes while the rows wait, in the batch or in the thread."""
    gate = threading.Event()
    first = served("1", model=Twice(is_direct=False, gate=gate if rows > 1 else None))
    given = slots(first)

    async def swap_in_between(client: Asking) -> tuple[Answer, Answer]:
        sent = body(*(row(number) for number in range(rows)))
        early = asyncio.ensure_future(client.ask("POST", "/invocations", sent))
        for _ in range(3):
            await asyncio.sleep(0)  # the body is whole now
        given["trips"].served = served("2", model=Twice(factor=10))
        late = await client.ask("POST", "/invocations", sent)
        gate.set()
        return await early, late

    with asking(given) as client:
        early, late = asyncio.run(swap_in_between(client))
    assert [answer.headers["x-andon-model-version"] for answer in (early, late)] == ["1", "2"]
    expected = [[factor * number for number in range(rows)] for factor in (2.0, 10.0)]
    assert [msgspec.json.decode(answer.body)["predictions"] for answer in (early, late)] == expected


def test_a_swapped_out_champion_is_let_go_though_nobody_asks() -> None:

    class Watched(Twice):
        __hash__ = object.__hash__

    model = Watched()
    gone, given = weakref.ref(model), slots(served(model=model))
    with ThreadPoolExecutor(1) as pool:
        client = Asking(App(given, pool, auth=Auth(), metrics=Metrics()))
        assert asyncio.run(client.ask("POST", "/invocations", body())).status == 200
        given["trips"].served, model = served("2"), None  # type: ignore[assignment]
        client.app.update()
        gc.collect()
        assert gone() is None


def test_a_failing_pipeline_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with asking(slots(served())) as client:
        for _ in range(20):
            assert asyncio.run(client.ask("POST", "/invocations", body(row(wind=-1.0)))).status == 500
    assert 1 <= len(caplog.records) <= 3
    assert "trips" in caplog.records[0].getMessage()


def test_the_short_way_answers_what_needs_no_waiting_and_leaves_the_rest() -> None:
    given = slots(served(), served("2", pipeline="buses", model=Twice(is_direct=False)), served("3", pipeline="empty"))
    given["empty"].served = None
    head = [(b"authorization", GOOD["authorization"].encode())]
    with asking(given, auth=Auth([TOKEN])) as client:
        app = client.app
        assert [app.answers_at_once(f"/{name}/invocations".encode()) for name in (*given, "none")] == [
            True, False, False, False,
        ]  # fmt: skip
        reply = app.at_once(b"/trips/invocations", head, body())
        assert reply is not None
        assert (reply.status, reply.body) == (200, b'{"predictions":[2.0]}')
        refused = app.at_once(b"/trips/invocations", head, body(row(kind="z")))
        assert refused is not None
        assert refused.status == 422
        for name in ("buses", "empty", "none"):
            assert app.at_once(f"/{name}/invocations".encode(), head, body()) is None
        assert app.at_once(b"/trips/invocations", [], body()) is None, "the application refuses who may not ask"
        assert app.at_once(b"/trips/invocations", head, BIG) is None, "many rows are worked on in a thread"


class Panics(Twice):
    def predict_values(self, columns: Any) -> list[float]:
        if any(wind < 0 for wind in columns[1]):
            raise pl.exceptions.PanicException(f"wind is\n2026-01-01 ERROR forged {columns[1]}")
        return super().predict_values(columns)


@pytest.mark.parametrize("rows", [1, INLINE_ROWS + 1])
@pytest.mark.parametrize("is_direct", [True, False])
def test_a_panic_is_answered_and_leaves_its_place_and_the_log_without_values(
    rows: int,
    is_direct: bool,  # noqa: FBT001
    caplog: pytest.LogCaptureFixture,
) -> None:
    sent = body(*(row(wind=-777.0) for _ in range(rows)))
    with asking(slots(served(model=Panics(is_direct=is_direct))), limits=Limits(requests=1, waiting=1)) as client:
        for _ in range(3):
            answer = asyncio.run(asyncio.wait_for(client.ask("POST", "/invocations", sent), 5))
            assert error(answer) == (500, "the scorer failed on this request; its log says why")
        assert asyncio.run(client.ask("POST", "/invocations", body())).status == 200
    assert "PanicException" in caplog.text
    assert "in predict_values" in caplog.text
    assert "777" not in caplog.text
    assert "\n2026-01-01" not in caplog.text
