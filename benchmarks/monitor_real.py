"""What the monitor raises on real histories, and what later labels say of it: `python -m benchmarks.monitor_real`.

Flights and bikes are replayed with the product's own functions: the champion's profile, drift of each day, what labels
prove on Mondays. An alarm is a new incident: drift of the prediction, proven regret, proven bias, data that is probably
bad; inputs that drift alone are a notice and counted apart. Once the first champion stays for ever ("static": nothing
but detection), once it is retrained as Andon does (a reason, a challenger, the gate; no governor). Beside it the peers'
default rules on the same windows and champions. What is true, false, too late and missed: monitor_real_truth.py.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from benchmarks.gate_real_weeks import History, Models, bikes, flights
from benchmarks.monitor_real_replay import Look, Replay
from benchmarks.monitor_real_rivals import RULES, columns_of, flags
from benchmarks.monitor_real_truth import Degradation, Oracle, Spell, State, spells
from benchmarks.show import CONSOLE
from validation.watch.alarms import Response, drift_findings, quality_finding
from validation.watch.drift import DriftVerdict

FIRST = 10  # weeks before the first champion: enough for its 60 reference windows
OURS, NOTICES = "Andon", "Andon, notices alone"
VARIANTS = ("static", "retrained")
COUNTS = ("alarms", "true_alarms", "false_alarms", "too_late", "unknown", "degradations", "missed_degradations")
HEAD = ("alarms", "true_alarms", "missed_degradations", "detection_delay_windows")
_SILENT = Response(doing="", severity="Andon acts", champion="", ask="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One history in one variant, for a process of its own."""

    name: str
    variant: str
    seed: int
    folder: Path
    bikes: Path | None


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run it; tables on stderr, and the same as a dictionary."""
    args = _arguments(arguments)
    if args.bikes is None:
        CONSOLE.print("Bikes are left out: no file was given (--bikes FILE, the public data set's hours as Parquet).")
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.folder or Path(scratch)
        names = [*(["bikes"] if args.bikes else []), "flights"]
        jobs = [
            Job(name=name, variant=variant, seed=args.seed, folder=folder, bikes=args.bikes)
            for name in names
            for variant in VARIANTS
        ]
        with ProcessPoolExecutor(args.processes, mp_context=get_context("spawn")) as pool:
            found = dict(zip(((job.name, job.variant) for job in jobs), pool.map(run, jobs), strict=True))
    result = answer(found)
    for (name, variant), told in found.items():
        show(f"{name}, {variant}", told)
    return result


def run(job: Job) -> dict[str, Any]:
    """Replay it and judge all rules."""
    source = job.folder / f"{job.name}-{job.variant}-{job.seed}"
    history = bikes(job.bikes, source) if job.name == "bikes" and job.bikes else flights(source)
    models = Models(history=history, seed=job.seed, folder=job.folder)
    return told(replayed(history, models, variant=job.variant))


def replayed(history: History, models: Models, *, variant: str, first: int = FIRST) -> Replay:
    """The history from the `first` week on."""
    return Replay(history=history, models=models, first=first, retrained=variant == "retrained").run()


def told(replay: Replay) -> dict[str, Any]:
    """What each rule raised and what became of it; `list`: each alarm of ours."""
    oracle, end = Oracle(replay=replay), replay.history.mondays[-1]
    raised = {OURS: ours(replay), NOTICES: spells("notice", notices(replay), end=end)}
    for rule, states in rivals(replay).items():
        raised[rule] = spells(rule, states, end=end)
    degradations, share = oracle.degradations()
    listed = [_line(oracle, item, raised[OURS], degradations) for item in raised[OURS]]
    return {
        "windows": len(replay.days),
        "champions": len(replay.reigns),
        "share_of_mondays_with_a_clearly_better_refit": round(share, 3),
        "rules": {rule: _figures(oracle, found, degradations) for rule, found in raised.items()},
        "list": sorted(listed, key=lambda line: str(line["at"])),
        "degradations": [_period(oracle, item, raised) for item in degradations],
    }


def ours(replay: Replay) -> list[Spell]:
    """The product's incidents, by kind."""
    end, found = replay.history.mondays[-1], []
    for kind in ("drift", "bad data"):
        found += spells(kind, [_drift_state(replay, index, kind) for index in range(len(replay.days))], end=end)
    return found + spells(
        "quality", [_quality_state(replay.looks, index) for index in range(len(replay.looks))], end=end
    )


def notices(replay: Replay) -> list[State]:
    """Windows in which the alarm is raised, and is neither of the prediction nor bad data."""
    states = []
    for index, day in enumerate(replay.days):
        alarming = any(_drift_state(replay, index, kind).on for kind in ("drift", "bad data"))
        on = day.verdict.raised and not alarming
        states.append(State(at=day.verdict.data_time, reign=day.reign, on=on, why="; ".join(day.verdict.reasons[:2])))
    return states


