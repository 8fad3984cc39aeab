"""What the replays of real histories say: counts by rule, each alarm of ours, and what nobody raised."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from benchmarks.monitor_real_rivals import RULES
from benchmarks.monitor_real_truth import Degradation, Oracle, Spell, Truth
from benchmarks.show import CONSOLE

OWN = OURS, BAD, NOTICES = "Andon", "Andon, bad data", "Andon, notices"
VARIANTS = ("static", "retrained")
TRUTHS: Mapping[str, Truth] = {
    "true_alarms": "true",
    "too_late": "too late",
    "unproven_alarms": "unproven",
    "false_alarms": "false",
    "unknown": "unknown",
}
COUNTS = ("alarms", *TRUTHS, "proven_alarms", "degradations", "missed_degradations")
HEAD = ("alarms", "true_alarms", "missed_degradations", "detection_delay_windows")


def figures(oracle: Oracle, raised: Sequence[Spell], degradations: Sequence[Degradation]) -> dict[str, Any]:
    """What became of the alarms of one rule."""
    judged = [oracle.truth(item, raised, degradations) for item in raised]
    truths = [truth for truth, _ in judged]
    delays = [oracle.delay(item, raised) for item in degradations]
    every, windows = oracle.every, len(oracle.replay.days)
    on = {day.start for day in oracle.replay.days for item in raised if item.at <= day.start + every < item.end}
    return {
        "alarms": len(raised),
        **{name: truths.count(truth) for name, truth in TRUTHS.items()},
        "proven_alarms": sum(gain is not None and gain.pays and gain.proven for _, gain in judged),
        "degradations": len(degradations),
        "missed_degradations": delays.count(None),
        "detection_delay_windows": median(seen) if (seen := [item for item in delays if item is not None]) else None,
        "delays": delays,
        "share_of_windows_in_alarm": round(len(on) / max(windows, 1), 3),
    }


def line(oracle: Oracle, item: Spell, raised: Sequence[Spell], found: Sequence[Degradation]) -> dict[str, Any]:
    """An alarm of ours; gains as shares of the champion's loss."""
    truth, gain = oracle.truth(item, raised, found)
    return {
        "at": item.at.isoformat(),
        "until": item.end.isoformat(),
        "kind": item.kind,
        "champion": item.reign + 1,
        "truth": truth,
        "gain": None if gain is None else round(gain.share, 4),
        "gain_lower": None if gain is None else round(gain.lower, 4),
        "proven": None if gain is None else gain.pays and gain.proven,
        "why": item.why,
    }


def period(oracle: Oracle, item: Degradation, raised: Mapping[str, Sequence[Spell]]) -> dict[str, Any]:
    """A degradation, the largest gain in it, and how long each rule took; None: it missed it."""
    return {
        "begin": item.begin.isoformat(),
        "end": item.end.isoformat(),
        "champion": item.reign + 1,
        "share": round(item.share, 4),
        "delay": {rule: oracle.delay(item, found) for rule, found in raised.items()},
    }


def answer(found: Mapping[tuple[str, str], Mapping[str, Any]]) -> dict[str, Any]:
    """The JSON: totals of ours where the champion is retrained, by data set and rule, and every alarm."""
    totals = {
        variant: {
            rule: _together([told["rules"][rule] for (_, own), told in found.items() if own == variant])
            for rule in (*OWN, *RULES)
        }
        for variant in VARIANTS
    }
    head = totals["retrained"][OURS]
    return {
        **{name: head[name] for name in HEAD},
        **{f"static_{name}": totals["static"][OURS][name] for name in HEAD},
        "totals": totals,
        "by_history": {f"{name}, {variant}": told for (name, variant), told in found.items()},
    }


def show(title: str, told: Mapping[str, Any]) -> None:
    """The rules side by side, then each alarm of ours, and what was missed."""
    share, champions = told["true_by_chance"], told["champions"]
    about = f"{title}: {told['windows']} windows, {champions} champions; an alarm by chance is true in {share:.0%}"
    table = Table(title=about, box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    heads = ("", "alarms", "true", "late", "unproven", "false", "?", "proven", "degraded", "missed", "delay", "days on")
    for head in heads:
        table.add_column(head, justify="left" if not head else "right")
    for rule, row in told["rules"].items():
        delay = row["detection_delay_windows"]
        counts = [str(row[name]) for name in COUNTS]
        table.add_row(rule, *counts, "-" if delay is None else f"{delay:g}", f"{row['share_of_windows_in_alarm']:.0%}")
    CONSOLE.print(table)
    for line in told["list"]:
        CONSOLE.print(
            f"{line['at'][:10]} {line['kind']:8} {line['truth']:8} {_percent(line['gain'])}  {line['why'][:130]}"
        )
    for period in told["degradations"]:
        caught = "MISSED" if period["delay"][OURS] is None else f"seen after {period['delay'][OURS]:g} windows"
        CONSOLE.print(
            f"degradation {period['begin'][:10]} to {period['end'][:10]}, up to {period['share']:.1%}: {caught}"
        )


def _together(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    delays = [item for row in rows for item in row["delays"] if item is not None]
    sums = {name: sum(row[name] for row in rows) for name in COUNTS}
    return {**sums, "detection_delay_windows": median(delays) if delays else None}


def _percent(share: float | None) -> str:
    return "       " if share is None else f"{share:+7.1%}"
