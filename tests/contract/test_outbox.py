"""The outbox of a run, in a folder and in a bucket: the first plan stands, a part is there or not, and at the end
nothing is left of it.
"""

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
from storage.remote import Remote
from tests.s3 import create_bucket
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


@pytest.fixture(params=["folder", "bucket"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    if request.param == "folder":
        return Lake(tmp_path / "lake")
    endpoint = request.getfixturevalue("s3")
    return Lake(create_bucket(endpoint) / "lake", Remote(endpoint=endpoint))


def outbox(lake: Lake, work: Path, run_id: str = "flights-7") -> Outbox:
    return outbox_of(lake, "flights", run_id, work=work)


def rows(number: int, version: str = "10") -> pl.DataFrame:
    made = pl.DataFrame({"flight_id": ["a", "b"][: MANIFEST.partitions[number].rows], "prediction": 0.5})
    stamp = replace(MANIFEST.stamp, version=version)
    return stamped(made, MANIFEST.run, stamp, first=MANIFEST.first_row(number))


def test_the_first_plan_of_a_run_stands(lake: Lake, tmp_path: Path) -> None:
    box = outbox(lake, tmp_path)
    assert box.manifest() is None
    assert box.begin(MANIFEST) == MANIFEST
    assert box.begin(msgspec.structs.replace(MANIFEST, version="11")) == MANIFEST == box.manifest()


def test_parts_that_are_there_are_not_missing_and_are_read_in_order(lake: Lake, tmp_path: Path) -> None:
    box = outbox(lake, tmp_path)
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


def test_the_versions_are_those_that_the_rows_name(lake: Lake, tmp_path: Path) -> None:
    box = outbox(lake, tmp_path)
    for number, version in enumerate(("11", "10")):
        box.put(number, rows(number, version))
    assert box.versions(MANIFEST) == ("10", "11")


def test_what_is_removed_is_gone_and_until_then_it_can_be_found(lake: Lake, tmp_path: Path) -> None:
    for batch in (7, 8):
        box = outbox(lake, tmp_path, run_id_of("flights", batch))
        box.begin(MANIFEST)
        box.put(0, rows(0))
    assert runs_in(lake, "flights") == ("flights-7", "flights-8")
    outbox(lake, tmp_path).remove()
    outbox(lake, tmp_path).remove()
    assert runs_in(lake, "flights") == ("flights-8",)
    assert [found.name for found in lake.objects.find(lake.glob("outbox/**/*.*"))] == [
        "flights/flights-8/part-00000.parquet",
        "flights/flights-8/run.json",
    ]
    assert runs_in(lake, "bikes") == ()


def test_a_manifest_that_is_none_says_what_to_do(lake: Lake, tmp_path: Path) -> None:
    box = outbox(lake, tmp_path)
    box.begin(MANIFEST)
    (tmp_path / "run.json").write_text("{}")
    lake.objects.put(tmp_path / "run.json", box.folder / "run.json")
    with pytest.raises(RegistryError, match=r"flights-7 is damaged: .*; remove this folder, and score again"):
        box.manifest()


@pytest.mark.parametrize("run_id", ["", "../x", "a/b"])
def test_a_run_id_that_is_no_file_name_is_refused(tmp_path: Path, run_id: str) -> None:
    lake = Lake(tmp_path)
    with pytest.raises(DefinitionError, match="run_id must be a plain file name"):
        outbox(lake, tmp_path, run_id)
