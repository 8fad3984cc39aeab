"""The on-ramp: each row that landed is curated once, or set aside with its reasons; none is lost, none is doubled."""

import hashlib
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from flows.ingest import ingest
from registry.ledger import Arrival
from storage import tables
from storage.address import Address
from storage.landing import arrived
from storage.quarantine import Quarantine
from storage.remote import Remote
from tasks.intake import intake_of
from tasks.leases import holding
from tasks.snapshots import take_snapshot
from tests.flows.world import World, at_once, day
from validation.verdict import Verdict

ROOT = Path(__file__).resolve().parents[2]
MONDAYS = (day(1, 3), day(1, 10), day(1, 17))


def outcomes(verdicts: tuple[Verdict, ...]) -> list[tuple[str, str]]:
    return [(verdict.subject, verdict.outcome) for verdict in verdicts]


def curated(world: World, pipeline: str = "bikes") -> pl.DataFrame:
    table = tables.scan(Address.of(world.lake / "curated" / pipeline), Remote())
    return pl.DataFrame() if table is None else table.drop("_known_at").collect()


def aside(world: World) -> Quarantine:
    """What is set aside of the bikes' rows."""
    return intake_of(world.site, "rows").quarantine


def with_bad_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """Row 3 too warm, row 100 too warm and at an hour that it is not, row 101 without weather."""
    at = pl.int_range(pl.len())
    return rows.with_columns(
        temp=pl.when(at.is_in([3, 100])).then(1.5).otherwise("temp"),
        hour=pl.when(at == 100).then((pl.col("hour") + 1) % 24).otherwise("hour"),
        weathersit=pl.when(at != 101).then("weathersit"),
    )


def test_labels_come_first_and_good_files_become_rows(empty: World) -> None:
    empty.land(0, 1)
    found = ingest("bikes", as_of=MONDAYS[0])
    assert outcomes(found) == [
        ("labels 2011-W01.parquet", "accept"),
        ("2010-W52.parquet", "accept"),
        ("2011-W01.parquet", "accept"),
    ]
    taken = curated(empty).sort("ts")
    assert taken.drop("_batch").equals(pl.concat([empty.rows(0), empty.rows(1)]))
    assert taken["_batch"].to_list() == [1] * 48 + [2] * 168
    spans = [batch.span for batch in empty.ledger.batches("bikes", kind="rows")]
    assert spans == [(day(1, 1), day(1, 2, 23)), (day(1, 3), day(1, 9, 23))]


def test_bad_rows_are_set_aside_as_they_came_with_place_and_rules(empty: World) -> None:
    bad = with_bad_rows(empty.rows(1))
    empty.put("bikes", "week.parquet", bad)
    (verdict,) = ingest("bikes", as_of=MONDAYS[0])
    assert verdict.outcome == "quarantine"
    (entry,) = aside(empty).entries()
    assert entry.rows is not None
    kept = pl.read_parquet(entry.rows.path).sort("_row")
    assert kept["_row"].to_list() == [3, 100, 101]
    assert [sorted(rules) for rules in kept["_rules"].to_list()] == [
        ["temp.in_range"],
        ["clock_and_calendar_agree", "temp.in_range"],
        ["weathersit.not_null"],
    ]
    assert kept.select(bad.columns).equals(bad[[3, 100, 101]])
    assert (
        curated(empty)
        .sort("ts")
        .drop("_batch")
        .equals(bad.with_row_index("at").filter(~pl.col("at").is_in([3, 100, 101])).drop("at"))
    )


