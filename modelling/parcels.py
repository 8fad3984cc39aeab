"""Values on their way between two of our processes, as files of one folder: frames as Arrow, all else pickled.

What a definition may hold and the other process cannot make goes as its plain kind: a text that is a member of the
definition's own enumeration, a mapping that is read only.

NOTE: reading a parcel runs what it names, so a folder is private to the two processes (mode 0700).
"""

import io
import pickle
from pathlib import Path
from types import MappingProxyType
from typing import Any

import polars as pl

from modelling.disk import room_in
from modelling.engine import Engine
from modelling.mapped import opened


def pack(value: Any, folder: Path, name: str) -> None:
    """Write `value` to the file `name`, and its frames beside it; whoever finds the file finds all of it.

    NoRoomError when the disk is full.
    """
    buffer, half = io.BytesIO(), folder / f"{name}.half"
    with room_in(folder.parent):
        _Packer(buffer, folder, name).dump(value)
        half.write_bytes(buffer.getbuffer())
    half.replace(folder / name)


def unpack(folder: Path, name: str) -> Any:
    """The value that was packed; its frames outlive the folder. Large ones stay in their files."""
    with (folder / name).open("rb") as file:
        return _Unpacker(file, folder).load()


class _Packer(pickle.Pickler):
    """Frames go to files of their own, once each; an engine is its text, a text of any kind plain."""

    def __init__(self, file: io.BytesIO, folder: Path, name: str) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._folder, self._name = folder, name
        self._known: dict[int, str] = {}

    def persistent_id(self, value: Any) -> str | None:
        """The name of the file that holds a frame; None for all else."""
        if not isinstance(value, pl.DataFrame):
            return None
        if id(value) not in self._known:
            self._known[id(value)] = f"{self._name}-{len(self._known)}.arrow"
            value.write_ipc(self._folder / self._known[id(value)])
        return self._known[id(value)]

    def reducer_override(self, value: Any) -> Any:
        """How it is made again; never asked of a plain text or dict."""
        if isinstance(value, Engine):
            return Engine.from_text, (value.text,)
        if isinstance(value, str):
            return str, (str.__str__(value),)  # not str(value): that of an enumeration may be "Columns.AT"
        return (dict, (dict(value),)) if isinstance(value, MappingProxyType) else NotImplemented


class _Unpacker(pickle.Unpickler):
    """The reverse of `_Packer`."""

    def __init__(self, file: Any, folder: Path) -> None:
        super().__init__(file)
        self._folder = folder
        self._known: dict[str, pl.DataFrame] = {}

    def persistent_load(self, name: Any) -> pl.DataFrame:
        """The frame of this file."""
        if name not in self._known:
            self._known[name] = opened(self._folder / name)
        return self._known[name]
