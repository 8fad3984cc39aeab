"""Publish: one delivery per run, in the file and in the table, with the decision that stands behind each row."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from storage.publish import Delivered, Stamp, deliver, stamped
from storage.tables import scan
from validation.errors import DefinitionError

SCORED_AT = datetime(2013, 4, 8, tzinfo=UTC)
STAMP = Stamp(pipeline="flights", version="10", epoch=3, scored_at=SCORED_AT)
PREDICTIONS = pl.DataFrame({"flight_id": ["a", "b"], "prediction": [0.2, 0.7]})


def in_table(table: Path) -> pl.DataFrame:
    rows = scan(table)
    assert rows is not None
    return rows.collect()


def test_each_row_says_which_decision_stands_behind_it() -> None:
    assert stamped(PREDICTIONS, STAMP, run_id="batch-7").rows(named=True)[1] == {
        "flight_id": "b",
        "prediction": 0.7,
        "prediction_id": "batch-7-1",
        "run_id": "batch-7",
        "pipeline": "flights",
        "model_version": "10",
        "epoch": 3,
        "scored_at": SCORED_AT,
    }


def test_what_the_scorer_said_itself_is_left_as_it_is() -> None:
    answered = PREDICTIONS.with_columns(model_version=pl.Series(["9", "10"]), prediction_id=pl.Series(["p", "q"]))
    rows = stamped(answered, STAMP, run_id="batch-7")
    assert rows.select("model_version", "prediction_id").rows() == [("9", "p"), ("10", "q")]


def test_several_classes_are_delivered_as_a_list_of_their_probabilities(tmp_path: Path) -> None:
    rows = stamped(PREDICTIONS.with_columns(pl.Series("prediction", [[0.2, 0.8], [1.0, 0.0]])), STAMP, run_id="batch-7")
    deliver(rows, run_id="batch-7", files=tmp_path / "files", table=tmp_path / "table")
    assert in_table(tmp_path / "table")["prediction"].to_list() == [[0.2, 0.8], [1.0, 0.0]]


def test_a_delivery_is_one_file_and_the_same_rows_in_the_table(tmp_path: Path) -> None:
    rows = stamped(PREDICTIONS, STAMP, run_id="batch-7")
    delivered = deliver(rows, run_id="batch-7", files=tmp_path / "files", table=tmp_path / "table")
    assert delivered == Delivered(
        file=tmp_path / "files/batch-7.parquet", table=tmp_path / "table", rows=2, repeated=False
    )
    assert pl.read_parquet(tmp_path / "files").equals(rows)
    assert in_table(tmp_path / "table").equals(rows)


def test_the_first_delivery_of_a_run_stands(tmp_path: Path) -> None:
    places = {"files": tmp_path / "files", "table": tmp_path / "table"}
    first = stamped(PREDICTIONS, STAMP, run_id="batch-7")
    deliver(first, run_id="batch-7", **places)
    again = deliver(first.with_columns(prediction=pl.lit(0.5)), run_id="batch-7", **places)
    assert again.repeated
    assert pl.read_parquet(tmp_path / "files").equals(first)
    assert in_table(tmp_path / "table").equals(first)


def test_a_delivery_that_stopped_between_file_and_table_is_completed_with_what_the_file_says(tmp_path: Path) -> None:
    first = stamped(PREDICTIONS, STAMP, run_id="batch-7")
    deliver(first, run_id="batch-7", files=tmp_path / "files", table=None)
    newer = first.with_columns(model_version=pl.lit("11"))
    completed = deliver(newer, run_id="batch-7", files=tmp_path / "files", table=tmp_path / "table")
    assert not completed.repeated
    assert in_table(tmp_path / "table").equals(first)


def test_other_runs_add_to_the_table(tmp_path: Path) -> None:
    for run_id in ("batch-1", "batch-2"):
        deliver(stamped(PREDICTIONS, STAMP, run_id=run_id), run_id=run_id, files=None, table=tmp_path)
    assert in_table(tmp_path)["run_id"].sort().to_list() == ["batch-1", "batch-1", "batch-2", "batch-2"]


@pytest.mark.parametrize("run_id", ["", "../x", "a/b"])
def test_a_run_id_that_is_no_file_name_is_refused(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(DefinitionError, match="run_id must be a plain file name"):
        deliver(PREDICTIONS, run_id=run_id, files=tmp_path, table=None)
