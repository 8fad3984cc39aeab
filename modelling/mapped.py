"""Frames whose columns lie in a file: of it only pages are in memory, which the kernel may take back at any time.

So a process can go over more rows than it has memory for; they are frames as others are. What is small stays small
work: below LEAST_BYTES all is done as Polars does it.
"""

import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.disk import room_in

# Of a frame, from which on it is worth it: mapping takes pyarrow, 0.1 s of CPU where it is not loaded yet.
LEAST_BYTES = 2**26
# So many stretches of rows are put together without being copied; more would be too many small ones.
MOST_STRETCHES = 64


def opened(path: Path) -> pl.DataFrame:
    """The frame of an Arrow file; of a large one, it lies there: the file must stay as it is, but may be removed."""
    if path.stat().st_size < LEAST_BYTES:
        return pl.read_ipc(path)
    arrow = _arrow()
    with arrow.memory_map(str(path)) as file:
        return pl.DataFrame(_Stream(arrow.ipc.open_file(file).read_all()))


def on_disk(frame: pl.DataFrame) -> pl.DataFrame:
    """The same rows; many of them in a file of the temporary folder, which is gone with the frame.

    NoRoomError when the disk is full.
    """
    if frame.estimated_size() < LEAST_BYTES:
        return frame
    with room_in(Path(tempfile.gettempdir())), tempfile.NamedTemporaryFile(prefix="andon-rows-") as file:
        frame.write_ipc(file.name)
        return opened(Path(file.name))


def kept(frame: pl.DataFrame, chosen: pl.Series) -> pl.DataFrame:
    """`frame.filter(chosen)`; of a large frame not copied where the rows are few stretches."""
    if frame.estimated_size() < LEAST_BYTES:
        return frame.filter(chosen)
    marks = chosen.fill_null(value=False)
    ends = (marks != marks.shift(1, fill_value=False)).arg_true().to_list()  # by turns where one begins and ends
    if len(ends) > 2 * MOST_STRETCHES:
        return frame.filter(marks)
    ends = [*ends, frame.height] if len(ends) % 2 else ends
    parts = [frame.slice(start, stop - start) for start, stop in zip(ends[::2], ends[1::2], strict=True)]
    return pl.concat(parts, rechunk=False) if parts else frame.clear()


def at(frame: pl.DataFrame, positions: NDArray[np.int64]) -> pl.DataFrame:
    """The rows at these ascending positions; not copied where they follow each other."""
    if not positions.size or positions[-1] - positions[0] + 1 != positions.size:
        return frame[positions]
    return frame.slice(int(positions[0]), positions.size)


class _Stream:
    """A table as Polars takes it without looking for pyarrow."""

    def __init__(self, table: Any) -> None:
        self.__arrow_c_stream__ = table.__arrow_c_stream__


@cache
def _arrow() -> Any:
    """pyarrow; where it is barred (modelling/isolation_child.py), it is so again for all that is loaded later."""
    barred = sys.modules.get("pyarrow", ...) is None
    if barred:
        del sys.modules["pyarrow"]
    try:
        import pyarrow
        import pyarrow.ipc
    finally:
        if barred:
            sys.modules["pyarrow"] = None  # type: ignore[assignment]
    return pyarrow
