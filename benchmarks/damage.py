"""Thousands of real files, each damaged once: what does the on-ramp make of them? Bad news first.

    python -m benchmarks.damage [--files 2000] [--seed 1] [--only csv,wrong_magic] [--folder SCRATCH]

Every file goes through arrival and judge in a process that may die or hang without taking this one along. What must be
zero: crashes, hangs, taken rows that pandera's eager validation refuses, and, where a checksum exists to tell it, taken
files that are not what was sent. The same seed gives the same damages.
"""

import argparse
import hashlib
import json
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from rich.table import Table

from benchmarks import show, stock
from benchmarks.corruption import DAMAGES, Victim, damaged
from benchmarks.guarded import Answer, Worker

_WORKERS = 3
_SECONDS = 90.0  # for one file; the imports belong to a worker's first
_MANIFESTS = 0.2  # share of files that come with one
_SHOWN = 12  # examples of what must not happen

CRASH, AT_FIRST, HANG, LEFT = "crash", "crash, but refused the next time", "hang", "left for later, for ever"
AGAINST_PANDERA = "taken, but pandera refuses it"
UNDETECTED = "taken and changed, though a checksum tells"
MUST_BE_ZERO = (CRASH, AT_FIRST, HANG, LEFT, AGAINST_PANDERA, UNDETECTED)
CHANGED, SET_ASIDE, UNCHANGED, REFUSED = "accepted and changed", "quarantined", "taken as it was sent", "refused"
OUTCOMES = (*MUST_BE_ZERO, CHANGED, SET_ASIDE, UNCHANGED, REFUSED)  # the worst first
_DECLINED = {"refuse": REFUSED, "left for later": LEFT}
GUARDS = ("no checksum", "page checksum", "manifest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A whole file as its writer made it; `taken`: what the on-ramp makes of it undamaged."""

    name: str
    kind: str
    path: Path
    victim: Victim
    taken: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of damaged file `number`. `guard`: what could have told that it is not what was sent."""

    number: int
    sent: str
    damage: str
    guard: str
    outcome: str
    reason: str


def main() -> None:
    options = _options()
    with _workers() as workers:
        sent = _all_sent(options.folder, workers)
        results = _results(sent, workers, options)
    _show(results)
    print(json.dumps(answer_of(results, seed=options.seed)))
    sys.exit(any(result.outcome in MUST_BE_ZERO for result in results))


def outcome_of(answer: Answer, before: Mapping[str, Any], guard: str) -> str:
    """The name of what happened, from a worker's answer for the damaged file and for the whole one `before`."""
    if not answer.said or answer.ended == "hang":
        return HANG if answer.ended == "hang" else CRASH
    ours, then = answer.said[0], answer.said[1] if len(answer.said) > 1 else {}
    if ours["outcome"] in _DECLINED:
        return _DECLINED[ours["outcome"]]
    if then.get("pandera") == "refuses":
        return AGAINST_PANDERA
    if (ours["outcome"], ours["digest"]) == (before["outcome"], before["digest"]):
        return UNCHANGED
    if guard != GUARDS[0]:
        return UNDETECTED
    return SET_ASIDE if ours["outcome"] == "quarantine" else CHANGED


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--only", type=lambda text: text.split(","), default=[], help="parts of writers' or damages' names"
    )
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "andon-benchmarks")
    return parser.parse_args()


@contextmanager
def _workers() -> Iterator["SimpleQueue[Worker]"]:
    """Workers to take and to give back."""
    command = [sys.executable, "-m", "benchmarks.damage_worker"]
    made = [Worker(command, lines=3, seconds=_SECONDS) for _ in range(_WORKERS)]
    free: SimpleQueue[Worker] = SimpleQueue()
    for worker in made:
        free.put(worker)
    try:
        yield free
    finally:
        for worker in made:
            worker.close()


def _all_sent(folder: Path, workers: "SimpleQueue[Worker]") -> list[Sent]:
    """The files of all writers, and what is made of them as long as they are whole: they must be taken."""
    from benchmarks.victims import victim

    worker = workers.get()
    found = []
    for path in stock.real_files(folder):
        name, kind = path.parts[-3:-1]
        answer = worker.ask({"kind": kind, "path": str(path)})
        if answer.ended or answer.said[0]["outcome"] == "refuse":
            raise SystemExit(f"{path}, undamaged, is not taken: {answer}; benchmark and on-ramp do not agree")
        found.append(Sent(name=name, kind=kind, path=path, victim=victim(path), taken=answer.said[0]))
    workers.put(worker)
    return found


