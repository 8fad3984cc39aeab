import asyncio
import re
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from modelling.bundle import load
from modelling.encoding import UnknownLevelError
from modelling.loadcheck import LoadCheck, check_in_fresh_process
from modelling.training import fit
from registry.ledger import Champion, Change
from serving.http.desk import INLINE_ROWS
from serving.loadcheck import AnswerError, Client, NoLog, _ask, check
from serving.requests.decoding import RowsDecoder
from serving.requests.rows import Rows
from serving.slot import Served
from tests.unit.modelling_world import FAST, pipeline_in, rides
from tests.unit.test_bundle import written

NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)
CHATTY = """
import os, subprocess
print("a line of the definition")
os.write(1, b"and one past Python")
subprocess.Popen(["sleep", "20"])  # holds the outputs open
"""
ONLY_IN_THE_MAIN_THREAD = """
import threading
assert_main, plain = lambda: threading.current_thread() is threading.main_thread() or 1 / 0, PIPELINE.features
PIPELINE = type("Pipeline", (), {"features": staticmethod(lambda rides: [assert_main(), plain(rides)][1])})
"""


def bundled(folder: Path, definition: str | None = None, *, more: str = "") -> str:
    pipeline = pipeline_in(folder.parent)
    model = fit(pipeline.spec, rides(), FAST, seed=7, threads=1)
    return written(folder, model, definition or pipeline.module_source + more)


def test_a_good_bundle_answers_in_a_fresh_process_from_any_folder_whatever_it_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256 = bundled(tmp_path / "bundle", more=CHATTY)
    (tmp_path / "polars.py").write_text("raise RuntimeError('shadowed')")
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    checked = check_in_fresh_process(Path("bundle"), sha256, timeout=120)
    assert (checked.ok, checked.error) == (True, "")
    assert 0 < checked.latency_ms <= checked.latency_p95_ms < 1_000
    assert 0 < checked.size_mb < 1
    assert sorted(tmp_path.rglob("*")) == before, "the check writes nothing"


@pytest.mark.parametrize(
    ("definition", "error"),
    [
        ("import os; os.abort()", "the process was ended by SIGABRT: nothing on stderr"),
        ("import os; os._exit(0)", "the process ended with code 0 and no answer: nothing on stderr"),
        ("import time; time.sleep(600)", "no answer within 3 s"),
    ],
)
def test_a_bundle_that_crashes_ends_or_hangs_is_told_and_not_raised(
    tmp_path: Path, definition: str, error: str
) -> None:
    sha256 = bundled(tmp_path / "bundle", definition)
    checked = check_in_fresh_process(tmp_path / "bundle", sha256, timeout=3 if "sleep" in definition else 120)
    assert checked == LoadCheck(ok=False, error=error)


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ("import nowhere", "BundleError: .*cannot be executed: ModuleNotFoundError"),
        ("raise SystemExit(3)", "BundleError: .*cannot be executed: SystemExit"),
        (
            ONLY_IN_THE_MAIN_THREAD,
            "AnswerError: many golden rows as dataframe_records: the engine answers 500 .* expected predictions",
        ),
    ],
)
def test_a_bundle_that_does_not_answer_is_told_and_not_raised(tmp_path: Path, more: str, error: str) -> None:
    checked = check(tmp_path / "bundle", bundled(tmp_path / "bundle", more=more))
    assert not checked.ok
    assert re.search(error, checked.error), checked.error


def test_other_bytes_than_those_asked_for_are_told(tmp_path: Path) -> None:
    bundled(tmp_path / "bundle")
    assert "expected 000000000000" in check(tmp_path / "bundle", "0" * 64).error


