"""The orders' 36 rules as a pandera contract: what Andon compiles, and what pandera itself runs."""

from typing import Annotated, Any

import pandera.polars as pa
import polars as pl

from benchmarks.peers import terms


def _within(name: str) -> Any:
    low, high = terms.RANGES[name]
    return pa.Field(nullable=name in terms.NULLABLE, in_range={"min_value": low, "max_value": high})


class Orders(pa.DataFrameModel):
    """One order."""

    id: pl.Int64 = pa.Field(ge=terms.AT_LEAST["id"])
    customer: pl.Int64 = _within("customer")
    quantity: pl.Int32 = _within("quantity")
    price: pl.Float64 = pa.Field(gt=terms.ABOVE["price"])
    discount: pl.Float64 = _within("discount")
    temperature: pl.Float64 = _within("temperature")
    score: pl.Float32 = pa.Field(le=terms.AT_MOST["score"])
    amount: pl.Float64 = pa.Field(ge=terms.AT_LEAST["amount"])
    country: pl.String = pa.Field(isin=terms.ONE_OF["country"])
    status: pl.String = pa.Field(isin=terms.ONE_OF["status"])
    device: pl.String = pa.Field(str_matches=terms.MATCHES["device"])
    email: pl.String = pa.Field(str_matches=terms.MATCHES["email"])
    sku: pl.String = pa.Field(str_matches=terms.MATCHES["sku"])
    note: pl.String = pa.Field(
        str_length={"min_value": terms.LENGTHS["note"][0], "max_value": terms.LENGTHS["note"][1]}
    )
    created_at: Annotated[pl.Datetime, "us", "UTC"] = pa.Field(ge=terms.EPOCH)
    shipped_at: Annotated[pl.Datetime, "us", "UTC"]
    gift: pl.Boolean
    priority: pl.Int8 = pa.Field(isin=terms.ONE_OF["priority"])
    warehouse: pl.Int16 = _within("warehouse")
    weight: pl.Float64

    @pa.dataframe_check
    @classmethod
    def shipped_after_created(cls, data: pa.PolarsData) -> pl.LazyFrame:
        """Nothing is shipped before it was ordered."""
        return data.lazyframe.select(pl.col("shipped_at") >= pl.col("created_at"))


def our_name(column: str, check: str) -> str:
    """The name under which all tools' counts are compared."""
    if check.startswith("not_null"):
        return f"{column}.not_null"
    return terms.CROSS if check.startswith(terms.CROSS) else f"{column}.value"
