"""The one query that asks all row rules of a file: its bad rows go to the dead letter, with position and broken rules.

Good rows are never written or counted here. What is known of single rules is read from the dead letter, which is small.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from validation.cells import samples
from validation.columns import ROW, RULES, Columns
from validation.rules import Rule
from validation.tracing import HELPER

# NOTE: filtered rows keep the buffers of their pages alive until their row group is written: with more, gigabytes.
ROWS_IN_GROUP = 2_000
MAX_SAMPLES = 5  # rows shown for each rule
_MARK = f"{HELPER}mark "


def bad_rows(
    columns: Columns,
    scan: pl.LazyFrame,
    rules: Sequence[Rule],
    found: Mapping[str, pl.Series],
    *,
    careful: bool = False,
) -> pl.LazyFrame:
    """The rows that break a rule: columns as they came, `_row` and `_rules`.

    `found`: by rule's name the positions of the rows that break it, for rules that cannot be asked of a row by itself.
    NaN is made null only in rows that have one: rows without are judged alike either way. `careful`: in all of them,
    for checks that fail on NaN.
    """
    frame = columns.prepared(scan.with_row_index(ROW))
    broken = {rule.name: rule.broken for rule in rules if rule.broken is not None and rule.kind == "row"}
    read = {name for expr in broken.values() for name in expr.meta.root_names()}
    with_nan = [pl.col(name).is_nan() for name in columns.nan if name in read]
    for number, (name, positions) in enumerate(found.items()):
        mark = f"{_MARK}{number}"
        marked = pl.LazyFrame({ROW: positions}).with_columns(pl.lit(value=True).alias(mark))
        frame = frame.join(marked, on=ROW, how="left", maintain_order="left")
        broken[name] = pl.col(mark)
    names = [pl.when(broken[rule.name]).then(pl.lit(rule.name)) for rule in rules if rule.name in broken]
    if careful:
        suspects = columns.without_nan(frame).filter(pl.any_horizontal(*broken.values()))
    else:
        suspects = columns.without_nan(frame.filter(pl.any_horizontal(*broken.values(), *with_nan)))
    told = suspects.with_columns(pl.concat_list(names).list.drop_nulls().alias(RULES)).filter(
        pl.col(RULES).list.len() > 0
    )
    return told.select(*columns.raw(), pl.col(ROW).cast(pl.Int64), RULES)


def write(bad: pl.LazyFrame, path: Path) -> int:
    """Write the dead letter; how many rows it has. Where there is none, there is no file."""
    bad.sink_parquet(path, row_group_size=ROWS_IN_GROUP, engine="streaming")
    rows = int(pl.scan_parquet(path).select(pl.len()).collect().item())
    if not rows:
        path.unlink()
    return rows


def counts(path: Path) -> dict[str, int]:
    """By name of rule how many rows of the dead letter break it."""
    named = pl.scan_parquet(path).select(pl.col(RULES).explode()).group_by(RULES).len()
    return dict(named.collect(engine="streaming").iter_rows())


def first_rows(path: Path, rule: Rule) -> tuple[str, ...]:
    """A few rows that break the rule, as text."""
    shown = [name for name in rule.columns if name in pl.read_parquet_schema(path)]
    rows = pl.scan_parquet(path).filter(pl.col(RULES).list.contains(rule.name)).head(MAX_SAMPLES)
    return samples(rows.select(ROW, *shown).collect(engine="streaming"), position=ROW)


def positions(path: Path) -> pl.Series:
    """Where in the file the bad rows are, ascending."""
    return pl.scan_parquet(path).select(pl.col(ROW).cast(pl.get_index_type())).collect(engine="streaming").to_series()
