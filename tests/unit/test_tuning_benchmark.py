"""The tuning benchmark's own sums: what is said about peers must be right whatever it says."""

import json
import math
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import polars as pl
import pytest

from benchmarks import tuning_report, tuning_tasks
from benchmarks.peers.tuning_trace import Race, Rows, read_rows
from benchmarks.tuning import Cell, cells_of, finite, results
from benchmarks.tuning_ours import Ours
from benchmarks.tuning_report import Found, first, kept
from modelling.encoding import fit_encoding
from modelling.splits import inner_split

TRACE = [(1.0, 0.0, 5.0), (2.0, 0.0, 3.0), (4.0, 0.0, 4.0), (8.0, 0.0, 2.0)]


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tasks") / "large"
    tuning_tasks.write(tuning_tasks.made_large(8_000), folder)
    return folder


@pytest.mark.parametrize(
    ("loss", "at", "until_the_end"), [(5.0, 1, 1), (3.0, 2, 8), (4.0, 2, 2), (2.0, 8, 8), (1.9, math.inf, math.inf)]
)
def test_a_loss_is_reached_at_its_first_moment_and_kept_from_the_last_rise_on(
    loss: float, at: float, until_the_end: float
) -> None:
    assert first(TRACE, loss) == at
    assert kept(TRACE, loss) == until_the_end


def cell(tool: str, losses: tuple[float, float], *, seed: int = 0, **told: Any) -> Found:
    """`losses`: as found and refitted."""
    names = ("found", "final") if tool in ("ours", "warm") else ("final", "retrained")
    trace = [(10.0, 0.0, 3.0), (30.0, 0.0, losses[0])]
    whole = {"trace": trace, "cpu_s": 60.0, "pace_s": 0.1, **dict(zip(names, losses, strict=True)), **told}
    return Found(task="smooth", tool=tool, seed=seed, told=whole)


def test_the_better_of_a_peers_two_models_counts_and_a_loss_comes_first() -> None:
    ours = [cell("ours", (2.2, 2.0), seed=seed, trace=[(6.0 + seed, 0, 1.8), (20.0, 0, 2.0)]) for seed in range(3)]
    cells = [*ours, cell("flaml", (1.9, 2.5)), cell("tpe", (2.5, 2.1)), cell("control", (1.6, 1.7))]
    told = tuning_report.answer(cells, seconds=60.0)
    assert told["tasks"]["smooth"]["target"] == 1.9
    assert told["speedup_vs_flaml_geomean"] == round(60 / 7, 5)
    assert told["speedup_vs_flaml_refitted_geomean"] == told["speedup_vs_flaml_geomean"]
    assert told["speedup_kept_vs_flaml_geomean"] == 0  # it is worse at the end
    assert told["final_regret_vs_best_peer_max"] == 0.25  # of the control, which is the best here
    assert (told["wins_at_60s"], told["losses_at_60s"]) == (1, 1)
    assert [duel["peer"] for duel in told["lost_to"]] == ["flaml", "control"]


def test_flaml_refitted_may_be_out_of_reach_where_flaml_itself_is_not() -> None:
    cells = [cell("ours", (2.2, 2.0), trace=[(6.0, 0, 2.2), (20.0, 0, 2.0)]), cell("flaml", (2.1, 1.9))]
    told = tuning_report.answer(cells, seconds=60.0)
    assert (told["speedup_vs_flaml_geomean"], told["speedup_vs_flaml_min"]) == (3, 3)
    assert (told["speedup_vs_flaml_refitted_geomean"], told["speedup_vs_flaml_refitted_min"]) == (0, 0)
    assert (told["losses_at_60s"], told["final_regret_vs_best_peer_max"]) == (1, round(2.0 / 1.9 - 1, 7))


def test_warm_and_cold_are_asked_for_the_cold_searchs_own_last_loss() -> None:
    cold = cell("ours", (2.0, 1.9), trace=[(10, 0, 2.5), (40, 0, 2.0), (60, 0, 1.9)])
    warm = cell("warm", (2.0, 1.9), refit=(5, 1.9), trace=[(15, 0, 2.001), (50, 0, 1.95), (60, 0, 1.8)])
    told = tuning_report.answer([cold, warm], seconds=60.0)
    assert told["warm_speedup_geomean"] == 4  # 40 s; 15 s less the 5 s of the fit before the search
    assert told["warm_speedup_delivered_geomean"] == 12  # 60 s; the fit of the old recipe to all rows is enough


