"""What is a database's own: its view and ledger of runs, who may read it, and how it is when it fails."""

import logging
import socket
import sqlite3
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import polars as pl
import psycopg
import pytest
from pydantic import SecretStr

from andon.processes import free_port
from storage.publishing.database import DatabaseChannel, open_database
from storage.publishing.port import Frames
from tests.contract.publisher_promises import KEY, predictions, rows_of, run, told
from tests.contract.test_publishers import Postgres, Sqlite
from tests.postgres import create_schema
from validation.errors import AndonError, DefinitionError, RefusedError, ServiceDownError

SECRET = "T0PS3CRET"  # noqa: S105


def channel(url: str, *, table: str = "scores", seconds: float = 1) -> DatabaseChannel:
    return open_database(SecretStr(url), table, key=KEY, seconds=seconds)


@pytest.fixture
def url(database: str) -> str:
    return create_schema(database)


@pytest.fixture(params=["postgres", "sqlite"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Postgres | Sqlite:
    if request.param == "sqlite":
        return Sqlite(tmp_path / "delivery.db")
    return Postgres(create_schema(request.getfixturevalue("database")))


def ask(world: Postgres | Sqlite, sql: str) -> list[tuple[object, ...]]:
    if isinstance(world, Sqlite):
        with closing(sqlite3.connect(world.path)) as connection:
            return connection.execute(sql).fetchall()
    with psycopg.connect(world.url) as other:
        return other.execute(sql).fetchall()


def test_the_view_has_the_newest_row_of_each_key_of_a_pipeline(world: Postgres | Sqlite) -> None:
    """By when it was scored; of those that were scored at once, the greater sequence."""
    later = pl.col("scored_at") + timedelta(hours=1)
    early, late, other = run("r1", "day 1", 5), run("r2", "day 2"), run("r3", "day 3", pipeline="flights")
    for one, moved in ((late, True), (early, False), (other, False)):
        rows = rows_of(one, 2).with_columns(scored_at=later if moved else pl.col("scored_at"))
        world.channel().publish(one, Frames([rows]))
    world.channel().publish(again := run("r4", "day 4", 9, pipeline="flights"), Frames([rows_of(again, 1)]))
    found = ask(world, "SELECT pipeline, id, run_id FROM scores_latest ORDER BY 1, 2")
    assert found == [("bikes", "k0", "r2"), ("bikes", "k1", "r2"), ("flights", "k0", "r4"), ("flights", "k1", "r3")]


def test_the_ledger_of_runs_tells_what_came_when(world: Postgres | Sqlite) -> None:
    for one in (run("r1"), run("r2", sequence=1)):
        world.channel().publish(one, predictions(one))
    columns = "table_name, run_id, pipeline, partition, sequence, rows, model_versions"
    assert ask(world, f"SELECT {columns} FROM andon_runs WHERE published_at IS NOT NULL ORDER BY 2") == [  # noqa: S608
        ("scores", "r1", "bikes", "day 1", 0, 3, "7"),
        ("scores", "r2", "bikes", "day 1", 1, 3, "7"),
    ]


def test_lookups_by_key_and_replacements_use_an_index(world: Postgres | Sqlite) -> None:
    world.channel().publish(run(), predictions(run()))
    catalogue = (
        "pg_indexes" if isinstance(world, Postgres) else "(SELECT name AS indexname FROM pragma_index_list('scores'))"
    )
    found = {name for (name,) in ask(world, f"SELECT indexname FROM {catalogue}")}  # noqa: S608
    assert {"scores_by_key", "scores_by_partition"} <= found


def test_another_key_makes_another_view(world: Postgres | Sqlite) -> None:
    """Of a definition that was changed."""
    world.channel().publish(run(), Frames([rows_of(run()).with_columns(town=pl.lit("it's */ \\"))]))
    assert ask(world, "SELECT count(*) FROM scores_latest") == [(3,)]
    place = world.url if isinstance(world, Postgres) else f"sqlite:///{world.path}"
    for key, number in ((["town"], 1), (["town", "id"], 3), (["town", "id"], 3)):
        changed = open_database(SecretStr(place), "scores", key=key, seconds=10)
        assert changed.publish(run(), predictions_in_town()).repeated
        assert ask(world, "SELECT count(*) FROM scores_latest") == [(number,)]


def predictions_in_town() -> Frames:
    return Frames([rows_of(run()).with_columns(town=pl.lit("x"))])


def test_a_view_gains_new_columns_and_keeps_its_readers(url: str) -> None:
    world = Postgres(url)
    world.channel().publish(run(), predictions(run()))
    with psycopg.connect(url) as connection:
        connection.execute("GRANT SELECT ON scores_latest TO PUBLIC")
    other = run("r2", "day 2")
    world.channel().publish(other, Frames([rows_of(other).with_columns(band=pl.lit("high"))]))
    assert ask(world, "SELECT DISTINCT band FROM scores_latest") == [("high",)]
    readers = "SELECT relacl::text LIKE '%=r/andon%' FROM pg_class WHERE oid = 'scores_latest'::regclass"
    assert ask(world, readers) == [(True,)]


def test_a_column_of_a_persons_own_is_left_alone(url: str) -> None:
    world = Postgres(url)
    world.channel().publish(run(), predictions(run()))
    with psycopg.connect(url) as connection:
        connection.execute("ALTER TABLE scores ADD COLUMN seen boolean NOT NULL DEFAULT false")
    world.channel().publish(other := run("r2", "day 2"), predictions(other))
    assert ask(world, "SELECT DISTINCT seen FROM scores") == [(False,)]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ("CREATE TABLE scores (id text, amount integer)", "it has no column partition, pipeline, run_id"),
        ("CREATE TABLE scores (id bigint)", "'id' is text, bigint there; name another table"),
    ],
)
def test_a_table_that_is_somebody_elses_is_refused(url: str, made: str, message: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(made)
    with pytest.raises(RefusedError, match=message):
        channel(url).publish(run(), predictions(run()))


def test_text_that_a_database_cannot_hold_is_refused(url: str) -> None:
    rows = rows_of(run(), 1).with_columns(id=pl.lit("a\0b"))
    with pytest.raises(RefusedError, match="invalid byte sequence"):
        channel(url, seconds=10).publish(run(), Frames([rows]))


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mysql://andon:T0PS3CRET@host/db", "got one that begins with mysql://"),
        ("T0PS3CRET", "got something else"),
        ("postgresql+psycopg://andon:T0PS3CRET@host/db", r"begins with postgresql\+psycopg://"),
        ("postgresql://andon:T0PS3CRET%zz@host/db", "is no URL"),
        ("postgresql://andon:T0PS3CRET#@host/db", "is no URL"),
        ("postgresql://andon:x@host/db?T0PS3CRET", "is no URL"),
        ("sqlite:///", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
    ],
)
def test_what_is_no_database_is_told_without_the_secret(url: str, told: str) -> None:
    with pytest.raises(DefinitionError, match=told) as refused:
        channel(url)
    assert SECRET not in "".join(traceback.format_exception(refused.value))


