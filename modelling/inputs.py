"""From raw rows to the model's inputs: the one place where `features` runs, for training, batch and REST alike."""

import polars as pl

from modelling.schema import conform
from modelling.spec import Spec
from validation.errors import DefinitionError


def inputs_of(spec: Spec, raw: pl.DataFrame) -> pl.DataFrame:
    """What `features` makes of the contract's columns, without key, time and target; row i belongs to row i of `raw`.

    ContractError when `raw` lacks a column or has it in another type; DefinitionError when `features` fails, or does
    not keep the rows and their order.
    """
    rows = conform(raw, spec.raw_schema)
    try:
        made = spec.features(rows.lazy()).collect()
    except Exception as cause:  # whatever user code raises becomes the author's error
        why = f"{type(cause).__name__}: {cause}"[:500]
        raise DefinitionError(f"features fails on {rows.height} rows; mend it: {why}") from cause
    if made.height != rows.height:
        raise DefinitionError(
            f"features made {made.height} rows of {rows.height}; it must work row by row: no filter, no join that drops"
        )
    keys = [name for name in spec.key if name in made.columns]
    if not made.select(keys).equals(rows.select(keys)):
        raise DefinitionError(f"features changed {', '.join(keys)} or the order of rows; it must keep both")
    return made.drop(*spec.key, spec.time, spec.target, strict=False)
