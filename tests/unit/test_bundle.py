import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from modelling.bundle import FILES, BundleError, digest, load, write
from modelling.golden import UNSEEN
from modelling.training import Model, fit
from tests.unit.modelling_world import FAST, pipeline_in, rides
from validation.errors import ContractError, DefinitionError
from validation.training_set import Description


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return fit(pipeline_in(tmp_path_factory.mktemp("pipelines")).spec, rides(), FAST, seed=7, threads=1)


def written(
    folder: Path,
    model: Model,
    definition: str | None = None,
    learned: Description | None = None,
    estimator: str | None = None,
) -> str:
    pipeline = pipeline_in(folder.parent)
    return write(
        folder,
        model=model,
        pipeline="rides",
        definition=definition or pipeline.module_source,
        definition_hash=pipeline.fingerprint,
        snapshot="rides-7",
        rows=rides(),
        profile_json='{"bins": []}',
        estimator_json=estimator,
        holdout_loss=float("nan"),
        learned=learned,
    )


def test_a_bundle_predicts_what_its_model_did(tmp_path: Path, model: Model) -> None:
    sha256 = written(tmp_path / "bundle", model)
    bundle = load(tmp_path / "bundle", sha256=sha256)
    bundle.verify()
    later = rides(100, seed=3)
    np.testing.assert_allclose(bundle.predict(later), model.predict(later), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(bundle.labels(later), later["late"].cast(pl.Float64))
    assert bundle.inputs(later).columns == ["stop", "wind", "hour", "weekend"]
    assert (bundle.sha256, digest(tmp_path / "bundle")) == (sha256, sha256)
    assert bundle.profile_json == '{"bins": []}'
    assert bundle.raw_schema == model.spec.raw_schema
    manifest = bundle.manifest
    assert (manifest.recipe, manifest.encoding, manifest.trained_until) == (FAST, model.encoding, model.trained_until)
    assert (manifest.snapshot, manifest.holdout_loss) == ("rides-7", None)


def test_golden_rows_hold_nulls_and_an_unseen_level(tmp_path: Path, model: Model) -> None:
    written(tmp_path / "bundle", model)
    rows = load(tmp_path / "bundle").manifest.golden_rows
    assert len(rows) == 16
    assert rows[0] == {name: value for name, value in rows[0].items() if name in model.spec.raw_schema}
    assert rows[0]["at"] == "2024-01-01T00:00:00+00:00"
    assert rows[-2]["wind"] is None
    assert rows[-1]["stop"] == UNSEEN


def test_the_bundle_runs_its_own_features_after_the_pipeline_has_changed(tmp_path: Path, model: Model) -> None:
    doubled = pipeline_in(tmp_path).module_source.replace('"wind",', 'pl.col("wind") * 2,')
    sha256 = written(tmp_path / "bundle", model, definition=doubled)
    with pytest.raises(BundleError, match=r"predicts its golden rows .* away from what was stored"):
        load(tmp_path / "bundle", sha256=sha256).verify()


def test_many_classes_survive_a_bundle(tmp_path: Path) -> None:
    spec = replace(pipeline_in(tmp_path).spec, task="multiclass")
    rows = rides().with_columns(late=pl.col("ride") % 3)
    written(tmp_path / "bundle", fit(spec, rows, FAST, seed=7, threads=1))
    bundle = load(tmp_path / "bundle")
    bundle.verify()
    assert bundle.manifest.classes == (0, 1, 2)
    assert bundle.predict(rows.head(5)).shape == (5, 3)


def test_an_estimator_is_a_fifth_file_that_the_digest_covers(tmp_path: Path, model: Model) -> None:
    sha256 = written(tmp_path / "bundle", model, estimator='{"metric": "l2"}')
    bundle = load(tmp_path / "bundle", sha256=sha256)
    assert bundle.estimator_json == '{"metric": "l2"}'
    bundle.verify()
    (tmp_path / "bundle" / "estimator.json").write_text('{"metric": "l1"}')
    with pytest.raises(BundleError, match=r"has sha256 .*, expected .*: fetch it again"):
        load(tmp_path / "bundle", sha256=sha256)
    (tmp_path / "bundle" / "estimator.json").unlink()
    with pytest.raises(BundleError, match=r"has sha256 .*, expected .*: fetch it again"):
        load(tmp_path / "bundle", sha256=sha256)


def test_a_bundle_of_four_files_has_the_digest_that_it_always_had(tmp_path: Path, model: Model) -> None:
    """As `sha256sum` has it of lines with name and sha256: ledgers of older versions name bundles by it."""
    sha256 = written(tmp_path / "bundle", model)
    lines = [
        f"{name} {hashlib.sha256((tmp_path / 'bundle' / name).read_bytes()).hexdigest()}\n"
        for name in ("andon.json", "definition.py", "model.txt", "profile.json")
    ]
    assert sha256 == hashlib.sha256("".join(lines).encode()).hexdigest()
    assert load(tmp_path / "bundle", sha256=sha256).estimator_json is None


def swap_two_files(folder: Path) -> None:
    (folder / "profile.json").write_bytes((folder / "model.txt").read_bytes())


def link_out(folder: Path) -> None:
    shutil.move(folder / "model.txt", folder.parent / "model.txt")
    (folder / "model.txt").symlink_to(folder.parent / "model.txt")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (swap_two_files, r"has sha256 .*, expected .*: fetch it again"),
        (link_out, "model.txt is not a plain file"),
        (lambda folder: (folder / "extra.py").write_text(""), "holds .*extra.py.*; fetch it again"),
        (lambda folder: (folder / "profile.json").unlink(), "holds andon.json, definition.py, model.txt; fetch"),
        (shutil.rmtree, "there is no bundle"),
    ],
)
def test_a_damaged_bundle_is_refused_before_anything_of_it_runs(
    tmp_path: Path, model: Model, damage: Callable[[Path], object], message: str
) -> None:
    sha256 = written(tmp_path / "bundle", model, definition=f"open({str(tmp_path / 'ran')!r}, 'w')")
    damage(tmp_path / "bundle")
    with pytest.raises(BundleError, match=message):
        load(tmp_path / "bundle", sha256=sha256)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("definition", "error"),
    [("import nowhere_to_be_found", "ModuleNotFoundError"), ("import sys; sys.exit(0)", "SystemExit")],
)
def test_a_definition_that_fails_is_told_and_leaves_no_module(
    tmp_path: Path, model: Model, definition: str, error: str
) -> None:
    sha256 = written(tmp_path / "bundle", model, definition=definition)
    with pytest.raises(BundleError, match=f"cannot be executed: {error}"):
        load(tmp_path / "bundle")
    assert f"andon_bundle_{sha256[:12]}" not in sys.modules