def rivals(replay: Replay) -> dict[str, list[State]]:
    """The peers' rules, under each reign by its own reference."""
    found: dict[str, list[State]] = {rule: [] for rule in RULES}
    time = replay.history.pipeline.spec.time
    for number, reign in enumerate(replay.reigns):
        days = [day for day in replay.days if day.reign == number]
        frame = replay.watched(reign.reference, reign.scores)
        columns = columns_of(frame.drop(time), frame[time].dt.truncate(Oracle(replay=replay).every))
        frames = [replay.watched(day.rows, replay.answers[day.rows]) for day in days]
        for day, flagged in zip(days, flags(columns, frames), strict=True):
            for rule, on in flagged.items():
                found[rule].append(State(at=day.verdict.data_time, reign=number, on=on))
    return found


def answer(found: Mapping[tuple[str, str], Mapping[str, Any]]) -> dict[str, Any]:
    """The JSON: totals of ours where the champion is retrained, by data set and rule, and every alarm."""
    totals = {
        variant: {
            rule: _together([told["rules"][rule] for (_, own), told in found.items() if own == variant])
            for rule in (OURS, NOTICES, *RULES)
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
    share, champions = told["share_of_mondays_with_a_clearly_better_refit"], told["champions"]
    about = (
        f"{title}: {told['windows']} windows, {champions} champions; a refit clearly better on {share:.0%} of Mondays"
    )
    table = Table(title=about, box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    heads = ("", "alarms", "true", "false", "too late", "not known", "degradations", "missed", "delay", "days in alarm")
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


def _drift_state(replay: Replay, index: int, kind: str) -> State:
    day = replay.days[index]
    windows: list[DriftVerdict] = [item.verdict for item in replay.days[: index + 1] if item.reign == day.reign]
    clear_after = replay.history.pipeline.drift.clear_after
    found = [item for item in drift_findings(windows, _SILENT, clear_after=clear_after) if item.kind == kind]
    why = "; ".join(found[0].lines[:2]) if found else ""
    return State(at=day.verdict.data_time, reign=day.reign, on=bool(found), why=why)


def _quality_state(looks: Sequence[Look], index: int) -> State:
    """As the incident has it: without evidence it stays as it was."""
    look = looks[index]
    known = [
        item for item in looks[: index + 1] if item.reign == look.reign and item.verdict.outcome != "need evidence"
    ]
    finding = quality_finding(known[-1].verdict, _SILENT) if known else None
    why = f"{look.verdict.outcome}: {look.verdict.reasons[0]}"
    return State(at=look.verdict.data_time, reign=look.reign, on=finding is not None, why=why)


def _figures(oracle: Oracle, raised: Sequence[Spell], degradations: Sequence[Degradation]) -> dict[str, Any]:
    truths = [oracle.truth(item, raised, degradations)[0] for item in raised]
    delays = [oracle.delay(item, raised) for item in degradations]
    every, windows = oracle.every, len(oracle.replay.days)
    on = {day.start for day in oracle.replay.days for item in raised if item.at <= day.start + every < item.end}
    return {
        "alarms": len(raised),
        "true_alarms": truths.count("true"),
        "false_alarms": truths.count("false"),
        "too_late": truths.count("too late"),
        "unknown": truths.count("unknown"),
        "degradations": len(degradations),
        "missed_degradations": delays.count(None),
        "detection_delay_windows": median(seen) if (seen := [item for item in delays if item is not None]) else None,
        "delays": delays,
        "share_of_windows_in_alarm": round(len(on) / max(windows, 1), 3),
    }


def _together(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    delays = [item for row in rows for item in row["delays"] if item is not None]
    sums = {name: sum(row[name] for row in rows) for name in COUNTS}
    return {**sums, "detection_delay_windows": median(delays) if delays else None}


def _line(oracle: Oracle, item: Spell, raised: Sequence[Spell], found: Sequence[Degradation]) -> dict[str, Any]:
    truth, gain = oracle.truth(item, raised, found)
    return {
        "at": item.at.isoformat(),
        "until": item.end.isoformat(),
        "kind": item.kind,
        "champion": item.reign + 1,
        "truth": truth,
        "gain": None if gain is None else round(gain.share, 4),
        "gain_lower": None if gain is None else round(gain.lower, 4),
        "why": item.why,
    }


def _period(oracle: Oracle, item: Degradation, raised: Mapping[str, Sequence[Spell]]) -> dict[str, Any]:
    return {
        "begin": item.begin.isoformat(),
        "end": item.end.isoformat(),
        "champion": item.reign + 1,
        "share": round(item.share, 4),
        "delay": {rule: oracle.delay(item, found) for rule, found in raised.items()},
    }


def _percent(share: float | None) -> str:
    return "       " if share is None else f"{share:+7.1%}"


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bikes", type=Path, help="the public data set's hours, a Parquet file; none: flights alone")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="keeps the models for another run (1.3 MB each)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    print(json.dumps(main()))