def test_files_that_cannot_be_judged_are_kept_whole_with_the_reason(empty: World) -> None:
    good = empty.weeks[1].batch.read_bytes()
    text = empty.rows(1).with_columns(pl.col("temp").cast(pl.String))
    typed = empty.put("bikes", "typed.parquet", text)
    cut = empty.put("bikes", "cut.parquet", good[: len(good) // 2])
    spoilt = empty.put("bikes", "spoilt.parquet", empty.rows(1).with_columns(temp=pl.lit(2.0)))
    nothing = empty.put("bikes", "nothing.parquet", b"")
    stale = empty.put("bikes", "stale.parquet", empty.rows(0))
    found = ingest("bikes", as_of=day(1, 20))
    assert {verdict.outcome for verdict in found} == {"refuse"}
    kept = aside(empty).entries()
    entries = {entry.refusal.name: entry for entry in kept if entry.refusal}
    for path, said in (
        (typed, "temp"),
        (cut, "is not a whole Parquet file"),
        (spoilt, "temp.in_range"),
        (nothing, "is empty (0 bytes); upload it again"),
        (stale, "14 days"),
    ):
        entry = entries[path.name]
        assert entry.copy is not None
        assert entry.copy.path.read_bytes() == path.read_bytes()
        assert entry.refusal is not None
        assert said in " ".join(entry.refusal.reasons), path.name
    assert curated(empty).is_empty()


def test_running_again_and_an_upload_under_another_name_take_nothing_twice(empty: World) -> None:
    empty.land(0, 1)
    ingest("bikes", as_of=MONDAYS[0])
    before = curated(empty).height
    assert ingest("bikes", as_of=MONDAYS[1]) == ()
    empty.put("bikes", "again.parquet", empty.weeks[1].batch.read_bytes())
    assert outcomes(ingest("bikes", as_of=MONDAYS[1])) == [("again.parquet", "duplicate")]
    assert ingest("bikes", as_of=MONDAYS[1]) == ()
    assert curated(empty).height == before


def test_two_at_once_take_each_file_once(empty: World) -> None:
    empty.land(0, 1, 2)
    found = at_once(*[lambda: ingest("bikes", as_of=MONDAYS[1])] * 2)
    assert all(isinstance(verdicts, tuple) for verdicts in found), found
    ingest("bikes", as_of=MONDAYS[1])  # what both have left to the other
    assert (curated(empty).height, curated(empty)["ts"].n_unique()) == (384, 384)
    assert len(empty.told("contract")) == len(set(empty.told("contract"))) == 5


def test_while_another_takes_in_files_each_is_left_to_it(empty: World) -> None:
    empty.land(0)
    with holding(empty.site, "ingest"):
        (verdict,) = ingest("bikes", as_of=MONDAYS[0])
    assert verdict.reasons == ("another process is taking in files; 2010-W52.parquet is next",)
    assert empty.ledger.batches("bikes") == ()


def test_a_batch_that_was_claimed_by_a_process_that_died_is_finished(empty: World) -> None:
    empty.land(0)
    site = empty.site
    landed = empty.lake / "landing" / "bikes" / "2010-W52.parquet"
    (file,) = arrived(site.lake, "landing/bikes/*.parquet")
    digest = hashlib.sha256(landed.read_bytes()).hexdigest()
    (batch,) = site.ledger.claim_batches("bikes", "rows", [Arrival(name=file.name, sha256=digest, stamp=file.stamp)])
    rows = pl.scan_parquet(landed).with_columns(
        _batch=pl.lit(batch.number, pl.Int64), _known_at=pl.lit(MONDAYS[0], pl.Datetime("us", "UTC"))
    )
    marker = f"bikes/rows/{batch.number}"
    tables.append(site.lake.curated("bikes"), rows, markers=[marker], remote=Remote(), work=site.work)
    assert outcomes(ingest("bikes", as_of=MONDAYS[0])) == [("2010-W52.parquet", "accept")]
    assert curated(empty).height == 48


def test_a_key_that_another_batch_has_brought_keeps_its_first_row(empty: World) -> None:
    empty.land(0)
    ingest("bikes", as_of=MONDAYS[0])
    empty.put("bikes", "corrected.parquet", pl.concat([empty.rows(0)[-8:], empty.rows(1)]).with_columns(temp=0.5))
    ingest("bikes", as_of=MONDAYS[0])
    batch = empty.ledger.batches("bikes", kind="rows")[-1]
    assert (batch.rows_in, batch.rows_accepted, batch.rows_duplicate) == (176, 168, 8)
    assert curated(empty).sort("ts")[:48].drop("_batch").equals(empty.rows(0))


def test_every_row_that_landed_is_accounted_for(empty: World) -> None:
    """Counted from the files and tables alone, and once more from the ledger's batches."""
    landing, week = empty.lake / "landing" / "bikes", empty.weeks[2].batch
    empty.put("bikes", "1.parquet", with_bad_rows(empty.rows(1)))
    empty.put("bikes", "2.parquet", pl.concat([empty.rows(1)[-5:], empty.rows(2)]))
    empty.put("bikes", "3.parquet", empty.rows(2).with_columns(pl.col("temp").cast(pl.String)))
    empty.put("bikes", "4.parquet", (landing / "2.parquet").read_bytes())
    empty.put("bikes", "5.parquet", week.read_bytes()[:3_000])
    ingest("bikes", as_of=MONDAYS[1])
    ingest("bikes", as_of=MONDAYS[1])
    folder = empty.lake / "quarantine" / "bikes"
    aside = sum(pl.read_parquet(path).height for path in folder.glob("[0-9].parquet"))
    refused = sum(pl.read_parquet(path).height for path in folder.glob("[0-9].file.3.parquet"))
    landed = sum(pl.read_parquet(path).height for path in landing.glob("[1-4].parquet"))
    of_the_second = 168 + 5
    repeated = 5 + of_the_second  # 5 keys of the first file, and the fourth, which is the second
    assert (aside, refused, landed) == (3, 168, 168 + of_the_second + 168 + of_the_second)
    assert curated(empty).height == landed - aside - refused - repeated
    for batch in empty.ledger.batches("bikes", kind="rows"):
        taken = batch.rows_accepted + batch.rows_quarantined + batch.rows_duplicate
        assert taken == batch.rows_in or batch.state == "refused", batch


@pytest.mark.parametrize(("asked", "expected"), [(day(1, 11), 7), (day(1, 12), 900)])
def test_a_label_that_is_corrected_later_holds_from_then_on(empty: World, asked: datetime, expected: int) -> None:
    """It was known on the 10th, and came on the 12th: what was learned on the 11th stays as it was."""
    empty.land(0)
    first = {"ts": [day(1, 1)], "rentals": [7], "known_at": [day(1, 1, 1)]}
    empty.put("bike_rentals", "first.parquet", pl.DataFrame(first).cast({"ts": pl.Datetime("us", "UTC")}))
    assert {verdict.outcome for verdict in ingest("bikes", as_of=MONDAYS[0])} == {"accept"}
    corrected = pl.DataFrame({"ts": [day(1, 1)], "rentals": [900], "known_at": [day(1, 10, 12)]})
    empty.put("bike_rentals", "corrected.parquet", corrected)
    assert {verdict.outcome for verdict in ingest("bikes", as_of=day(1, 12))} == {"accept"}
    snapshot = take_snapshot.fn(empty.site, asked)
    assert snapshot is not None
    assert snapshot.rows["rentals"].to_list() == [expected]


def test_without_a_name_each_pipeline_of_the_catalogue_is_served(empty: World) -> None:
    empty.define(name="trams")
    empty.land(0)
    empty.land(1, to="trams", labels="trams_rentals")
    found = ingest(as_of=MONDAYS[0])
    assert [(item.pipeline, item.subject) for item in found] == [
        ("bikes", "2010-W52.parquet"),
        ("trams", "labels 2011-W01.parquet"),
        ("trams", "2011-W01.parquet"),
    ]
    assert (curated(empty).height, curated(empty, "trams").height) == (48, 168)


def test_a_corrected_file_whose_rows_all_came_before_says_that_it_changes_nothing(empty: World) -> None:
    empty.put("bikes", "week.parquet", empty.rows(1))
    empty.put("bikes", "week.v2.parquet", empty.rows(1).with_columns(temp=0.5))
    _, verdict = ingest("bikes", as_of=MONDAYS[0])
    assert verdict.outcome == "duplicate"
    assert verdict.reasons[0].startswith("168 of 168 rows have a key that an earlier file brought, which counts: not")
    assert [batch.state for batch in empty.ledger.batches("bikes", kind="rows")] == ["accepted", "duplicate"]


def test_a_file_that_cannot_be_taken_in_holds_up_none_behind_it_and_is_tried_again(empty: World) -> None:
    empty.put("bikes", "bad.parquet", b"no parquet")
    empty.put("bikes", "week.parquet", empty.rows(1))
    aside = empty.lake / "quarantine" / "bikes"
    aside.parent.mkdir(parents=True)
    aside.write_text("a file where the folder should be")
    taken, broken = ingest("bikes", as_of=MONDAYS[0])
    assert (broken.outcome, taken.outcome) == ("failed", "accept")
    assert broken.reasons[0].startswith("bad.parquet: FileExistsError")
    aside.unlink()
    assert outcomes(ingest("bikes", as_of=MONDAYS[0])) == [("bad.parquet", "refuse")]


@pytest.mark.slow  # Prefect starts a server for the one call
def test_with_no_server_configured_a_flow_runs_embedded(empty: World) -> None:
    empty.land(0)
    program = """
from datetime import UTC, datetime
from flows.ingest import ingest
(verdict,) = ingest("bikes", as_of=datetime(2011, 1, 3, tzinfo=UTC))
print(verdict.outcome, verdict.rows_accepted)
"""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**env, "PREFECT_HOME": str(empty.home / "prefect")},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == "accept 48"
    assert curated(empty).height == 48


def test_a_file_that_was_claimed_and_then_taken_away_is_told_and_closed(empty: World) -> None:
    empty.ledger.claim_batches("bikes", "rows", [Arrival(name="gone.parquet", sha256="ab")])
    (verdict,) = ingest("bikes", as_of=MONDAYS[0])
    assert (verdict.subject, verdict.outcome) == ("gone.parquet", "refuse")
    assert "was taken away or overwritten before it was taken in; let it land again" in verdict.reasons[0]
    assert ingest("bikes", as_of=MONDAYS[0]) == ()
