"""The promises of storage/objects.py, kept by local folders and by S3 (moto's server), also when the network breaks."""

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from storage import s3 as s3_adapter
from storage.address import Address
from storage.calls import Calls
from storage.objects import Objects, objects_for
from storage.probe import require_conditional_writes
from storage.remote import Remote
from storage.s3 import READ_BYTES, WRITE_BYTES
from tests.faults import Fault, FaultProxy, fault_proxy
from tests.s3 import create_bucket
from validation.errors import ContractError, ServiceDownError

LARGE = os.urandom(2 * READ_BYTES + 12_345)
PIECES = os.urandom(2 * 2**16 + 12_345)  # three, in the tests of faults
SECONDS = 1


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    if request.param == "local":
        return Address.of(tmp_path / "root")
    return create_bucket(request.getfixturevalue("s3")) / "some" / "prefix"


@pytest.fixture
def objects(root: Address, request: pytest.FixtureRequest) -> Objects:
    remote = Remote(endpoint=request.getfixturevalue("s3")) if root.is_remote else Remote()
    return objects_for(root, remote)


@pytest.fixture
def lay(objects: Objects, root: Address, tmp_path: Path) -> Callable[[str, bytes], Address]:
    def laid(name: str, data: bytes) -> Address:
        file = tmp_path / "source"
        file.write_bytes(data)
        objects.put(file, root / name)
        return root / name

    return laid


Lay = Callable[[str, bytes], Address]


@pytest.mark.parametrize(
    ("glob", "found"),
    [
        ("in/*.parquet", ["a.parquet", "b.parquet"]),
        ("in/*", [".hidden", "a.parquet", "b.parquet", "c.csv"]),
        ("in/?.csv", ["c.csv"]),
        ("in/[ab].parquet", ["a.parquet", "b.parquet"]),
        ("in/[!a].parquet", ["b.parquet"]),
        ("in/a.parquet", ["a.parquet"]),
        ("in/*/*.parquet", ["2013/d.parquet", "2014/e.parquet"]),
        ("in/*/deep/*", ["2013/deep/f.parquet"]),
        ("in/201[3]/*.parquet", ["2013/d.parquet"]),
        ("in/**/*.parquet", ["2013/d.parquet", "2013/deep/f.parquet", "2014/e.parquet", "a.parquet", "b.parquet"]),
        ("in/2013/**", ["d.parquet", "deep/f.parquet"]),
        ("in/**/**/f.parquet", ["2013/deep/f.parquet"]),
        ("in/x[[]1].csv", ["x[1].csv"]),
        ("nowhere/*.parquet", []),
    ],
)
def test_find_gives_the_files_that_match_by_name(
    objects: Objects, root: Address, lay: Lay, glob: str, found: list[str]
) -> None:
    names = ("in/b.parquet", "in/a.parquet", "in/c.csv", "in/.hidden", "in/x[1].csv", "in-other/a.parquet")
    for name in (*names, "in/2013/d.parquet", "in/2013/deep/f.parquet", "in/2014/e.parquet"):
        lay(name, b"x")
    expected = found if glob != "in/*" else [*found, "x[1].csv"]
    assert [file.name for file in objects.find(root / glob)] == expected


