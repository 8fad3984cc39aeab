"""A training set on which `features` has run already: the training process needs no definition for it."""

from dataclasses import dataclass, replace

import polars as pl

from modelling.inputs import inputs_of
from modelling.model import Model
from modelling.spec import Spec
from modelling.weights import column_weights

WEIGHT = "_weight"


@dataclass(frozen=True, slots=True)
class Chosen:
    """A `features` that only chooses columns; it can be pickled, as a definition's function cannot."""

    names: tuple[str, ...]

    def __call__(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """The chosen columns."""
        return rows.select(self.names)


def prepare(spec: Spec, raw: pl.DataFrame) -> tuple[Spec, pl.DataFrame]:
    """The same learning problem on inputs: a spec whose `features` chooses columns, and the rows (key, time, inputs,
    target, and WEIGHT where rows have weights), in the order of `raw`. ContractError also as
    `column_weights`.
    """
    inputs = inputs_of(spec, raw)
    column_weights(spec, raw)  # here the column has its own name, and all rows are there
    own = [name for name in dict.fromkeys((*spec.key, spec.time)) if name not in inputs.columns]
    told = raw.select(*own, spec.target)
    rows = pl.concat([told, inputs], how="horizontal")
    if spec.training.weight:
        rows = rows.with_columns(raw[spec.training.weight].alias(WEIGHT))
    training = replace(spec.training, weight=WEIGHT if spec.training.weight else "")
    schema = {name: dtype for name, dtype in rows.schema.items() if name != spec.target}
    chosen = Chosen(tuple(inputs.columns))
    return replace(spec, features=chosen, raw_schema=schema, training=training), rows


def restored(model: Model, spec: Spec) -> Model:
    """A model that was fitted on prepared rows, to be asked with raw ones again."""
    return replace(model, spec=spec)
