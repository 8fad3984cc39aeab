"""The sealed head: golden values, computed with OpenSSL's command line, and what each key says of a seal."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import seal
from registry.chain import draft
from registry.ledger import Head, Recorded
from validation.verdict import Verdict

KEY = b"0123456789abcdef"
NOW = datetime(2013, 4, 1, tzinfo=UTC)
MAC = "e153bae48e1fcc426c79417ff6b553fe5069dd8a59d4e8d00a3fb610dc9f5adc"


def record(outcome: str = "fine", seq: int = 1, prev_hash: str = "0" * 64) -> Recorded:
    verdict = Verdict(pipeline="flights", subject="week 1", outcome=outcome, reasons=("so",), data_time=NOW)
    return draft(verdict, actor="monitor", seq=seq, prev_hash=prev_hash, recorded_at=NOW)


def test_the_seal_is_the_hmac_of_format_hash_and_number() -> None:
    """printf '{"format":"andon-head-1","hash":"abab...","seq":7}' | openssl dgst -sha256 -hmac 0123456789abcdef"""
    head = seal.sealed(replace(record(), seq=7, hash="ab" * 32), KEY)
    assert head == Head(
        seq=7,
        hash="ab" * 32,
        mac="e153bae48e1fcc426c79417ff6b553fe5069dd8a59d4e8d00a3fb610dc9f5adc",
        key_id="c8d36ac91ad0075d",
    )


@pytest.mark.parametrize(
    ("head", "key", "state"),
    [
        (seal.sealed(record(), KEY), KEY, "right"),
        (seal.sealed(record(), KEY), None, "no key"),
        (seal.sealed(record(), KEY), KEY + b"g", "other key"),
        (seal.sealed(record(), None), KEY, "none"),
        (replace(seal.sealed(record(), KEY), seq=2), KEY, "wrong"),
        (replace(seal.sealed(record(), KEY), hash="cd" * 32), KEY, "wrong"),
        (replace(seal.sealed(record(), KEY), mac="é"), KEY, "wrong"),
    ],
)
def test_what_a_key_says_of_a_seal(head: Head, key: bytes | None, state: str) -> None:
    assert seal.state(head, key) == state


@given(key=st.binary(min_size=1, max_size=80), other=st.binary(min_size=1, max_size=80), seq=st.integers(1, 10**12))
def test_only_the_same_key_makes_the_same_seal(key: bytes, other: bytes, seq: int) -> None:
    head = seal.sealed(replace(record(), seq=seq), key)
    assert seal.state(head, key) == "right"
    same = key.ljust(64, b"\0") == other.ljust(64, b"\0")  # HMAC fills short keys up with zeros
    forged = replace(seal.sealed(replace(record(), seq=seq), other), key_id=head.key_id)
    assert (seal.state(forged, key) == "right") is same


def test_an_append_needs_the_record_that_the_head_names() -> None:
    newest = record()
    tail = seal.Tail(newest=newest, head=seal.sealed(newest, KEY))
    (following,) = seal.extended(tail, [_note()], actor="monitor", key=KEY, now=NOW)
    assert (following.seq, following.prev_hash) == (2, newest.hash)


def test_the_first_key_of_a_ledger_with_records_is_told_by_a_record_of_its_own() -> None:
    newest = record()
    for head in (None, seal.sealed(newest, None)):
        told, following = seal.extended(
            seal.Tail(newest=newest, head=head), [_note()], actor="monitor", key=KEY, now=NOW
        )
        assert (told.kind, told.pipeline, told.subject, told.outcome) == ("seal", "*", "1", "sealed")
        assert following.seq == 3
    (first,) = seal.extended(seal.Tail(newest=None, head=None), [_note()], actor="monitor", key=KEY, now=NOW)
    assert (first.seq, first.kind) == (1, "note")


def _note() -> Verdict:
    return Verdict(pipeline="flights", subject="week 2", outcome="fine", reasons=(), data_time=NOW)
