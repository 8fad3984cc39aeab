"""An evaluation for eyes: as text in a terminal, as tables in a notebook. Decides and computes nothing."""

from collections.abc import Sequence
from html import escape

from modelling.evaluation_value import OTHER, Scores
from modelling.metric_table import METRIC_TABLE

MAX_SLICES = 20
_MINUTE = "%Y-%m-%d %H:%M"
Row = Sequence[str]


def as_text(scores: Scores, said: str) -> str:
    """Headline, a table of metrics, one of slices where there are any, and what the gate would say."""
    metrics, slices = _metrics(scores), _slices(scores)
    parts = [_headline(scores), _aligned(metrics), _aligned(slices) if len(slices) > 1 else "", said]
    return "\n\n".join(part for part in parts if part)


def as_html(scores: Scores, said: str) -> str:
    """The same as HTML; all that comes from data is escaped."""
    slices = _slices(scores)
    parts = [f"<p><b>{escape(_headline(scores))}</b></p>", _table(_metrics(scores))]
    parts += [_table(slices)] if len(slices) > 1 else []
    parts += [f"<p>{escape(said)}</p>"] if said else []
    return "".join(parts)


def _headline(scores: Scores) -> str:
    seen = f"; left out {scores.left_out:,} that were seen, or too near to it" if scores.left_out else ""
    return (
        f"{scores.pipeline}: {scores.metric} {scores.loss:.5g} on {scores.rows:,} rows from {scores.since:{_MINUTE}} "
        f"to {scores.until:{_MINUTE}}{seen}"
    )


def _metrics(scores: Scores) -> list[Row]:
    """A row for each metric, a column for each that answered."""
    rows: list[Row] = [("", *scores.metrics, "better")]
    for name, metric in METRIC_TABLE[scores.task].items():
        values = [found.get(name) for found in scores.metrics.values()]
        if any(value is not None for value in values):
            mark = " *" if name == scores.metric else ""
            rows.append((f"{metric.words}{mark}", *(_number(value) for value in values), metric.better))
    return rows


def _slices(scores: Scores) -> list[Row]:
    compared = OTHER in scores.losses
    rows: list[Row] = [("slice", "rows", "loss", *([OTHER, "gain"] if compared else []))]
    for found in scores.slices[:MAX_SLICES]:
        told = [f"{found.column} = {found.value[:40]}", f"{found.rows:,}", _number(found.loss)]
        if found.against_loss is not None:
            gain = 1 - found.loss / found.against_loss if found.against_loss > 0 else 0.0
            told += [_number(found.against_loss), f"{gain:+.2%}"]
        rows.append(told)
    if (more := len(scores.slices) - MAX_SLICES) > 0:
        rows.append([f"and {more} smaller ones", *[""] * (len(rows[0]) - 1)])
    return rows


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.5g}"


def _aligned(rows: list[Row]) -> str:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = (
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _table(rows: list[Row]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in rows[0])
    lines = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows[1:]]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