def test_andons_own_tables_are_no_place_for_predictions(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="andon_runs"):
        channel(f"sqlite:///{tmp_path}/x.db", table="andon_runs")


@pytest.mark.parametrize(
    ("dtype", "message"),
    [(pl.UInt64, "no type for 'odd' is UInt64"), (pl.Time, "'odd' is Time"), (pl.Null, "'odd' is Null")],
)
def test_types_that_a_database_has_not_are_refused(tmp_path: Path, dtype: pl.DataType, message: str) -> None:
    rows = rows_of(run()).with_columns(odd=pl.Series([None] * 3, dtype=dtype))
    with pytest.raises(DefinitionError, match=message):
        channel(f"sqlite:///{tmp_path}/x.db").publish(run(), Frames([rows]))


@pytest.mark.parametrize("name", ["x" * 64, "ID"])
def test_names_that_a_database_would_mistake_are_refused(tmp_path: Path, name: str) -> None:
    rows = rows_of(run()).with_columns(pl.lit(1).alias(name))
    with pytest.raises(DefinitionError, match="rename"):
        channel(f"sqlite:///{tmp_path}/x.db").publish(run(), Frames([rows]))


def wrong(url: str, kind: str) -> str:
    base = url.partition("?")[0]
    server, _, name = base.rpartition("@")[2].partition("/")
    return {
        "password": f"postgresql://andon:{SECRET}@{server}/{name}",
        "database": base.replace(name, "elsewhere"),
        "port": f"postgresql://andon:{SECRET}@127.0.0.1:{free_port()}/{name}",
        "option": f"{base}?sslpassword={SECRET}&sslmode=nonsense",
        "ssl": f"{base}?sslmode=require",
    }[kind]


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("password", RefusedError, "password authentication failed"),
        ("database", RefusedError, "does not exist"),
        ("port", ServiceDownError, "Connection refused"),
        ("option", AndonError, "sslmode"),
        ("ssl", AndonError, "SSL"),
    ],
)
def test_a_server_that_cannot_be_reached_is_told_and_no_secret_is(
    url: str, kind: str, error: type[AndonError], message: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(error, match=message) as failed:
        channel(wrong(url, kind), seconds=10).publish(run(), predictions(run()))
    password = url.partition("andon:")[2].partition("@")[0]
    shown = "".join(traceback.format_exception(failed.value)) + caplog.text
    assert SECRET not in shown
    assert password not in shown


def test_a_password_is_told_nowhere_even_where_the_servers_words_hold_it(url: str) -> None:
    same = url.replace(url.partition("andon:")[2].partition("@")[0], "andon")
    with pytest.raises(RefusedError, match=r'password authentication failed for user "\*\*\*"'):
        channel(same, seconds=10).publish(run(), predictions(run()))


def test_whoever_waits_for_another_publisher_gives_up_in_time(url: str) -> None:
    with psycopg.connect(url) as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtextextended('andon/scores', 0))")
        with pytest.raises(ServiceDownError, match="lock timeout"):
            channel(url).publish(run(), predictions(run()))
    assert channel(url).publish(run(), predictions(run())).rows == 3


