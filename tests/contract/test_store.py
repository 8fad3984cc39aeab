"""The promises of registry/store.py, kept by MLflow on SQLite and files and by the fake of other tests."""

import hashlib
import json
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from registry.mlflow_store import MlflowStore
from registry.store import Learned, ModelStore, Study, Submission
from tests.fakes import FolderStore
from validation.errors import NoChampionError, RegistryError, ServiceDownError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput


@pytest.fixture(scope="module")
def mlflow_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One database for the module: MLflow needs seconds to make its tables, so each test has its own pipeline."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture(params=["folder", "mlflow"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ModelStore]:
    if request.param == "folder":
        yield FolderStore(tmp_path / "store")
    else:
        yield MlflowStore(request.getfixturevalue("mlflow_uri"), tmp_path / "models")


@pytest.fixture
def pipeline(request: pytest.FixtureRequest) -> str:
    return f"p{abs(hash(request.node.name))}"


LEARNED = Learned(
    name="story",
    digest="cd" * 32,
    source="/lake/curated/story",
    columns={"at": "Datetime(time_unit='us', time_zone='UTC')", "x": "Float64", "zone": "String", "late": "Boolean"},
    profile={"rows": 7, "batches": {"rows": "1-3"}},
)


STUDY = Study(
    name="intent-1",
    losses=(0.5, 0.4, math.inf, 0.45),
    metrics={"best.num_leaves": 31.0, "seconds": 12.5},
    ended="3 trials are done",
    curves={"validation": ((1, 0.6), (50, 0.4))},
)


def submission(folder: Path, pipeline: str, *, intent: str = "intent-1", text: str = "tree") -> Submission:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.txt").write_text(text, encoding="utf-8")
    (folder / "andon.json").write_text("{}", encoding="utf-8")
    return Submission(
        pipeline=pipeline,
        bundle=folder,
        bundle_sha256=hashlib.sha256(text.encode()).hexdigest(),
        intent=intent,
        attempt=1,
        verdict="promote",
        metrics={"gain": 0.02, "slice carrier=AA": float("nan")},
        params={"num_leaves": 31, "search": None},
        tags={"snapshot": "12"},
        study=STUDY,
        notes="**promote**: a gain of 2 %",
        learned=LEARNED,
        evidence={"verdict.md": b"# Version 1", "verdict.json": b"{}"},
        files={"model_card.html": b"<p>the card</p>"},
    )


TOLD = {"andon.status": "champion", "andon.epoch": "1", "andon.why": "a gain of 2 %"}


