"""Text out of a gzip or zstd file, in bounded memory: a small one into memory, a larger one into a file."""

import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias

from storage.digests import CHUNK_BYTES
from storage.flaws import Flaw

IN_MEMORY_BYTES = 8 * 2**20


Packing: TypeAlias = Literal["gzip", "zstd"]


class UnpackError(Exception):
    """The file cannot be unpacked; `flaw` says why."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.reason)
        self.flaw = flaw


def unpack(file: BinaryIO, packing: Packing, *, into: Path, also: Callable[[bytes], object]) -> bytes | Path:
    """The text, or the file `into` that holds it; `also` is given all of it, in order. UnpackError as the file says."""
    first = io.BytesIO()
    with ExitStack() as opened:
        target: BinaryIO = first
        for piece in _unpacked(file, packing):
            if target is first and first.tell() + len(piece) > IN_MEMORY_BYTES:
                target = opened.enter_context(into.open("wb"))
                target.write(first.getbuffer())
            target.write(piece)
            also(piece)
    return into if target is not first else first.getvalue()


def _unpacked(file: BinaryIO, packing: Packing) -> Iterator[bytes]:
    """NOTE: only errors of the reading are the file's fault; those of the writing (a full disk) are not."""
    import pyarrow as pa

    try:
        with pa.CompressedInputStream(pa.PythonFile(file, mode="r"), packing) as stream:
            while piece := stream.read(CHUNK_BYTES):
                yield piece
    except OSError as error:
        reason = " ".join(str(error).split())[:200]
        is_cut = "truncated" in reason.lower()
        raise UnpackError(Flaw(f"cannot be unpacked: {reason}; upload it again", is_incomplete=is_cut)) from error