def test_another_writer_of_sqlite_is_waited_for_no_longer_than_allowed(tmp_path: Path) -> None:
    world = Sqlite(tmp_path / "delivery.db")
    with closing(sqlite3.connect(world.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ServiceDownError, match="try again later"):
            channel(f"sqlite:///{world.path}", seconds=0.1).publish(run(), predictions(run()))
    world.channel().publish(run(), predictions(run()))
    assert len(told(world)) == 3


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database, " * 100)
    with pytest.raises(RefusedError, match="not a database"):
        channel(f"sqlite:///{tmp_path}/notes.txt").publish(run(), predictions(run()))


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(RefusedError, match="see that the folder can be written"):
        channel(f"sqlite:///{tmp_path}/notes.txt/x.db").publish(run(), predictions(run()))


@contextmanager
def silent(upstream: str, *, after: int) -> Iterator[str]:
    """The URL of a way to the server that swallows all it gets once so many bytes have passed to the server."""
    server = upstream.rpartition("@")[2].partition("/")[0]
    host, port = server.split(":")
    listening = socket.create_server(("127.0.0.1", 0))
    sockets: list[socket.socket] = [listening]

    def pump(source: socket.socket, target: socket.socket, left: float) -> None:
        try:
            while data := source.recv(65536):
                left -= len(data)
                if left >= 0:
                    target.sendall(data)
        except OSError:
            pass

    def accept() -> None:
        try:
            while True:
                client, _ = listening.accept()
                behind = socket.create_connection((host, int(port)))
                sockets.extend([client, behind])
                threading.Thread(target=pump, args=(client, behind, after), daemon=True).start()
                threading.Thread(target=pump, args=(behind, client, float("inf")), daemon=True).start()
        except OSError:
            pass

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield upstream.replace(server, f"127.0.0.1:{listening.getsockname()[1]}")
    finally:
        for item in sockets:
            with suppress(OSError):
                item.shutdown(socket.SHUT_RDWR)
            item.close()


@pytest.mark.slow
@pytest.mark.parametrize("after", [0, 2_500, 30_000], ids=["at first", "early", "midway"])
def test_a_server_that_falls_silent_is_given_up_in_time(url: str, after: int) -> None:
    big = run("r2", sequence=1)
    channel(url, seconds=10).publish(run(), predictions(run()))
    with silent(url, after=after) as way:
        began = time.monotonic()
        with pytest.raises(ServiceDownError, match=r"no answer within 1 s|timeout"):
            channel(way).publish(big, Frames([rows_of(big, 1_000)]))
        assert time.monotonic() - began < 20
    assert len(told(Postgres(url))) == 3
    assert channel(url, seconds=30).publish(big, predictions(big)).rows == 3
