"""A first contract from a sample of data: what a person would write down after a careful look. Pure.

It is meant to be read and corrected: ranges have slack, so that the next batch fits; few texts become a list of the
allowed ones, texts of one form a pattern; what was never null must not become so; keys are named where some are found.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from keyword import iskeyword
from typing import Any

import polars as pl

MAX_LEVELS = 30  # texts that are listed one by one
ROWS_PER_LEVEL = 20  # seen at least, on average, before a list is believed
RANGE_SLACK = 0.5  # of the range that was seen, on either side
NULL_SLACK = 2.0  # times the share of nulls that was seen
MIN_KEY_ROWS = 10
_MAX_FORMS = 3
_FORM_ROWS = 1_000

_KNOWN_FORMS = {
    "UUID": r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
    "e-mail address": r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
    "ISO date": r"^\d{4}-\d{2}-\d{2}$",
    "web address": r"^https?://\S+$",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class InferredColumn:
    """One column: its type as a contract writes it, the arguments of `pa.Field`, and what to know of it."""

    name: str
    annotation: str
    checks: tuple[tuple[str, Any], ...] = ()
    null_share: float = 0.0
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inferred:
    """A contract in the making. `key`: the column or columns whose values are each there once; empty if none are."""

    columns: tuple[InferredColumn, ...]
    key: tuple[str, ...]
    time: str
    rows: int

    @property
    def null_ceilings(self) -> dict[str, float]:
        """The largest share of nulls that a batch may have, for columns that have some; never above 1."""
        shares = {column.name: column.null_share for column in self.columns if column.null_share}
        return {name: round(min(1.0, share * NULL_SLACK + 0.01), 2) for name, share in shares.items()}


def infer(sample: pl.DataFrame) -> Inferred:
    """What a sample of the data says about its contract; the more rows, the better."""
    columns = tuple(_column(sample[name]) for name in sample.columns)
    time = next((name for name, dtype in sample.schema.items() if isinstance(dtype, pl.Datetime)), "")
    return Inferred(columns=columns, key=_key(sample, time), time=time, rows=sample.height)


def _column(values: pl.Series) -> InferredColumn:
    known = (values.fill_nan(None) if values.dtype.is_float() else values).drop_nulls()  # NaN is as good as null
    checks, note = _checks(known)
    share = 1 - known.len() / values.len() if values.len() else 0.0
    return InferredColumn(
        name=values.name, annotation=annotation(values.dtype), checks=tuple(checks), null_share=share, note=note
    )


def annotation(dtype: pl.DataType) -> str:
    """A Polars type as a contract's annotation."""
    plain = {pl.String(): "str", pl.Int64(): "int", pl.Float64(): "float", pl.Boolean(): "bool"}
    if isinstance(dtype, pl.Datetime):
        return f'Annotated[pl.Datetime, "{dtype.time_unit}", {dtype.time_zone!r}]'.replace("'", '"')
    if isinstance(dtype, pl.Decimal):
        return f"Annotated[pl.Decimal, {dtype.precision}, {dtype.scale}]"
    if isinstance(dtype, pl.Duration):
        return f'Annotated[pl.Duration, "{dtype.time_unit}"]'
    if isinstance(dtype, pl.List):
        return f"Annotated[pl.List, pl.{type(dtype.inner).__name__}]"
    return plain.get(dtype, f"pl.{type(dtype).__name__}")


def _checks(known: pl.Series) -> tuple[list[tuple[str, Any]], str]:
    if known.is_empty():
        return [], "nothing but nulls in the sample"
    if known.dtype.is_numeric() and not isinstance(known.dtype, pl.Decimal):
        return _range(known), ""
    if known.dtype == pl.String:
        return _texts(known)
    return [], ""


def _range(known: pl.Series) -> list[tuple[str, Any]]:
    """From the smallest to the largest, and half as much again on either side; never across zero where none was."""
    low, high = float(known.min()), float(known.max())  # type: ignore[arg-type]  # a numeric column's
    slack = (high - low) * RANGE_SLACK or abs(high) * RANGE_SLACK or 1.0
    if not (math.isfinite(low - slack) and math.isfinite(high + slack)):
        return []
    lower = _round(low - slack, down=True)
    upper = _round(high + slack, down=False)
    if low >= 0 > lower:
        lower = 0.0
    if high <= 0 < upper:
        upper = 0.0
    whole = known.dtype.is_integer()
    return [("ge", int(lower) if whole else lower), ("le", int(upper) if whole else upper)]


def _round(value: float, *, down: bool) -> float:
    """Outwards, to two significant digits."""
    if value == 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 1) or math.ulp(0.0)
    steps = math.floor(value / unit) if down else math.ceil(value / unit)
    rounded = float(f"{steps * unit:.12g}")
    return rounded if math.isfinite(rounded) else value


def _texts(known: pl.Series) -> tuple[list[tuple[str, Any]], str]:
    levels = known.n_unique()
    if levels <= MAX_LEVELS and known.len() >= levels * ROWS_PER_LEVEL:
        return [("isin", sorted(known.unique().to_list()))], ""
    for name, pattern in _KNOWN_FORMS.items():
        if bool(known.str.contains(pattern).all()):
            return [("str_matches", pattern)], name
    forms = sorted({_form(text) for text in known.head(_FORM_ROWS)})
    pattern = f"^(?:{'|'.join(forms)})$" if len(forms) > 1 else f"^{forms[0]}$"
    if len(forms) <= _MAX_FORMS and bool(known.str.contains(pattern).all()):
        return [("str_matches", pattern)], ""
    lengths = known.str.len_chars()
    shortest, longest = int(lengths.min()), int(lengths.max())  # type: ignore[arg-type]  # lengths of texts
    return [("str_length", {"min_value": min(1, shortest), "max_value": 2 * longest})], ""


