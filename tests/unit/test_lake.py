"""The lake: where everything lies, below a folder or in a bucket, and a local file gets there whole or not at all."""

from pathlib import Path

import pytest

from andon.settings import Settings
from storage.address import Address
from storage.lake import Lake, open_lake, write_whole
from storage.remote import Remote
from validation.errors import DefinitionError


@pytest.mark.parametrize("root", ["/data/lake", "s3://bucket/lake"])
def test_the_lake_lies_as_agreed(root: str) -> None:
    lake = Lake(root)
    places = (
        lake.curated("flights"),
        lake.labels("flights"),
        lake.table("flights", "weather"),
        lake.quarantine("flights"),
        lake.quarantine("flights", "labels"),
        lake.profiles("flights"),
        lake.delivery("scores/flights/"),
        lake.glob("landing/flights/*.parquet"),
    )
    assert [place.below(lake.root) for place in places] == [
        "curated/flights",
        "labels/flights",
        "tables/flights/weather",
        "quarantine/flights",
        "quarantine/flights/labels",
        "profiles/flights/rows",
        "scores/flights",
        "landing/flights/*.parquet",
    ]
    assert lake.glob("s3://other/in/*.csv") == Address("s3://other/in/*.csv")


def test_the_prediction_log_is_always_on_this_machine(tmp_path: Path) -> None:
    assert Lake(tmp_path).predictions("flights") == tmp_path / "predictions/flights"
    assert Lake("s3://bucket/lake", local=tmp_path).predictions("flights") == tmp_path / "predictions/flights"
    with pytest.raises(DefinitionError, match=r"needs a local folder, the lake is s3://bucket/lake; name one"):
        Lake("s3://bucket/lake").predictions("flights")


@pytest.mark.parametrize("root", ["gs://bucket", "https://host/x", "s3://"])
def test_a_lake_elsewhere_is_refused(root: str) -> None:
    with pytest.raises(DefinitionError, match="an absolute path or s3://bucket/key"):
        Lake(root)


@pytest.mark.parametrize("place", ["../elsewhere", "/tmp/x", "s3://bucket/x", ".", "a/../.."])  # noqa: S108 - refused
def test_a_delivery_outside_the_lake_is_refused(tmp_path: Path, place: str) -> None:
    with pytest.raises(DefinitionError, match="must be a folder below the lake"):
        Lake(tmp_path).delivery(place)


def test_the_settings_name_the_lake_the_store_and_its_deadline(tmp_path: Path) -> None:
    settings = Settings(
        home=tmp_path, lake="s3://bucket/lake", s3_endpoint="http://h:9", s3_region="x", remote_seconds=2
    )
    assert open_lake(settings) == Lake(
        "s3://bucket/lake", Remote(endpoint="http://h:9", region="x", seconds=2), local=tmp_path / "local"
    )


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def half(beside: Path) -> None:
        beside.write_text("ne")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_whole(path, half)
    assert {found.name: found.read_text() for found in tmp_path.iterdir()} == {"a.txt": "old"}
