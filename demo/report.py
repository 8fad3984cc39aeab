"""The report of a replayed year: one HTML file that needs no network, and its table for a terminal."""

from collections.abc import Sequence
from dataclasses import fields
from html import escape

from rich.table import Table

from demo.charts import Line, Marker, heat_map, lines
from demo.timeline import Summary, WeekStory

_ANDON, _NEVER, _WEEKLY = "#0b6e4f", "#b23a1e", "#4b5fa5"
_MOST_FEATURES = 20
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#222;background:#fff;margin:0 auto;max-width:1100px;padding:24px}
h1{font-size:24px;margin:0 0 4px}h2{font-size:18px;margin:34px 0 8px}p{margin:6px 0}
svg{width:100%;min-width:640px;height:auto}.axis{font-size:11px;fill:#666}.grid{stroke:#e4e4e0}.zero{stroke:#999}
.marker line{stroke:#0b6e4f;stroke-width:1;stroke-dasharray:2 3}.marker text{font-size:10px;fill:#0b6e4f}
.legend span{margin-right:18px}.legend i{display:inline-block;width:26px;margin-right:6px;vertical-align:middle}
.cards{display:flex;flex-wrap:wrap;gap:10px;margin:16px 0}
.card{border:1px solid #e0e0da;border-radius:8px;padding:8px 14px;min-width:118px}
.card b{display:block;font-size:20px}.card span{color:#666;font-size:12px}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:12.5px;width:100%}
th,td{text-align:left;padding:4px 8px;border-bottom:1px solid #eee;vertical-align:top}th{color:#666;font-weight:600}
td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
tr.promoted{background:#eef7f2}.bad{color:#b23a1e}.empty{color:#888;font-style:italic}
"""
_CARDS = {
    "gap_closed": "of the gap from never to weekly retraining closed",
    "promotions": "promotions",
    "rejections": "challengers rejected",
    "retrains_by_event": "retrains, asked for by event",
    "rows_quarantined": "rows set aside",
    "batches_refused": "files refused",
    "requests_served": "requests served",
    "requests_failed": "requests failed",
    "seconds_event_to_serving_median": "s from event to serving (median)",
    "seconds_total": "s for the whole replay",
}


def as_html(summary: Summary, weeks: Sequence[WeekStory], *, title: str) -> str:
    """The whole report as one HTML text."""
    labels = [week.label.rpartition("-")[2] for week in weeks]
    body = [
        f"<h1>{escape(title)}</h1><p>{escape(in_a_sentence(summary))}</p>",
        f'<div class="cards">{"".join(_card(summary, name, text) for name, text in _CARDS.items())}</div>',
        "<h2>Quality over time</h2>",
        "<p>Mean log loss of each week's predictions, smaller is better; dotted: a new champion.</p>",
        _wide(lines(_quality(weeks), labels=labels, markers=_champions(weeks), y_title="log loss")),
        "<h2>What retraining won</h2><p>Log loss saved against never retraining, above zero is better.</p>",
        _wide(lines(_saved(weeks), labels=labels, markers=_champions(weeks), y_title="log loss saved")),
        "<h2>Drift by feature</h2>",
        "<p>In how many of a week's daily windows a feature was beyond what it does anyway.</p>",
        _wide(heat_map(_drift(weeks), labels=labels, most=7)),
        "<h2>Week by week</h2>",
        _wide(_html_table(weeks)),
        "<h2>All numbers</h2>",
        _wide(f"<table>{''.join(_fact(summary, item.name) for item in fields(summary))}</table>"),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{''.join(body)}</body></html>"
    )


def as_table(weeks: Sequence[WeekStory]) -> Table:
    """The timeline for a terminal."""
    table = Table(title="The year, week by week", title_justify="left", header_style="bold", pad_edge=False)
    for name, right in _COLUMNS:
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for week in weeks:
        table.add_row(*_cells(week), style="green" if week.promoted else None)
    return table


def in_a_sentence(summary: Summary) -> str:
    """What came of it, for people."""
    if summary.log_loss_andon is None or summary.log_loss_never_retrain is None:
        return f"{summary.weeks} weeks replayed; no week has labels yet, so nothing can be said of the quality."
    weekly = summary.log_loss_weekly_retrain
    compared = f", {weekly:.4f} with ungated weekly retraining" if weekly is not None else ""
    closed = f" (gap closed: {summary.gap_closed:.2f})" if summary.gap_closed is not None else ""
    return (
        f"Over {summary.weeks} weeks the log loss was {summary.log_loss_andon:.4f} with Andon, "
        f"{summary.log_loss_never_retrain:.4f} without any retraining{compared}{closed}; "
        f"{summary.promotions} promotions, {summary.requests_served} requests served, {summary.requests_failed} failed."
    )


def in_a_line(told: Sequence[WeekStory]) -> str:
    """The newest week for a log file, where no progress bar moves."""
    if not told:
        return "history"
    week = told[-1]
    gate = f", gate: {week.gate}" if week.gate else ""
    return f"{week.rows:,} rows answered by version {week.champion}, performance: {week.performance}{gate}"


_COLUMNS = (
    ("week", False),
    ("rows", True),
    ("set aside", False),
    ("damage", False),
    ("drift", False),
    ("probe", True),
    ("retrain", False),
    ("gate", False),
    ("champion", True),
    ("andon", True),
    ("never", True),
    ("weekly", True),
)


def _cells(week: WeekStory) -> tuple[str, ...]:
    gate = week.gate
    if week.gain_share is not None:
        gate += f" {week.gain_share:+.1%}"
    drift = ", ".join(f"{count} {name}" for name, count in sorted(week.drift_outcomes.items()) if name != "quiet")
    return (
        week.label,
        f"{week.rows:,}",
        ", ".join(filter(None, (f"{week.quarantined} rows" * bool(week.quarantined), "a file" * week.refused))),
        week.damage,
        drift,
        "" if week.regret_share is None else f"{week.regret_share:+.1%}",
        week.asked,
        gate,
        f"v{week.champion}" if week.champion else "",
        _loss(week.loss_andon),
        _loss(week.loss_never),
        _loss(week.loss_weekly),
    )


def _loss(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _wide(content: str) -> str:
    """On a narrow screen it is moved sideways, not shrunk."""
    return f'<div class="scroll">{content}</div>'


def _html_table(weeks: Sequence[WeekStory]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name, _ in _COLUMNS)
    rows = "".join(
        f'<tr class="{"promoted" if week.promoted else ""}">'
        + "".join(
            f"<td{' class=n' if right else ''}>{escape(cell)}</td>"
            for cell, (_, right) in zip(_cells(week), _COLUMNS, strict=True)
        )
        + "</tr>"
        for week in weeks
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _card(summary: Summary, name: str, text: str) -> str:
    return f"<div class=card><b>{escape(_number(getattr(summary, name)))}</b><span>{escape(text)}</span></div>"


def _fact(summary: Summary, name: str) -> str:
    return f"<tr><td>{escape(name)}</td><td class=n>{escape(_number(getattr(summary, name)))}</td></tr>"


def _number(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.4f}" if abs(value) < 10 else f"{value:,.1f}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_number(item)}" for key, item in value.items())
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _quality(weeks: Sequence[WeekStory]) -> list[Line]:
    return [
        Line(name="never retrained", colour=_NEVER, values=[week.loss_never for week in weeks], dashed=True),
        Line(name="weekly, ungated", colour=_WEEKLY, values=[week.loss_weekly for week in weeks], dashed=True),
        Line(name="Andon", colour=_ANDON, values=[week.loss_andon for week in weeks]),
    ]


def _saved(weeks: Sequence[WeekStory]) -> list[Line]:
    def saved(week: WeekStory, loss: float | None) -> float | None:
        return None if loss is None or week.loss_never is None else week.loss_never - loss

    return [
        Line(
            name="weekly, ungated",
            colour=_WEEKLY,
            values=[saved(week, week.loss_weekly) for week in weeks],
            dashed=True,
        ),
        Line(name="Andon", colour=_ANDON, values=[saved(week, week.loss_andon) for week in weeks]),
    ]


def _champions(weeks: Sequence[WeekStory]) -> list[Marker]:
    return [
        Marker(at=index, text=f"v{week.promoted}", title=f"{week.label}: version {week.promoted} became champion")
        for index, week in enumerate(weeks)
        if week.promoted
    ]


def _drift(weeks: Sequence[WeekStory]) -> dict[str, Sequence[int]]:
    totals: dict[str, int] = {}
    for week in weeks:
        for name, count in week.drift.items():
            totals[name] = totals.get(name, 0) + count
    worst = sorted(totals, key=lambda name: (-totals[name], name))[:_MOST_FEATURES]
    return {name: [week.drift.get(name, 0) for week in weeks] for name in worst}
