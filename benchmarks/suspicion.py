"""How often is a clean batch held as suspect, and how often is a faulty one? `python -m benchmarks.suspicion`.

Every batch of every history is judged against those before it, as ingest would (clean: any finding is a false hold);
then faults are done to random batches, each kind to each column that it fits. The control is what one would write in an
hour: three standard deviations around the mean and the share of nulls of each column. Also: what a profile costs.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from rich.console import Console
from rich.table import Table

from benchmarks.suspicion_costs import costs
from benchmarks.suspicion_faults import WINDOW, Fault, fitting
from benchmarks.suspicion_histories import History, made_up, real
from validation.batch_profile import BatchProfile, profile_batch
from validation.suspicion import Suspicion, suspect

Floats = npt.NDArray[np.float64]
CONSOLE = Console(stderr=True)
SIGMAS = 3.0
MOST_COLUMNS = 50  # faults are done to histories with fewer


@dataclass(slots=True, kw_only=True)
class Tally:
    """Batches, and how many of them were held by Andon and by the control; `named`: with the right cause."""

    batches: int = 0
    held: int = 0
    named: int = 0
    control: int = 0
    told: list[str] = field(default_factory=list)

    def share(self, what: str) -> float:
        """Of all batches."""
        return float(getattr(self, what)) / max(self.batches, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bikes", type=Path, help="the real bike rentals (Parquet); made-up ones otherwise")
    parser.add_argument("--histories", type=int, default=20, help="made-up histories of 60 batches")
    parser.add_argument("--faults", type=int, default=4, help="random batches for each kind of fault and column")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--policy", type=json.loads, default={}, help="fields of Suspicion as JSON")
    parser.add_argument("--no-costs", dest="costs", action="store_false", help="rates only")
    parser.add_argument("--verbose", action="store_true", help="tell every false hold and the columns behind the rates")
    args = parser.parse_args()
    policy = Suspicion(**args.policy)
    clean: dict[str, Tally] = defaultdict(Tally)
    faulty: dict[str, Tally] = defaultdict(Tally)
    by_column: dict[tuple[str, str], Tally] = defaultdict(Tally)
    rng = np.random.default_rng(args.seed)
    for group, history in _histories(args):
        profiles = [_profile(history, number) for number in range(len(history.batches))]
        controls = np.stack([_statistics(batch) for batch in history.batches])
        _judge_clean(clean[group], profiles, controls, policy)
        if len(history.batches[0].columns) > MOST_COLUMNS:
            continue
        for fault, held, named, control in _judge_faulty(
            history, profiles, controls, policy, rng=rng, count=args.faults
        ):
            for tally in (faulty[fault.kind], by_column[f"{group}: {'+'.join(fault.columns)}", fault.kind]):
                tally.batches += 1
                tally.held += held
                tally.named += named
                tally.control += control
    figures = costs() if args.costs else {}
    _show(clean, faulty, by_column, verbose=args.verbose)
    print(json.dumps(_figures(clean, faulty) | figures))


def _histories(args: argparse.Namespace) -> Iterator[tuple[str, History]]:
    for history in real(args.bikes):
        yield history.name, history
    for history in made_up(count=args.histories, columns=14, rows=400, seed=args.seed):
        yield "made up, 14 columns", history
    for history in made_up(count=max(1, args.histories // 20), columns=280, rows=200, seed=args.seed + 1):
        yield "made up, 280 columns", history


def _profile(history: History, number: int) -> BatchProfile:
    batch = history.batches[number]
    return profile_batch(batch.lazy(), schema=batch.schema, key=history.key, time=history.time, name=f"batch {number}")


def _judge_clean(tally: Tally, profiles: Sequence[BatchProfile], controls: Floats, policy: Suspicion) -> None:
    for number, profile in enumerate(profiles):
        found = suspect(profile, profiles[:number], policy=policy)
        tally.batches += 1
        tally.held += bool(found)
        tally.control += _control(controls[number], controls[:number], policy)
        tally.told += [f"{profile.name}: {found[0]}"] if found else []


def _judge_faulty(
    history: History,
    profiles: Sequence[BatchProfile],
    controls: Floats,
    policy: Suspicion,
    *,
    rng: np.random.Generator,
    count: int,
) -> Iterator[tuple[Fault, bool, bool, bool]]:
    """Faults on random batches: was the batch held, for the right cause, and by the control?"""
    done: dict[tuple[str, tuple[str, ...]], int] = defaultdict(int)
    for number in rng.permutation(np.arange(policy.min_batches, len(profiles))):
        before, profile, batch = profiles[:number], profiles[number], history.batches[number]
        if profile.rows < policy.min_rows:
            continue
        for fault in fitting(profile, before):
            if done[fault.kind, fault.columns] < count:
                done[fault.kind, fault.columns] += 1
                changed = fault.change(batch, rng)
                found = suspect(_spliced(history, profile, changed, fault), before, policy=policy)
                named = any(word in text and fault.columns[0] in text for text in found for word in fault.words)
                yield (
                    fault,
                    bool(found),
                    named,
                    _control(_statistics(changed), controls[:number], policy) if controls.shape[1] > 1 else False,
                )


def _spliced(history: History, profile: BatchProfile, changed: pl.DataFrame, fault: Fault) -> BatchProfile:
    """The profile of a changed batch; only the changed columns are profiled again."""
    part = changed.select(history.time, *fault.columns)
    fresh = profile_batch(part.lazy(), schema=part.schema, key=history.key, time=history.time)
    new = {column.name: column for column in fresh.columns}
    columns = tuple(new.get(column.name, column) for column in profile.columns)
    return replace(profile, digest=fresh.digest, columns=columns)


def _statistics(batch: pl.DataFrame) -> Floats:
    """Mean (of numbers and flags) and share of nulls of each column."""
    numeric = [name for name, dtype in batch.schema.items() if dtype.is_numeric() or dtype == pl.Boolean]
    means = batch.select(pl.col(numeric).cast(pl.Float64).mean()).row(0)
    nulls = batch.select(pl.all().null_count() / pl.len()).row(0)
    return np.array([*means, *nulls], dtype=np.float64)


def _control(now: Floats, before: Floats, policy: Suspicion) -> bool:
    if len(before) < policy.min_batches:
        return False
    then = before[-WINDOW:]
    with np.errstate(invalid="ignore"):
        return bool((np.abs(now - then.mean(axis=0)) > SIGMAS * then.std(axis=0, ddof=1) + 1e-12).any())


def _show(
    clean: Mapping[str, Tally],
    faulty: Mapping[str, Tally],
    by_column: Mapping[tuple[str, str], Tally],
    *,
    verbose: bool,
) -> None:
    _table("Clean batches that were held", clean)
    _table("Faulty batches that were held", faulty)
    if verbose:
        for name, tally in clean.items():
            for told in tally.told:
                CONSOLE.print(f"{name}, {told}", highlight=False)
        _table(
            "By column",
            {
                f"{column}, {kind}": tally
                for (column, kind), tally in sorted(by_column.items())
                if tally.held < tally.batches
            },
        )


def _table(title: str, tallies: Mapping[str, Tally]) -> None:
    table = Table("", "batches", "held", "rate", "rightly named", "control", title=title)
    for name, tally in tallies.items():
        shares = [f"{tally.share(what):.4f}" for what in ("held", "named", "control")]
        table.add_row(name, str(tally.batches), str(tally.held), *shares)
    CONSOLE.print(table)


def _figures(clean: Mapping[str, Tally], faulty: Mapping[str, Tally]) -> dict[str, Any]:
    batches = sum(tally.batches for tally in clean.values())
    return {
        "clean_batches": batches,
        "false_holds_per_200": round(200 * sum(tally.held for tally in clean.values()) / batches, 3),
        "control_false_holds_per_200": round(200 * sum(tally.control for tally in clean.values()) / batches, 1),
        "detection": {kind: round(tally.share("held"), 3) for kind, tally in faulty.items()},
        "control_detection": {kind: round(tally.share("control"), 3) for kind, tally in faulty.items()},
    }


if __name__ == "__main__":
    main()
