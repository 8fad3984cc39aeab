"""How a model was made, beside its recipe: what it takes to make it again, to the byte."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.metadata import version

# What a model's bytes depend on; the lock file pins them.
LIBRARIES = ("lightgbm", "numpy", "polars", "scipy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """`rows` labelled rows from the event time `since` on were given to `fit`, with this `seed` and these `threads`.

    `libraries`: name -> version, with Python's and the processor's kind.
    """

    rows: int
    since: datetime
    seed: int
    threads: int
    libraries: Mapping[str, str]


def libraries() -> dict[str, str]:
    """The versions that compute here."""
    own = {"python": platform.python_version(), "machine": platform.machine()}
    return {**own, **{name: _version(name) for name in LIBRARIES}}


@cache
def _version(name: str) -> str:
    """NOTE: 2 ms each time that it is read, and a ladder makes many models."""
    return version(name)