def test_a_file_is_told_with_size_stamp_and_moment(objects: Objects, root: Address, lay: Lay) -> None:
    place = lay("in/a.csv", b"abc")
    (found,) = objects.find(root / "in/*")
    assert (found.address, found.name, found.size) == (place, "a.csv", 3)
    assert abs(found.modified_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert objects.look(place) is not None
    assert (objects.look(place) or found).stamp == found.stamp
    lay("in/a.csv", b"abd")
    assert (objects.look(place) or found).stamp != found.stamp


def test_a_new_file_is_seen_at_once(objects: Objects, root: Address, lay: Lay) -> None:
    assert objects.find(root / "in/*") == ()
    lay("in/a.csv", b"abc")
    assert [file.name for file in objects.find(root / "in/*")] == ["a.csv"]


def test_what_is_not_there_is_told(objects: Objects, root: Address, tmp_path: Path) -> None:
    assert objects.look(root / "a") is None
    assert objects.names(root / "nowhere") == ()
    objects.remove(root / "a")
    with pytest.raises(FileNotFoundError):
        objects.read(root / "a")
    with pytest.raises(ContractError, match="arrived again while it was read; it will be taken next time"):
        objects.fetch(root / "a", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_folder_is_no_file(objects: Objects, root: Address, lay: Lay) -> None:
    lay("in/deep/a.csv", b"abc")
    assert objects.look(root / "in") is None
    assert objects.names(root / "in") == ()
    assert objects.names(root / "in/deep") == ("a.csv",)


@pytest.mark.parametrize("data", [b"", b"abc", LARGE], ids=["empty", "small", "large"])
def test_what_was_put_is_fetched_and_read_with_its_digest(
    objects: Objects, lay: Lay, tmp_path: Path, data: bytes
) -> None:
    place = lay("in/a.bin", data)
    assert objects.fetch(place, tmp_path / "new" / "copy") == hashlib.sha256(data).hexdigest()
    assert (tmp_path / "new" / "copy").read_bytes() == data
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["copy"]
    assert objects.read(place) == data


def test_a_file_of_several_parts_is_put_whole(objects: Objects, lay: Lay) -> None:
    data = os.urandom(WRITE_BYTES + 1)
    assert objects.read(lay("a", data)) == data
    assert objects.read(lay("a", b"shorter")) == b"shorter"


def test_names_that_no_one_would_choose(objects: Objects, root: Address, lay: Lay) -> None:
    name = "in/ä b+c%20#?&='\".csv"
    assert objects.read(lay(name, b"x")) == b"x"
    assert [found.address for found in objects.find(root / "in/*.csv")] == [root / name]


def test_a_file_that_is_no_longer_the_one_that_was_found_is_not_fetched(
    objects: Objects, root: Address, lay: Lay, tmp_path: Path
) -> None:
    place = lay("in/a.csv", b"abc")
    (found,) = objects.find(root / "in/*")
    assert objects.fetch(place, tmp_path / "copy", stamp=found.stamp) == hashlib.sha256(b"abc").hexdigest()
    lay("in/a.csv", b"abd")
    with pytest.raises(ContractError, match=r"in/a\.csv arrived again while it was read"):
        objects.fetch(place, tmp_path / "copy", stamp=found.stamp)
    assert (tmp_path / "copy").read_bytes() == b"abc"


def test_of_many_creators_one_wins(objects: Objects, root: Address) -> None:
    with ThreadPoolExecutor(8) as threads:
        won = list(threads.map(lambda number: objects.create(b"%d" % number, root / "claims" / "a"), range(8)))
    assert sum(won) == 1
    assert objects.read(root / "claims" / "a") == b"%d" % won.index(True)
    assert objects.create(b"late", root / "claims" / "a") is False
    assert objects.names(root / "claims") == ("a",)


@pytest.mark.parametrize("size", [1_000, WRITE_BYTES + 1_000], ids=["small", "in parts"])
def test_of_many_creators_from_files_one_wins(objects: Objects, root: Address, tmp_path: Path, size: int) -> None:
    files = [tmp_path / str(number) for number in range(4)]
    for number, file in enumerate(files):
        file.write_bytes(b"%d" % number * size)
    # NOTE: moto looks and completes an upload in two steps, between which others may come; S3 does not.
    with ThreadPoolExecutor(1 if root.is_remote and size > WRITE_BYTES else 4) as threads:
        won = list(threads.map(lambda file: objects.create_from(file, root / "new" / "a"), files))
    assert sum(won) == 1
    assert objects.read(root / "new" / "a") == files[won.index(True)].read_bytes()
    assert all(file.exists() for file in files)
    assert objects.create_from(files[0], root / "new" / "a") is False
    assert objects.names(root / "new") == ("a",)


def test_a_file_is_created_across_file_systems(tmp_path: Path) -> None:
    shared = Path("/dev/shm")  # noqa: S108
    if not os.access(shared, os.W_OK) or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs two file systems")
    (tmp_path / "file").write_bytes(b"abc")
    with tempfile.TemporaryDirectory(dir=shared) as other:
        root = Address.of(other)
        local = objects_for(root, Remote())
        assert [local.create_from(tmp_path / "file", root / "a"), local.create_from(tmp_path / "file", root / "a")] == [
            True,
            False,
        ]
        assert (local.read(root / "a"), local.names(root)) == (b"abc", ("a",))


def test_remove_takes_one_file_away(objects: Objects, root: Address, lay: Lay) -> None:
    place, other = lay("in/a", b"a"), lay("in/b", b"b")
    objects.remove(place)
    assert (objects.look(place), objects.names(root / "in")) == (None, ("b",))
    assert objects.read(other) == b"b"


# S3 alone


@pytest.fixture(scope="module")
def bucket(s3: str) -> Address:
    return create_bucket(s3)


@pytest.fixture(scope="module")
def calls(s3: str) -> Calls:
    return Calls(Remote(endpoint=s3))


@pytest.fixture(scope="module")
def proxy(s3: str) -> Iterator[FaultProxy]:
    with fault_proxy(s3) as proxy:
        yield proxy


@pytest.fixture
def broken(proxy: FaultProxy, bucket: Address, monkeypatch: pytest.MonkeyPatch) -> Objects:
    """The store behind the proxy, read in small pieces, with a short deadline; the connection is made."""
    monkeypatch.setattr(s3_adapter, "READ_BYTES", 2**16)
    proxy.breaks("none")
    proxy.acts = lambda _: None
    objects = objects_for(bucket, Remote(endpoint=proxy.url, seconds=SECONDS))
    objects.names(bucket)
    return objects


@pytest.mark.parametrize("fault", ["reset", "503", "lost answer", "hang"])
def test_a_call_survives_what_passes(broken: Objects, proxy: FaultProxy, bucket: Address, fault: Fault) -> None:
    broken.create(b"abc", bucket / f"survives {fault}")
    proxy.breaks(fault, calls=1 if fault == "hang" else 2)
    assert broken.read(bucket / f"survives {fault}") == b"abc"
    assert proxy.calls >= (2 if fault == "hang" else 3)


@pytest.mark.parametrize("fault", ["reset", "503", "hang", "stall", "trickle", "lost answer"])
def test_every_call_ends_within_the_deadline_and_a_repetition_succeeds(
    broken: Objects, proxy: FaultProxy, bucket: Address, tmp_path: Path, fault: Fault
) -> None:
    place, file = bucket / f"ends {fault}", tmp_path / "file"
    file.write_bytes(PIECES)
    broken.put(file, place)
    proxy.breaks(fault)
    for call in (lambda: broken.fetch(place, tmp_path / "copy"), lambda: broken.find(bucket / "*")):
        began = time.monotonic()
        with pytest.raises(ServiceDownError, match=r"no answer within 1 s.*see that the store answers"):
            call()
        assert time.monotonic() - began < SECONDS + 2
    assert not (tmp_path / "copy").exists()
    proxy.breaks("none")
    assert broken.fetch(place, tmp_path / "copy") == hashlib.sha256(PIECES).hexdigest()
    assert place in {found.address for found in broken.find(bucket / "*")}


def test_a_body_that_stalls_in_the_middle_is_asked_for_again(
    broken: Objects, proxy: FaultProxy, bucket: Address, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(PIECES)
    broken.put(tmp_path / "file", bucket / "stalls")
    proxy.breaks("stall", calls=1)
    assert broken.fetch(bucket / "stalls", tmp_path / "copy") == hashlib.sha256(PIECES).hexdigest()


def test_a_creator_whose_answer_was_lost_is_told_that_it_won(
    broken: Objects, proxy: FaultProxy, bucket: Address
) -> None:
    proxy.breaks("lost answer", calls=1)
    assert broken.create(b"mine", bucket / "claim") is True
    proxy.breaks("lost answer", calls=1)
    assert broken.create(b"late", bucket / "claim") is False


def test_a_large_file_is_put_whole_or_not_at_all(
    broken: Objects, proxy: FaultProxy, bucket: Address, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(os.urandom(WRITE_BYTES + 1))
    broken.create(b"old", bucket / "whole")
    proxy.breaks("reset", after=2)
    with pytest.raises(ServiceDownError, match="no answer within"):
        broken.put(tmp_path / "file", bucket / "whole")
    proxy.breaks("none")
    assert broken.read(bucket / "whole") == b"old"


@pytest.mark.parametrize("call", [1, 2, 3, 4], ids=["begun", "part", "part", "completed"])
def test_a_creator_in_parts_whose_answer_was_lost_is_told_that_it_won(
    broken: Objects, proxy: FaultProxy, bucket: Address, tmp_path: Path, call: int
) -> None:
    (tmp_path / "file").write_bytes(os.urandom(WRITE_BYTES + 1))
    proxy.breaks("lost answer", calls=1, after=call - 1)
    assert broken.create_from(tmp_path / "file", bucket / f"created {call}") is True
    assert broken.read(bucket / f"created {call}") == (tmp_path / "file").read_bytes()
    assert broken.create_from(tmp_path / "file", bucket / f"created {call}") is False


def test_an_object_that_is_overwritten_while_it_is_read_is_not_fetched(
    broken: Objects, proxy: FaultProxy, s3: str, bucket: Address, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(PIECES)
    (tmp_path / "next").write_bytes(PIECES[::-1])
    broken.put(tmp_path / "file", bucket / "moving")
    direct = objects_for(bucket, Remote(endpoint=s3))
    last = 4  # after one for the size and one for each but the last of three pieces
    proxy.breaks("none")
    proxy.acts = lambda call: direct.put(tmp_path / "next", bucket / "moving") if call == last else None
    with pytest.raises(ContractError, match="arrived again while it was read"):
        broken.fetch(bucket / "moving", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_what_the_store_refuses_is_the_operators(s3: str, bucket: Address, calls: Calls) -> None:
    nowhere = Address("s3://andon-no-such-bucket/in")
    objects = objects_for(nowhere, Remote(endpoint=s3))
    with pytest.raises(ServiceDownError, match="no bucket 'andon-no-such-bucket'; create it, or mend the name"):
        objects.names(nowhere)
    objects_for(bucket, Remote(endpoint=s3)).create(b"abc", bucket / "a")
    with pytest.raises(ServiceDownError, match=r"was refused: .*check AWS_ACCESS_KEY_ID"):
        calls.run("get_object", bucket / "a", Range="bytes=7-9")
    with pytest.raises(ServiceDownError, match=r"was refused: ParamValidationError: .*Invalid bucket name"):
        objects.names(Address("s3://no bucket at all/in"))


@pytest.mark.parametrize("algorithm", ["SHA256", "SHA1", "CRC32", "CRC32C", "CRC64NVME"])
def test_damage_that_the_stores_own_checksum_tells_is_refused(
    s3: str, bucket: Address, calls: Calls, tmp_path: Path, algorithm: str
) -> None:
    """moto keeps any checksum that it is told: a wrong one stands for bytes that rotted in the store."""
    objects = objects_for(bucket, Remote(endpoint=s3))
    good = {"SHA256": "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=", "SHA1": "qZk+NkcGgWq6PiVxeFDCbJzQ2J0="}
    good |= {"CRC32": "NSRBwg==", "CRC32C": "Nks/tw==", "CRC64NVME": "BeXKuz/B+us="}
    told = {"ChecksumAlgorithm": algorithm, f"Checksum{algorithm}": good[algorithm]}
    calls.run("put_object", bucket / "sound", Body=b"abc", **told)
    assert objects.fetch(bucket / "sound", tmp_path / "copy") == hashlib.sha256(b"abc").hexdigest()
    calls.run("put_object", bucket / "rotten", Body=b"abd", **told)
    with pytest.raises(ContractError, match=rf"rotten is damaged: its {algorithm} is .*, S3 holds .*; upload it again"):
        objects.fetch(bucket / "rotten", tmp_path / "rotten")
    assert (tmp_path / "rotten").read_bytes() == b"abd"


def test_a_store_without_conditional_writes_is_refused(proxy: FaultProxy, bucket: Address, s3: str) -> None:
    require_conditional_writes(bucket / "lake", Remote(endpoint=s3))
    proxy.breaks("unconditional")
    with pytest.raises(ServiceDownError, match=r"does not keep conditional writes .*: 9 of 9 writers .*; use a store"):
        require_conditional_writes(bucket / "lake", Remote(endpoint=proxy.url))
    assert objects_for(bucket, Remote(endpoint=s3)).names(bucket / "lake") == ()
