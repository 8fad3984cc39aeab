"""The one query that asks all row rules of a file: its bad rows go to the dead letter, with position and broken rules.

It lets through what may be bad, which is little, and nothing else is done to all rows; what was let through is asked
again, rule by rule. Good rows are never written or counted here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from validation.cells import told
from validation.columns import RULES, Columns
from validation.positions import ROW, Marked, numbered
from validation.rules import Rule

# NOTE: filtered rows keep the buffers of their pages alive until their row group is written: with more, gigabytes.
ROWS_IN_GROUP = 2_000
MAX_SAMPLES = 5  # rows shown for each rule
# NOTE: what cannot be told from a Parquet file's statistics, so that its rows are read: statistics may lie.
_UNTOLD = pl.col(ROW).hash() == 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Question:
    """What is asked of a file. `found`: rows that break a rule that cannot be asked row by row, by the rule's name.

    `careful`: NaN is made null before anything is asked, for checks that fail on it. Otherwise rows with NaN are let
    through and asked again, as null; rows without are judged alike either way, and that is much cheaper.
    """

    columns: Columns
    rules: tuple[Rule, ...]
    found: Mapping[str, Marked]
    careful: bool = False

    @property
    def broken(self) -> dict[str, pl.Expr]:
        """By name of rule: does the row break it?"""
        of_row = {rule.name: rule.broken for rule in self.rules if rule.broken is not None and rule.kind == "row"}
        return of_row | {name: marked.expr for name, marked in self.found.items()}


def suspects(asked: Question, scan: pl.LazyFrame) -> pl.LazyFrame:
    """The rows that may break a rule: `_row`, columns as they came, and the columns that mark rows."""
    columns, broken = asked.columns, asked.broken
    frame = columns.prepared(numbered(scan, *asked.found.values()))
    if asked.careful:
        let_through = columns.without_nan(frame).filter(pl.any_horizontal(*broken.values(), _UNTOLD))
    else:
        read = {name for expr in broken.values() for name in expr.meta.root_names()}
        with_nan = [pl.col(name).is_nan() for name in columns.nan if name in read]
        let_through = frame.filter(pl.any_horizontal(*broken.values(), *with_nan, _UNTOLD))
    if not columns.made and not asked.careful:
        return let_through
    marks = [marked.column for marked in asked.found.values() if marked.column]
    return let_through.select(ROW, *columns.raw(is_without_nan=asked.careful), *marks)


def bad_rows(asked: Question, suspected: pl.LazyFrame) -> pl.LazyFrame:
    """Of the suspects those that break a rule: columns as they came, `_row` and `_rules`."""
    columns, broken = asked.columns, asked.broken
    # NOTE: by number and as text first: a list of 40 columns takes ten times as long to make.
    names = {str(at): rule.name for at, rule in enumerate(asked.rules) if rule.name in broken}
    numbers = pl.concat_str(
        (pl.when(broken[name]).then(pl.lit(f"{at},")) for at, name in names.items()), ignore_nulls=True
    )
    named = pl.col(RULES).str.strip_chars_end(",").str.split(",").list.eval(pl.element().replace_strict(names))
    frame = columns.without_nan(columns.prepared(suspected))
    bad = frame.with_columns(numbers.alias(RULES)).filter(pl.col(RULES) != "")
    return bad.select(*columns.raw(is_without_nan=True), pl.col(ROW).cast(pl.Int64), named)


def write(asked: Question, scan: pl.LazyFrame, path: Path) -> int:
    """Write the dead letter, as a whole or not at all; how many rows it has. Where there is none, there is no file."""
    path.unlink(missing_ok=True)
    # NOTE: a query that has failed may go on writing its file for a while: no other may have the same name.
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.", ignore_cleanup_errors=True) as folder:
        suspected, bad = Path(folder, "suspects.parquet"), Path(folder, "bad.parquet")
        rows = _write(suspects(asked, scan), suspected)
        if rows:
            rows = _write(bad_rows(asked, pl.scan_parquet(suspected)), bad)
        if rows:
            bad.replace(path)
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """How many rows of the dead letter break a rule, and the positions of the first few."""

    rows: int
    first: tuple[int, ...]


def broken_rules(path: Path, names: Sequence[str]) -> dict[str, Broken]:
    """What of these rules the dead letter holds, by name."""
    exploded = pl.scan_parquet(path).select(ROW, RULES).explode(RULES).with_columns(pl.col(RULES).cast(pl.Enum(names)))
    counted = exploded.group_by(RULES).agg(pl.len(), pl.col(ROW).bottom_k(MAX_SAMPLES)).collect(engine="streaming")
    return {name: Broken(rows=rows, first=tuple(sorted(first))) for name, rows, first in counted.iter_rows()}


def samples(path: Path, broken: Mapping[str, Broken], shown: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """The first rows that break each rule, as text; `shown`: by rule's name the columns to show."""
    there = pl.read_parquet_schema(path)
    wanted = sorted({row for item in broken.values() for row in item.first})
    cells = {rule: [name for name in shown[rule] if name in there] for rule in broken}
    needed = dict.fromkeys(name for names in cells.values() for name in names)
    rows = pl.scan_parquet(path).filter(pl.col(ROW).is_in(wanted)).select(ROW, *needed).collect(engine="streaming")
    return {
        rule: told(rows.filter(pl.col(ROW).is_in(item.first)).select(ROW, *cells[rule]))
        for rule, item in broken.items()
    }


def positions(path: Path) -> pl.Series:
    """Where in the file the bad rows are, ascending."""
    return pl.scan_parquet(path).select(pl.col(ROW).cast(pl.get_index_type())).collect(engine="streaming").to_series()


def _write(rows: pl.LazyFrame, path: Path) -> int:
    rows.sink_parquet(path, row_group_size=ROWS_IN_GROUP, engine="streaming")
    return int(pl.scan_parquet(path).select(pl.len()).collect().item())
