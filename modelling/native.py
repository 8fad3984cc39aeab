"""LightGBM's shared library, called through its C interface: the only file that knows how.

The library is found beside the lightgbm package, which is not imported: that alone takes seconds of CPU.
"""

import ctypes
import importlib.util
from collections.abc import Callable, Sequence
from ctypes import POINTER, byref, c_char_p, c_double, c_int, c_int32, c_int64, c_void_p
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from validation.errors import RegistryError

Handle = c_void_p
Kind = Literal["summed", "final", "contributions"]
_KINDS: dict[Kind, int] = {"final": 0, "summed": 1, "contributions": 3}
_DOUBLE, _ROW_MAJOR, _ALL, _BY_GAIN = 1, 1, -1, 1
_PARAMETERS = b"num_threads=1 verbosity=-1"  # NOTE: with more, OpenMP waits 16 ms for a busy core
_NAMES = ("lib_lightgbm.so", "lib_lightgbm.dylib", "lib_lightgbm.dll")


class Library:
    """The functions that are used; each raises RegistryError with LightGBM's own words.

    A call by `_held` keeps the interpreter's lock, which suits calls of microseconds; all others give it up.
    """

    def __init__(self, path: Path) -> None:
        self._freely, self._held = ctypes.CDLL(str(path)), ctypes.PyDLL(str(path))
        for library in (self._freely, self._held):
            library.LGBM_GetLastError.restype = c_char_p
        self._predict = self._freely.LGBM_BoosterPredictForMat
        self._predict.argtypes = [
            c_void_p, c_void_p, c_int, c_int32, c_int32, c_int, c_int, c_int, c_int, c_char_p, POINTER(c_int64),
            c_void_p,
        ]  # fmt: skip
        self._single = self._held.LGBM_BoosterPredictForMatSingleRowFast

    def load(self, text: bytes) -> Handle:
        """The handle of the model that the text describes. NOTE: a damaged text can abort the process."""
        handle = Handle()
        self._check(self._freely.LGBM_BoosterLoadModelFromString(c_char_p(text), byref(c_int()), byref(handle)))
        return handle

    def count(self, what: str, handle: Handle) -> int:
        """A number that `LGBM_Booster...` tells of the model."""
        number = c_int()
        self._check(getattr(self._freely, f"LGBM_Booster{what}")(handle, byref(number)))
        return number.value

    def gains(self, handle: Handle, features: int) -> list[float]:
        """The importance of each feature by gain."""
        found = (c_double * features)()
        self._check(self._freely.LGBM_BoosterFeatureImportance(handle, _ALL, _BY_GAIN, byref(found)))
        return list(found)

    def prepare(self, handle: Handle, features: int) -> Handle:
        """The handle of the path for single rows, with one thread."""
        fast = Handle()
        init = self._held.LGBM_BoosterPredictForMatSingleRowFastInit
        self._check(init(handle, _KINDS["final"], 0, _ALL, _DOUBLE, c_int32(features), _PARAMETERS, byref(fast)))
        return fast

    def single(self, fast: Handle, row: ctypes.Array[c_double], found: ctypes.Array[c_double]) -> Callable[[], int]:
        """What fills `found` with the predictions of `row`, both read and written where they are; not 0: see `fail`."""
        function, length = self._single, c_int64()
        arguments = (fast, byref(row), byref(length), byref(found))
        return lambda: int(function(*arguments))

    def predict(
        self,
        handle: Handle,
        rows: NDArray[np.float64],
        into: NDArray[np.float64],
        *,
        kind: Kind,
    ) -> None:
        """Fill `into` (n, k) with the predictions of `rows` (n, features), both C-ordered.

        "summed" leaves, or the "final" predictions that the objective makes of them; "contributions": what each feature
        adds to each of the summed leaves, and last what all rows begin with (n, k * (features + 1)). NOTE: LightGBM can
        also be asked of some trees alone; but which ones it then notes in the model, where other threads and the path
        for single rows find them. So all trees are asked, always.
        """
        n, features = rows.shape
        length = c_int64()
        self._check(
            self._predict(
                handle, rows.ctypes.data, _DOUBLE, n, features, _ROW_MAJOR, _KINDS[kind], 0, _ALL, _PARAMETERS,
                byref(length), into.ctypes.data,
            )
        )  # fmt: skip
        if length.value != into.size:
            raise RegistryError(f"LightGBM gave {length.value} predictions, expected {into.size}; train anew")

    def free(self, handle: Handle, fast: Sequence[Handle] = ()) -> None:
        """Give back a model, and what was prepared of it: nobody may use them any more."""
        for prepared in fast:
            self._freely.LGBM_FastConfigFree(prepared)
        self._freely.LGBM_BoosterFree(handle)

    def fail(self) -> RegistryError:
        """What LightGBM says of the failure of this thread's last call."""
        why = self._held.LGBM_GetLastError()
        said = why.decode(errors="replace")[:300] if why else "nothing"
        return RegistryError(f"LightGBM failed and says: {said}; train anew, or install requirements.lock")

    def _check(self, code: int) -> None:
        if code:
            raise self.fail()


@cache
def library() -> Library:
    """LightGBM's library, opened once; RegistryError where it is not installed."""
    return library_in(folder_of("lightgbm"))


def folder_of(package: str) -> Path:
    """Where a package lies, without importing it; RegistryError when it is not installed."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise RegistryError(f"{package} is not installed; install requirements.lock")
    return Path(found.origin).parent


def library_in(package: Path) -> Library:
    """The library where LightGBM's package has it; RegistryError when it is not there or cannot be used."""
    for path in (folder / name for folder in (package / "lib", package / "bin", package.parent) for name in _NAMES):
        if path.is_file():
            try:
                return Library(path)
            except (OSError, AttributeError) as cause:
                raise RegistryError(f"LightGBM's library cannot be used: {cause}; install requirements.lock") from cause
    raise RegistryError(f"LightGBM's library is not in {package}; install requirements.lock")


def doubles(count: int) -> Any:
    """A new array of so many doubles, in memory that stays where it is."""
    return (c_double * count)()