def _form(text: str) -> str:
    """The pattern of a text: runs of digits, capitals and small letters with their lengths; the rest as it stands."""
    parts = re.findall(r"[0-9]+|[A-Z]+|[a-z]+|.", text, flags=re.DOTALL)
    return "".join(_run(part) for part in parts)


def _run(part: str) -> str:
    for kind, pattern in (("[0-9]", r"[0-9]+"), ("[A-Z]", r"[A-Z]+"), ("[a-z]", r"[a-z]+")):
        if re.fullmatch(pattern, part):
            return f"{kind}{{{len(part)}}}" if len(part) > 1 else kind
    return re.escape(part)


def _key(sample: pl.DataFrame, time: str) -> tuple[str, ...]:
    """The one column, or the two, of which no value comes twice; names that speak of keys first, numbers last."""
    if sample.height < MIN_KEY_ROWS:
        return ()
    able = [name for name in _by_likelihood(sample) if sample[name].null_count() == 0]
    alone = next((name for name in able if sample[name].n_unique() == sample.height), None)
    if alone is not None:
        return (alone,)
    pairs = ((other, time) for other in able if time and other != time and sample.schema[other] == pl.String)
    for pair in (*pairs, *combinations(able[:6], 2)):
        if sample.select(pair).n_unique() == sample.height:
            return pair
    return ()


def _by_likelihood(sample: pl.DataFrame) -> list[str]:
    def rank(name: str) -> tuple[bool, bool]:
        speaks = bool(re.search(r"(^|_)(id|key|uuid|no|number|code)($|_)", name.lower()))
        return (not speaks, sample.schema[name] != pl.String)

    able = [name for name, dtype in sample.schema.items() if dtype.is_integer() or dtype in (pl.String, pl.Date)]
    able += [name for name, dtype in sample.schema.items() if isinstance(dtype, pl.Datetime)]
    return sorted(able, key=rank)


def as_python(found: Inferred, *, name: str, source: str) -> str:
    """The contract as a Python text that a person can read, correct, and put into a pipeline's file."""
    return "\n".join(_lines(found, name, source)) + "\n"


def _lines(found: Inferred, name: str, source: str) -> Iterator[str]:
    typed = any("Annotated" in column.annotation for column in found.columns)
    needs_polars = any("pl." in column.annotation for column in found.columns) or bool(found.null_ceilings)
    yield f'"""The contract of {source}, as {found.rows:,} rows say it. Read it, and correct what you know better."""'
    yield ""
    if typed:
        yield "from typing import Annotated"
        yield ""
    yield "import pandera.polars as pa"
    if needs_polars:
        yield "import polars as pl"
    yield ""
    if found.null_ceilings:
        yield "# The largest share of nulls that a batch may have: twice what was seen."
        yield f"NULL_CEILINGS = {found.null_ceilings!r}".replace("'", '"')
        yield ""
    yield ""
    yield f"class {name}(pa.DataFrameModel):"
    yield f'    """{_about_key(found)}"""'
    yield ""
    for column in found.columns:
        yield from _field(column, unique=found.key == (column.name,))
    if len(found.key) > 1:
        yield from ("", "    class Config:", f"        unique = {list(found.key)!r}".replace("'", '"'))
    if found.null_ceilings:
        yield from _CEILINGS


_CEILINGS = (
    "",
    "    @pa.dataframe_check",
    "    @classmethod",
    "    def has_few_nulls(cls, data: pa.PolarsData) -> pl.LazyFrame:",
    '        """No column has more nulls than its ceiling."""',
    "        shares = [pl.col(name).null_count() <= most * pl.len() for name, most in NULL_CEILINGS.items()]",
    "        return data.lazyframe.select(pl.all_horizontal(shares))",
)


def _about_key(found: Inferred) -> str:
    key = f"Each row by {' and '.join(found.key)}" if found.key else "No key was found (which columns name a row?)"
    return f"{key}; event time: {found.time or 'none was found'}."


def _field(column: InferredColumn, *, unique: bool) -> Iterator[str]:
    arguments = [*(["unique=True"] if unique else []), *(["nullable=True"] if column.null_share else [])]
    arguments += [f"{name}={_literal(value)}" for name, value in column.checks]
    known = column.name
    if not known.isidentifier() or iskeyword(known) or known.startswith("_") or known in dir(object):
        known = "column_" + re.sub(r"\W", "_", column.name)
        arguments.append(f"alias={_literal(column.name)}")
    notes = [f"{column.null_share:.1%} null"] if column.null_share else []
    notes += [column.note] if column.note else []
    field = f" = pa.Field({', '.join(arguments)})" if arguments else ""
    yield f"    {known}: {column.annotation}{field}{'  # ' + ', '.join(notes) if notes else ''}"


def _literal(value: Any) -> str:
    if isinstance(value, str):
        raw = "\\" in value and value.isprintable() and '"' not in value and not value.endswith("\\")
        return f'r"{value}"' if raw else repr(value)
    if isinstance(value, Sequence):
        return f"[{', '.join(_literal(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_literal(name)}: {item!r}' for name, item in value.items())}}}"
    return repr(value)
