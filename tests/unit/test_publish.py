"""Publish: one delivery per run, in the file and in the table, with the decision that stands behind each row."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from storage.address import Address
from storage.publish import Delivered, Stamp, deliver, stamped
from storage.remote import Remote
from storage.tables import scan
from validation.errors import DefinitionError

SCORED_AT = datetime(2013, 4, 8, tzinfo=UTC)
STAMP = Stamp(pipeline="flights", version="10", epoch=3, scored_at=SCORED_AT)
PREDICTIONS = pl.DataFrame({"flight_id": ["a", "b"], "prediction": [0.2, 0.7]})


LOCAL = Remote()


def send(
    predictions: pl.DataFrame, lake: Path, *, run_id: str = "batch-7", to_file: bool = True, to_table: bool = True
) -> Delivered:
    root = Address.of(lake)
    files, table = root / "files" if to_file else None, root / "table" if to_table else None
    return deliver(predictions, run_id=run_id, files=files, table=table, remote=LOCAL, work=lake)


def in_table(lake: Path) -> pl.DataFrame:
    rows = scan(Address.of(lake / "table"), LOCAL)
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
    send(rows, tmp_path)
    assert in_table(tmp_path)["prediction"].to_list() == [[0.2, 0.8], [1.0, 0.0]]


def test_a_delivery_is_one_file_and_the_same_rows_in_the_table(tmp_path: Path) -> None:
    rows = stamped(PREDICTIONS, STAMP, run_id="batch-7")
    root = Address.of(tmp_path)
    whole = Delivered(file=root / "files/batch-7.parquet", table=root / "table", rows=2, repeated=False)
    assert send(rows, tmp_path) == whole
    assert pl.read_parquet(tmp_path / "files").equals(rows)
    assert in_table(tmp_path).equals(rows)
    assert [path.name for path in (tmp_path / "files").iterdir()] == ["batch-7.parquet"]


def test_the_first_delivery_of_a_run_stands(tmp_path: Path) -> None:
    first = stamped(PREDICTIONS, STAMP, run_id="batch-7")
    send(first, tmp_path)
    assert send(first.with_columns(prediction=pl.lit(0.5)), tmp_path).repeated
    assert pl.read_parquet(tmp_path / "files").equals(first)
    assert in_table(tmp_path).equals(first)


def test_a_delivery_that_stopped_between_file_and_table_is_completed_with_what_the_file_says(tmp_path: Path) -> None:
    first = stamped(PREDICTIONS, STAMP, run_id="batch-7")
    send(first, tmp_path, to_table=False)
    assert not send(first.with_columns(model_version=pl.lit("11")), tmp_path).repeated
    assert in_table(tmp_path).equals(first)


def test_other_runs_add_to_the_table(tmp_path: Path) -> None:
    for run_id in ("batch-1", "batch-2"):
        send(stamped(PREDICTIONS, STAMP, run_id=run_id), tmp_path, run_id=run_id, to_file=False)
    assert in_table(tmp_path)["run_id"].sort().to_list() == ["batch-1", "batch-1", "batch-2", "batch-2"]


@pytest.mark.parametrize("run_id", ["", "../x", "a/b"])
def test_a_run_id_that_is_no_file_name_is_refused(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(DefinitionError, match="run_id must be a plain file name"):
        send(PREDICTIONS, tmp_path, run_id=run_id)
