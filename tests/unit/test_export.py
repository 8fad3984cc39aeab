"""An exported ledger: every changed byte, every cut and every recomputed end is found, without its database."""

import json
import time
from dataclasses import replace
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import seal
from registry.audit import Audit
from registry.chain import canonical
from registry.export import exported, exported_head, head_in, lines_in, record_of, verify_file
from registry.ledger import Head
from registry.memory import MemoryLedger
from tests.unit.export_world import KEY, NOW, file_of, ledger_of, made_whole, recomputed
from validation.errors import RegistryError
from validation.verdict import Verdict


def verified(file: bytes, *, key: bytes | None = KEY, against: Head | None = None) -> Audit:
    return verify_file(lines_in(BytesIO(file)), key=key, against=against)


@pytest.fixture(scope="module")
def small() -> bytes:
    return file_of(ledger_of(3))


@pytest.fixture(scope="module")
def thousand() -> bytes:
    return file_of(ledger_of(1000))


def test_an_export_is_a_header_a_line_for_each_record_and_the_sealed_head() -> None:
    ledger = ledger_of(3)
    first, *lines, last = file_of(ledger).decode().splitlines()

    assert json.loads(first) == {"format": "andon-ledger-1", "count": 3, "exported_at": "2013-04-01T00:00:00Z"}
    assert [record_of(f"{line}\n".encode()) for line in lines] == list(ledger.verdicts())
    assert json.loads(last)["head"] == json.loads(canonical(ledger.head()))


def test_a_whole_export_is_whole_with_and_without_the_key(small: bytes) -> None:
    found = verified(small)
    assert (found.is_whole, found.records, found.seal) == (True, 3, "right")
    assert (verified(small, key=None).is_whole, verified(small, key=None).seal) == (True, "no key")
    assert verified(small, against=head_in(lines_in(BytesIO(small)))).is_whole
    assert "not with the one given" in verified(small, key=KEY + b"x").faults[0].what


@pytest.mark.parametrize("key", [KEY, None])
def test_an_empty_and_an_unsealed_ledger_can_be_exported(key: bytes | None) -> None:
    empty = file_of(MemoryLedger(key=key))
    assert (verified(empty, key=key).is_whole, verified(empty, key=key).records) == (True, 0)
    unsealed = file_of(ledger_of(3, key=None))
    assert (verified(unsealed, key=None).is_whole, verified(unsealed, key=None).seal) == (True, "none")
    assert [fault.what for fault in verified(unsealed).faults] == ["the head is not sealed, though there is a key"]


def test_every_changed_byte_of_an_export_is_found(small: bytes) -> None:
    """Each position, the lowest bit and the one of upper and lower case; without the key, too."""
    for place, byte in enumerate(small):
        for flip in (0x01, 0x20):
            changed = bytearray(small)
            changed[place] = byte ^ flip
            assert not verified(bytes(changed), key=None).is_whole, place


def test_no_other_byte_can_stand_in_the_place_of_any_byte_of_a_record(small: bytes) -> None:
    """The chain alone, without the file's checksum: each line proves itself."""
    line = small.splitlines(keepends=True)[1]
    for place in range(0, len(line), 7):
        for byte in range(256):
            if byte != line[place]:
                with pytest.raises(RegistryError):
                    record_of(line[:place] + bytes([byte]) + line[place + 1 :])


def test_every_changed_byte_of_the_export_of_a_thousand_records_is_found(thousand: bytes) -> None:
    _find_changed_bytes(thousand, step=97)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_single_changed_byte_of_the_export_of_a_thousand_records_is_found(thousand: bytes) -> None:
    _find_changed_bytes(thousand, step=1)


def _find_changed_bytes(file: bytes, *, step: int) -> None:
    """A record's line proves itself: what makes it another one is found whatever the others are. The ends of lines,
    the header and the head are changed in the whole file.
    """
    lines = file.splitlines(keepends=True)
    edges = (0, len(lines) - 1)
    position = 0
    for number, line in enumerate(lines):
        for place in range((-position) % step, len(line), step):
            changed = line[:place] + bytes([line[place] ^ 0x01]) + line[place + 1 :]
            if number in edges:
                assert not verified(b"".join([*lines[:number], changed, *lines[number + 1 :]]), key=None).is_whole
                continue
            with pytest.raises(RegistryError):
                record_of(changed)
        position += len(line)
    assert position == len(file)


def test_every_cut_of_bytes_is_found(small: bytes) -> None:
    for length in range(len(small)):
        assert not verified(small[:length], key=None).is_whole, length
        assert not verified(small[length + 1 :], key=None).is_whole, length