def test_golden_rows_that_the_definition_refuses_are_left_out(tmp_path: Path) -> None:
    """The model knows no west, where some of the golden rows stop."""
    pipeline = pipeline_in(tmp_path)
    strict = 'task="binary", serving=Serving(on_unknown="refuse")'
    definition = pipeline.module_source.replace("import Labels", "import Serving, Labels")
    model = fit(pipeline.spec, rides().filter(pl.col("stop") != "west"), FAST, seed=7, threads=1)
    sha256 = written(tmp_path / "bundle", model, definition.replace('task="binary"', strict))
    checked = check(tmp_path / "bundle", sha256)
    assert (checked.ok, checked.error) == (True, "")
    bundle = load(tmp_path / "bundle")
    west = tuple(row for row in bundle.manifest.golden_rows if row["stop"] == "west")
    only_west = replace(
        bundle.manifest, golden_rows=west, golden_predictions=bundle.manifest.golden_predictions[: len(west)]
    )
    with pytest.raises(AnswerError, match="refuses all of its golden rows; train anew"):
        asyncio.run(_ask(replace(bundle, manifest=only_west)))


class Model:
    """Answers the wind, divides by it where it is below 0, and does not know a storm."""

    def __init__(self, *, is_direct: bool = True) -> None:
        self.is_direct = is_direct

    def predict_values(self, columns: Sequence[Sequence[Any]]) -> list[float]:
        if any(wind < 0 for wind in columns[0]):
            raise ZeroDivisionError("no wind is below 0")
        if any(wind > 1e4 for wind in columns[0]):
            raise UnknownLevelError("column 'wind', row 0: it is a storm; send less")
        return list(columns[0])


class Guessing(RowsDecoder):
    """A decoder that takes what is no value for none."""

    def decode(self, body: bytes) -> Rows:
        return super().decode(body.replace(b"{}", b'{"wind":1.0}'))


def asked(ask: str, request: dict[str, Any], *given: Any, is_direct: bool = True) -> None:
    change = Change(
        pipeline="rides", kind="promotion", version="1", bundle_sha256="", trained_until=NOON, why="", data_time=NOON,
        actor="",
    )  # fmt: skip
    champion = Champion(epoch=1, change=change, from_version=None, recorded_at=NOON)
    decoder = Guessing({"wind": pl.Float64()}, required=())
    served = Served(
        champion=champion, loaded_at=NOON, decoder=decoder, predictor=Model(is_direct=is_direct), log=NoLog()
    )

    async def run(pool: ThreadPoolExecutor) -> None:
        asking: Coroutine[Any, Any, None] = getattr(Client(served, pool), ask)(request, *given, what="a row")
        await asking

    with ThreadPoolExecutor(1) as pool:
        asyncio.run(run(pool))


@pytest.mark.parametrize("is_direct", [True, False])
@pytest.mark.parametrize("rows", [1, INLINE_ROWS, 2_000])
def test_an_answer_may_come_by_any_way_that_the_server_takes(rows: int, is_direct: bool) -> None:  # noqa: FBT001
    records = [{"wind": 2.0 + row} for row in range(rows)]
    asked("expect", {"dataframe_records": records}, [(2.0 + row,) for row in range(rows)], is_direct=is_direct)


def test_an_answer_must_hold_the_predictions_that_were_stored() -> None:
    asked("expect", {"dataframe_records": [{"wind": 2.0}]}, [(2.0,)])
    with pytest.raises(AnswerError, match=r"a row: the engine's predictions are 1 away from what was stored; train an"):
        asked("expect", {"dataframe_records": [{"wind": 2.0}]}, [(1.0,)])
    with pytest.raises(AnswerError, match=r"a row: the engine answers 422 .*column 'wind'.*, expected predictions"):
        asked("expect", {"dataframe_records": [{"wind": "2"}]}, [(2.0,)])
    with pytest.raises(ZeroDivisionError, match="no wind is below 0"):
        asked("expect", {"dataframe_records": [{"wind": -2.0}]}, [(2.0,)])


def test_a_request_that_breaks_the_contract_must_be_refused() -> None:
    asked("expect_refusal", {"dataframe_records": [{"wind": "strong"}]})
    with pytest.raises(AnswerError, match=r"a row: the engine answers 200 .*predictions.*, expected a refusal \(422\)"):
        asked("expect_refusal", {"dataframe_records": [{}]})
    with pytest.raises(AnswerError, match=r"a row: the engine answers 500 .*, expected a refusal"):
        asked("expect_refusal", {"dataframe_records": [{"wind": -2.0}]})
