"""`andon snapshot`: what people and scripts read about what models have learned from."""

import json
import shutil

import pytest

from andon.cli.snapshots import app
from andon.settings import Settings
from tasks.site import open_sites
from tests.unit.lake_world import End, Lake, Trip, day
from tests.unit.shell import Shell


@pytest.fixture
def lake(andon: Shell) -> Lake:
    """Version 1 has learned from two trips, version 2 from three: one is corrected, one relabelled, one new."""
    andon.home.mkdir(parents=True)
    (site,) = open_sites("trips", Settings())
    lake = Lake(site=site, work=andon.home)
    lake.trips(Trip("a", day(0)), Trip("b", day(1), zone="south"), came=day(2))
    lake.ends(End("a", late=True, known_at=day(1)), End("b", late=True, known_at=day(2)), came=day(2))
    lake.learn("1", as_of=day(3))
    lake.trips(Trip("a", day(0), distance=2.5), Trip("c", day(2)), came=day(4))
    lake.ends(End("b", late=False, known_at=day(3)), End("c", late=False, known_at=day(3)), came=day(4))
    lake.learn("2", as_of=day(5))
    return lake


def test_a_snapshot_is_described_and_taken_again(andon: Shell, lake: Lake) -> None:
    ran = andon("snapshot", "show", "trips", "--version", "1")
    assert ran.code == 0, ran.err
    assert "rows: 2" in ran.err
    assert "batches labels: 1 rows: 1" in ran.err
    assert "columns: distance, late, started_at, trip_id, zone" in ran.err
    assert ran.err.endswith("versions: 1 the lake still gives it, to the last value")
    told = json.loads(andon("snapshot", "show", "trips", "1", "--json").out)
    assert (told["is_same"], told["remarks"], told["versions"]) == (True, [], ["1"])
    snapshot = told["snapshot"]
    assert (snapshot["rows"], snapshot["batches"], snapshot["as_of"]) == (
        2,
        {"rows": "1", "labels": "1"},
        "2013-04-04T00:00:00Z",
    )
    by_id = json.loads(andon("snapshot", "show", "trips", snapshot["id"][:8], "--json").out)
    assert by_id == told
    assert snapshot["id"] == lake.site.ledger.verdicts("trips", kind="snapshot")[0].subject


def test_what_would_be_learned_now_or_then_is_shown_and_not_written_down(andon: Shell, lake: Lake) -> None:
    then = json.loads(andon("snapshot", "show", "trips", "--as-of", "2013-04-04", "--json").out)
    assert (then["is_same"], then["versions"], then["snapshot"]["rows"]) == (None, ["1"], 2)
    now = json.loads(andon("snapshot", "show", "trips", "--json").out)
    assert (now["versions"], now["snapshot"]["rows"]) == (["2"], 3)
    assert len(lake.site.ledger.verdicts("trips", kind="snapshot")) == 2


def test_what_was_known_only_later_is_told(andon: Shell, lake: Lake) -> None:
    ran = andon("snapshot", "show", "trips", "--as-of", "2013-04-02")
    assert ran.code == 1
    assert "RefusedError: no row was known at 2013-04-02 00:00: 4 rows are known only since 2013-04-03 00:00" in ran.err
    assert lake.site.name == "trips"


def test_rows_without_a_mature_label_are_described_and_the_reason_is_told(andon: Shell) -> None:
    andon.home.mkdir(parents=True)
    (site,) = open_sites("trips", Settings())
    Lake(site=site, work=andon.home).trips(Trip("a", day(0)), came=day(2))
    ran = andon("snapshot", "show", "trips")
    assert ran.code == 0
    assert "rows: 0 unlabelled: 1 missing: 1 coverage: 0" in ran.err
    assert ran.err.endswith("no accepted row has a mature label yet; land batches and labels, then: andon ingest trips")


def test_a_lake_that_gives_something_else_is_told(andon: Shell, lake: Lake) -> None:
    """Another hand has emptied the labels."""
    shutil.rmtree(lake.site.lake.labels("trips").path)
    ran = andon("snapshot", "show", "trips", "--version", "2")
    assert ran.code == 1
    assert ran.err.endswith("the lake gives something else now rows: 3 then, 0 now unlabelled: 0 then, 3 now")
    shutil.rmtree(lake.site.lake.curated("trips").path)
    gone = andon("snapshot", "show", "trips", "--version", "2")
    assert (gone.code, "there is no table of rows at" in gone.err) == (1, True)


def test_another_definition_is_told(andon: Shell, lake: Lake) -> None:
    path = andon.home.parent / "pipelines" / "trips.py"
    path.write_text(path.read_text().replace('name="trips"', 'name="trips", owner="ann"'))
    ran = andon("snapshot", "show", "trips", "--version", "2")
    assert ran.code == 0
    assert "the lake still gives it" in ran.err
    assert "the pipeline's definition is another one now: a retrain would give these rows another id" in ran.err
    assert lake.site.name == "trips"


def test_two_snapshots_are_compared(andon: Shell, lake: Lake) -> None:
    found = json.loads(andon("snapshot", "diff", "trips", "1", "2", "--json").out)
    difference = found["difference"]
    counts = {name: difference[name] for name in ("added", "removed", "corrected", "relabelled", "columns")}
    assert counts == {"added": 1, "removed": 0, "corrected": 1, "relabelled": 1, "columns": {"distance": 1}}
    assert difference["batches"] == [{"batch": 1, "before": 2, "after": 1}, {"batch": 2, "before": 0, "after": 2}]
    assert found["remarks"] == []
    ids = [item.subject for item in lake.site.ledger.verdicts("trips", kind="snapshot")]
    assert [found["before"], found["after"]] == ids

    told = andon("snapshot", "diff", "trips", ids[0][:10], ids[1][:10]).err
    assert told.startswith(
        f"{ids[0][:12]} -> {ids[1][:12]} rows 2 -> 3: 1 added, 0 removed, 1 corrected, 1 with another"
    )
    assert "columns distance: 1 batches batch 1, before 2, after 1 batch 2, before 0, after 2" in told
    assert "key a, column distance, before 1.0, after 2.5" in told
    assert "key b, column late, before True, after False" in told
    assert "0 added, 0 removed, 0 corrected, 0 with another label" in andon("snapshot", "diff", "trips", "1", "1").err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["show", "trips", "zebra"], "trips has no recorded snapshot 'zebra'; the newest are"),
        (["show", "trips", "--version", "7"], "trips has no version '7'; see: andon history trips"),
        (["show", "trips", "1", "--as-of", "2013-04-04"], "name one thing only: an ID, --version or --as-of"),
        (["diff", "trips", "1", "zebra"], "trips has no recorded snapshot 'zebra'"),
        (["show", "nope"], "there is no pipeline 'nope'; known are: trips"),
    ],
)
def test_a_wrong_request_ends_with_code_2(andon: Shell, lake: Lake, words: list[str], message: str) -> None:
    ran = andon("snapshot", *words)
    assert ran.code == 2
    assert message in ran.err
    assert lake.site.name == "trips"


def test_the_commands_explain_themselves(andon: Shell) -> None:
    assert app.info.help
    ran = andon("snapshot", "--help")
    assert ran.code == 0
    assert "show" in ran.out + ran.err
