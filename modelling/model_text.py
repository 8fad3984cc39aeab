"""LightGBM's text format: what its head says, whether the rest is whole, and models of some of its trees.

NOTE: LightGBM reads trees in parallel, where an error ends the process (SIGABRT); so what is cut off or has lost a part
must be found before. A digit that became another is not: for that there are checksums.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from validation.errors import RegistryError

Array = NDArray[np.float64]
Transform = Callable[[Array], Array]

_SIZES, _HEAD_END, _TREES_END = b"tree_sizes=", b"\n\n", b"end of trees\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelText:
    """A whole model. `iterations`: its trees, or for k classes its rounds of k trees.

    `transform`: what makes predictions (n, k) of summed leaves; None where only LightGBM itself knows how.
    """

    text: bytes
    head: tuple[bytes, ...]
    ends: tuple[int, ...]
    per_iteration: int
    transform: Transform | None

    @property
    def iterations(self) -> int:
        """See above."""
        return (len(self.ends) - 1) // self.per_iteration

    def parts(self, size: int) -> Iterator[bytes]:
        """Models of so many iterations each, the last of the rest: their leaves summed are those of the whole."""
        step = size * self.per_iteration
        for first in range(0, len(self.ends) - 1, step):
            ends = self.ends[first : first + step + 1]
            sizes = b" ".join(b"%d" % (end - start) for start, end in pairwise(ends))
            trees = self.text[ends[0] : ends[-1]]
            yield b"\n".join(self.head) + b"\n" + _SIZES + sizes + _HEAD_END + trees + _TREES_END


def read(text: str) -> ModelText:
    """The model as it is written; RegistryError for anything that is not whole."""
    try:
        return _read(text.encode())
    except (ValueError, KeyError, IndexError) as cause:
        raise RegistryError(f"this is no LightGBM model: {cause}; train anew") from cause


def _read(text: bytes) -> ModelText:
    end = text.index(_HEAD_END)
    lines = text[:end].split(b"\n")
    (sizes,) = [line.removeprefix(_SIZES) for line in lines if line.startswith(_SIZES)]
    ends = tuple(accumulate(map(int, sizes.split()), initial=end + len(_HEAD_END)))
    _check_trees(text, ends)
    fields = dict(line.decode().split("=", 1) for line in lines if b"=" in line)
    objective = "" if b"average_output" in lines else fields.get("objective", "")
    return ModelText(
        text=text,
        head=tuple(line for line in lines if not line.startswith(_SIZES)),
        ends=ends,
        per_iteration=int(fields["num_tree_per_iteration"]),
        transform=_transform(objective),
    )


def _check_trees(text: bytes, ends: tuple[int, ...]) -> None:
    if b"\0" in text:
        raise ValueError("it holds a NUL")
    for number, start in enumerate(ends[:-1]):
        if not text.startswith(b"Tree=%d\n" % number, start):
            raise ValueError(f"tree {number} is not where it should be")
    if not text.startswith(_TREES_END, ends[-1]):
        raise ValueError("its trees do not end where they should")


def _transform(objective: str) -> Transform | None:
    """By LightGBM's source (src/objective) for binary, multiclass, regression and regression_l1; None for others."""
    name, *options = objective.split() or [""]
    told: Mapping[str, str] = dict(option.split(":", 1) for option in options if ":" in option)
    if name == "binary" and set(told) == {"sigmoid"}:
        return _logistic(float(told["sigmoid"]))
    if name == "multiclass":
        return _softmax
    return _same if objective in ("regression", "regression_l1") else None


def _logistic(sigmoid: float) -> Transform:
    def transform(raw: Array) -> Array:
        with np.errstate(over="ignore"):
            return np.asarray(1.0 / (1.0 + np.exp(-sigmoid * raw)), dtype=np.float64)

    return transform


def _softmax(raw: Array) -> Array:
    exponents = np.exp(raw - raw.max(axis=1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True), dtype=np.float64)


def _same(raw: Array) -> Array:
    return raw
