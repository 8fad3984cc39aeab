"""MLflow's four formats, as msgspec decodes them for one pipeline: types made at run time, one for each schema.

A field of a record is named by its position, since column names need not be identifiers.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import msgspec
import polars as pl
from msgspec import UNSET, Raw, Struct, UnsetType

from serving.requests.columns import json_type
from serving.requests.refusals import RequestError
from serving.requests.row_limit import has_commas

FORMATS = ("dataframe_split", "dataframe_records", "inputs", "instances")
MAX_COLUMNS = 1_000

_LONG_BYTES = 64 * 1024  # of a list of columns

Values = msgspec.json.Decoder[list[tuple[Any, ...]]]


class Split(Struct, forbid_unknown_fields=True):
    """dataframe_split: its parts are read once the columns are known. `index` is pandas' own, and ignored."""

    columns: Raw
    data: Raw
    index: Raw | UnsetType = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How to read the data of a dataframe_split whose columns stand in one certain order.

    `positions`: for each column of the schema its place in a row; -1 where it was left out. `in_order`: all stand as
    the schema has them, and nothing else does.
    """

    columns: tuple[str, ...]
    decoder: Values
    positions: tuple[int, ...]
    absent: tuple[str, ...]
    in_order: bool


class Layout:
    """The columns of one pipeline. `groups`: those that a request may leave out, each group as a whole."""

    def __init__(
        self, schema: Mapping[str, pl.DataType], *, required: Collection[str], groups: Collection[Collection[str]]
    ) -> None:
        self.schema = dict(schema)
        types = {name: json_type(name, dtype) for name, dtype in schema.items()}
        self.types = {name: kind if name in required else kind | None for name, kind in types.items()}
        self.groups = [tuple(name for name in schema if name in group) for group in groups]
        self.optional = {name for group in self.groups for name in group}

    def request_decoder(self) -> msgspec.json.Decoder[Struct]:
        """Decodes whole bodies; fields: FORMATS (records are lists of structs, columns a struct of lists), params."""
        rows: Any = list.__class_getitem__(self._struct("Row", self.types))
        lists = self._struct("Columns", {name: list[kind] for name, kind in self.types.items()})  # type: ignore[valid-type]
        kinds = (Split, rows, rows | lists, rows | lists, Raw)
        fields = [(name, kind | UnsetType, UNSET) for name, kind in zip((*FORMATS, "params"), kinds, strict=True)]
        return msgspec.json.Decoder(msgspec.defstruct("Request", fields, forbid_unknown_fields=True))

    def order(self, text: bytes) -> Order:
        """What the JSON list of a dataframe_split's columns tells; RequestError 422 when they are wrong."""
        columns = self._names(text)
        places = {name: position for position, name in enumerate(columns)}
        absent = self.absent([name for name in self.schema if name not in places])
        row = tuple.__class_getitem__(tuple(self.types.get(name, Raw) for name in columns))
        return Order(
            columns=columns,
            decoder=msgspec.json.Decoder(list[row]),  # type: ignore[valid-type]  # made at run time
            positions=tuple(places.get(name, -1) for name in self.schema),
            absent=absent,
            in_order=columns == tuple(self.schema),
        )

    def absent(self, missing: Sequence[str]) -> tuple[str, ...]:
        """The columns that a request left out, if it may; RequestError 422 that names one that it may not."""
        gaps = set(missing)
        for group in self.groups:
            if gaps.issuperset(group):
                gaps.difference_update(group)
        for name in missing:
            if name in gaps:
                self.refuse_missing(name)
        return tuple(missing)

    def refuse_missing(self, name: str, *, row: int | None = None) -> NoReturn:
        """RequestError 422 for a column that is missing, in one row or altogether."""
        where = f"column {name!r} is missing" if row is None else f"column {name!r}, row {row}: it is missing"
        for group in self.groups:
            if name in group:
                raise RequestError(422, f"{where}; send all of {', '.join(group)} in each row, or none of them")
        raise RequestError(422, f"{where}; send {', '.join(self.schema)}")

    def _struct(self, title: str, types: Mapping[str, Any]) -> type[Struct]:
        names = {f"c{position}": name for position, name in enumerate(types)}
        fields = [
            (field, types[name] | UnsetType, UNSET) if name in self.optional else (field, types[name])
            for field, name in names.items()
        ]
        return msgspec.defstruct(title, fields, rename=names, kw_only=True)

    def _names(self, text: bytes) -> tuple[str, ...]:
        most = max(MAX_COLUMNS, len(self.schema))
        if len(text) > _LONG_BYTES and has_commas(text, most):  # before they become strings
            raise RequestError(422, f"got more than {most} columns; send only {', '.join(self.schema)}")
        try:
            columns = tuple(_NAMES.decode(text))
        except msgspec.ValidationError as error:
            raise RequestError(422, f"dataframe_split.columns: {error}; send a list of names") from None
        if len(columns) > most:
            raise RequestError(422, f"got {len(columns)} columns; send only {', '.join(self.schema)}")
        if len(set(columns)) < len(columns):
            twice = next(name for name, count in Counter(columns).items() if count > 1)
            raise RequestError(422, f"column {twice[:100]!r} is given twice; send each column once")
        return columns


_NAMES = msgspec.json.Decoder(list[str])
