"""The gate's verdict as a page in Markdown: what the model store shows of a challenger. Pure."""

from collections.abc import Iterator, Sequence

from validation.gate import GateVerdict

_SLICES = 30
_SIDES = {"loss": ("champion_loss", "challenger_loss"), "label - prediction": ("champion_bias", "challenger_bias")}
_ALONE = {
    "gain, as a share of the champion's loss": ("gain_share", "{:+.2%}"),
    "the least that is asked for": ("min_gain", "{:+.2%}"),
    "lower bound of the gain": ("lower", "{:+.5f}"),
    "upper bound of the gain": ("upper", "{:+.5f}"),
    "standard error": ("standard_error", "{:.5f}"),
    "loss of always predicting the same": ("baseline_loss", "{:.5f}"),
    "decisions that flip": ("churn", "{:.1%}"),
    "rows": ("rows", "{:,}"),
    "blocks of time": ("blocks", "{:,}"),
    "rows with a label": ("coverage", "{:.1%}"),
    "one row takes, in ms": ("latency_ms", "{:.2f}"),
    "the bundle has, in MB": ("size_mb", "{:.2f}"),
}
_NOT_MEASURED = {"latency_ms": 0.0, "size_mb": 0.0}  # the first look turned it down before it was loaded


def verdict_page(verdict: GateVerdict, *, asked: str = "", made: Sequence[str] = ()) -> str:
    """The outcome in the first line, then why, both sides, the slices and the checks.

    `asked`: why the retrain was asked for; `made`: how the challenger was trained.
    """
    return "\n".join(_lines(verdict, asked=asked, made=made))


def _lines(verdict: GateVerdict, *, asked: str, made: Sequence[str]) -> Iterator[str]:
    against = f"version {verdict.champion_version}" if verdict.champion_version else "the base rate"
    dry = ", in a dry run" if verdict.mode == "dry_run" else ""
    look = f", look {verdict.look} of {verdict.max_looks}" if verdict.max_looks > 1 else ""
    gain = "" if verdict.gain_share is None else f" ({verdict.gain_share:+.2%} of the loss)"
    yield f"{verdict.outcome} against {against}{gain}, as of {verdict.data_time:%Y-%m-%d %H:%M}{look}{dry}"
    yield ""
    yield from (f"- {reason}" for reason in verdict.reasons)
    yield from (f"- trained: {reason}" for reason in made)
    for what, why in (("asked for", asked), ("**a person is asked**", verdict.asks)):
        if why:
            yield f"- {what}: {why}"
    yield from ("", f"| | {against} | challenger |", "|---|---|---|", *_numbers(verdict))
    yield from _slices(verdict)
    yield from _checks(verdict)


def _numbers(verdict: GateVerdict) -> Iterator[str]:
    for name, (old, new) in _SIDES.items():
        if getattr(verdict, new) is not None:
            yield f"| {name} | {_told(getattr(verdict, old), '{:.5f}')} | {_told(getattr(verdict, new), '{:.5f}')} |"
    for name, (field, form) in _ALONE.items():
        value = getattr(verdict, field)
        if value is not None and value != _NOT_MEASURED.get(field):
            yield f"| {name} | | {_told(value, form)} |"


def _slices(verdict: GateVerdict) -> Iterator[str]:
    """Worst first; "worse" only on proof."""
    if verdict.slices:
        yield from ("", "| slice | rows | gain | upper bound | proven worse |", "|---|---|---|---|---|")
    for item in verdict.slices[:_SLICES]:
        worse = "**yes**" if item.worse else "no"
        name = _cell(f"{item.column} = {item.value}")
        yield f"| {name} | {item.rows:,} | {item.gain:+.5f} | {_told(item.upper, '{:+.5f}')} | {worse} |"


def _checks(verdict: GateVerdict) -> Iterator[str]:
    if verdict.behaviour:
        yield from ("", "| check | kept | violations |", "|---|---|---|")
    for check in verdict.behaviour:
        yield f"| {_cell(check.check)} | {'yes' if check.ok else '**no**'} | {check.violations:.1%} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _told(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)
