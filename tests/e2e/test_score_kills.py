"""SIGKILL anywhere while a batch is scored and delivered: one more run ends it, and each row is everywhere once."""

import os
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from benchmarks.batch_world import NAME, accept, install, rows_of
from tests.e2e.audit import query
from tests.e2e.score_acts import run, site_of
from tests.e2e.world import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROWS = 1_000
WHILE_SCORING = ("started", "planned", "logged", "part", "predicted", "delivered", "recorded")
WHILE_FINISHING = ("redelivered", "finished")
POINTS = (*WHILE_SCORING, *WHILE_FINISHING)
ENV = {"ANDON_SCORE_ROWS": "300", "ANDON_LEASE_SECONDS": "1", "ANDON_ACTOR": "test"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with a champion and two batches that are to be scored, in four partitions each."""
    before = dict(os.environ)
    home = tmp_path_factory.mktemp("kills") / "home"
    site = install(home, trees=9, training_rows=3_000)
    for number in range(2):
        path = site.work / f"{number}.parquet"
        rows_of(number * ROWS, ROWS).drop("bad").write_parquet(path)
        accept(site, path)
        path.unlink()
    yield home
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def home(installed: Path, tmp_path: Path) -> Path:
    return shutil.copytree(installed, tmp_path / "home")


def kill(home: Path, point: str) -> None:
    log = home / "log"
    assert run(home, log, ANDON_KILL_AT=f"score.{point}", **ENV) == -signal.SIGKILL, log.read_text()
    held = "select 1 from andon_leases where holder != '' and expires_at > strftime('%Y-%m-%d %H:%M:%f', 'now')"
    wait_for("the lease to expire", lambda: not query(home, "ledger.db", held), seconds=30)


def go_on(home: Path) -> None:
    log = home / "log"
    assert run(home, log, **ENV) == 0, log.read_text()


def block_database(home: Path) -> Path:
    """Nobody can make the database: its place is taken by a folder."""
    (home / "delivery.db").mkdir()
    return home / "delivery.db"


def check(home: Path) -> None:
    """Each row of both batches is in the files, the database and the log once; nothing is left to do."""
    expected = list(range(2 * ROWS))
    files = pl.read_parquet(home / "lake" / "scores" / NAME / "*.parquet").sort("id")
    assert files["id"].to_list() == expected
    with closing(sqlite3.connect(home / "delivery.db")) as connection:
        kept = connection.execute(f"SELECT id, prediction, prediction_id FROM {NAME}_scores ORDER BY id").fetchall()  # noqa: S608
    assert kept == files.select("id", "prediction", "prediction_id").rows()
    logged = pl.read_parquet(home / "lake" / "predictions" / NAME / "*.parquet").sort("id")
    assert logged.select("id", "prediction", "prediction_id").rows() == kept
    told = query(home, "ledger.db", "select subject from andon_verdicts where kind = 'score' order by seq")
    assert [row["subject"] for row in told] == ["1", "2"]
    assert not [path for path in (home / "lake" / "outbox").rglob("*") if path.is_file()]
    assert not [path for path in (home / "work").iterdir() if not path.name.startswith("delivery-")]


@pytest.mark.parametrize("point", WHILE_SCORING)
def test_killed_while_it_scores_the_next_run_goes_on_where_it_was(home: Path, point: str) -> None:
    kill(home, point)
    outbox = home / "lake" / "outbox" / NAME / f"{NAME}-1"
    assert len(list(outbox.glob("part-*"))) == {"started": 0, "planned": 0, "logged": 0, "part": 1}.get(point, 4)
    go_on(home)
    check(home)


def test_killed_again_and_again_it_comes_to_its_end(home: Path) -> None:
    for point in ("part", "logged", "predicted", "delivered"):
        kill(home, point)
    go_on(home)
    check(home)


@pytest.mark.parametrize("point", WHILE_FINISHING)
def test_killed_while_it_finishes_what_a_channel_waited_for(home: Path, point: str) -> None:
    blocked = block_database(home)
    go_on(home)
    told = query(home, "ledger.db", "select outcome from andon_verdicts where kind = 'score'")
    assert [row["outcome"] for row in told] == ["pending"] * 2, "it holds up nothing"
    blocked.rmdir()
    kill(home, point)
    go_on(home)
    check(home)
    late = query(home, "ledger.db", "select subject, outcome from andon_verdicts where kind = 'delivery' order by seq")
    assert [tuple(row.values()) for row in late] == [("1", "delivered"), ("2", "delivered")]


def test_a_database_that_is_locked_waits_and_the_files_are_there(home: Path) -> None:
    """By somebody who writes into it and does not end."""
    site = site_of(home, ENV)
    assert site.settings.delivery.get_secret_value().endswith("delivery.db")
    with closing(sqlite3.connect(home / "delivery.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert run(home, home / "log", ANDON_REMOTE_SECONDS="0.5", **ENV) == 0
        told = query(home, "ledger.db", "select outcome, body from andon_verdicts where kind = 'score'")
        assert [row["outcome"] for row in told] == ["pending"] * 2
        other.execute("ROLLBACK")
    go_on(home)
    check(home)
