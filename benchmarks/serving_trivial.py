"""The control: the scorer's server around a handler that answers at once. python -m benchmarks.serving_trivial PORT."""

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

_BODY = b'{"predictions":[0.5]}'
_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(_BODY))],
}
_END = {"type": "http.response.body", "body": _BODY}


async def answer(_: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    """Read the whole body, and answer the same."""
    while (await receive()).get("more_body"):
        pass
    await send(_START)
    await send(_END)


if __name__ == "__main__":
    uvicorn.run(
        answer, port=int(sys.argv[1]), loop="uvloop", http="httptools", ws="none", lifespan="off", access_log=False,
        log_level="warning",
    )  # fmt: skip
