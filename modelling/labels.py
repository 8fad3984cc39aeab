"""Labels as numbers: 0 and 1, a value, or the index of a class."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.spec import Task
from validation.errors import ContractError

Classes = tuple[int | str, ...]


def classes_of(task: Task, labels: pl.Series) -> Classes:
    """The sorted classes of a multiclass task; () for the others."""
    if task != "multiclass":
        return ()
    if not (labels.dtype.is_integer() or labels.dtype in (pl.String, pl.Categorical, pl.Enum)):
        raise ContractError(f"labels {labels.name!r} must be integers or strings, got {labels.dtype}; correct the file")
    plain = labels if labels.dtype.is_integer() else labels.cast(pl.String)
    classes = tuple(plain.drop_nulls().unique().sort())
    if len(classes) < 2:
        raise ContractError(
            f"labels {labels.name!r} hold {len(classes)} class(es), a model needs two; wait for more rows"
        )
    return classes


def label_values(task: Task, labels: pl.Series, classes: Classes = ()) -> NDArray[np.float64]:
    """Labels as float64: binary 0/1, regression the value, multiclass the index in `classes` (-1: not among them).

    ContractError for nulls, for a binary label besides Boolean, 0 and 1, and for numbers that are not finite.
    """
    if labels.null_count():
        raise ContractError(f"{labels.null_count()} labels {labels.name!r} are null; leave unlabelled rows out")
    if task == "multiclass":
        index = {level: float(position) for position, level in enumerate(classes)}
        plain = labels if labels.dtype.is_integer() else labels.cast(pl.String)
        return np.array([index.get(level, -1.0) for level in plain], dtype=np.float64)
    if not (labels.dtype.is_numeric() or labels.dtype == pl.Boolean):
        raise ContractError(f"labels {labels.name!r} of a {task} task must be numbers, got {labels.dtype}")
    values: NDArray[np.float64] = labels.cast(pl.Float64).to_numpy()
    allowed = np.isin(values, (0.0, 1.0)) if task == "binary" else np.isfinite(values)
    if not allowed.all():
        wanted = "0 or 1" if task == "binary" else "finite"
        raise ContractError(f"labels {labels.name!r} must be {wanted}, got {values[~allowed][0]}; correct the file")
    return values
