"""An independent reader of an installation that stands still: it reads files and tables as they lie there, not through
the code under test, and counts from the files that landed.
"""

import hashlib
import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
from deltalake import DeltaTable

from registry.chain import verify
from registry.sql import open_ledger
from storage.segment import read_segment
from tests.e2e import world


def audit(home: Path) -> dict[str, Any]:
    """AssertionError when anything is lost, doubled or contradicts itself; else the champions and intents."""
    ledger = open_ledger(f"sqlite:///{home / 'ledger.db'}")
    assert verify(ledger.verdicts()) is None, "the chain of verdicts is broken"
    champions = query(home, "ledger.db", "select * from andon_champions order by epoch")
    assert [row["epoch"] for row in champions] == list(range(1, len(champions) + 1))
    promoted = [row for row in champions if row["kind"] == "promotion"]
    assert len({row["version"] for row in promoted}) == len(promoted), "a version was promoted twice"
    assert len({row["intent"] for row in promoted}) == len(promoted), "an intent was promoted for twice"
    gates = query(home, "ledger.db", "select body from andon_verdicts where kind = 'gate'")
    judged = [json.loads(row["body"])["intent"] for row in gates]
    assert len(set(judged)) == len(judged), "an intent was judged twice"
    _check_projection(home, champions[-1])
    _check_landed(home)
    _check_scored(home, began=champions[0]["trained_until"])
    held = query(home, "ledger.db", "select activity, holder from andon_leases where holder != ''")
    assert held == [], "somebody still holds a lease"
    intents = query(home, "ledger.db", "select * from andon_intents order by created_at")
    return {"champions": champions, "intents": intents, "versions": [row["version"] for row in champions]}


def query(home: Path, file: str, sql: str, *values: object) -> list[dict[str, Any]]:
    """The rows of a SQLite database of the home."""
    connection = sqlite3.connect(home / file, timeout=30)
    try:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(sql, values)]
    finally:
        connection.close()


def logged(home: Path) -> pl.DataFrame:
    """All rows of the prediction log: key, version and prediction, repeated ones included."""
    folder = home / "lake" / "predictions" / world.NAME
    files = {path.stem: path for path in sorted(folder.glob("*.segment"))}
    files |= {path.stem: path for path in folder.glob("*.parquet")}  # a segment that has become Parquet is read there
    frames = [pl.read_parquet(path) if path.suffix == ".parquet" else read_segment(path) for path in files.values()]
    columns = ["prediction_id", "version", "prediction", "parcel_id"]
    return pl.concat([frame.select(columns) for frame in frames if frame is not None])


def _check_projection(home: Path, champion: dict[str, Any]) -> None:
    """MLflow says what the ledger says, and holds the very bytes."""
    aliases = query(home, "mlflow.db", "select version from registered_model_aliases where alias = 'champion'")
    assert [str(row["version"]) for row in aliases] == [champion["version"]]
    about = "select storage_location, value from model_versions join model_version_tags using (name, version)"
    (kept,) = query(home, "mlflow.db", f"{about} where version = ? and key = 'sha256'", int(champion["version"]))
    assert kept["value"] == champion["bundle_sha256"]
    files = {path.name for path in Path(kept["storage_location"].removeprefix("file://")).iterdir()}
    assert {"model.txt", "andon.json", "profile.json", "definition.py"} <= files


def _check_landed(home: Path) -> None:
    """Rows in = curated + set aside + repeated; of duplicates and refused files nothing; each file once."""
    batches = {row["name"]: row for row in query(home, "ledger.db", "select * from andon_batches where kind = 'rows'")}
    curated = _table(home / "lake" / "curated" / world.NAME)
    seen: set[int] = set()
    digests: set[str] = set()
    for file in sorted((home / "lake" / "landing" / world.NAME).glob("*.parquet")):
        batch, digest = batches.pop(file.name), hashlib.sha256(file.read_bytes()).hexdigest()
        assert batch["verdict_seq"] is not None, f"{file.name} was not finished"
        mine = curated.filter(pl.col("_batch") == batch["number"])["parcel_id"]
        landed = pl.read_parquet(file)
        if digest in digests or "carrier" not in landed.columns:
            assert batch["state"] == ("duplicate" if digest in digests else "refused")
            assert mine.is_empty()
            continue
        digests.add(digest)
        good = landed.filter(pl.col("weight") > 0)["parcel_id"]
        fresh = [key for key in good if key not in seen]
        seen.update(fresh)
        assert sorted(mine) == sorted(fresh), f"{file.name} is not what the table holds of it"
        counted = (batch["rows_accepted"], batch["rows_quarantined"], batch["rows_duplicate"], batch["state"])
        assert counted == (len(fresh), landed.height - len(good), len(good) - len(fresh), "accepted")
        assert batch["rows_in"] == landed.height
        aside = home / "lake" / "quarantine" / world.NAME / f"{batch['number']}.parquet"
        assert (pl.read_parquet(aside).height if aside.exists() else 0) == landed.height - len(good)
    assert not batches, f"the ledger knows files that never landed: {list(batches)}"
    _check_labels(home)


def _check_labels(home: Path) -> None:
    landed = [pl.read_parquet(file) for file in (home / "lake" / "landing" / "arrivals").glob("*.parquet")]
    kept = _table(home / "lake" / "labels" / world.NAME)["parcel_id"]
    assert sorted(kept) == sorted(pl.concat(landed)["parcel_id"]), "labels were lost or doubled"


def _check_scored(home: Path, *, began: str) -> None:
    """Each accepted batch since the first champion: one verdict, all rows in the log, each row delivered once."""
    asked = "select * from andon_batches where kind = 'rows' and state = 'accepted' and last_time >= ?"
    due = query(home, "ledger.db", asked, began)
    numbers = sorted(row["number"] for row in due)
    verdicts = query(home, "ledger.db", "select subject from andon_verdicts where kind = 'score'")
    assert sorted(int(row["subject"]) for row in verdicts) == numbers, "each batch has one score verdict"
    curated = _table(home / "lake" / "curated" / world.NAME)
    keys = sorted(curated.filter(pl.col("_batch").is_in(numbers))["parcel_id"])
    delivered = _table(home / "lake" / "parcel_scores")
    assert sorted(delivered["parcel_id"]) == keys, "the table of scores is not each row once"
    files = [pl.read_parquet(file) for file in (home / "lake" / "scores" / world.NAME).glob("*.parquet")]
    assert sorted(pl.concat(files)["parcel_id"]) == keys, "the files of scores are not each row once"
    assert Counter(delivered["prediction"].is_finite()) == {True: len(keys)}
    assert set(keys) <= set(logged(home)["parcel_id"]), "rows were answered but not logged"


def _table(folder: Path) -> pl.DataFrame:
    return pl.scan_delta(DeltaTable(folder)).collect()
