"""The benchmarks' own parts at tiny size: the data, the clock, the damages, and what is made of the figures."""

import random
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from benchmarks import contract, damage, hand, ingest, show, stock
from benchmarks.corruption import DAMAGES, Victim, damaged
from benchmarks.guarded import Answer, Worker
from benchmarks.measure import Run, run
from benchmarks.orders import write_orders
from benchmarks.peers import terms
from benchmarks.show import Figures

FIGURES = Figures(
    runs=3, cpu_s=2.0, wall_s=1.0, process_cpu_s=3.0, peak_mb=400.2, max_rss_mb=500.0, cpu_spread=0.1, agree=True,
    failed="",
)  # fmt: skip
PARQUET = Victim(data=bytes(range(256)) * 40, footer=10_000, pages=(4, 3_000))
ECHO = "import sys, json\nfor line in sys.stdin: {}"


def test_orders_are_the_same_every_time_and_broken_as_often_as_is_told(tmp_path: Path) -> None:
    first, again = (write_orders(tmp_path / name, rows=60_000, number=1) for name in ("a.parquet", "b.parquet"))
    assert first.read_bytes() == again.read_bytes()
    told = stock.truth([first])
    assert (told["rows"], told["bad_rows"], pl.read_parquet(first).columns) == (60_000, 60, list(terms.COLUMNS))
    assert hand.judge([first, again], tmp_path / "dead.parquet") == stock.truth([first, again])
    assert pl.read_parquet(tmp_path / "dead.parquet").height == 120
    keyed = hand.judge_keyed([first, again], tmp_path / "dead.parquet")
    assert (keyed["rows"], keyed["bad_rows"], keyed["counts"]) == (
        120_000,
        60_060,
        stock.truth([first, again])["counts"],
    )


def test_the_contract_asks_36_rules() -> None:
    assert (len(terms.RULES), len(terms.VALUED), len(terms.REQUIRED)) == (36, 17, 18)
    assert sorted(hand.rules()) == sorted(terms.RULES)


def test_a_run_is_measured_with_its_memory() -> None:
    answer = "print('hm'); print(json.dumps(dict(wall_s=1.5, cpu_s=0.5, rows=7)))"
    program = f"import json, time; kept = b'x' * 80_000_000; time.sleep(0.2); {answer}"
    got = run([sys.executable, "-c", program], seconds=60)
    assert (got.wall_s, got.cpu_s, got.found, got.failed) == (1.5, 0.5, {"rows": 7}, "")
    assert 80 < got.peak_mb < 200
    assert 0 < got.process_cpu_s < 5
    assert got.max_rss_mb > got.peak_mb


@pytest.mark.parametrize(
    ("program", "told"), [("raise SystemExit('no data')", "no data"), ("import time; time.sleep(60)", "exit code -9")]
)
def test_a_program_that_fails_or_takes_too_long_is_a_result(program: str, told: str) -> None:
    assert told in run([sys.executable, "-c", program], seconds=0.5 if "sleep" in program else 60).failed


def test_figures_are_medians_and_agree_when_all_runs_tell_the_truth() -> None:
    truth = {"rows": 10, "bad_rows": 1, "counts": {"id.value": 1}}
    runs = [Run(cpu_s=cpu, peak_mb=cpu, found={"rows": 10, "bad_rows": None}) for cpu in (1.0, 4.0, 2.0)]
    got = show.figures(runs, truth)
    assert (got.cpu_s, got.peak_mb, got.cpu_spread, got.agree) == (2.0, 2.0, 1.5, True)
    assert not show.figures([*runs, Run(found={"rows": 10, "bad_rows": 2})], truth).agree
    failed = show.figures([Run(found={}, failed="exit code 1")], truth)
    assert (failed.failed, failed.agree, show.ratio(failed, got)) == ("exit code 1", False, None)


def test_the_answer_of_the_contract_benchmark() -> None:
    raw = {
        "ours": FIGURES,
        "hand": replace(FIGURES, cpu_s=1.0),
        "hand_keyed": replace(FIGURES, cpu_s=1.6),
        "pandera_lazy": replace(FIGURES, cpu_s=6.0),
        "dataframely": replace(FIGURES, cpu_s=5.0, agree=False),
        "dataframely_lazy": replace(FIGURES, cpu_s=3.0),
        "pointblank": replace(FIGURES, failed="killed"),
        "great_expectations_1m": replace(FIGURES, cpu_s=8.0),
    }
    assert contract.answer(raw, rows=10_000_000) == {
        "benchmark": "contract",
        "rows": 10_000_000,
        "cpu_vs_hand": 1.25,
        "cpu_vs_hand_36": 2.0,
        "cpu_vs_scan": None,
        "pandera_lazy_vs_ours": 3.0,
        "pandera_eager_vs_ours": None,
        "ge_vs_ours": None,
        "ge_basic_vs_ours": None,
        "ge_vs_ours_with_imports": None,
        "ge_vs_ours_per_row": 40.0,
        "dataframely_vs_ours": 1.5,
        "pointblank_vs_ours": None,
        "peak_mb_10m": 400,
        "peak_mb_60m": None,
        "pandera_eager_peak_mb_10m": None,
        "agree": {name: name not in ("dataframely",) for name in raw},
    }


