"""Training in a process of its own, with limits: what crashes in native code there is an error here, no dead worker.

The child imports lightgbm (0.3 s, without what it does not need of it); its parent need not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

Result = TypeVar("Result")
Progress = Callable[..., None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Most `memory_mb` that the child may ask for (0: no limit of ours), and the `seconds` after which it is killed."""

    seconds: float
    memory_mb: int = 0


def isolated(
    work: Callable[..., Result],
    /,
    *args: Any,
    limits: Limits,
    progress: Progress | None = None,
    **kwargs: Any,
) -> Result:
    """`work(*args, **kwargs)` in a fresh process; what it raises is raised here, and its end without an answer (a
    signal, an abort in native code, no memory, no time) is a TrainingFailedError that says which.

    `work`: a function of a module of ours; arguments and result can be pickled. With `progress`, `work` is given a
    `progress` of its own, whose calls are repeated here while it goes on.
    """
    raise NotImplementedError
