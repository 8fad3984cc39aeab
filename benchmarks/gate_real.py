"""What proof costs in freshness and buys in safety, on real weeks: `python -m benchmarks.gate_real --bikes FILE`.

Each policy serves a history week by week, with the product's own split, fit, gate and refit. Gap closed: of the loss
between never retraining (0) and retraining every week without a gate (1). Later proven worse: on the four weeks after
the promotion, by the paired interval. Then again with a mistake in every fourth attempt: it is trained on the newest
14 days alone, and so would be the model that it promotes.
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.gate_real_evidence import Policy
from benchmarks.gate_real_policies import PROOF, Simulation, looked_back, quantiles, share_of
from benchmarks.gate_real_weeks import Floats, Models, bikes, flights
from benchmarks.show import CONSOLE
from validation.gate import GateVerdict

# So many weeks are known when the first champion begins to serve; each start is a run of its own.
FIRST_WEEKS = {"flights": (10, 12, 14), "bikes": (24, 26, 28)}
FAULTY_EVERY = 4
WIDTH = 132  # of the tables
ALPHAS = (0.05, 0.1, 0.2, 0.3)
NEVER, WEEKLY = Policy(evidence="never"), Policy(evidence="none")
COUNTS = ("promotions", "worse", "proven_worse", "faulty", "faulty_promoted", "decisions", "fits")
SIGNS = {"slice": "becomes provably worse", "bias": "predicts too", "churn": "decisions would change"}
Key = tuple[Policy, bool]  # whether mistakes happen


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Figures:
    """One policy on one history with one seed: sums of losses by week; promotions, and those that were worse later on;
    attempts made by mistake, and those promoted; looks at challengers; models made.

    `blocked`: what stopped a challenger that was proven better. `churn`: of the challengers that were promoted.
    """

    losses: Floats
    rows: int
    promotions: int
    worse: int
    proven_worse: int
    faulty: int
    faulty_promoted: int
    decisions: int
    fits: int
    blocked: tuple[str, ...]
    churn: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One history with one seed, for a process of its own."""

    name: str
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
        jobs = [Job(name=name, seed=seed, folder=folder, bikes=args.bikes) for name in names for seed in args.seeds]
        with ProcessPoolExecutor(args.processes, mp_context=get_context("spawn")) as pool:
            found = []
            for job, runs in zip(jobs, pool.map(simulate, jobs), strict=True):
                CONSOLE.print(f"{job.name}, seed {job.seed}: {len(runs)} runs of {len(runs[0]) // 2} policies")
                found.append(runs)
    result: dict[str, Any] = {"seeds": args.seeds, "faulty_every": FAULTY_EVERY, "later_proof_alpha": PROOF}
    for name in names:
        result[name] = told = summary(
            [run for job, runs in zip(jobs, found, strict=True) if job.name == name for run in runs]
        )
        show(name, told, runs=len(args.seeds) * len(FIRST_WEEKS[name]))
    return result


def policies() -> Iterator[Policy]:
    """All that are compared."""
    yield NEVER
    yield from (Policy(evidence="none", every=weeks) for weeks in (1, 2, 3, 4))
    for alpha in ALPHAS:
        yield Policy(evidence="holdout", alpha=alpha)
        yield Policy(evidence="holdout", alpha=alpha, days=14)
        yield from (Policy(evidence="holdout", alpha=alpha, looks=3, rho=rho) for rho in (None, 0.5, 1.0))
        yield from (Policy(evidence="prequential", alpha=alpha, windows=windows) for windows in (2, 4, 8))
        yield Policy(evidence="prequential", alpha=alpha, looks=3)
        yield Policy(evidence="holdout", alpha=alpha, looks=3, beside=True)
    yield Policy(evidence="holdout", alpha=0.45, looks=3)  # as many errors in three weeks as three single looks make


def simulate(job: Job) -> list[dict[Key, Figures]]:
    """All policies, without and with mistakes, for each first week."""
    source = job.folder / f"{job.name}-{job.seed}"
    history = bikes(job.bikes, source) if job.name == "bikes" and job.bikes else flights(source)
    models = Models(history=history, seed=job.seed, folder=job.folder)
    faulty = range(0, len(history.mondays), FAULTY_EVERY)
    return [
        {
            (policy, bool(weeks)): figures_of(
                Simulation(history=history, models=models, policy=policy, first=first, faulty=weeks).run()
            )
            for policy, weeks in product(policies(), ((), faulty))
        }
        for first in FIRST_WEEKS[job.name]
    ]