def test_the_answer_of_the_ingest_benchmark() -> None:
    raw = {
        "ours": FIGURES,
        "plain": replace(FIGURES, cpu_s=1.8, peak_mb=2_000.0),
        "ours_many": replace(FIGURES, cpu_s=5.0, wall_s=4.0),
        "plain_many": replace(FIGURES, cpu_s=10.0),
    }
    assert ingest.answer(raw, rows=100, files=20) == {
        "benchmark": "ingest",
        "rows": 100,
        "files": 20,
        "speed_vs_plain": 0.9,
        "peak_vs_plain": 0.2,
        "small_files_per_s": 5.0,
        "small_files_per_cpu_s": 4.0,
        "small_files_speed_vs_plain": 2.0,
        "small_files_speed_vs_all_as_one": None,
        "flow_vs_task": None,
        "agree": dict.fromkeys(raw, True),
    }


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damage_changes_the_file_and_is_the_same_for_the_same_seed(kind: str) -> None:
    once, again = (damaged(PARQUET, kind, random.Random(5)) for _ in range(2))
    assert once == again != PARQUET.data


@pytest.mark.parametrize(
    ("does", "answer"),
    [
        ("print(line, end='', flush=True); print('{}', flush=True)", Answer(said=({"asked": 1}, {}))),
        (
            "print(line, end='', flush=True); import os; os.abort()",
            Answer(said=({"asked": 1},), ended="crash (SIGABRT)"),
        ),
        ("import time; time.sleep(60)", Answer(said=(), ended="hang")),
    ],
)
def test_a_worker_answers_dies_or_hangs_and_a_new_one_takes_its_place(does: str, answer: Answer) -> None:
    worker = Worker([sys.executable, "-c", ECHO.format(does)], lines=2, seconds=1 if "sleep" in does else 60)
    assert [worker.ask({"asked": 1}) for _ in range(2)] == [answer, answer]
    worker.close()


WHOLE = {"outcome": "accept", "digest": "a", "reason": ""}


@pytest.mark.parametrize(
    ("said", "ended", "guard", "outcome"),
    [
        ((), "crash (SIGSEGV)", "no checksum", damage.CRASH),
        ((), "hang", "no checksum", damage.HANG),
        ((WHOLE,), "crash (SIGSEGV)", "no checksum", damage.UNCHANGED),  # it was not the on-ramp that died
        (({**WHOLE, "outcome": "refuse"},), "", "manifest", damage.REFUSED),
        (({**WHOLE, "digest": "b"}, {"pandera": "refuses"}), "", "no checksum", damage.AGAINST_PANDERA),
        (({**WHOLE, "digest": "b"}, {"pandera": "passes"}), "", "no checksum", damage.CHANGED),
        (({**WHOLE, "digest": "b"}, {"pandera": "passes"}), "", "page checksum", damage.UNDETECTED),
        (({**WHOLE, "outcome": "quarantine"}, {"pandera": "passes"}), "", "no checksum", damage.SET_ASIDE),
        ((WHOLE, {"pandera": "passes"}), "", "manifest", damage.UNCHANGED),
    ],
)
def test_what_became_of_a_damaged_file(said: tuple[dict[str, str], ...], ended: str, guard: str, outcome: str) -> None:
    assert damage.outcome_of(Answer(said=said, ended=ended), WHOLE, guard) == outcome


def test_what_must_not_happen_is_told_first() -> None:
    result = damage.Result(number=4, sent="csv", damage="truncated", guard="manifest", outcome=damage.CRASH, reason="x")
    told = damage.answer_of([result, replace(result, outcome=damage.REFUSED)], seed=3)
    assert next(iter(told["outcomes"].items())) == (damage.CRASH, 1)
    assert (told["files"], told["seed"], told["worst"][0]["number"]) == (2, 3, 4)
    assert told["by_guard"]["manifest"] == {damage.CRASH: 1, damage.REFUSED: 1}


def test_locks_name_no_registry() -> None:
    locks = sorted(Path(contract.__file__).parent.glob("peers/*.lock"))
    assert len(locks) == 8
    assert not [lock.name for lock in locks if "://" in lock.read_text(encoding="utf-8")]
