"""A pipeline whose features are its raw columns: 24 numbers and six categories, any of which may be missing."""

import pandera.polars as pa
import polars as pl

from andon import Delivery, Labels, Pipeline, Source

# As in derived.py: a bundle carries its definition's one file, so the two share no module.
NUMBERS = [f"x{position}" for position in range(24)]
CATEGORIES = [f"c{position}" for position in range(6)]
COLUMNS = {
    "id": pa.Column(pl.String, unique=True),
    "at": pa.Column(pl.Datetime("us", "UTC")),
    **{name: pa.Column(pl.Float64, nullable=True) for name in NUMBERS},
    **{name: pa.Column(pl.String, nullable=True) for name in CATEGORIES},
}


def features(rows: pl.LazyFrame) -> pl.LazyFrame:
    """The columns as they are."""
    return rows


PIPELINE = Pipeline(
    name="plain",
    source=Source(path="landing/plain/*.parquet", time="at", key="id"),
    labels=Labels(path="landing/plain_labels/*.parquet", target="outcome"),
    contract=pa.DataFrameSchema(COLUMNS),
    features=features,
    task="binary",
    delivery=Delivery(),
)
