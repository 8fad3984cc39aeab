"""What a retrain costs and gains, cycle by cycle: `python -m benchmarks.retrain_cost --bikes FILE`.

Streams whose world moves: flights, bikes, and a synthetic one. In each cycle every strategy makes its model of the rows
known by then, which serves until the next cycle: the stale champion, a full search each time, each single rung each
time, and ours: the ladder's choice. All begin with the same champion, which a search has found.
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from benchmarks.retrain_cost_cycles import OURS, STALE, TUNED, Contest
from benchmarks.retrain_cost_streams import CYCLE_WEEKS, Stream, streams
from benchmarks.show import CONSOLE
from modelling.spec import Search


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run it; tables on stderr, and the same as a dictionary."""
    args = _arguments(arguments)
    if args.bikes is None:
        CONSOLE.print("Bikes are left out: no file was given (--bikes FILE, the public data set's hours as Parquet).")
    policy = Search(budget_seconds=2.0 if args.quick else args.budget, threads=1, seed=args.seed)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for stream in streams(args.only, folder=args.folder or Path(scratch), bikes_file=args.bikes, quick=args.quick):
            found[stream.name] = told = run(stream, policy=policy, seed=args.seed)
            show(stream.name, told)
    result = {
        "gain_kept_vs_best": min(told["gain_kept_vs_best"] for told in found.values()),
        "cost_vs_full_tune": max(told["cost_vs_full_tune"] for told in found.values()),
        "cost_vs_full_tune_of_all": sum(told["strategies"][OURS]["cpu_s"] * told["cycles"] for told in found.values())
        / sum(told["strategies"][TUNED]["cpu_s"] * told["cycles"] for told in found.values()),
        "search_budget_s": policy.budget_seconds,
        "seed": args.seed,
        **found,
    }
    print(json.dumps(result))
    return result


def run(stream: Stream, *, policy: Search, seed: int) -> dict[str, Any]:
    """All cycles of one stream, told after each."""
    contest = Contest(stream=stream, policy=policy, seed=seed)
    first = contest.begin()
    CONSOLE.print(f"{stream.name}: the first champion took {first:.1f} s of CPU: {contest.first}")
    cycles = []
    for number in range(len(stream.cuts) - 1):
        cycles.append(contest.cycle(number))
        served = cycles[-1].served
        brief = ", ".join(
            f"{name} {served[name].loss:.5g} ({served[name].cpu_s:.1f} s)" for name in (STALE, TUNED, OURS)
        )
        CONSOLE.print(f"{stream.name} {number + 1} of {len(stream.cuts) - 1}: {brief}; {cycles[-1].choice}")
    return {**summary([asdict(cycle) for cycle in cycles]), "first_search_cpu_s": first}


def summary(cycles: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean losses per row over all cycles, CPU seconds a cycle, and how ours stands to the best of the others, which
    only who has seen all cycles can name. `gain_kept_vs_best`: of what the best strategy gains over the stale champion.
    """
    rows = np.array([cycle["rows"] for cycle in cycles])
    strategies = {
        name: {
            "loss": float(np.average([cycle["served"][name]["loss"] for cycle in cycles], weights=rows)),
            "cpu_s": float(np.mean([cycle["served"][name]["cpu_s"] for cycle in cycles])),
        }
        for name in cycles[0]["served"]
    }
    others = {name: told for name, told in strategies.items() if name != OURS}
    best = min(others, key=lambda name: others[name]["loss"])
    stale, ours = strategies[STALE]["loss"], strategies[OURS]
    gain = stale - others[best]["loss"]
    return {
        "cycles": len(cycles),
        "rows": int(rows.sum()),
        "best": best,
        "gain_of_best": gain / stale,
        "gain_kept_vs_best": (stale - ours["loss"]) / gain if gain > 0 else float("nan"),
        "cost_vs_full_tune": ours["cpu_s"] / strategies[TUNED]["cpu_s"],
        "choices": dict(Counter(cycle["choice"] for cycle in cycles).most_common()),
        "asked_for_a_search": sum(cycle["asked"] for cycle in cycles),
        "strategies": strategies,
        "each": list(cycles),
    }


def show(name: str, told: Mapping[str, Any]) -> None:
    """The strategies, the worst first."""
    stale = told["strategies"][STALE]["loss"]
    table = Table(
        title=f"{name}: {told['cycles']} cycles of {CYCLE_WEEKS[name]} weeks, {told['rows']:,} rows served; ours keeps "
        f"{told['gain_kept_vs_best']:.3f} of the gain of the best other ({told['best']}) "
        f"at {told['cost_vs_full_tune']:.3f} of a full tune's CPU; it would have asked for a search "
        f"{told['asked_for_a_search']} times",
        box=SIMPLE_HEAD,
    )
    table.add_column("strategy")
    for head in ("loss", "against stale", "CPU s a cycle"):
        table.add_column(head, justify="right")
    for strategy, found in sorted(told["strategies"].items(), key=lambda item: -item[1]["loss"]):
        change = f"{found['loss'] / stale - 1:+.2%}"
        table.add_row(
            strategy, f"{found['loss']:.5g}", change, f"{found['cpu_s']:.2f}", style="bold" * (strategy == OURS)
        )
    CONSOLE.print(table)
    CONSOLE.print(f"ours chose {', '.join(f'{choice} ({count})' for choice, count in told['choices'].items())}\n")


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bikes", type=Path, help="Parquet file of the public data set's hours")
    parser.add_argument("--folder", type=Path, help="where prepared data are kept")
    parser.add_argument("--only", nargs="+", choices=CYCLE_WEEKS, default=list(CYCLE_WEEKS), help="streams")
    parser.add_argument("--budget", type=float, default=Search().budget_seconds, help="CPU seconds of a search")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="two cycles, searches of two seconds: a smoke test")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