def test_a_definition_without_a_pipeline_and_another_format_are_told(tmp_path: Path, model: Model) -> None:
    written(tmp_path / "bundle", model, definition="x = 1")
    with pytest.raises(BundleError, match=r"is damaged: .*PIPELINE"):
        load(tmp_path / "bundle")
    manifest = tmp_path / "bundle" / "andon.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 2}))
    with pytest.raises(BundleError, match="format 2, this Andon reads 1"):
        load(tmp_path / "bundle")
    manifest.write_text("{}")
    with pytest.raises(BundleError, match=r"andon.json cannot be read"):
        load(tmp_path / "bundle")


def test_loading_leaves_the_folder_as_it_is(tmp_path: Path, model: Model) -> None:
    written(tmp_path / "bundle", model)
    load(tmp_path / "bundle")
    assert sorted(path.name for path in (tmp_path / "bundle").iterdir()) == list(FILES)
    assert {path.name for path in tmp_path.iterdir()} - {"__pycache__"} == {"bundle", "rides.py"}


def test_a_bundle_is_never_overwritten(tmp_path: Path, model: Model) -> None:
    sha256 = written(tmp_path / "bundle", model)
    with pytest.raises(BundleError, match=r"cannot write the bundle .*; give a new folder"):
        written(tmp_path / "bundle", model)
    assert digest(tmp_path / "bundle") == sha256
    assert not list(tmp_path.glob(".bundle-*"))


def test_features_that_look_at_other_rows_get_no_bundle(tmp_path: Path, model: Model) -> None:
    spec = replace(model.spec, features=lambda rows: rows.select(wind=pl.col("wind") - pl.col("wind").mean()))
    with pytest.raises(DefinitionError, match="features must work row by row, without aggregates or windows"):
        written(tmp_path / "bundle", fit(spec, rides(), FAST, seed=7, threads=1))


def test_a_bundle_needs_a_row(tmp_path: Path, model: Model) -> None:
    with pytest.raises(ContractError, match="need at least one raw row"):
        write(
            tmp_path / "bundle",
            model=model,
            pipeline="rides",
            definition="",
            definition_hash="",
            snapshot="",
            rows=rides().clear(),
            profile_json="",
        )


def test_a_bundle_tells_what_it_has_learned_and_an_older_one_that_it_does_not_know(
    tmp_path: Path, model: Model
) -> None:
    learned = Description(
        pipeline="rides",
        id="1d" * 32,
        digest="2e" * 32,
        definition="3f" * 32,
        as_of=datetime(2024, 2, 1, tzinfo=UTC),
        as_known_at=datetime(2024, 2, 1, tzinfo=UTC),
        batches={"rows": "1-3,5", "labels": "1-4"},
        since=datetime(2024, 1, 1, tzinfo=UTC),
        until=None,
        rows=300,
        unlabelled=4,
        missing=1,
        coverage=None,
        matures_after_seconds=86_400.0,
        grace_seconds=0.5,
        columns={"wind": "ab" * 8},
    )
    written(tmp_path / "bundle", model, learned=learned)
    written(tmp_path / "older", model)
    text = (tmp_path / "older" / "andon.json").read_text()
    (tmp_path / "older" / "andon.json").write_text(text.replace('"learned": null', '"what the future adds": 7'))
    assert load(tmp_path / "bundle").manifest.learned == learned
    assert load(tmp_path / "older").manifest.learned is None
