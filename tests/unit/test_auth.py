import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from andon.settings import Settings
from serving.http.auth import LOOK_SECONDS, MOST_TOKENS, SHORTEST_TOKEN, Auth, auth_of, check_exposure
from validation.errors import DefinitionError

OLD, NEW, OTHER = "old-token-of-a-good-length", "new-token-of-a-good-length", "another-token-of-good-length"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def allows(auth: Auth, token: str) -> bool:
    return auth.allows(f"Bearer {token}".encode())


def test_without_tokens_everybody_may_ask() -> None:
    assert Auth().allows(None)
    assert not Auth().required


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        (f"Bearer {OLD}", True),
        (f"bearer {NEW}", True),
        (f"BEARER  {NEW} ", True),
        (None, False),
        ("", False),
        ("Bearer", False),
        ("Bearer ", False),
        (OLD, False),
        (f"Basic {OLD}", False),
        (f"Bearer {OLD}x", False),
        (f"Bearer {OLD[:-1]}", False),
        (f"Bearer {OLD},{NEW}", False),
    ],
)
def test_only_a_whole_good_token_is_let_in(header: str | None, allowed: bool) -> None:  # noqa: FBT001
    assert Auth([OLD, NEW]).allows(None if header is None else header.encode()) is allowed


@given(st.binary(max_size=60))
def test_no_other_bytes_are_let_in(header: bytes) -> None:
    assert not Auth([OLD]).allows(header)


def test_tokens_rotate_without_a_restart(tmp_path: Path) -> None:
    file, clock = tmp_path / "tokens", Clock()
    file.write_text(f"# since May\n{OLD}\n\n")
    auth = Auth([OTHER], file=file, clock=clock)
    file.write_text(f"{OLD}\n  {NEW}  \n")
    assert not allows(auth, NEW), "it is looked at once a second"
    clock.now += LOOK_SECONDS
    assert all(allows(auth, token) for token in (OLD, NEW, OTHER))
    file.write_text(f"{NEW}\n")
    clock.now += LOOK_SECONDS
    assert [allows(auth, token) for token in (OLD, NEW, OTHER)] == [False, True, True]


def test_a_file_that_is_replaced_by_one_of_the_same_size_and_time_is_read_again(tmp_path: Path) -> None:
    file, clock = tmp_path / "tokens", Clock()
    file.write_text(OLD)
    auth, was = Auth(file=file, clock=clock), file.stat()
    beside = tmp_path / "beside"
    beside.write_text(NEW)
    os.utime(beside, ns=(was.st_atime_ns, was.st_mtime_ns))
    beside.replace(file)
    clock.now += LOOK_SECONDS
    assert [allows(auth, token) for token in (OLD, NEW)] == [False, True]


@pytest.mark.parametrize(
    ("breaks", "told"),
    [
        (lambda file: file.unlink(), "No such file"),
        (lambda file: file.write_bytes(b"\xff\xfe\xff"), "it is no text"),
        (lambda file: file.write_text(""), "holds no token"),
        (lambda file: file.write_text("# only a comment\n"), "holds no token"),
        (lambda file: file.write_text(f"{NEW}\nshort\n"), "token 2 is shorter than 16"),
    ],
)
def test_a_file_that_is_no_good_any_more_keeps_the_last_tokens_and_is_told(
    tmp_path: Path, breaks: Callable[[Path], object], told: str
) -> None:
    file, clock = tmp_path / "tokens", Clock()
    file.write_text(OLD)
    auth = Auth(file=file, clock=clock)
    breaks(file)
    clock.now += LOOK_SECONDS
    assert [allows(auth, token) for token in (OLD, NEW)] == [True, False]
    assert auth.trouble.startswith("degraded: the last good tokens hold on: ")
    assert told in auth.trouble
    assert not {OLD, NEW, "short"} & set(auth.trouble.split())
    file.write_text(NEW)
    clock.now += LOOK_SECONDS
    assert [allows(auth, token) for token in (OLD, NEW)] == [False, True]
    assert auth.trouble == ""


def test_a_start_with_bad_tokens_is_refused_without_telling_them(tmp_path: Path) -> None:
    short = "x" * (SHORTEST_TOKEN - 1)
    with pytest.raises(DefinitionError, match=r"ANDON_SCORER_TOKENS: token 2 is shorter than 16.*openssl") as refused:
        Auth([OLD, short])
    assert short not in str(refused.value)
    Auth([short + "x"])
    Auth([OLD] * MOST_TOKENS)
    with pytest.raises(DefinitionError, match="holds 101 tokens; leave at most 100"):
        Auth([OLD] * (MOST_TOKENS + 1))
    with pytest.raises(DefinitionError, match="cannot be read: No such file or directory; put it back"):
        Auth(file=tmp_path / "none")
    (tmp_path / "empty").write_text("\n#\n")
    with pytest.raises(DefinitionError, match="holds no token; write one a line"):
        Auth([OLD], file=tmp_path / "empty")


def test_tokens_come_from_settings(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(OTHER)
    both = Settings(scorer_tokens=SecretStr(f" {OLD}, {NEW},"), scorer_token_file=tmp_path / "tokens")
    assert all(allows(auth_of(both), token) for token in (OLD, NEW, OTHER))
    assert not auth_of(Settings()).required


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost"])
def test_this_machine_needs_no_tokens(host: str) -> None:
    assert check_exposure(host, Auth(), tls=False) == ""


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "scorer.example.org", ""])  # noqa: S104
def test_others_need_tokens_and_should_have_tls(host: str) -> None:
    with pytest.raises(DefinitionError, match=r"set ANDON_SCORER_TOKENS or .*, or listen on 127\.0\.0\.1"):
        check_exposure(host, Auth(), tls=True)
    assert check_exposure(host, Auth([OLD]), tls=True) == ""
    assert "unencrypted" in check_exposure(host, Auth([OLD]), tls=False)


def test_a_start_while_the_file_is_no_good_holds_what_it_is_told_until_the_file_is_good_again(tmp_path: Path) -> None:
    file, clock = tmp_path / "tokens", Clock()
    file.write_text(OLD)
    before = Auth([OTHER], file=file)
    file.unlink()
    auth = Auth(file=file, clock=clock, on_trouble="wait")
    assert auth.lets_nobody_in
    assert not allows(auth, OLD)
    assert auth.trouble.startswith("degraded: the token file ")
    auth.hold(before.of_file)
    assert [allows(auth, token) for token in (OLD, NEW, OTHER)] == [True, False, False]
    assert auth.trouble.startswith("degraded: the last good tokens hold on: the token file ")
    clock.now += LOOK_SECONDS
    assert allows(auth, OLD)
    file.write_text(NEW)
    clock.now += LOOK_SECONDS
    assert [allows(auth, token) for token in (OLD, NEW)] == [False, True]
    assert auth.trouble == ""


def test_what_a_file_says_is_better_than_what_somebody_tells(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(OLD)
    auth, open_to_all = Auth(file=file, on_trouble="wait"), Auth()
    for one in (auth, open_to_all):
        one.hold(Auth([], file=_written(tmp_path / "others", NEW)).of_file)
        assert not one.lets_nobody_in
    assert [allows(auth, token) for token in (OLD, NEW)] == [True, False]
    assert not open_to_all.required


def _written(file: Path, text: str) -> Path:
    file.write_text(text)
    return file
