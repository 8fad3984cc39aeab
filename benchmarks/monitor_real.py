"""What the monitor raises on real histories, and what later labels say of it: `python -m benchmarks.monitor_real`.

Flights and bikes are replayed with the product's own functions: the champion's profile, drift of each day, what labels
prove on Mondays. An alarm is a new incident: drift of the prediction, proven regret, proven bias. Apart from these:
data that is probably bad, which no retrain repairs, and notices: inputs that drift alone. Once the first champion stays
for ever ("static": nothing but detection), once it is retrained as Andon does (a reason, a challenger, the gate; no
governor). Beside it the peers' default rules on the same windows and champions. What is true, false, too late and
missed: monitor_real_truth.py.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.gate_real_weeks import History, Models, bikes, flights
from benchmarks.monitor_real_replay import Look, Replay
from benchmarks.monitor_real_report import BAD, NOTICES, OURS, VARIANTS, answer, figures, line, period, show
from benchmarks.monitor_real_rivals import RULES, columns_of, flags
from benchmarks.monitor_real_truth import Oracle, Spell, State, spells
from benchmarks.show import CONSOLE
from validation.watch.alarms import Response, drift_findings, quality_finding
from validation.watch.drift import DriftVerdict

FIRST = 10  # weeks before the first champion: enough for its 60 reference windows
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
    raised = {
        OURS: ours(replay),
        BAD: of_windows(replay, "bad data"),
        NOTICES: spells("notice", notices(replay), end=end),
    }
    for rule, states in rivals(replay).items():
        raised[rule] = spells(rule, states, end=end)
    degradations, share = oracle.degradations()
    listed = [line(oracle, item, raised[rule], degradations) for rule in (OURS, BAD) for item in raised[rule]]
    return {
        "windows": len(replay.days),
        "champions": len(replay.reigns),
        "share_of_mondays_with_a_clearly_better_refit": round(share, 3),
        "true_by_chance": round(oracle.by_chance(), 3),
        "rules": {rule: figures(oracle, found, degradations) for rule, found in raised.items()},
        "list": sorted(listed, key=lambda line: str(line["at"])),
        "degradations": [period(oracle, item, raised) for item in degradations],
    }


def ours(replay: Replay) -> list[Spell]:
    """The product's incidents that say that the model is not what it was."""
    looks, end = replay.looks, replay.history.mondays[-1]
    return of_windows(replay, "drift") + spells(
        "quality", [_quality_state(looks, index) for index in range(len(looks))], end=end
    )


def of_windows(replay: Replay, kind: str) -> list[Spell]:
    """The product's incidents of drift of the prediction, or of bad data."""
    states = [_drift_state(replay, index, kind) for index in range(len(replay.days))]
    return spells(kind, states, end=replay.history.mondays[-1])


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


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bikes", type=Path, help="the public data set's hours, a Parquet file; none: flights alone")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="keeps the models for another run (1.3 MB each)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    print(json.dumps(main()))