def _results(sent: Sequence[Sent], workers: "SimpleQueue[Worker]", options: argparse.Namespace) -> list[Result]:
    plans = [_plan(sent, number, options) for number in range(options.files)]
    with show.steps(len(plans), "damaging") as bar, ThreadPoolExecutor(_WORKERS) as threads:
        results = []
        for result in threads.map(partial(_result, workers, options.folder), plans):
            results.append(result)
            bar.advance(bar.task_ids[0])
    return results


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    number: int
    sent: Sent
    damage: str
    has_manifest: bool
    seed: str


def _plan(sent: Sequence[Sent], number: int, options: argparse.Namespace) -> _Plan:
    """Which file is damaged, and how: from the seed and the number alone."""
    seed = f"{options.seed}/{number}"
    chance = random.Random(seed)
    pairs = [
        (one, damage)
        for one in sent
        for damage in DAMAGES
        if not options.only or any(part in f"{one.name} {damage}" for part in options.only)
    ]
    one, damage = chance.choice(pairs)
    return _Plan(number=number, sent=one, damage=damage, has_manifest=chance.random() < _MANIFESTS, seed=seed)


def _result(workers: "SimpleQueue[Worker]", folder: Path, plan: _Plan) -> Result:
    place = folder / "damaged" / str(plan.number)
    place.mkdir(parents=True, exist_ok=True)
    path = place / plan.sent.path.name
    path.write_bytes(damaged(plan.sent.victim, plan.damage, random.Random(plan.seed)))
    if plan.has_manifest:
        digest = hashlib.sha256(plan.sent.victim.data).hexdigest()
        path.with_name(f"{path.name}.sha256").write_text(f"{digest}  {path.name}\n", encoding="utf-8")
    worker = workers.get()
    question = {"kind": plan.sent.kind, "path": str(path)}
    answer = worker.ask(question)
    again = worker.ask({**question, "tries": 2}) if answer.ended and not answer.said else answer
    workers.put(worker)
    tells = len(answer.said) > 2 and answer.said[2]["checksums"] == "tell"
    guard = GUARDS[2] if plan.has_manifest else GUARDS[1] if tells else GUARDS[0]
    outcome = outcome_of(answer, plan.sent.taken, guard)
    if outcome == CRASH and again.said and again.said[0]["outcome"] == "refuse":
        outcome = AT_FIRST
    if outcome not in MUST_BE_ZERO:
        shutil.rmtree(place)
    reason = str(answer.said[0]["reason"]) if answer.said else f"{answer.ended} {answer.words}"
    return Result(
        number=plan.number, sent=plan.sent.name, damage=plan.damage, guard=guard, outcome=outcome, reason=reason
    )


def _show(results: Sequence[Result]) -> None:
    counts = Counter((result.outcome, result.guard) for result in results)
    shown = Table(
        "", *GUARDS, "all", title=f"{len(results):,} damaged files; the first {len(MUST_BE_ZERO)} must be zero"
    )
    for column in shown.columns[1:]:
        column.justify = "right"
    for outcome in OUTCOMES:
        told = [counts[outcome, guard] for guard in GUARDS]
        style = "bold red" if outcome in MUST_BE_ZERO and any(told) else None
        shown.add_row(outcome, *(f"{count:,}" for count in (*told, sum(told))), style=style)
    show.CONSOLE.print(shown)
    for result in _worst(results):
        show.CONSOLE.print(f"{result.outcome}: file {result.number}, {result.sent}, {result.damage}: {result.reason}")


def _worst(results: Sequence[Result]) -> list[Result]:
    return [result for result in results if result.outcome in MUST_BE_ZERO][:_SHOWN]


def answer_of(results: Sequence[Result], *, seed: int) -> dict[str, Any]:
    """What is printed: the outcomes, the worst first, by guard and by damage."""
    outcomes = Counter(result.outcome for result in results)
    return {
        "benchmark": "damage",
        "files": len(results),
        "seed": seed,
        "outcomes": {outcome: outcomes[outcome] for outcome in OUTCOMES},
        "by_guard": {guard: dict(Counter(r.outcome for r in results if r.guard == guard)) for guard in GUARDS},
        "by_damage": {damage: dict(Counter(r.outcome for r in results if r.damage == damage)) for damage in DAMAGES},
        "worst": [asdict(result) for result in _worst(results)],
    }


if __name__ == "__main__":
    main()
