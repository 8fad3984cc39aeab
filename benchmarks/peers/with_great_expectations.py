"""The orders' 36 rules in Great Expectations on pandas: counts, and which rows are bad (complete), or counts alone.

Usage: with_great_expectations.py complete|basic OUT FILE...
"""

# mypy: ignore-errors

import os
import sys
from typing import Any

os.environ["GX_ANALYTICS_ENABLED"] = "false"  # it would report to its makers

import great_expectations as gx
import great_expectations.expectations as gxe
import pandas as pd
import terms
from great_expectations.core.batch_definition import BatchDefinition
from stopwatch import timed


def suite() -> list[Any]:
    """One expectation for each rule; nulls are left to the rules that ask for values."""
    found: list[Any] = [
        gxe.ExpectColumnValuesToBeBetween(column=name, min_value=low, max_value=high)
        for name, (low, high) in terms.RANGES.items()
    ]
    found += [gxe.ExpectColumnValuesToBeBetween(column=n, min_value=low) for n, low in terms.AT_LEAST.items()]
    found += [gxe.ExpectColumnValuesToBeBetween(column=n, max_value=high) for n, high in terms.AT_MOST.items()]
    found += [
        gxe.ExpectColumnValuesToBeBetween(column=n, min_value=low, strict_min=True) for n, low in terms.ABOVE.items()
    ]
    found += [gxe.ExpectColumnValuesToBeInSet(column=n, value_set=list(a)) for n, a in terms.ONE_OF.items()]
    found += [gxe.ExpectColumnValuesToMatchRegex(column=n, regex=form) for n, form in terms.MATCHES.items()]
    found += [
        gxe.ExpectColumnValueLengthsToBeBetween(column=n, min_value=low, max_value=high)
        for n, (low, high) in terms.LENGTHS.items()
    ]
    found += [gxe.ExpectColumnValuesToNotBeNull(column=name) for name in terms.REQUIRED]
    cross = gxe.ExpectColumnPairValuesAToBeGreaterThanB(
        column_A="shipped_at", column_B="created_at", or_equal=True, ignore_row_if="either_value_is_missing"
    )
    return [*found, cross]


def our_name(rule: Any) -> str:
    """GE answers in an order of its own."""
    if "pair" in rule.type:
        return terms.CROSS
    return f"{rule.kwargs['column']}.{'not_null' if 'not_be_null' in rule.type else 'value'}"


def whole_frame(context: Any) -> BatchDefinition:
    asset = context.data_sources.add_pandas("orders").add_dataframe_asset("orders")
    return asset.add_batch_definition_whole_dataframe("orders")


def judge(files: list[str], way: str) -> dict[str, Any]:
    orders = pd.concat([pd.read_parquet(file) for file in files])
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    batch = whole_frame(context).get_batch({"dataframe": orders})
    expectations = gx.ExpectationSuite(name="orders", expectations=suite())
    done = batch.validate(expectations, result_format=way.upper())
    counts = {our_name(result.expectation_config): int(result.result["unexpected_count"]) for result in done.results}
    bad = {row for result in done.results for row in result.result.get("unexpected_index_list") or ()}
    return {
        "rows": len(orders),
        "bad_rows": len(bad) if way == "complete" else None,
        "counts": {name: count for name, count in counts.items() if count},
    }


if __name__ == "__main__":
    way, _, *files = sys.argv[1:]
    timed(lambda: judge(files, way))
