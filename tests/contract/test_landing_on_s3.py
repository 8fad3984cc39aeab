"""Landing in a bucket: what is admitted is a copy that nobody can change, whole, or told why not."""

import gzip
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from storage.address import Address
from storage.lake import Lake
from storage.landing import Admitted, admitted, arrived, scan, still_the_same
from storage.objects import objects_for
from storage.remote import Remote
from tests.faults import Fault, FaultProxy, fault_proxy
from tests.s3 import create_bucket
from validation.errors import ContractError, ServiceDownError

TEXT = b"key,distance\na,1400\nb,733\n"
ROWS = [{"key": "a", "distance": "1400"}, {"key": "b", "distance": "733"}]
GLOB = "landing/flights/*"


@pytest.fixture
def bucket(s3: str) -> Address:
    return create_bucket(s3)


@pytest.fixture
def lake(s3: str, bucket: Address, tmp_path: Path) -> Lake:
    return Lake(bucket / "lake", Remote(endpoint=s3), local=tmp_path / "local")


def land(lake: Lake, name: str, data: bytes) -> None:
    place = lake.root / "landing" / "flights" / name
    lake.objects.remove(place)
    assert lake.objects.create(data, place)


@contextmanager
def opened(lake: Lake, work: Path, *, glob: str = GLOB, after: timedelta = timedelta(hours=1)) -> Iterator[Admitted]:
    with admitted(arrived(lake, glob), lake, work=work, now=datetime.now(UTC) + after) as found:
        yield found


def test_objects_are_fetched_and_scanned_and_the_copies_are_gone_afterwards(lake: Lake, tmp_path: Path) -> None:
    land(lake, "a.csv", TEXT)
    land(lake, "b.csv.gz", gzip.compress(TEXT))
    pl.DataFrame(ROWS).write_parquet(tmp_path / "c.parquet")
    lake.objects.put(tmp_path / "c.parquet", lake.root / GLOB[:-1] / "c.parquet")
    (tmp_path / "work").mkdir()
    with opened(lake, tmp_path / "work") as found:
        assert [file.name for file in found.files] == ["a.csv", "b.csv.gz", "c.parquet"]
        assert found.files[0].sha256 == hashlib.sha256(TEXT).hexdigest()
        assert found.files[0].path.read_bytes() == TEXT
        assert [scan(file)[0].collect().to_dicts() for file in found.files] == [ROWS] * 3
        land(lake, "a.csv", TEXT.upper())
        assert all(still_the_same(file) for file in found.files)
        assert scan(found.files[0])[0].collect().to_dicts() == ROWS
    assert list((tmp_path / "work").iterdir()) == []


def test_a_known_object_does_not_come_again_until_it_changes(lake: Lake) -> None:
    land(lake, "a.csv", TEXT)
    known = {(found.name, found.stamp) for found in arrived(lake, GLOB)}
    assert arrived(lake, GLOB, known=known) == ()
    land(lake, "a.csv", TEXT)
    assert arrived(lake, GLOB, known=known) == ()
    land(lake, "a.csv", TEXT.upper())
    assert [found.name for found in arrived(lake, GLOB, known=known)] == ["a.csv"]


def test_a_local_lake_reads_what_lands_in_a_bucket(s3: str, bucket: Address, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake", Remote(endpoint=s3))
    objects_for(bucket, lake.remote).create(TEXT, bucket / "in" / "2013" / "a.csv")
    with opened(lake, tmp_path, glob=f"{bucket}/in/*/*.csv") as found:
        assert [(file.name, scan(file)[0].collect().to_dicts()) for file in found.files] == [("2013/a.csv", ROWS)]


def test_many_small_objects_keep_their_order(lake: Lake, tmp_path: Path) -> None:
    names = [f"{number:03d}.csv" for number in range(40)]
    for name in names:
        land(lake, name, b"key,name\n1," + name.encode() + b"\n")
    with opened(lake, tmp_path) as found:
        assert [file.name for file in found.files] == names
        assert [scan(file)[0].collect()["name"].item() for file in found.files] == names


def test_what_is_wrong_with_an_object_is_told(lake: Lake, tmp_path: Path) -> None:
    land(lake, "cut.csv", TEXT[:-1])
    land(lake, "empty.csv", b"")
    land(lake, "told.csv", TEXT)
    land(lake, "told.csv.sha256", b"0" * 64)
    with opened(lake, tmp_path) as found:
        assert [(file.name, file.flaw[:24]) for file in found.files] == [
            ("cut.csv", "does not end with a line"),
            ("empty.csv", "is empty (0 bytes); uplo"),
            ("told.csv", "is not what told.csv.sha"),
        ]
    with opened(lake, tmp_path, after=timedelta(0)) as found:
        assert [item.name for item in found.postponed] == ["cut.csv", "empty.csv", "told.csv"]


def test_an_object_that_rotted_in_the_store_is_refused_and_kept(lake: Lake, s3: str, tmp_path: Path) -> None:
    from storage.calls import Calls

    place = lake.root / "landing" / "flights" / "a.csv"
    Calls(Remote(endpoint=s3)).run(
        "put_object", place, Body=TEXT, ChecksumAlgorithm="CRC64NVME", ChecksumCRC64NVME="AAAAAAAAAAA="
    )
    with opened(lake, tmp_path) as found:
        (file,) = found.files
        assert (file.path.read_bytes(), file.sha256) == (TEXT, hashlib.sha256(TEXT).hexdigest())
        with pytest.raises(ContractError, match=r"^a\.csv is damaged: its CRC64NVME is .*, S3 holds AAAAAAAAAAA="):
            scan(file)


def test_an_object_that_changed_since_it_was_listed_is_left_for_the_next_time(lake: Lake, tmp_path: Path) -> None:
    land(lake, "a.csv", TEXT)
    listed = arrived(lake, GLOB)
    land(lake, "a.csv", TEXT.upper())
    with admitted(listed, lake, work=tmp_path, now=datetime.now(UTC)) as found:
        (postponed,) = found.postponed
        assert "arrived again while it was read; it will be taken next time" in postponed.reason


@pytest.fixture
def proxy(s3: str) -> Iterator[FaultProxy]:
    with fault_proxy(s3) as proxy:
        yield proxy


@pytest.mark.parametrize("fault", ["reset", "503", "hang", "stall"])
def test_a_store_that_fails_ends_the_admission_and_leaves_nothing(
    lake: Lake, proxy: FaultProxy, tmp_path: Path, fault: Fault
) -> None:
    land(lake, "a.csv", TEXT)
    through = Lake(lake.root, Remote(endpoint=proxy.url, seconds=1))
    listed = arrived(through, GLOB)
    proxy.breaks(fault)
    (tmp_path / "work").mkdir()
    with (
        pytest.raises(ServiceDownError, match="no answer within 1 s"),
        admitted(listed, through, work=tmp_path / "work", now=datetime.now(UTC)),
    ):
        pass
    assert list((tmp_path / "work").iterdir()) == []
    proxy.breaks("none")
    with admitted(listed, through, work=tmp_path / "work", now=datetime.now(UTC)) as found:
        assert [file.name for file in found.files] == ["a.csv"]
