"""What a log may not keep never reaches the disk, and the monitor does not take the mask for drift."""

import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from andon.settings import Settings
from storage.log_keeper import LogKeeper, Shadow
from storage.masking import LogPolicy, keyed_hash, needed_columns
from storage.prediction_log import PredictionLog, count_requests, read_predictions
from storage.segment import read_logged
from validation.serving import Serving

NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)
KEY = b"a key of this test"
SCHEMA: dict[str, pl.DataType] = {
    "id": pl.Int64(),
    "name": pl.String(),
    "card": pl.String(),
    "born": pl.Date(),
    "salary": pl.Float64(),
}
POLICY = LogPolicy(left_out=("name", "born", "salary"), hashed=("card",), key=KEY)


def test_the_hash_is_that_of_openssl() -> None:
    """printf AA | openssl dgst -sha256 -hmac 'a key of this test': the first 32 characters."""
    assert keyed_hash(KEY, "AA") == "08082a608b1437cd4020bf838f5dce4c"
    assert keyed_hash(KEY, "AA") != keyed_hash(b"another key of this test", "AA")


def test_columns_are_hashed_only_with_a_key() -> None:
    with pytest.raises(ValueError, match="hashed with a key"):
        LogPolicy(hashed=("card",))
    assert "test" not in repr(POLICY), "a key is not printed"


@settings(max_examples=50)
@given(
    names=st.lists(st.none() | st.text(st.characters(codec="utf-8")), max_size=5),
    policy=st.sampled_from(
        [POLICY, LogPolicy(), LogPolicy(left_out=("card", "gone")), LogPolicy(hashed=("name",), key=KEY)]
    ),
)
def test_plain_values_are_masked_like_frames(names: list[str | None], policy: LogPolicy) -> None:
    columns: list[Sequence[Any]] = [range(len(names)), names, names, [NOON.date()] * len(names), [0.5] * len(names)]
    frame = pl.DataFrame([list(column) for column in columns], schema=SCHEMA, orient="col")
    before = [list(column) for column in columns]
    masker = policy.masker(SCHEMA)
    masked = columns if masker is None else masker(columns)
    assert_frame_equal(policy.mask(frame), pl.DataFrame([list(one) for one in masked], schema=SCHEMA, orient="col"))
    assert policy.mask(frame).schema == frame.schema
    assert [list(column) for column in columns] == before, "the caller's values are not touched"


def test_a_left_out_value_never_reaches_the_disk_nor_does_a_hashed_one(tmp_path: Path) -> None:
    """Looked for byte by byte: in the open segment, in the closed one, in Parquet and among the shadow's scores."""
    secrets = [b"Rosa Luxemburg", b"DE89370400440532013000", np.float64(61234.5678).tobytes(), b"1871-03-05"]
    secrets.append(secrets[2][::-1])  # as MessagePack writes it

    def look() -> list[bytes]:
        content = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        assert keyed_hash(KEY, "DE89370400440532013000").encode() in content
        return [secret for secret in secrets if secret in content]

    row: list[list[Any]] = [
        [1],
        ["Rosa Luxemburg"],
        ["DE89370400440532013000"],
        [datetime(1871, 3, 5, tzinfo=UTC).date()],
        [61234.5678],
    ]
    frame = pl.DataFrame(row, schema=SCHEMA, orient="col")
    log = PredictionLog(tmp_path, SCHEMA, keep=POLICY, compacting=False)
    log.append("7", row, [0.5], prediction_id="x", at_us=1)
    log.write("7", frame, np.zeros(1), prediction_id="y", at=NOON)
    assert look() == []
    log.close()
    assert look() == []
    shadow = Shadow(version="8", predict=lambda rows: np.zeros(rows.height), needs=frozenset({"id"}))
    keeper = LogKeeper(tmp_path, shadows=lambda: [shadow])
    keeper.start()
    keeper.stop()
    (parquet,) = tmp_path.glob("*.parquet")
    assert look() == []
    found = pl.read_parquet(parquet)
    assert found.select("name", "born", "salary").null_count().row(0) == (2, 2, 2)
    assert found["card"].to_list() == [keyed_hash(KEY, "DE89370400440532013000")] * 2
    assert pl.read_parquet_metadata(parquet)["andon.log_masked"] == '["born", "card", "name", "salary"]'
    with PredictionLog(tmp_path / "plain", SCHEMA) as unmasked:
        unmasked.append("7", row, [0.5], prediction_id="x", at_us=1)
        (segment,) = (tmp_path / "plain").glob("*.segment")
        assert sum(secret in segment.read_bytes() for secret in secrets) == 4, "the search would have found them"


