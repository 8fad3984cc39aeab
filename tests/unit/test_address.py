"""Addresses: a local path or a key in a bucket, one value for both; and what may be known of the store behind it."""

import time
from pathlib import Path

import pytest

from storage.address import Address, shown
from storage.deadline import bounded
from storage.objects import objects_for
from storage.probe import require_conditional_writes
from storage.remote import Remote
from validation.errors import DefinitionError, ServiceDownError


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("/data/lake/", "/data/lake"),
        ("/data//./lake", "/data/lake"),
        (Path("/data/lake"), "/data/lake"),
        ("/", "/"),
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/lake/", "s3://bucket/lake"),
        ("s3://bucket/a//b/./c", "s3://bucket/a//b/./c"),
        (Path("s3://bucket/lake"), "s3://bucket/lake"),
        (Address("s3://bucket/lake"), "s3://bucket/lake"),
    ],
)
def test_an_address_has_one_way_to_be_written(given: Address | Path | str, url: str) -> None:
    assert str(Address.of(given)) == url


def test_a_relative_path_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert Address.of("a/../lake") == Address.of(tmp_path / "lake")


@pytest.mark.parametrize("url", ["gs://bucket/x", "https://host/x", "s3://", "lake", "", "/a/../b", "/a\0b"])
def test_anything_else_is_no_address(url: str) -> None:
    with pytest.raises(DefinitionError, match="an address must"):
        Address(url)


def test_the_parts_of_an_address() -> None:
    here, there = Address("/data/lake/a.csv"), Address("s3://bucket/in/a.csv")
    assert (here.name, str(here.parent), here.is_remote, here.path) == (
        "a.csv",
        "/data/lake",
        False,
        Path("/data/lake/a.csv"),
    )
    assert (there.name, str(there.parent), there.is_remote) == ("a.csv", "s3://bucket/in", True)
    assert (there.bucket, there.key, here.bucket, here.key) == ("bucket", "in/a.csv", "", "")
    assert (str(Address("s3://bucket").parent), Address("s3://bucket").key) == ("s3://bucket", "")
    assert (str(Address("/").parent), str(Address("/") / "a")) == ("/", "/a")
    with pytest.raises(DefinitionError, match="is in a bucket, where a local folder is needed; name one"):
        _ = there.path


def test_what_is_appended_stays_below() -> None:
    lake = Address("s3://bucket/lake")
    assert str(lake / "in" / "2013/a.csv") == "s3://bucket/lake/in/2013/a.csv"
    assert (lake / "in" / "2013/a.csv").below(lake) == "in/2013/a.csv"
    for part in ("/etc", "../other", "a/../../b"):
        with pytest.raises(DefinitionError, match=r"must be relative and without '\.\.'"):
            lake / part
    with pytest.raises(DefinitionError, match="does not lie below s3://bucket/lake"):
        Address("s3://bucket/lake-2/a").below(lake)


def test_what_cannot_be_printed_is_shown_with_backslashes() -> None:
    assert shown("caf\udce9\n\x1b[31m ä") == r"caf\xe9\n\x1b[31m ä"


def test_a_remote_says_how_it_is_reached() -> None:
    assert Remote().storage_options() == {
        "timeout": "60s",
        "connect_timeout": "5s",
        "aws_conditional_put": "etag",
    }
    assert Remote(endpoint="http://h:9", seconds=3).storage_options() == {
        "timeout": "3s",
        "connect_timeout": "1s",
        "aws_conditional_put": "etag",
        "aws_endpoint_url": "http://h:9",
        "aws_virtual_hosted_style_request": "false",
        "aws_allow_http": "true",
        "aws_region": "us-east-1",
    }
    assert Remote(region="eu-central-1").storage_options()["aws_region"] == "eu-central-1"


def test_a_remote_that_cannot_be_is_told() -> None:
    with pytest.raises(DefinitionError, match=r"must be like https://s3\.example\.org, got 'h:9'"):
        Remote(endpoint="h:9")
    with pytest.raises(DefinitionError, match="must be above 0 seconds, got 0"):
        Remote(seconds=0)


def test_a_call_that_never_comes_back_is_left_at_its_deadline() -> None:
    assert bounded(lambda: 7, seconds=1, what="a call") == 7
    with pytest.raises(ZeroDivisionError):
        bounded(lambda: 1 / 0, seconds=1, what="a call")
    began = time.monotonic()
    with pytest.raises(ServiceDownError, match=r"^reading a table: no answer within 0\.1 s; .*ANDON_REMOTE_SECONDS$"):
        bounded(lambda: time.sleep(3), seconds=0.1, what="reading a table")
    assert time.monotonic() - began < 1


def test_local_folders_need_no_probe(tmp_path: Path) -> None:
    require_conditional_writes(Address.of(tmp_path), Remote())
    assert list(tmp_path.iterdir()) == []


def test_links_do_not_lead_a_search_in_circles(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("x")
    (tmp_path / "in" / "again").symlink_to(tmp_path)
    (tmp_path / "gone.csv").symlink_to(tmp_path / "nowhere")
    found = objects_for(Address.of(tmp_path), Remote()).find(Address.of(tmp_path) / "**/*.csv")
    assert [file.name for file in found] == ["in/a.csv"]