def test_every_cut_of_lines_of_a_thousand_records_is_found(thousand: bytes) -> None:
    lines = thousand.splitlines(keepends=True)
    for kept in (1, 2, 500, 999, 1000, 1001):
        assert not verified(b"".join(lines[:kept]), key=None).is_whole


@pytest.mark.parametrize("kept", range(6))
def test_every_cut_of_records_is_found_though_the_file_is_made_whole_again(kept: int) -> None:
    """The head stays: it names a record that is not there. The head is moved back, too: its seal is wrong, and an
    earlier export names a later one.
    """
    ledger = ledger_of(6)
    head, records = ledger.head(), ledger.verdicts()
    assert head is not None

    staying = made_whole(records[:kept], head)
    assert f"found is {f'record {kept}' if kept else 'the beginning'}" in verified(staying).faults[-1].what
    last = seal.sealed(records[kept - 1], None) if kept else Head(seq=0, hash="0" * 64)
    for moved in (replace(last, mac=head.mac, key_id=head.key_id), last):
        if kept:
            assert not verified(made_whole(records[:kept], moved)).is_whole
        assert not verified(made_whole(records[:kept], moved), key=None, against=head).is_whole


@pytest.mark.parametrize(
    ("count", "step"), [(6, 1), (1000, 900), pytest.param(1000, 50, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]
)
def test_every_recomputed_end_is_found(count: int, step: int) -> None:
    """Somebody without the key changes one record, computes all hashes behind it, and the file's checksum, anew."""
    ledger = ledger_of(count)
    head, records = ledger.head(), ledger.verdicts()
    assert head is not None
    for seq in range(1, count + 1, step):
        forged = recomputed(records, seq)
        newest = seal.sealed(forged[-1], None)
        for forgery in (head, newest, replace(head, hash=newest.hash), seal.sealed(forged[-1], b"another key")):
            file = made_whole(forged, forgery)
            assert not verified(file).is_whole
            assert not verified(file, key=None, against=head).is_whole
    assert verified(made_whole(records, head)).is_whole


@given(st.data())
def test_lines_that_are_left_out_doubled_or_swapped_are_found(data: st.DataObject) -> None:
    lines = file_of(ledger_of(6)).splitlines(keepends=True)
    changed = data.draw(st.lists(st.sampled_from(lines), min_size=0, max_size=10))
    assert verified(b"".join(changed)).is_whole is (changed == lines)


@given(st.binary(max_size=200))
def test_what_is_no_export_is_told_and_nothing_else_happens(noise: bytes) -> None:
    assert not verified(noise).is_whole
    with pytest.raises(RegistryError):
        head_in(lines_in(BytesIO(noise)))


@pytest.mark.parametrize(
    "last",
    ['{"head":{"hash":1,"key_id":"","mac":"","seq":3}}', '{"head":{}}', '{"head":[]}', "[]", "1", "[" * 100_000],
)
def test_a_last_line_of_other_types_is_told(small: bytes, last: str) -> None:
    lines = small.splitlines(keepends=True)
    assert not verified(b"".join([*lines[:-1], last.encode() + b"\n"])).is_whole
    assert not verified(b"".join([lines[0], last.encode() + b"\n", *lines[1:]])).is_whole


def test_a_head_alone_is_exported_and_compared_with_later() -> None:
    ledger = ledger_of(3)
    head = head_in(lines_in(BytesIO("".join(exported_head(ledger, at=NOW)).encode())))
    assert head == ledger.head()

    assert verified(file_of(ledger_of(5)), against=head).is_whole
    older, other = file_of(ledger_of(2)), file_of(ledger_of(5, key=b"made anew"))
    assert "the ledger is an older copy" in verified(older, against=head).faults[0].what
    (fault,) = verified(made_whole(recomputed(ledger.verdicts(), 3), None), key=None, against=head).faults
    assert fault.what == "it has another hash than in the earlier head: the ledger was written anew"
    assert verified(other, key=b"made anew", against=head).is_whole, "same records, another key: the same ledger"


def test_what_is_written_while_it_is_exported_is_left_to_the_next_export() -> None:
    ledger = ledger_of(3)
    lines = exported(ledger, at=NOW)
    parts = [next(lines)]
    ledger.record(Verdict(pipeline="bikes", subject="x", outcome="fine", reasons=(), data_time=NOW), actor="monitor")
    assert verified("".join([*parts, *lines]).encode()).records == 3


def test_a_thousand_records_are_verified_in_a_second(thousand: bytes) -> None:
    began = time.perf_counter()
    assert verified(thousand).is_whole
    assert time.perf_counter() - began < 5