@pytest.mark.parametrize("by", ["append", "write"])
def test_a_request_is_kept_whole_or_not_at_all_and_the_rest_is_counted(tmp_path: Path, by: str) -> None:
    policy = LogPolicy(share=0.3)
    ids = [UUID(int=int.from_bytes(np.random.default_rng(n).bytes(16))).hex for n in range(300)]
    schema: dict[str, pl.DataType] = {"id": pl.Int64()}
    with PredictionLog(tmp_path, schema, keep=policy) as log:
        for number, one in enumerate(ids):
            if by == "append":
                assert log.append("7", [[number, number]], [0.5, 0.5], prediction_id=one, at_us=number)
            else:
                assert log.write("7", pl.DataFrame({"id": [number] * 2}), np.zeros(2), prediction_id=one, at=NOON)
        (segment,) = tmp_path.glob("*.segment")
        about = read_logged(segment)
    kept = [one for one in ids if policy.keeps(one)]
    assert 60 <= len(kept) <= 120, "three tenths of 300, within four standard deviations"
    found = read_predictions(tmp_path, schema, key=("prediction_id",), time="id")
    assert sorted(found["prediction_id"]) == sorted(f"{one}-{row}" for one in kept for row in (0, 1))
    assert (log.written, log.sampled_out, log.dropped) == (2 * len(kept), 600 - 2 * len(kept), 0)
    assert count_requests(tmp_path) == len(kept)
    assert about is not None
    assert about.share == 0.3
    (parquet,) = tmp_path.glob("*.parquet")
    assert pl.read_parquet_metadata(parquet)["andon.log_share"] == "0.3", "so that counts can be told"


def test_of_all_nothing_is_sampled_out_and_of_nothing_all() -> None:
    ids = [f"{number}" for number in range(1_000)]
    assert all(LogPolicy(share=1).keeps(one) for one in ids)
    assert not any(LogPolicy(share=0).keeps(one) for one in ids)
    fewer, more = (sum(LogPolicy(share=share).keeps(one) for one in ids) for share in (0.2, 0.4))
    assert 0 < fewer < more < 1_000
    assert all(LogPolicy(share=0.4).keeps(one) for one in ids if LogPolicy(share=0.2).keeps(one)), "a part of more"


def test_an_installation_has_one_key_which_its_owner_alone_may_read(tmp_path: Path) -> None:
    place = Settings(home=tmp_path)
    serving = Serving(log_share=0.5, log_leave_out=("name",), log_hash=("card",))
    first = LogPolicy.of(serving, place)
    assert (
        first
        == LogPolicy.of(serving, place)
        == LogPolicy(share=0.5, left_out=("name",), hashed=("card",), key=first.key)
    )
    assert len(first.key) == 64
    assert stat.S_IMODE((tmp_path / "log.key").stat().st_mode) == 0o600
    assert first.key not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.name != "log.key")
    assert LogPolicy.of(serving, place, share=1).share == 1
    other = Settings(home=tmp_path / "other")
    assert LogPolicy.of(Serving(log_leave_out=("name",)), other).key == b""
    assert not (tmp_path / "other").exists(), "without a hash no key is made"
    assert LogPolicy.of(serving, other).key != first.key


def test_the_columns_that_predictions_rest_on() -> None:
    def features(rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.drop("card").with_columns(age=2020 - pl.col("born").dt.year())

    whole = ["id", "name", "born", "salary", "age"]
    assert needed_columns(features, SCHEMA, whole) == {"id", "name", "born", "salary", "card"}, "card is named"
    assert needed_columns(features, SCHEMA, ["salary", "age"]) == {"salary", "born", "card"}
    assert needed_columns(lambda rows: rows.select("id", "salary"), SCHEMA, ["salary"]) == {"id", "salary"}
    assert needed_columns(lambda rows: rows, SCHEMA, ["salary"]) == {"salary"}
