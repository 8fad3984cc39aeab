"""`andon lineage`: the trees that people read, the JSON that scripts read, and what is said when nothing is found."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from storage.prediction_log import PredictionLog
from tests.unit.definitions import define
from tests.unit.lineage_world import arrive, fill, finish, learn
from tests.unit.shell import Shell

NOON = datetime(2013, 4, 2, 12, tzinfo=UTC)


@pytest.fixture
def filled(andon: Shell) -> Shell:
    fill(andon.ledger())
    return andon


def asked(shell: Shell, *words: str) -> Any:
    return json.loads(shell("lineage", "trips", *words, "--json").out)


def log(home: Path, *trips: str, request: str, version: str = "1", distance: float = 1.0) -> None:
    rows = pl.DataFrame(
        {"trip_id": trips, "started_at": NOON, "distance": distance, "zone": "north"},
        schema=define().raw_schema,
    )
    with PredictionLog(home / "lake" / "predictions" / "trips", define().raw_schema) as written:
        assert written.write(version, rows, np.full(rows.height, 0.25), prediction_id=request, at=NOON)


def curate(home: Path, **batch_of: int) -> None:
    rows = pl.DataFrame({"trip_id": list(batch_of), "_batch": list(batch_of.values())})
    rows.write_delta(home / "lake" / "curated" / "trips", mode="append")


def test_a_batch_is_told_with_what_learned_from_it(filled: Shell) -> None:
    ran = filled("lineage", "trips", "--batch", "2")
    assert (ran.code, ran.out) == (0, "")
    for line in (
        "batch 2 of rows two.parquet: accepted",
        "50 rows: 48 taken, 2 set aside, 0 repeated",
        "contract verdict of 2013-04-02 00:00: quarantine no. 8 by ingester",
        "broken rules: distance.ge 2",
        "release verdict of 2013-04-09 00:00: released no. 12 by ann",
        "what was set aside came again as no. 4, released 2 two.parquet: accepted",
        "48 rows answered by version 1 through the scorer, delivered to scores/trips",
        "it is in 2 snapshots, of which 2 versions learned",
        "version 2: promote, champion (epoch 2) from 2013-04-05 00:00 on, and serves now",
        "version 3: reject",
    ):
        assert line in ran.err


def test_a_batch_is_one_json_value(filled: Shell) -> None:
    found = asked(filled, "--batch", "one.parquet")
    assert (found["batch"]["number"], found["batch"]["stamp"], found["batch"]["state"]) == (1, "1 bytes", "accepted")
    assert (found["verdict"]["outcome"], found["snapshots"]) == ("accept", ["1" * 64, "2" * 64, "3" * 64])
    assert [(model["version"], len(model["answered"])) for model in found["models"]] == [("1", 1), ("2", 0), ("3", 0)]
    assert found["models"][0]["reigns"][0]["until"] == "2013-04-05T00:00:00Z"


def test_a_version_is_told_with_its_batches(filled: Shell) -> None:
    ran = filled("lineage", "trips", "--version", "1")
    for line in (
        "version 1: was champion",
        "asked for 2013-04-03 00:00: the days got longer",
        "gate verdict of 2013-04-03 00:00: promote no. 6 by trainer",
        "champion (epoch 1) from 2013-04-03 00:00 until 2013-04-05 00:00: better by 2 %",
        "snapshot 111111111111: 88 rows from 2013-04-01 00:00 to 2013-04-03 00:00, as known at 2013-04-03 00:00",
        "as known at 2013-04-03 00:00, 90.0% of the mature ones labelled",
        "rows: 1 batch (1), 100 accepted rows, one.parquet",
        "look closer: andon snapshot show trips 111111111111",
        "answered 1 batch (2), 48 rows",
    ):
        assert line in ran.err
    assert asked(filled, "--version", "3")["model"]["gate"]["outcome"] == "reject"


def test_without_a_question_the_champion_is_told(filled: Shell) -> None:
    assert "version 2: serves now" in filled("lineage", "trips").err
    assert asked(filled)["fed"][0] == {
        "kind": "rows",
        "numbers": "1-2,4",
        "batches": 3,
        "rows": 150,
        "first": "one.parquet",
        "last": "released 2 two.parquet",
    }


def test_a_prediction_leads_to_its_version_and_to_its_row_s_batch(filled: Shell) -> None:
    log(filled.home, "a", "b", request="trips-2")
    curate(filled.home, a=1, b=2)

    found = asked(filled, "--prediction", "trips-2-1")

    assert (found["prediction_id"], found["version"], found["prediction"]) == ("trips-2-1", "1", 0.25)
    assert found["row"] == {"trip_id": "b", "started_at": "2013-04-02T12:00:00Z"}
    assert found["model"]["snapshot"]["batches"] == {"rows": "1", "labels": "1"}
    assert [batch["batch"]["number"] for batch in found["batches"]] == [2]
    told = filled("lineage", "trips", "--prediction", "trips-2-1").err
    assert told.startswith("prediction trips-2-1: 0.25 ├── of trip_id b, started_at 2013-04-02 12:00 ├── logged")
    assert "version 1: was champion" in told
    assert "batch 2 of rows two.parquet: accepted" in told
    assert "learned" not in told, "that is another question"


def test_a_corrected_row_has_come_in_two_batches(filled: Shell) -> None:
    log(filled.home, "a", request="4f")
    curate(filled.home, a=1)
    curate(filled.home, a=2)
    assert [item["batch"]["number"] for item in asked(filled, "--prediction", "4f")["batches"]] == [1, 2]


def test_a_row_that_only_the_scorer_saw_says_so(filled: Shell) -> None:
    log(filled.home, "a", request="4f")
    assert (
        "its row came in no batch: only the scorer was asked for it"
        in filled("lineage", "trips", "--prediction", "4f").err
    )


def test_a_prediction_of_a_version_that_this_ledger_does_not_know(filled: Shell) -> None:
    log(filled.home, "a", request="4f", version="77")
    ran = filled("lineage", "trips", "--prediction", "4f-0")
    assert ran.code == 0
    assert "version 77: this ledger does not know it; correct ANDON_LEDGER_URL" in ran.err


def test_a_row_that_was_logged_twice_counts_once(filled: Shell) -> None:
    log(filled.home, "a", request="trips-2")
    log(filled.home, "a", request="trips-2")
    assert asked(filled, "--prediction", "trips-2")["prediction_id"] == "trips-2-0"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--batch", "9"],
            "trips has no batch '9' of rows; the last ones are --batch 2 --kind labels (two.parquet), --batch 5",
        ),
        (
            ["--batch", "2", "--kind", "weather"],
            "trips has no batch '2' of weather; the last ones are --batch 2 --kind l",
        ),
        (
            ["--batch", "copy.parquet"],
            "2 batches have the name 'copy.parquet'; choose: --batch 3 --kind rows (duplicate); --batch 5",
        ),
        (["--version", "9"], "the ledger knows no version '9' of trips; see: andon history trips"),
        (["--prediction", "x-1"], "the prediction log of trips has no id 'x-1'; ids stand in the scorer's answers"),
        (
            ["--prediction", "many"],
            "'many' is a request of 12 rows; name one of them: many-0, many-1, many-2, many-3, ",
        ),
        (["--batch", "1", "--version", "1"], "name one thing only: --batch, --version or --prediction"),
        (["--kind", "rows"], "--kind says of what a batch is; name the batch as well: --batch"),
    ],
)
def test_what_is_not_found_is_told_with_the_remedy(filled: Shell, words: list[str], message: str) -> None:
    log(filled.home, *"abcdefghijkl", request="many")
    arrive(filled.ledger(), "copy.parquet", "other bytes")
    ran = filled("lineage", "trips", *words)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err


def test_an_installation_without_a_champion_says_what_can_be_asked(andon: Shell) -> None:
    ran = andon("lineage", "trips")
    assert ran.code == 2
    assert "trips has no champion yet; ask about a batch or a version: andon lineage trips --batch 1" in ran.err


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ("accepted", "no retrain has taken it yet"),
        ("refused", "nothing of it was taken"),
        ("suspect", "it is held out until a person releases it: andon quarantine release trips 1 --kind rows"),
    ],
)
def test_why_no_model_has_learned_from_a_batch(andon: Shell, state: Any, why: str) -> None:
    finish(andon.ledger(), arrive(andon.ledger(), "one.parquet", "a1"), state, rows=10, bad=1)
    ran = andon("lineage", "trips", "--batch", "1")
    assert f"no model has learned from it: {why}" in ran.err
    assert ("10 rows: 9 held, 1 set aside" in ran.err) == (state == "suspect")
    assert "broken rules: distance.ge 1; the rows: andon quarantine show trips 1 --kind rows" in ran.err


def test_a_name_that_rows_and_labels_share_means_the_rows(filled: Shell) -> None:
    assert asked(filled, "--batch", "two.parquet")["batch"]["kind"] == "rows"
    assert asked(filled, "--batch", "two.parquet", "--kind", "labels")["batch"]["kind"] == "labels"


def test_before_anything_has_come_it_is_told_what_to_do(andon: Shell) -> None:
    told = andon("lineage", "trips", "--batch", "1").err
    assert told == "DefinitionError: trips has no batch '1' of rows; none has come: andon ingest trips"


def test_a_batch_that_is_not_judged_yet(andon: Shell) -> None:
    arrive(andon.ledger(), "one.parquet", "a1")
    ran = andon("lineage", "trips", "--batch", "1")
    assert "batch 1 of rows one.parquet: claimed" in ran.err
    assert "no model has learned from it: it is not judged yet: andon ingest trips" in ran.err
    assert " taken, " not in ran.err


def test_of_many_versions_the_newest_are_told(filled: Shell) -> None:
    for number in range(4, 17):
        learn(filled.ledger(), str(number), batches={"rows": "1"}, on=7, outcome="reject")
    told = filled("lineage", "trips", "--batch", "1").err
    assert "it is in 16 snapshots, of which 16 versions learned ├── 4 earlier versions: ask with --json" in told
    assert told.count("── version ") == 12
    assert len(asked(filled, "--batch", "1")["models"]) == 16


def test_a_name_with_brackets_is_printed_as_it_is(andon: Shell) -> None:
    arrive(andon.ledger(), "[red]one[/].parquet", "a1")
    assert "batch 1 of rows [red]one[/].parquet: claimed" in andon("lineage", "trips", "--batch", "1").err
