"""The outbox of a run: the first plan stands, a part is there or not, and nothing of it is left at the end."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import polars as pl
import pytest

from storage.lake import Lake
from storage.outbox import Manifest, Outbox, outbox_of, run_id_of, runs_in
from storage.partitions import Partition
from storage.publishing.stamp import stamped
from validation.errors import DefinitionError, RegistryError

NOW = datetime(2013, 4, 8, tzinfo=UTC)
MANIFEST = Manifest(
    pipeline="flights",
    run_id="flights-7",
    batch=7,
    sequence=0,
    version="10",
    bundle_sha256="ab",
    epoch=3,
    snapshot="cd",
    scored_at=NOW,
    began_at=NOW,
    partitions=(Partition(first=NOW, last=NOW, rows=2), Partition(first=NOW, last=NOW, rows=1, piece=1, pieces=2)),
)


def outbox(tmp_path: Path, run_id: str = "flights-7") -> Outbox:
    return outbox_of(Lake(tmp_path), "flights", run_id, work=tmp_path)


def rows(number: int, version: str = "10") -> pl.DataFrame:
    made = pl.DataFrame({"flight_id": ["a", "b"][: MANIFEST.partitions[number].rows], "prediction": 0.5})
    stamp = replace(MANIFEST.stamp, version=version)
    return stamped(made, MANIFEST.run, stamp, first=MANIFEST.first_row(number))


def test_the_first_plan_of_a_run_stands(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    assert box.manifest() is None
    assert box.begin(MANIFEST) == MANIFEST
    assert box.begin(msgspec.structs.replace(MANIFEST, version="11")) == MANIFEST == box.manifest()


def test_parts_that_are_there_are_not_missing_and_are_read_in_order_as_often_as_one_likes(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    box.begin(MANIFEST)
    assert box.missing(MANIFEST) == (0, 1)
    box.put(1, rows(1))
    assert box.missing(MANIFEST) == (0,)
    box.put(0, rows(0))
    assert box.missing(MANIFEST) == ()
    whole = box.predictions(MANIFEST)
    assert (whole.rows, whole.schema) == (3, rows(0).schema)
    for _ in range(2):
        assert pl.concat(whole.parts())["prediction_id"].to_list() == ["flights-7-0", "flights-7-1", "flights-7-2"]
    assert [path.name for path in tmp_path.glob("*.parquet")] == [], "nothing is left in the work folder"


def test_the_versions_are_those_that_the_rows_name(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    for number, version in enumerate(("11", "10")):
        box.put(number, rows(number, version))
    assert box.versions(MANIFEST) == ("10", "11")


def test_what_is_removed_is_gone_and_until_then_it_can_be_found(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    for batch in (7, 8):
        box = outbox(tmp_path, run_id_of("flights", batch))
        box.begin(MANIFEST)
        box.put(0, rows(0))
    assert runs_in(lake, "flights") == ("flights-7", "flights-8")
    outbox(tmp_path).remove()
    outbox(tmp_path).remove()
    assert runs_in(lake, "flights") == ("flights-8",)
    assert [path.name for path in (tmp_path / "outbox" / "flights").iterdir()] == ["flights-8"]
    assert runs_in(lake, "bikes") == ()


def test_a_manifest_that_is_none_says_what_to_do(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    box.begin(MANIFEST)
    (tmp_path / "outbox" / "flights" / "flights-7" / "run.json").write_text("{}")
    with pytest.raises(RegistryError, match=r"flights-7 is damaged: .*; remove this folder, and score again"):
        box.manifest()


@pytest.mark.parametrize("run_id", ["", "../x", "a/b"])
def test_a_run_id_that_is_no_file_name_is_refused(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(DefinitionError, match="run_id must be a plain file name"):
        outbox(tmp_path, run_id)
