"""The replay of real histories, on a made-up one: what is raised, what is true, and what was missed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from andon import Monitor
from benchmarks import monitor_real, monitor_real_log, monitor_real_report
from benchmarks.gate_real_weeks import WEEK, History, Models, history_of
from benchmarks.monitor_real_rivals import RULES, columns_of, flags
from benchmarks.monitor_real_truth import Degradation, Oracle, Spell, State, spells
from tests.unit.modelling_world import START, pipeline_in, rides

WEEKS, CHANGE = 14, 7
NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def history(tmp_path: Path) -> History:
    """From week 7 on the stop in the north has another name: who learns it is better."""
    rows = rides(48 * 7 * WEEKS)
    renamed = (pl.col("at") >= START + CHANGE * WEEK) & (pl.col("stop") == "north")
    rows = rows.with_columns(stop=pl.when(renamed).then(pl.lit("pier")).otherwise("stop"))
    pipeline = replace(pipeline_in(tmp_path), monitor=Monitor(alpha=0.05))  # more rows alone make a refit a bit better
    return history_of(pipeline, rows, tuple(START + number * WEEK for number in range(WEEKS + 1)))


def test_a_change_is_seen_and_only_where_nobody_retrains_it_stays(history: History, tmp_path: Path) -> None:
    models = Models(history=history, seed=7, folder=tmp_path)
    replays = {
        name: monitor_real.replayed(history, models, variant=name, first=4) for name in monitor_real_report.VARIANTS
    }
    told = {name: monitor_real.told(replay) for name, replay in replays.items()}
    for replay in replays.values():
        assert (len(replay.days), len(replay.looks)) == (7 * (WEEKS - 4), WEEKS - 4 - 1)
    assert len(replays["static"].reigns) == 1
    assert START + replays["retrained"].reigns[-1].week * WEEK > START + CHANGE * WEEK
    (stays,) = told["static"]["degradations"]
    assert stays["delay"][monitor_real_report.OURS] is not None
    assert stays["share"] > max([item["share"] for item in told["retrained"]["degradations"]], default=0)
    assert set(told["static"]["rules"]) == {*monitor_real_report.OWN, *RULES}
    for row in (row for item in told.values() for row in item["rules"].values()):
        assert sum(row[name] for name in monitor_real_report.TRUTHS) == row["alarms"]
    answer = monitor_real_report.answer({("rides", name): item for name, item in told.items()})
    assert answer["alarms"] == sum(line["kind"] != "bad data" for line in told["retrained"]["list"])
    assert answer["static_missed_degradations"] == 0
    monitor_real_report.show("rides", told["static"])


def test_a_spell_ends_where_the_state_or_the_champion_does() -> None:
    states = [
        State(at=NOON + number * HOUR, reign=reign, on=on, why=str(number))
        for number, (reign, on) in enumerate([(0, False), (0, True), (0, True), (1, True), (1, False), (1, True)])
    ]
    assert [(item.why, item.at, item.end, item.reign) for item in spells("drift", states, end=NOON + 9 * HOUR)] == [
        ("1", NOON + HOUR, NOON + 3 * HOUR, 0),
        ("3", NOON + 3 * HOUR, NOON + 4 * HOUR, 1),
        ("5", NOON + 5 * HOUR, NOON + 9 * HOUR, 1),
    ]


def test_later_labels_say_what_an_alarm_was_worth(history: History, tmp_path: Path) -> None:
    """The champion of before the change: a refit is better when it has learned of it."""
    models = Models(history=history, seed=7, folder=tmp_path)
    oracle = Oracle(replay=monitor_real.replayed(history, models, variant="static", first=4))
    degradations, share = oracle.degradations()
    (found,) = degradations
    assert 0 < share < 1
    assert START + CHANGE * WEEK < found.begin <= START + (CHANGE + 2) * WEEK
    assert found.end == START + WEEKS * WEEK

    def alarm(week: float) -> Spell:
        return Spell(kind="drift", at=START + week * WEEK, end=found.end, reign=0, why="")

    begun = [Degradation(begin=START + 8 * WEEK, end=found.end, reign=0, share=0.1)]
    assert oracle.truth(alarm(9.5), [alarm(9.5)], begun)[0] == "true"
    assert oracle.truth(alarm(10.1), [alarm(10.1)], begun)[0] == "too late"
    assert oracle.truth(alarm(10.1), [alarm(8.5), alarm(10.1)], begun)[0] == "true"
    assert oracle.truth(alarm(3.9), [], begun)[0] == "false", "the refit of week 4 is the champion itself"
    assert oracle.truth(alarm(WEEKS - 1.5), [], begun) == ("unknown", None)
    assert oracle.delay(found, [alarm(11)]) == (START + 11 * WEEK - found.begin) / timedelta(days=1)
    assert oracle.delay(found, [alarm(5)]) == 0
    assert oracle.delay(found, [alarm(WEEKS)]) is not None, "it is what ended it"
    assert oracle.delay(found, []) is None


def test_the_peers_rules_flag_what_has_moved_and_not_what_has_not() -> None:
    random = np.random.default_rng(3)
    frame = pl.DataFrame(
        {
            "wind": random.normal(10, 3, 60_000),
            "stop": random.choice(["north", "south"], 60_000),
            "prediction": random.uniform(0, 1, 60_000),
        }
    )
    columns = columns_of(frame, pl.Series(np.repeat(np.arange(30), 2_000)))
    same, moved = frame[:2_000], frame[:2_000].with_columns(pl.col("wind") + 9)
    half = moved.with_columns(prediction=pl.lit(0.5))
    gone = moved.with_columns(stop=pl.lit(None, pl.String), prediction=pl.lit(None, pl.Float64))
    found = list(flags(columns, [same, moved, half, gone]))
    assert [list(item.values()) for item in found[1:]] == [
        [True, False, True, False],
        [True, True, True, True],
        [True, False, True, False],
    ]
    assert found[0]["Evidently, half of the columns"] is False


@pytest.mark.parametrize("key", monitor_real_log.KEYS.values(), ids=monitor_real_log.KEYS)
def test_a_day_of_the_log_is_the_same_however_it_is_read(tmp_path: Path, key: tuple[str, ...]) -> None:
    monitor_real_log.write_log(tmp_path, files=6, rows=20)
    day = monitor_real_log.START + monitor_real_log.DAY
    found = {name: sorted(read(tmp_path, key, day)["prediction_id"]) for name, read in monitor_real_log.READERS.items()}
    assert found["ours"] == found["whole"] == found["filter"]
    assert len(found["ours"]) == 2 * 20
