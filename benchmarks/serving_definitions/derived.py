"""The same raw columns, and eight features made of them by expressions."""

import pandera.polars as pa
import polars as pl

from andon import Delivery, Labels, Pipeline, Source

# As in plain.py: a bundle carries its definition's one file, so the two share no module.
NUMBERS = [f"x{position}" for position in range(24)]
CATEGORIES = [f"c{position}" for position in range(6)]
COLUMNS = {
    "id": pa.Column(pl.String, unique=True),
    "at": pa.Column(pl.Datetime("us", "UTC")),
    **{name: pa.Column(pl.Float64, nullable=True) for name in NUMBERS},
    **{name: pa.Column(pl.String, nullable=True) for name in CATEGORIES},
}


def features(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Eight expressions; benchmarks/peers/serving_features.py computes the same in pandas."""
    return rows.with_columns(
        hour=pl.col("at").dt.hour().cast(pl.Float64),
        weekday=pl.col("at").dt.weekday().cast(pl.Float64),
        logarithm=pl.col("x0").abs().log1p(),
        ratio=pl.col("x1") / (pl.col("x2").abs() + 1),
        difference=pl.col("x3") - pl.col("x4"),
        square=pl.col("x5") * pl.col("x5"),
        clipped=pl.col("x6").clip(-1, 1),
        family=pl.col("c0").str.slice(0, 3),
    )


PIPELINE = Pipeline(
    name="derived",
    source=Source(path="landing/derived/*.parquet", time="at", key="id"),
    labels=Labels(path="landing/derived_labels/*.parquet", target="outcome"),
    contract=pa.DataFrameSchema(COLUMNS),
    features=features,
    task="binary",
    delivery=Delivery(),
)