def test_the_registered_bytes_come_back_and_stay(store: ModelStore, pipeline: str, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    first = store.register(submission(bundle, pipeline, text="tree"))
    second = store.register(submission(bundle, pipeline, text="a better tree"))

    fetched = store.fetch(pipeline, first, into=tmp_path / "cache" / "first")

    assert (first, second) == ("1", "2")
    assert fetched == tmp_path / "cache" / "first"
    assert sorted(item.name for item in fetched.iterdir()) == ["andon.json", "model.txt"]
    assert (fetched / "model.txt").read_text(encoding="utf-8") == "tree"
    assert [item.name for item in (tmp_path / "cache").iterdir()] == ["first"]


def test_a_bundle_is_fetched_into_a_new_folder_only(store: ModelStore, pipeline: str, tmp_path: Path) -> None:
    version = store.register(submission(tmp_path / "bundle", pipeline))
    with pytest.raises(RegistryError, match="is there already"):
        store.fetch(pipeline, version, into=tmp_path / "bundle")


def test_the_tenth_version_is_newer_than_the_ninth(store: ModelStore, pipeline: str, tmp_path: Path) -> None:
    for number in range(11):
        intent = "intent-2" if number == 0 else "it's intent-1"
        store.register(submission(tmp_path / "bundle", pipeline, intent=intent, text=f"tree {number}"))

    assert store.find(pipeline, intent="it's intent-1") == "11"
    assert store.find(pipeline, intent="intent-2") == "1"
    assert store.find(pipeline, intent="intent-3") is None
    assert store.find("nobody", intent="intent-1") is None


def test_the_alias_champion_is_set_moved_and_removed(store: ModelStore, pipeline: str, tmp_path: Path) -> None:
    assert store.projected(pipeline) is None
    store.project(pipeline, None)
    for text in ("one", "two"):
        store.register(submission(tmp_path / "bundle", pipeline, text=text))
    assert store.projected(pipeline) is None

    for version in ("2", "1", "1"):
        store.project(pipeline, version)
        assert store.projected(pipeline) == version
    for _ in range(2):
        store.project(pipeline, None)
        assert store.projected(pipeline) is None


@pytest.mark.parametrize("version", ["2", "latest"])
def test_an_unknown_version_is_told(store: ModelStore, pipeline: str, tmp_path: Path, version: str) -> None:
    store.register(submission(tmp_path / "bundle", pipeline))
    with pytest.raises(NoChampionError, match=f"no version {version}"):
        store.fetch(pipeline, version, into=tmp_path / "cache")
    with pytest.raises(NoChampionError, match=f"no version {version}"):
        store.project(pipeline, version)
    assert not (tmp_path / "cache").exists()


def test_the_same_bundle_for_the_same_intent_is_one_version(store: ModelStore, pipeline: str, tmp_path: Path) -> None:
    """An attempt that died after its registration is repeated: the version is there already, and wanted again."""
    made = submission(tmp_path / "bundle", pipeline)
    assert store.register(made) == "1"
    assert store.register(submission(tmp_path / "bundle", pipeline, text="another tree")) == "2"
    assert store.abandoned(pipeline, judged=())
    assert store.register(replace(made, attempt=2)) == "1"
    assert store.register(replace(made, intent="intent-2")) == "3"
    assert "version 1" in store.abandoned(pipeline, judged=("3",))[0], "the mark was taken off again"


def test_a_version_says_what_it_was_told_last(store: ModelStore, pipeline: str, tmp_path: Path) -> None:
    for text in ("one", "two"):
        store.register(submission(tmp_path / "bundle", pipeline, text=text))
    for _ in range(2):
        store.tell(pipeline, "1", tags=TOLD, notes="**champion**")
        assert store.shown(pipeline).tags == {"1": TOLD, "2": {}}
    store.tell(pipeline, "1", tags={"andon.status": "was champion"})
    assert store.shown(pipeline).tags["1"] == {"andon.status": "was champion"}
    assert store.find(pipeline, intent="intent-1") == "2", "other tags stay"
    with pytest.raises(NoChampionError, match="no version 7"):
        store.tell(pipeline, "7", tags=TOLD)


def test_a_pipeline_has_one_story(store: ModelStore, pipeline: str, tmp_path: Path) -> None:
    store.describe(pipeline, "nothing to tell it about yet")
    assert (store.shown(pipeline).story, dict(store.shown(pipeline).tags)) == ("", {})
    store.register(submission(tmp_path / "bundle", pipeline))
    assert store.shown(pipeline).story == ""
    for text in ("**Champion: version 1**", "**Champion: version 1**", "**Champion: version 2**"):
        store.describe(pipeline, text)
        assert store.shown(pipeline).story == text


def test_what_dead_attempts_leave_is_told_and_marked_once(store: ModelStore, pipeline: str, tmp_path: Path) -> None:
    assert store.abandoned(pipeline, judged=()) == ()
    for text in ("one", "two", "three"):
        store.register(submission(tmp_path / "bundle", pipeline, text=text))
    assert store.abandoned(pipeline, judged=("1", "2", "3")) == ()
    for _ in range(2):
        told = store.abandoned(pipeline, judged=("1",), mark=False)
        assert [
            word for word in ("version 2", "version 3", "alias challenger") if not any(word in one for one in told)
        ] == []
    assert store.abandoned(pipeline, judged=("1",)) == told
    assert store.abandoned(pipeline, judged=("1",)) == ()
    marked = {"andon.status": "abandoned"}
    assert store.shown(pipeline).tags == {"1": {}, "2": marked, "3": marked}


def test_files_lie_beside_the_bundle_and_the_newest_content_counts(
    store: ModelStore, pipeline: str, tmp_path: Path
) -> None:
    version = store.register(submission(tmp_path / "bundle", pipeline))
    for text in (b"<p>first</p>", b"<p>again</p>", b"<p>again</p>"):
        where = store.attach(pipeline, version, {"windows/2013-06-03.html": text, "windows/latest.html": text})
        assert where == "", "neither has pages of its own"
    store.attach(pipeline, version, {"windows/2013-06-04.html": b"<p>next</p>"})
    store.attach(pipeline, version, {})

    found = {path.name: path.read_bytes() for path in tmp_path.rglob("windows/*.html")}
    assert found == {
        "2013-06-03.html": b"<p>again</p>",
        "2013-06-04.html": b"<p>next</p>",
        "latest.html": b"<p>again</p>",
    }
    fetched = store.fetch(pipeline, version, into=tmp_path / "fetched")
    assert sorted(item.name for item in fetched.iterdir()) == ["andon.json", "model.txt"], "the bundle is as it was"


@pytest.mark.parametrize("name", ["bundle/model.txt", "../windows.html", "/tmp/windows.html", ""])  # noqa: S108
def test_no_file_is_put_elsewhere_than_beside_the_bundle(
    store: ModelStore, pipeline: str, tmp_path: Path, name: str
) -> None:
    version = store.register(submission(tmp_path / "bundle", pipeline))
    with pytest.raises(RegistryError, match="must have a name like windows/"):
        store.attach(pipeline, version, {"windows/good.html": b"", name: b""})
    assert not list(tmp_path.rglob("good.html")), "nothing was written"


def test_files_of_an_unknown_version_are_refused(store: ModelStore, pipeline: str, tmp_path: Path) -> None:
    store.register(submission(tmp_path / "bundle", pipeline))
    with pytest.raises(NoChampionError, match="no version 7"):
        store.attach(pipeline, "7", {"windows/latest.html": b""})


def test_a_versions_files_lie_beside_its_bundle(store: ModelStore, pipeline: str, tmp_path: Path) -> None:
    """What another look at it tells takes the place of what was told."""
    made = submission(tmp_path / "bundle", pipeline)
    for content in (b"<p>the card</p>", b"<p>looked at again</p>"):
        version = store.register(replace(made, files={"model_card.html": content}))
    found = {path.read_bytes() for path in tmp_path.rglob("model_card.html")}
    assert (version, found) == ("1", {b"<p>looked at again</p>"})


# MLflow only


def test_a_run_that_died_in_the_middle_is_ended_and_its_version_gets_no_alias(mlflow_uri: str, tmp_path: Path) -> None:
    """Killed after its registration, before the ledger knew of it; a person's own run is left alone."""
    from mlflow import MlflowClient

    store, client = MlflowStore(mlflow_uri, tmp_path / "models"), MlflowClient(mlflow_uri)
    versions = [store.register(submission(tmp_path / "bundle", "dead", text=text)) for text in ("one", "two")]
    runs = [client.get_model_version("dead", version).run_id or "" for version in versions]
    client.update_run(runs[1], status="RUNNING")
    own = client.create_run(client.get_run(runs[0]).info.experiment_id)

    first, second, alias = store.abandoned("dead", judged=("1",))

    assert first.startswith("the run 'promote: intent-1-1' of 'dead' says that it is running, but its process is dead")
    assert second.startswith("version 2 of 'dead' was made by attempt 1 of intent-1, which died before the ledger knew")
    assert alias == "the alias challenger of 'dead' said version 2, which is abandoned; it says version 1"
    assert [client.get_run(run).info.status for run in (*runs, own.info.run_id)] == ["FINISHED", "KILLED", "RUNNING"]
    assert client.get_model_version("dead", "2").tags["verdict"] == "abandoned"
    assert str(client.get_model_version_by_alias("dead", "challenger").version) == "1"
    assert store.abandoned("dead", judged=("1",)) == ()

    client.update_run(runs[1], status="RUNNING")
    assert store.register(submission(tmp_path / "bundle", "dead", text="two")) == "2"
    assert client.get_run(runs[1]).info.status == "FINISHED"
    assert client.get_model_version("dead", "2").tags["verdict"] == "promote"


def test_another_look_at_a_challenger_says_what_is_known_now(mlflow_uri: str, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    store, client = MlflowStore(mlflow_uri, tmp_path / "models"), MlflowClient(mlflow_uri)
    made = submission(tmp_path / "bundle", "looked")
    store.register(replace(made, verdict="need evidence", metrics={"gain": 0.01}, notes="not yet"))
    version = store.register(replace(made, evidence={"verdict.md": b"# Proven"}))

    run = client.get_run(client.get_model_version("looked", version).run_id or "")
    assert (version, run.info.run_name) == ("1", "promote: intent-1-1")
    assert run.data.metrics["gain"] == 0.02
    assert client.get_model_version("looked", version).description == "**promote**: a gain of 2 %"
    shown = Path(client.download_artifacts(run.info.run_id, "gate", str(tmp_path)))
    assert (shown / "verdict.md").read_text(encoding="utf-8") == "# Proven"


def test_the_list_of_runs_shows_how_each_version_stands(mlflow_uri: str, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    store, client = MlflowStore(mlflow_uri, tmp_path / "models"), MlflowClient(mlflow_uri)
    store.register(submission(tmp_path / "bundle", "listed"))
    run = client.get_model_version("listed", "1").run_id or ""
    store.tell("listed", "1", tags=TOLD)
    assert client.get_run(run).data.tags["andon.status"] == "champion"
    client.delete_run(run)
    store.tell("listed", "1", tags={"andon.status": "was champion"})
    assert store.shown("listed").tags["1"] == {"andon.status": "was champion"}


def test_texts_longer_than_mlflow_takes_are_cut(mlflow_uri: str, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    store, client = MlflowStore(mlflow_uri, tmp_path / "models"), MlflowClient(mlflow_uri)
    long = "why " * 10_000
    store.register(replace(submission(tmp_path / "bundle", "long"), notes=long, tags={"why": long}))
    for _ in range(2):
        store.tell("long", "1", tags={"andon.why": long}, notes=long)
        store.describe("long", long)
    told = client.get_model_version("long", "1")
    texts = (told.tags["andon.why"], told.description or "", store.shown("long").story)
    assert [(len(text), text[-9:]) for text in texts] == [(5_000, " why  ...")] * 3


def test_mlflow_tells_the_challengers_story_within_a_second(mlflow_uri: str, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    store = MlflowStore(mlflow_uri, tmp_path / "models")
    store.register(submission(tmp_path / "bundle", "story"))  # makes experiment and model
    start = time.perf_counter()
    version = store.register(submission(tmp_path / "bundle", "story", intent="intent-2"))
    seconds = time.perf_counter() - start

    client = MlflowClient(mlflow_uri)
    registered = client.get_model_version_by_alias("story", "challenger")
    run = client.get_run(registered.run_id or "")
    assert str(registered.version) == version
    assert registered.description == run.data.tags["mlflow.note.content"] == "**promote**: a gain of 2 %"
    sha256 = hashlib.sha256(b"tree").hexdigest()
    assert registered.tags == {"intent": "intent-2", "attempt": "1", "sha256": sha256, "verdict": "promote"}
    assert (run.info.status, run.info.run_name, run.data.tags["snapshot"]) == ("FINISHED", "promote: intent-2-1", "12")
    assert run.data.params == {"num_leaves": "31", "search": "None"}
    assert run.data.metrics["gain"] == 0.02
    assert "trial_loss" not in run.data.metrics
    assert run.info.artifact_uri.startswith((tmp_path / "models" / "story").as_uri())
    assert seconds < 5, "a fifth of a second on a quiet machine"


def test_a_search_is_one_run_whose_steps_are_its_trials(mlflow_uri: str, tmp_path: Path) -> None:
    """Below its version's run; an attempt that goes on with it after a crash tells it in the same run."""
    from mlflow import MlflowClient

    store, client = MlflowStore(mlflow_uri, tmp_path / "models"), MlflowClient(mlflow_uri)
    made = submission(tmp_path / "bundle", "studied")
    store.register(replace(made, study=None))
    experiment = client.get_experiment_by_name("studied")
    assert experiment is not None
    assert len(client.search_runs([experiment.experiment_id])) == 1, "nothing was searched"
    for _ in range(2):
        store.register(made)
    longer = replace(STUDY, losses=(*STUDY.losses, 0.3), name="it's")
    for attempt in (1, 2):
        again = submission(tmp_path / "bundle", "studied", text=f"tree {attempt}")
        version = store.register(replace(again, study=longer, attempt=attempt))

    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id], "tags.study like '%'")}
    assert sorted(runs) == ["search: intent-1", "search: it_s"]
    found, second = runs["search: intent-1"], runs["search: it_s"]
    history = {name: client.get_metric_history(found.info.run_id, name) for name in found.data.metrics}
    steps = {name: [(item.step, item.value) for item in items] for name, items in history.items()}
    assert steps == {
        "trial_loss": [(0, 0.5), (1, 0.4), (3, 0.45)],
        "best_loss": [(0, 0.5), (1, 0.4), (3, 0.4)],
        "validation": [(1, 0.6), (50, 0.4)],
        "best.num_leaves": [(0, 31.0)],
        "seconds": [(0, 12.5)],
    }
    assert (found.info.status, found.data.tags["mlflow.note.content"]) == ("FINISHED", "3 trials are done")
    parents = [client.get_model_version("studied", number).run_id for number in ("1", version)]
    assert [run.data.tags["mlflow.parentRunId"] for run in (found, second)] == parents

    client.update_run(found.info.run_id, status="RUNNING")
    versions = [str(number) for number in range(1, int(version) + 1)]
    (told,) = store.abandoned("studied", judged=versions)
    assert told.startswith("the run 'search: intent-1' of 'studied' says that it is running, but its process is dead")
    assert client.get_run(found.info.run_id).info.status == "KILLED"


def inputs_of(client: "MlflowClient", pipeline: str, version: str) -> "list[DatasetInput]":
    run = client.get_run(client.get_model_version(pipeline, version).run_id or "")
    assert run.inputs is not None
    return run.inputs.dataset_inputs


def test_mlflow_shows_what_a_challenger_has_learned_from(mlflow_uri: str, tmp_path: Path) -> None:
    """Of a snapshot that was learned from twice there is one dataset, in two runs."""
    from mlflow import MlflowClient

    store, client = MlflowStore(mlflow_uri, tmp_path / "models"), MlflowClient(mlflow_uri)
    versions = [store.register(submission(tmp_path / "bundle", "learned", intent=intent)) for intent in "ab"]
    (first,), (second,) = (inputs_of(client, "learned", version) for version in versions)
    assert second.dataset.to_dictionary() == first.dataset.to_dictionary()
    assert [(tag.key, tag.value) for tag in first.tags] == [("mlflow.data.context", "training")]
    told = first.dataset
    assert (told.name, told.digest, told.source_type) == ("story", "cd" * 18, "local")
    assert json.loads(told.source) == {"uri": "/lake/curated/story"}
    assert json.loads(told.profile or "") == {"rows": 7, "batches": {"rows": "1-3"}}
    columns = json.loads(told.schema or "")["mlflow_colspec"]
    assert [(column["name"], column["type"]) for column in columns] == [
        ("at", "datetime"),
        ("x", "double"),
        ("zone", "string"),
        ("late", "boolean"),
    ]


def test_more_columns_than_mlflow_can_keep_are_not_told(mlflow_uri: str, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    wide = replace(LEARNED, source="s3://lake/wide", columns={f"column_{n}": "Float64" for n in range(2_000)})
    store, client = MlflowStore(mlflow_uri, tmp_path / "models"), MlflowClient(mlflow_uri)
    version = store.register(replace(submission(tmp_path / "bundle", "wide"), learned=wide))
    (told,) = inputs_of(client, "wide", version)
    assert (told.dataset.schema or "", told.dataset.source_type) == ("", "s3")


def test_a_bundle_that_is_gone_from_mlflow_is_told(mlflow_uri: str, tmp_path: Path) -> None:
    store = MlflowStore(mlflow_uri, tmp_path / "models")
    version = store.register(submission(tmp_path / "bundle", "gone"))
    (tmp_path / "models" / "gone").rename(tmp_path / "elsewhere")
    with pytest.raises(RegistryError, match="bundle of version 1 of 'gone' is gone from MLflow; restore"):
        store.fetch("gone", version, into=tmp_path / "cache")


@pytest.mark.parametrize(
    "uri", ["http://me:hunter2@127.0.0.1:9", "http://127.0.0.1:9", "postgresql://me:hunter2@127.0.0.1:9/mlflow"]
)
def test_mlflow_that_does_not_answer_is_told_without_the_password(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(ServiceDownError, match=r"127.0.0.1:9\S* does not answer.*ANDON_MLFLOW_URI") as caught:
        MlflowStore(uri, tmp_path).projected("flights")
    assert "hunter2" not in f"{caught.value!r} {caught.value.__cause__!r}"
