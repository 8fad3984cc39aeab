"""LightGBM's prediction without its Python package: one engine for single requests, batches and the gate.

Trains nothing. Predictions are those of `lightgbm.Booster.predict` to 1e-12 (of their size, where that is above 1).
"""

import struct
import threading
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from modelling.model_text import read
from modelling.native import Handle, doubles, library
from validation.errors import DefinitionError

Array = NDArray[np.float64]

# Many rows are asked of some trees at a time, whose nodes then stay in the processor's cache: with 500 trees of 31
# leaves 28 us of CPU a row in place of 45, with 2,000 trees 99 in place of 180. Of (rows, trees in a block), the first
# with no more rows than there are; fewer than 4 blocks, or 24 rows, gain nothing (benchmarks/engine.py).
_BLOCKS = ((512, 10), (24, 50))
_FEWEST_BLOCKS = 4
ENOUGH_FOR_BLOCKS = _BLOCKS[-1][0]
_CHUNK_VALUES = 2**17  # rows times features that go through all blocks together: 1 MB
_FEWEST_IN_CHUNK = 512
_ROWS_PER_THREAD = 256


class Engine:
    """A loaded model. Any thread may ask; its memory is freed when the last reference goes.

    `features`: values of a row; `outputs`: predictions of a row, 1 or the number of classes; `text`: what it was read
    from. Its trees take about the memory of their text, and once more for each kind of blocks that was needed.
    """

    def __init__(self, text: str) -> None:
        """See `from_text`."""
        self._model, self._native = read(text), library()
        self._whole = _Handle(self._model.text)
        self.features = self._native.count("GetNumFeature", self._whole.model)
        self.outputs = self._native.count("GetNumClasses", self._whole.model)
        self._row, self._found = doubles(self.features), doubles(self.outputs)
        self._pack = struct.Struct(f"{self.features}d").pack_into
        self._single = self._native.single(self._whole.prepared(self.features), self._row, self._found)
        self._lock, self._loading = threading.Lock(), threading.Lock()
        self._parts: dict[int, list[_Handle]] = {}

    @classmethod
    def from_text(cls, text: str) -> "Engine":
        """Read LightGBM's text format; RegistryError when it is none."""
        return cls(text)

    @property
    def text(self) -> str:
        """LightGBM's text format."""
        return self._model.text.decode()

    @property
    def gains(self) -> list[float]:
        """By input, the summed gain of all splits on it."""
        return self._native.gains(self._whole.model, self.features)

    def contributions(self, matrix: Array) -> Array:
        """What each input adds to a row's summed leaves, and last what all rows begin with: (n, outputs, features + 1).

        Shapley values, exact for trees (Lundberg 2020), computed by LightGBM; their sum over the last axis is the
        prediction before the objective makes a probability of it. About 0.01 us for each leaf and the square of its
        depth, a hundred times a prediction.
        """
        rows = np.ascontiguousarray(matrix, dtype=np.float64)
        found = np.empty((len(rows), self.outputs, self.features + 1))
        if len(rows):
            self._native.predict(self._whole.model, rows, found, kind="contributions")
        return found

    def stages(self, matrix: Array, *, points: int) -> Iterator[tuple[int, Array]]:
        """The predictions (n,) or (n, k) of the first rounds alone, at up to so many numbers of rounds; last of all.

        Nothing where only LightGBM itself knows what its objective makes of summed leaves.
        """
        rows = np.ascontiguousarray(matrix, dtype=np.float64)
        summed, some = np.zeros((2, len(rows), self.outputs))
        rounds, transform = self._model.iterations, self._model.transform
        size = max(1, -(-rounds // points))
        for number, text in enumerate(self._model.parts(size) if transform and len(rows) else (), start=1):
            part = _Handle(text)
            self._native.predict(part.model, rows, some, kind="summed")
            summed += some
            found = transform(summed.copy()) if transform else summed
            yield min(number * size, rounds), found[:, 0] if self.outputs == 1 else found

    def one(self, row: Sequence[float]) -> float | list[float]:
        """The prediction of one row, or its k; by LightGBM's path for single rows, under the interpreter's lock."""
        with self._lock:
            try:
                self._pack(self._row, 0, *row)
            except struct.error as cause:
                raise DefinitionError(f"a row must be {self.features} numbers: {cause}; mend `features`") from cause
            if self._single():
                raise self._native.fail()
            found: list[float] = self._found[:]
        return found[0] if self.outputs == 1 else found

    def predict(self, matrix: Array, *, threads: int = 1) -> Array:
        """The predictions of the rows (n, features): (n,), or (n, k) for k classes, without the interpreter's lock.

        No more threads are used than have 256 rows each.
        """
        if matrix.ndim != 2 or matrix.shape[1] != self.features:
            raise DefinitionError(f"rows must be (n, {self.features}), got {matrix.shape}; mend `features`")
        rows = np.ascontiguousarray(matrix, dtype=np.float64)
        found = np.empty((len(rows), self.outputs))
        workers = min(threads, len(rows) // _ROWS_PER_THREAD)
        if workers <= 1:
            self._fill(rows, found)
        else:
            with ThreadPoolExecutor(workers, thread_name_prefix="engine") as pool:
                list(pool.map(lambda part: self._fill(rows[part], found[part]), _even(len(rows), workers)))
        return found[:, 0] if self.outputs == 1 else found

    def _fill(self, rows: Array, found: Array) -> None:
        if not len(rows):
            return
        transform, block = self._model.transform, self._block(len(rows))
        if transform is None or block is None:
            self._native.predict(self._whole.model, rows, found, kind="final")
            return
        chunk = max(_FEWEST_IN_CHUNK, _CHUNK_VALUES // self.features)
        for start in range(0, len(rows), chunk):
            part = slice(start, start + chunk)
            self._sum(self._loaded(block), rows[part], found[part])
            found[part] = transform(found[part])

    def _sum(self, parts: "Sequence[_Handle]", rows: Array, found: Array) -> None:
        some = np.empty_like(found)
        found[:] = 0.0
        for part in parts:
            self._native.predict(part.model, rows, some, kind="summed")
            found += some

    def _block(self, rows: int) -> int | None:
        """How many iterations to ask at a time; None for all of them."""
        block = next((block for fewest, block in _BLOCKS if rows >= fewest), None)
        return block if block and self._model.iterations >= _FEWEST_BLOCKS * block else None

    def _loaded(self, block: int) -> "list[_Handle]":
        with self._loading:
            if block not in self._parts:
                self._parts[block] = [_Handle(part) for part in self._model.parts(block)]
            return self._parts[block]


class _Handle:
    """A model in LightGBM's memory, given back with the last reference."""

    def __init__(self, text: bytes) -> None:
        native = library()
        self.model = native.load(text)
        self._fast: list[Handle] = []
        # NOTE: not at exit, where other threads may still be predicting.
        weakref.finalize(self, _free, self.model, self._fast).atexit = False

    def prepared(self, features: int) -> Handle:
        """The path for single rows."""
        self._fast.append(library().prepare(self.model, features))
        return self._fast[-1]


def _free(model: Handle, fast: list[Handle]) -> None:
    library().free(model, fast)


def _even(rows: int, parts: int) -> Iterator[slice]:
    """So many parts, as large as each other."""
    return (slice(rows * part // parts, rows * (part + 1) // parts) for part in range(parts))
