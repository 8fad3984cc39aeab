"""An end to calls that may never come back: boto3, s3fs, delta-rs and Polars all wait for ever on a silent peer."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from validation.errors import ServiceDownError

T = TypeVar("T")


def bounded(call: Callable[[], T], *, seconds: float, what: str) -> T:
    """What `call` returns or raises, if it does within `seconds`; ServiceDownError with `what` if not.

    NOTE: nothing can end the call itself; its daemon thread is left behind, and must hold nothing that others need.
    """
    box: list[tuple[bool, Any]] = []

    def run() -> None:
        try:
            box.append((True, call()))
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            box.append((False, error))

    thread = threading.Thread(target=run, name=f"bounded {what}", daemon=True)
    thread.start()
    thread.join(seconds)
    if not box:
        raise ended(what, seconds)
    done, result = box[0]
    if not done:
        raise result
    return result  # type: ignore[no-any-return]


def ended(what: str, seconds: float, last: str = "") -> ServiceDownError:
    """What is raised at the deadline; `last`: what was heard before."""
    return ServiceDownError(
        f"{what}: no answer within {seconds:g} s{last}; see that the store answers (ANDON_S3_ENDPOINT), or give it "
        "more time with ANDON_REMOTE_SECONDS"
    )