def summary(runs: Sequence[Mapping[Key, Figures]]) -> list[dict[str, Any]]:
    """A row for each policy: all runs together, counts for one run. The interval of the gap closed is over weeks (90 %,
    two-sided); `gap_by_run` has each run's own.
    """
    never, weekly = (_mean([run[policy, False].losses for run in runs]) for policy in (NEVER, WEEKLY))
    rows = []
    for policy, mistakes in runs[0]:
        figures = [run[policy, mistakes] for run in runs]
        closed, reach = share_of(never - _mean([item.losses for item in figures]), never - weekly)
        each = [
            share_of(run[NEVER, False].losses - item.losses, run[NEVER, False].losses - run[WEEKLY, False].losses)[0]
            for run, item in zip(runs, figures, strict=True)
        ]
        blocked = Counter(why for item in figures for why in item.blocked)
        rows.append(
            {
                **asdict(policy),
                "mistakes": mistakes,
                "loss": sum(float(item.losses.sum()) for item in figures) / sum(item.rows for item in figures),
                "gap_closed": closed,
                "gap_low": closed - reach,
                "gap_high": closed + reach,
                "gap_by_run": each,
                **{name: sum(getattr(item, name) for item in figures) / len(runs) for name in COUNTS},
                "blocked_by": {why: count / len(runs) for why, count in sorted(blocked.items())},
                "churn_quantiles": quantiles([share for item in figures for share in item.churn]),
            }
        )
    return rows


def figures_of(done: Simulation) -> Figures:
    """What is kept of a run."""
    later = [looked_back(done.history, promotion) for promotion in done.promotions]
    return Figures(
        losses=np.asarray([0.0] * done.first + done.losses),
        rows=sum(done.sizes),
        promotions=len(later),
        worse=sum(found != "better" for found in later),
        proven_worse=later.count("proven worse"),
        faulty=done.faulty_attempts,
        faulty_promoted=sum(promotion.faulty for promotion in done.promotions),
        decisions=len(done.verdicts),
        fits=done.fits,
        blocked=tuple(why for verdict in done.verdicts for why in _blocked(verdict)),
        churn=tuple(
            verdict.churn for verdict in done.verdicts if verdict.outcome == "promote" and verdict.churn is not None
        ),
    )


def _blocked(verdict: GateVerdict) -> Iterator[str]:
    """What spoke against a challenger that was proven better on average."""
    told = " ".join(verdict.reasons)
    if verdict.outcome == "refit refused":
        yield "refit"
    elif verdict.outcome == "reject" and "proven above 0" in told:
        yield from (why for why, sign in SIGNS.items() if sign in told)


def _mean(parts: Sequence[Floats]) -> Floats:
    return np.asarray(np.mean(parts, axis=0))


def show(name: str, rows: Sequence[Mapping[str, Any]], *, runs: int) -> None:
    """The table of one history: without mistakes on the left, with them on the right."""
    table = Table(
        title=f"{name}: gap closed to weekly retraining without a gate; means of {runs} runs",
        box=SIMPLE_HEAD,
        padding=(0, 1),
        pad_edge=False,
    )
    table.add_column("policy", no_wrap=True)
    heads = (
        "alpha",
        "gap closed",
        "promoted",
        "worse\n(proven)",
        "models",
        "mistakes:\ngap",
        "let in",
        "worse\n(proven)",
    )
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for clean, faulty in zip(rows[::2], rows[1::2], strict=True):
        table.add_row(
            _named(clean),
            f"{clean['alpha']:g}" if clean["evidence"] in ("holdout", "prequential") else "",
            f"{clean['gap_closed']:.2f} ±{clean['gap_high'] - clean['gap_closed']:.2f}",
            f"{clean['promotions']:.1f}",
            f"{clean['worse']:.1f} ({clean['proven_worse']:.1f})",
            f"{clean['fits']:.0f}",
            f"{faulty['gap_closed']:.2f}",
            f"{faulty['faulty_promoted']:.1f} of {faulty['faulty']:.1f}",
            f"{faulty['worse']:.1f} ({faulty['proven_worse']:.1f})",
        )
    Console(stderr=True, width=WIDTH).print(table)


def _named(row: Mapping[str, Any]) -> str:
    if row["evidence"] == "never":
        return "never retrained"
    if row["evidence"] == "none":
        return "no gate, " + ("every week" if row["every"] == 1 else f"every {row['every']} weeks")
    length = f", {row['days']} days" if row["evidence"] == "holdout" else f", {row['windows']} weeks"
    looks = "1 look" if row["looks"] == 1 else f"{row['looks']} looks"
    beside = " beside new" if row["beside"] else ""
    return f"{row['evidence']}{length}, {looks}{beside}" + ("" if row["rho"] is None else f", rho {row['rho']:g}")


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bikes", type=Path, help="the public data set's hours, a Parquet file; none: flights alone")
    parser.add_argument("--seeds", type=lambda text: [int(part) for part in text.split(",")], default=[7, 8, 9])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="keeps the models for another run (1.3 MB each)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    print(json.dumps(main()))
