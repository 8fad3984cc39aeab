"""`andon diff`: two versions side by side, from their bundles, the ledger and the newest rows of the lake."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from andon.cli.versions import bundle_of
from andon.settings import Settings
from modelling import bundle
from modelling.recipes import Recipe
from modelling.training import fit
from registry.difference import Churn, Version, VersionDifference, compare_versions
from registry.ledger import Change
from registry.store import Submission
from tasks.site import Site, open_sites
from tests.fakes import FolderStore
from tests.unit.lake_world import Lake, Trip, day, gate
from tests.unit.modelling_world import FAST
from tests.unit.shell import PIPELINE, Shell
from validation.errors import NoChampionError, RegistryError
from validation.training_set import Description

ROWS = pl.DataFrame(
    {
        "trip_id": [str(number) for number in range(120)],
        "started_at": [day(number / 24) for number in range(120)],
        "distance": [float(number % 7) for number in range(120)],
        "zone": ["north" if number % 3 else "south" for number in range(120)],
        "late": [number % 7 > 3 for number in range(120)],
    },
    schema_overrides={"started_at": pl.Datetime("us", "UTC")},
)
SLOW = Recipe(params={**FAST.params, "learning_rate": 0.05}, rounds=3)


@pytest.fixture
def site(andon: Shell) -> Site:
    """Two champions: the first learned the first half by a slow recipe, the second all of it by a fast one."""
    andon.home.mkdir(parents=True)
    (site,) = open_sites("trips", Settings())
    for epoch, (rows, recipe) in enumerate(((ROWS.head(60), SLOW), (ROWS, FAST))):
        crown(site, rows, recipe, epoch=epoch)
    return site


def made(site: Site, rows: pl.DataFrame, recipe: Recipe, *, folder: Path) -> str:
    model = fit(site.pipeline.spec, rows, recipe, seed=7, threads=1)
    return bundle.write(
        folder,
        model=model,
        pipeline="trips",
        definition=PIPELINE,
        definition_hash=site.pipeline.fingerprint,
        snapshot=str(rows.height),
        rows=rows,
        profile_json="{}",
    )


def crown(site: Site, rows: pl.DataFrame, recipe: Recipe, *, epoch: int) -> None:
    place = site.settings.home.absolute() / "bundles" / "trips"
    place.mkdir(parents=True, exist_ok=True)
    sha256 = made(site, rows, recipe, folder=place / "new")
    (place / "new").rename(place / sha256)
    change = Change(
        pipeline="trips",
        kind="promotion",
        version=str(epoch + 1),
        bundle_sha256=sha256,
        trained_until=day(5),
        why="better",
        data_time=day(6),
        actor="tester",
    )
    site.ledger.crown(change, expected_epoch=epoch)


def test_two_champions_are_compared_on_the_newest_accepted_rows(andon: Shell, site: Site) -> None:
    lake = Lake(site=site, work=andon.home)
    lake.trips(*(Trip(f"n{number}", day(number), distance=float(number % 7)) for number in range(30)), came=day(31))
    lake.trips(Trip("held", day(40)), came=day(41), state="suspect")

    found = json.loads(andon("diff", "trips", "1", "2", "--json").out)
    assert found["churn"]["of"] == "the newest 30 accepted rows"
    assert found["churn"]["rows"] == 30
    assert 0 < found["churn"]["mean_difference"] < 1
    assert {"name": "rounds", "before": 3, "after": 15} in found["parameters"]
    assert (found["is_same_definition"], found["is_same_bundle"], found["remarks"]) == (True, False, [])

    ran = andon("diff", "trips", "1", "2")
    assert ran.code == 0, ran.err
    assert ran.err.startswith("version 1 -> version 2 training data version 1 version 2")
    assert "learning_rate 0.05 0.3 +0.25" in ran.err
    assert "of the decisions flip on the newest 30 accepted rows on average the predictions differ by" in ran.err
    assert "definition the same churn" in ran.err


def test_a_version_is_itself(andon: Shell, site: Site) -> None:
    ran = andon("diff", site.name, "2", "2")
    assert "both are the same bundle, to the last byte" in ran.err
    assert "parameters nothing differs" in ran.err
    assert "0.00% of the decisions flip on the earlier version's golden rows" in ran.err


def test_without_a_lake_the_golden_rows_are_asked(andon: Shell, site: Site) -> None:
    ran = andon("diff", site.name, "1", "2")
    assert ran.code == 0, ran.err
    assert ran.err.endswith("there are no accepted rows in the lake: compared by golden rows")
    assert "on the earlier version's golden rows" in ran.err


def test_a_version_that_was_never_champion_comes_from_the_store(site: Site, tmp_path: Path) -> None:
    sha256 = made(site, ROWS, SLOW, folder=tmp_path / "made")
    store = FolderStore(tmp_path / "store")
    for number in range(3):
        store.register(
            Submission(
                pipeline="trips",
                bundle=tmp_path / "made",
                bundle_sha256=str(number),
                intent="i",
                attempt=1,
                verdict="reject",
            )
        )
    with bundle_of(replace(site, store=store), "3") as (found, definition):
        assert (found.sha256, definition) == (sha256, PIPELINE)
    with pytest.raises(NoChampionError, match="no version 4"), bundle_of(replace(site, store=store), "4"):
        pass
    judged: Any = gate("trips", "3", snapshot="s", as_of=day(1), rows=1)
    site.ledger.record(replace(judged, bundle_sha256="00"), actor="test")
    with pytest.raises(RegistryError, match="expected 00"), bundle_of(replace(site, store=store), "3"):
        pass


# The pure part


def version(name: str, **changes: Any) -> Version:
    told: dict[str, Any] = {
        "version": name,
        "bundle_sha256": name,
        "trained_until": day(0),
        "learned": None,
        "recipe": {"rounds": 100, "num_leaves": 31},
        "gate": {},
        "importance": {"hour": 3.0, "zone": 1.0},
        "definition_hash": "d",
        "definition": "a = 1\nb = 2\n",
    }
    return Version(**{**told, **changes})


def learned(**changes: Any) -> Description:
    told: dict[str, Any] = {
        "pipeline": "trips",
        "id": "s1",
        "digest": "d1",
        "definition": "d",
        "as_of": day(3),
        "as_known_at": day(3),
        "batches": {"rows": "1-4", "labels": "1"},
        "since": day(0),
        "until": day(2),
        "rows": 100,
        "unlabelled": 0,
        "missing": 0,
        "coverage": 1.0,
        "matures_after_seconds": 0.0,
        "grace_seconds": 0.0,
        "columns": {"zone": "ab"},
    } | changes
    return Description(**told)


def compared(before: Version, after: Version, **more: Any) -> VersionDifference:
    return compare_versions(before, after, **more)


def values(found: VersionDifference, of: str) -> dict[str, tuple[Any, Any]]:
    return {pair.name: (pair.before, pair.after) for pair in getattr(found, of)}


def test_of_older_bundles_nothing_is_guessed() -> None:
    found = compared(version("1"), version("2", learned=learned()))
    assert values(found, "data")["rows"] == (None, 100)
    assert (found.batches, found.metrics, found.slices, found.churn) == ({}, (), (), None)


def test_batches_that_came_and_went_are_named_by_kind() -> None:
    after = learned(batches={"rows": "2-7", "labels": "1", "weather": "1-2"})
    found = compared(version("1", learned=learned()), version("2", learned=after))
    assert found.batches == {"rows": ("5-7", "1"), "labels": ("", ""), "weather": ("1-2", "")}


def test_slices_are_held_together_as_shares_worst_first() -> None:
    def body(loss: float, **gains: float) -> dict[str, Any]:
        told = [{"column": "zone", "value": value, "gain": gain, "rows": 9} for value, gain in gains.items()]
        return {"champion_loss": loss, "slices": told, "gain": 0.01, "size_mb": 0.0, "intent": "i"}

    found = compared(version("1", gate=body(0.5, a=0.05, b=0.01)), version("2", gate=body(0.25, a=-0.05, c=0.01)))
    assert values(found, "slices") == {"zone = a": (0.1, -0.2), "zone = b": (0.02, None), "zone = c": (None, 0.04)}
    assert [pair.name for pair in found.slices] == ["zone = a", "zone = b", "zone = c"]
    assert values(found, "metrics") == {"gain": (0.01, 0.01), "champion_loss": (0.5, 0.25)}


def test_inputs_are_compared_by_their_share_of_the_gain() -> None:
    found = compared(version("1"), version("2", importance={"hour": 1.0, "wind": 4.0}))
    assert values(found, "importance") == {"wind": (None, 0.8), "hour": (0.75, 0.2), "zone": (0.25, None)}
    assert [pair.name for pair in found.importance] == ["wind", "hour", "zone"]
    assert (found.inputs_added, found.inputs_removed) == (("wind",), ("zone",))
    assert values(compared(version("1", importance={"x": 0.0}), version("2")), "importance")["x"] == (0.0, None)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a = 1\nb = 2\n", ()),
        ("a = 1\nb = 3\n", ("-b = 2", "+b = 3")),
        ("", ("-a = 1", "-b = 2")),
        ("a = 1\nb = 2\n" + "x\n" * 50, (*["+x"] * 40, "... and 10 more lines")),
    ],
)
def test_the_changed_lines_of_the_definition_are_shown_up_to_a_limit(text: str, lines: tuple[str, ...]) -> None:
    found = compared(version("1"), version("2", definition=text, definition_hash="e" if lines else "d"))
    assert (found.definition_lines, found.is_same_definition) == (lines, not lines)


def test_what_the_caller_has_found_is_passed_on() -> None:
    churn = Churn(of="some rows", rows=1, flips=0.0, mean_difference=None)
    found = compared(version("1"), version("1"), churn=churn, remarks=["no contract"])
    assert (found.churn, found.remarks, found.is_same_bundle) == (churn, ("no contract",), True)
