"""What a person is shown who is asked about a version: the gate's verdict, its numbers and slices, in Markdown."""

from registry.ledger import Recorded
from tasks.questions import deadline
from tasks.site import Site

_SLICES = 8
_NUMBERS = {
    "loss": ("champion_loss", "challenger_loss"),
    "mean of label - prediction": ("champion_bias", "challenger_bias"),
}
_FACTS = {
    "gain": "gain_share",
    "lower bound of the gain": "lower",
    "upper bound of the gain": "upper",
    "decisions that flip": "churn",
    "loss of always predicting the mean": "baseline_loss",
    "one row takes (ms)": "latency_ms",
    "size (MB)": "size_mb",
    "share of rows with a label": "coverage",
}
_SHARES = {"gain_share", "churn", "coverage"}


def exhibit(site: Site, question: Recorded, gate: Recorded) -> str:
    """The question, why it is asked, the evidence, and what each answer leads to."""
    champion = gate.body.get("champion_version") or "none yet"
    return "\n".join(
        [
            f"## May version {gate.subject} of {site.name} become champion?",
            f"**Why you are asked**: {question.body['why']}",
            "",
            f"**The gate's verdict**: {gate.outcome}, at data time {gate.data_time:%Y-%m-%d %H:%M}",
            *(f"- {reason}" for reason in gate.reasons),
            "",
            f"| | champion ({champion}) | challenger ({gate.subject}) |",
            "|---|---|---|",
            *_compared(gate),
            *(f"| {name} | | {_number(key, gate.body.get(key))} |" for name, key in _FACTS.items() if _has(gate, key)),
            "",
            *_slices(gate),
            f"In MLflow: {_where(site, gate.subject)}. Every number: `andon show {site.name} --verdict {gate.seq}`",
            "",
            "**Approve**: its bundle is loaded and asked in a fresh process, and then it serves.",
            f"**Reject**: {site.name} stays as it is. Silence until {deadline(question):%Y-%m-%d %H:%M} UTC is a no.",
            f"On the command line: `andon approve {site.name} {gate.subject} --why ...`, or `andon reject`.",
        ]
    )


def _compared(gate: Recorded) -> list[str]:
    return [
        f"| {name} | {_number(old, gate.body.get(old))} | {_number(new, gate.body.get(new))} |"
        for name, (old, new) in _NUMBERS.items()
        if _has(gate, new)
    ]


def _slices(gate: Recorded) -> list[str]:
    """The slices, worst first; empty when none are declared."""
    found = list(gate.body.get("slices") or ())[:_SLICES]
    rows = [
        f"| {item['column']} = {item['value']} | {item['rows']:,} | {item['gain']:+.5f} "
        f"| {'yes' if item['worse'] else 'no'} |"
        for item in found
    ]
    return ["| slice | rows | gain | proven worse |", "|---|---|---|---|", *rows, ""] if rows else []


def _where(site: Site, version: str) -> str:
    name = f"{site.name}, version {version}"
    uri = site.settings.mlflow
    return f"[{name}]({uri.rstrip('/')}/#/models/{site.name}/versions/{version})" if uri.startswith("http") else name


def _has(gate: Recorded, key: str) -> bool:
    return isinstance(gate.body.get(key), int | float)


def _number(key: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:+.2%}" if key == "gain_share" else f"{value:.1%}" if key in _SHARES else f"{value:.6g}"
