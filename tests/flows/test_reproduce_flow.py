"""A champion made again from what the lake, the ledger and its bundle say; and what is told when something is amiss."""

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake
from typer.testing import CliRunner

from andon.cli.commands import app
from andon.cli.versions import bundle_of
from flows.ingest import ingest
from modelling.bundle import Bundle
from modelling.training import fit
from tasks.reproduce import Reproduction, reproduce
from tasks.taking import take_again
from tests.flows.world import World, day
from validation.errors import RefusedError


def made_again(world: World, **changes: object) -> Reproduction:
    """Version 1, with these parts of its manifest changed first."""
    with bundle_of(world.site, "1") as (found, _):
        return reproduce(world.site, "1", changed(found, **changes))


def changed(found: Bundle, **changes: object) -> Bundle:
    return replace(found, manifest=replace(found.manifest, **changes))  # type: ignore[arg-type]


def made_of(world: World) -> tuple[int, dict[str, str]]:
    with bundle_of(world.site, "1") as (found, _):
        assert found.manifest.made is not None
        return found.manifest.made.rows, dict(found.manifest.made.libraries)


def test_a_champion_is_made_again_to_the_byte_though_more_has_come(world: World) -> None:
    world.land(6, 7)
    ingest("bikes", as_of=day(2, 14))
    made, (rows, _) = made_again(world), made_of(world)
    assert (made.outcome, made.apart, made.differences, made.rows) == ("identical bytes", 0.0, (), rows)
    ran = CliRunner().invoke(app, ["reproduce", "bikes", "1", "--json"])
    assert ran.exit_code == 0
    assert json.loads(ran.stdout)["outcome"] == "identical bytes"


def test_trees_upon_the_champions_are_made_again_upon_the_champions(world: World) -> None:
    with bundle_of(world.site, "1") as (found, _):
        learned, made = found.manifest.learned, found.manifest.made
        assert learned is not None
        assert made is not None
        snapshot = take_again(world.site, learned)
        assert snapshot is not None
        recipe = replace(found.manifest.recipe, way="continued", more=5, base=found.sha256)
        model = fit(world.site.pipeline.spec, snapshot.rows, recipe, seed=3, threads=1, base=found.model)
        newer = replace(changed(found, recipe=recipe, made=model.made), model=model)
        assert reproduce(world.site, "2", newer).outcome == "identical bytes"
        lost = changed(newer, recipe=replace(recipe, base="0" * 64))
        with pytest.raises(RefusedError, match="it goes on with the trees of the bundle 000000000000, which never was"):
            reproduce(world.site, "2", lost)


def test_another_seed_or_library_is_told(world: World) -> None:
    with bundle_of(world.site, "1") as (found, _):
        assert found.manifest.made is not None
        made = replace(found.manifest.made, seed=8, libraries={**found.manifest.made.libraries, "lightgbm": "3.0"})
    again = made_again(world, made=made)
    assert again.outcome == "different"
    assert again.apart > 0
    assert [line.split(",")[0] for line in again.differences] == ["lightgbm was 3.0", "other trees"]


def test_a_lake_that_was_written_over_is_told(world: World) -> None:
    place = str(world.site.lake.labels("bikes"))
    target = world.site.pipeline.labels.target
    labels = pl.from_arrow(DeltaTable(place).to_pyarrow_table())
    assert isinstance(labels, pl.DataFrame)
    write_deltalake(place, labels.with_columns(pl.col(target) * 2).to_arrow(), mode="overwrite")
    ran = CliRunner().invoke(app, ["reproduce", "bikes", "1"])
    assert ran.exit_code == 1
    words = " ".join(ran.stderr.split())
    assert words.startswith("different: version 1 of bikes, made again of")
    assert f"other values: {target}" in words


@pytest.mark.parametrize("part", ["made", "learned"])
def test_what_was_made_before_bundles_said_how_cannot_be_made_again(world: World, part: str) -> None:
    with pytest.raises(RefusedError, match="version 1 was made before bundles said how; a version that is trained now"):
        made_again(world, **{part: None})


def test_rows_that_are_gone_cannot_be_learned_from_again(world: World, tmp_path: Path) -> None:
    Path(str(world.site.lake.curated("bikes"))).rename(tmp_path / "gone")
    with pytest.raises(RefusedError, match="the rows that version 1 learned from are not in the lake any more"):
        made_again(world)
