"""The report of a replayed year: one HTML file that needs no network, and its table for a terminal."""

from collections.abc import Sequence
from dataclasses import fields
from html import escape

from rich.table import Table

from andon.pages import layout
from andon.pages.charts import Axes, Line, Marker, lines
from andon.pages.heat import heat_legend, heat_map
from andon.pages.story import Card, Cell, Heat, HeatRow
from demo.timeline import Summary, WeekStory

_ANDON, _NEVER, _WEEKLY = "#0b6e4f", "#b23a1e", "#4b5fa5"
_MOST_FEATURES = 20
_DAYS = 7  # windows of a week
_NO_LABELS = "Nothing to draw yet: no labelled week."
_DRIFT = "In how many of a week's daily windows a feature was beyond what it does anyway."
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
    quality = Axes(name="log loss by week", nothing=_NO_LABELS)
    saved = Axes(name="log loss saved by week", nothing=_NO_LABELS, levels=((0.0, ""),))
    rows = [_cells(week) for week in weeks]
    facts = [(item.name, _number(getattr(summary, item.name))) for item in fields(summary)]
    promoted = ["promoted" if week.promoted else "" for week in weeks]
    return layout.page(
        title,
        [
            f"<header><h1>{escape(title)}</h1><p>{escape(in_a_sentence(summary))}</p></header><main>",
            layout.cards(Card(value=_number(getattr(summary, name)), text=text) for name, text in _CARDS.items()),
            layout.section(
                "Quality over time",
                layout.wide(lines(_quality(weeks), labels=labels, markers=_champions(weeks), axes=quality)),
                note="Mean log loss of each week's predictions, smaller is better; dotted: a new champion.",
            ),
            layout.section(
                "What retraining won",
                layout.wide(lines(_saved(weeks), labels=labels, markers=_champions(weeks), axes=saved)),
                note="Log loss saved against never retraining, above zero is better.",
            ),
            layout.section("Drift by feature", _drift_map(weeks, labels), note=_DRIFT),
            layout.section("Week by week", layout.wide(layout.table(_COLUMNS, rows, marked=promoted), first="start")),
            layout.section("All numbers", layout.table((("number", False), ("value", True)), facts)),
            "</main>",
        ],
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


def _drift_map(weeks: Sequence[WeekStory], labels: Sequence[str]) -> str:
    found = _drift(weeks)
    rows = tuple(
        HeatRow(
            name=name, cells=tuple(_cell(name, week.label, count) for week, count in zip(weeks, counts, strict=True))
        )
        for name, counts in found.items()
    )
    heat = Heat(labels=tuple(labels), rows=rows, judged=len(rows))
    drawn = heat_map(heat, name="Findings by feature and week", nothing="No feature was a finding in any window.")
    return layout.wide(drawn) + (heat_legend(shade=f"darker: in more of the week's {_DAYS} windows") if rows else "")


def _cell(name: str, week: str, count: int) -> Cell:
    return Cell(shade=count / _DAYS, said=f"{name}, {week}: {count} of {_DAYS} windows" if count else "")


def _drift(weeks: Sequence[WeekStory]) -> dict[str, Sequence[int]]:
    totals: dict[str, int] = {}
    for week in weeks:
        for name, count in week.drift.items():
            totals[name] = totals.get(name, 0) + count
    worst = sorted(totals, key=lambda name: (-totals[name], name))[:_MOST_FEATURES]
    return {name: [week.drift.get(name, 0) for week in weeks] for name in worst}
