"""The rows of one request as plain Python values that keep the contract; modelling/inputs.py makes frames of such."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Rows:
    """`columns`: one list of values for each raw column, in the schema's order, each `height` long; null is None.

    Values are bool, int, float, str, date and datetime (aware, UTC), and certain to fit the type. `absent`: the
    looked-up columns that the request did not bring; they hold None until somebody looks them up.
    """

    columns: list[list[Any]]
    height: int
    absent: tuple[str, ...] = field(default=())