def test_what_never_came_is_null_in_json() -> None:
    told = finite({"a": [math.inf, 1.0], "b": {"c": math.nan}})
    assert json.dumps(told) == '{"a": [null, 1.0], "b": {"c": null}}'


def test_each_split_of_the_bikes_has_one_seed_and_no_warm_run() -> None:
    cells = cells_of(["smooth", "bikes-0", "bikes-1"], ["flaml", "warm"], 2)
    assert [cell.name for cell in cells] == [
        "smooth-flaml-0", "smooth-warm-0", "bikes-0-flaml-0", "smooth-flaml-1", "smooth-warm-1", "bikes-1-flaml-1",
    ]  # fmt: skip


def test_only_what_was_run_is_told(tmp_path: Path) -> None:
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells" / "smooth-tpe-1.json").write_text('{"final": 1}')
    told = list(results([Cell("smooth", "tpe", 0), Cell("smooth", "tpe", 1)], tmp_path))
    assert [(one.seed, one.told) for one in told] == [(1, {"final": 1})]


def test_peers_and_ours_have_the_same_rows_validation_rows_and_codes(task: Path) -> None:
    rows, own = read_rows(task), pl.read_parquet(task / "rows.parquet")
    fold = inner_split(own, time=tuning_tasks.TIME, gap=timedelta(0))
    encoding = fit_encoding(own.drop(tuning_tasks.TIME, tuning_tasks.LABEL))
    matrix = encoding.encode(own.drop(tuning_tasks.TIME, tuning_tasks.LABEL))
    assert rows.categories == encoding.categorical == [20, 21, 22, 23]
    for part, chosen in ((rows.train, fold.train), (rows.validation, fold.validation)):
        np.testing.assert_array_equal(part[0], matrix[chosen])
        np.testing.assert_array_equal(part[1], own[tuning_tasks.LABEL].to_numpy()[chosen])
    assert len(rows.test[1]) == 1_600


def test_the_clock_stands_still_in_a_pause(task: Path) -> None:
    ticks = iter([100.0, 103.0, 110.0, 112.0, 160.0])
    race = Race(rows=read_rows(task), seconds=50.0, clock=lambda: next(ticks))
    with race.pause():
        pass  # from 103 to 110
    assert race.now() == 5.0
    assert race.is_over()


def test_the_trace_asks_each_best_model_at_its_rounds() -> None:
    draws = np.random.default_rng(3)
    inputs = draws.normal(size=(600, 3))
    part = (inputs, inputs[:, 0] ** 2 + draws.normal(size=600) / 5)
    rows = Rows(kind="regression", categories=[], train=part, validation=part, test=part)
    race = Race(rows=rows, seconds=1e9, clock=count().__next__)
    fixed = {"verbosity": -1, "num_threads": 1, "min_data_in_leaf": 5}
    small, large = (lgb.train({**fixed, "num_leaves": leaves}, lgb.Dataset(*part), 9) for leaves in (4, 15))
    offered = [(small, 2), (small, 5), (large, 5), (small, 6), (small, 9), (large, 9)]
    losses = [
        rows.loss(part[1], np.asarray(booster.predict(inputs, num_iteration=rounds, num_threads=1)))
        for booster, rounds in offered
    ]
    for (booster, rounds), loss in zip(offered, losses, strict=True):
        race.offer(booster, rounds, loss, partial(lambda one: one, booster))
    best = [loss for number, loss in enumerate(losses) if loss < min(losses[:number], default=math.inf)]
    assert len(best) == 5  # six trees of the small one are no better than five of the large
    assert [point[1] for point in race.trace()] == best
    assert [point[2] for point in race.trace()] == pytest.approx(best)
    assert race.validated() == pytest.approx((best[-1], best[-1]))


def test_a_cell_of_ours_ends_with_the_fit_on_all_rows(task: Path) -> None:
    ours = Ours(task, seed=1, seconds=0.5)
    rows = read_rows(task)
    told = ours.warm(Race(rows=rows, seconds=0.5), ours.start)
    assert told["validated"][0] == pytest.approx(told["validated"][1], rel=1e-6)
    assert told["trace"][-1][0] == told["delivered_s"] > told["searched_s"] > told["refit"][0]
    assert told["trace"][-1][2] == told["final"] < rows.loss(rows.test[1], np.full(1_600, rows.train[1].mean()))
