"""What the supervisor refuses before any worker hears of it, and who answers in the shadow."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from modelling import bundle
from registry.ledger import Champion, Change
from registry.rollout import InShadow
from registry.store import ModelStore
from serving import shadows, vetting
from serving.shadows import Shadows
from serving.vetting import Vetter
from tests.unit.modelling_world import pipeline_in, rides
from tests.unit.test_fleet import NOON, champion
from tests.unit.test_loadcheck import bundled
from validation.errors import ContractError, RegistryError, ServiceDownError


class World:
    """A cache with one bundle; a store that is down; a ledger that names `named`, or does not answer."""

    def __init__(self, folder: Path, made: Path) -> None:
        sha256 = bundle.digest(made)
        change = champion(1).change
        self.change = replace(change, pipeline="rides", bundle_sha256=sha256)
        self.champion = replace(champion(1), change=self.change)
        self.place = folder / "bundles" / "rides" / sha256
        self.vetter = Vetter(bundles=folder / "bundles", store=self.store)
        self.named: Sequence[InShadow] | None = ()
        shutil.copytree(made, self.place)

    def store(self) -> ModelStore:
        raise ServiceDownError("MLflow does not answer")

    def in_shadow(self, pipeline: str) -> Sequence[InShadow]:
        assert pipeline == "rides"
        if self.named is None:
            raise OSError("no route")
        return self.named

    def shadow(self, change: Change | None = None) -> InShadow:
        return InShadow(change=change or self.change, since=NOON, until=NOON + timedelta(days=1), role="challenger")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "bundle"
    bundled(folder)
    return folder


@pytest.fixture
def world(tmp_path: Path, made: Path) -> World:
    return World(tmp_path, made)


def test_a_good_bundle_is_where_it_was_and_how_long_it_took_is_told(world: World) -> None:
    vetted = world.vetter.vet(world.champion)
    assert vetted.folder == world.place
    assert 0 < vetted.seconds < 60


def test_a_damaged_bundle_is_fetched_again_and_a_store_that_is_down_says_nothing_against_it(world: World) -> None:
    (world.place / "profile.json").write_text("{ }")
    with pytest.raises(ServiceDownError, match="MLflow does not answer"):
        world.vetter.vet(world.champion)


def test_a_model_whose_features_have_another_order_is_refused(world: World, tmp_path: Path) -> None:
    text = (world.place / "model.txt").read_text()
    line = next(line for line in text.splitlines() if line.startswith("feature_names="))
    names = line.removeprefix("feature_names=").split()
    encoded = bundle.load(world.place).manifest.encoding.names
    turned = text.replace(line, f"feature_names={' '.join(reversed(encoded))}")
    assert len(names) == len(encoded)
    with pytest.raises(RegistryError, match="features in another order"):
        world.vetter.vet(changed(world, tmp_path, turned))


def test_a_model_that_answers_too_slowly_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vetting, "SLOWEST_SECONDS", 0.0)
    with pytest.raises(RegistryError, match=r"takes 0\.0 s for one row, expected at most 0; train a smaller"):
        world.vetter.vet(world.champion)


def test_shadows_come_and_go_as_the_ledger_says_and_stay_while_it_is_silent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadows, "LOOK_SECONDS", 0.0)
    answering = Shadows("rides", named=world.in_shadow, vetter=world.vetter)
    assert answering() == ()
    world.named = (world.shadow(),)
    (one,) = answering()
    assert one.version == "1"
    assert len(one.predict(rides().head(3))) == 3
    world.named = None
    assert answering() == (one,), "it is loaded once, and kept while the ledger does not answer"
    world.named = ()
    assert answering() == ()


def test_a_shadow_that_cannot_be_loaded_harms_nobody_and_is_not_tried_all_the_time(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shadows, "LOOK_SECONDS", 0.0)
    gone = world.shadow(replace(world.change, version="2", bundle_sha256="0" * 64))
    world.named = (gone, world.shadow())
    answering = Shadows("rides", named=world.in_shadow, vetter=world.vetter)
    for _ in range(3):
        assert [one.version for one in answering()] == ["1"]
    assert caplog.text.count("version 2 cannot answer in the shadow: MLflow does not answer") == 1


def test_a_shadow_scores_rows_that_lack_a_column_on_which_nothing_rests(tmp_path: Path) -> None:
    """The champion's contract, and so its log, may not know it."""
    whole = pipeline_in(tmp_path).module_source
    bundled(tmp_path / "bundle", whole.replace('"ride", "stop"', '"stop"'))
    shadow = shadows._shadow("2", bundle.load(tmp_path / "bundle"))
    rows = rides().head(3)
    assert shadow.needs == frozenset({"at", "stop", "day", "wind"})
    assert shadow.predict(rows.drop("ride")).tolist() == shadow.predict(rows).tolist()
    with pytest.raises(ContractError, match="column 'wind'"):
        shadow.predict(rows.drop("wind"))


def changed(world: World, folder: Path, model: str) -> Champion:
    """The champion whose bundle holds this model."""
    shutil.copytree(world.place, folder / "changed")
    (folder / "changed" / "model.txt").write_text(model)
    sha256 = bundle.digest(folder / "changed")
    (folder / "changed").rename(world.place.with_name(sha256))
    return replace(world.champion, change=replace(world.change, bundle_sha256=sha256))
