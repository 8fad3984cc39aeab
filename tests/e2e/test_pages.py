"""What people look at, in a real browser: do Prefect's UI, MLflow's UI and the report tell the story?"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from andon.child import start
from andon.processes import free_port, program, wait_until_up
from demo.report import as_html
from tests.e2e.audit import query
from tests.e2e.browser import browser, visit
from tests.e2e.line import RETRAIN, Line
from tests.e2e.world import NAME
from tests.unit.test_charts_and_report import EVENTFUL, QUIET, SUMMARY

__all__ = ["browser"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One retrain that an event started, as the ledger and Prefect know it."""

    intent: str
    version: str
    run: str
    base: str  # of Prefect's UI
    mlflow: str


@pytest.fixture(scope="module")
def story(browser: str, line: Line) -> Iterator[Story]:  # noqa: ARG001 - without a browser nothing is to be started
    """A line with a history, of which the last thing is a promotion by event; and MLflow's UI beside it."""
    intent = line.next_lap()
    line.await_promoted(intent)
    (run,) = line.retrain_runs(intent)
    port = free_port()
    command = [program("mlflow"), "ui", "--backend-store-uri", line.env["ANDON_MLFLOW_URI"], "--port", str(port)]
    env = {**line.env, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    mlflow = start("mlflow", command, env=env, logs=line.home / "logs", cwd=line.home)
    try:
        wait_until_up(mlflow, f"http://127.0.0.1:{port}/health", status=200)
        yield Story(
            intent=intent,
            version=line.champion()["version"],
            run=run["id"],
            base=line.stack.prefect_url,
            mlflow=f"http://127.0.0.1:{port}/#",
        )
    finally:
        mlflow.stop()


def test_prefect_shows_the_run_that_the_automation_started_and_why(
    browser: str, line: Line, story: Story, tmp_path: Path
) -> None:
    visit(browser, f"{story.base}/runs", f"retrain {NAME} as of", f"monitor {NAME} as of", folder=tmp_path / "runs")
    run = f"{story.base}/runs/flow-run/{story.run}"
    tasks = ("train", "judge", "register", f"promote version {story.version}")
    visit(browser, run, f"retrain {NAME} as of", "Completed", f"Automation {RETRAIN}", *tasks, folder=tmp_path / "run")
    visit(browser, f"{story.base}/automations", RETRAIN, "Run deployment: retrain", folder=tmp_path / "automations")
    wanted = {"artifacts": {"key": {"any_": [f"retrain-{NAME}"]}}, "flow_runs": {"id": {"any_": [story.run]}}}
    (why,) = line.api("POST", "/artifacts/filter", wanted)
    told = ("gate", NAME, "promote", "the challenger's loss is", "proven above 0")
    visit(browser, f"{story.base}/artifacts/artifact/{why['id']}", *told, folder=tmp_path / "artifact")


def test_mlflow_shows_the_champion_and_the_comparison_that_made_it_one(
    browser: str, line: Line, story: Story, tmp_path: Path
) -> None:
    told = (f"Version {story.version}", "@ champion", "@ challenger", "verdict : promote", f"intent : {story.intent}")
    visit(browser, f"{story.mlflow}/models/{NAME}", *told, folder=tmp_path / "model")
    about = "select run_uuid, experiment_id from model_versions join runs on run_uuid = run_id where version = ?"
    (run,) = query(line.home, "mlflow.db", about, int(story.version))
    compared = ("champion_loss", "challenger_loss", "gain_share", "standard_error", "lower", "the challenger's loss is")
    page = f"{story.mlflow}/experiments/{run['experiment_id']}/runs/{run['run_uuid']}"
    visit(browser, page, f"promote: {story.intent}", *compared, folder=tmp_path / "run")
    verdict = ("gate/verdict.md", "the challenger's loss is", "proven above 0")
    visit(browser, f"{page}/artifacts/gate/verdict.md", *verdict, folder=tmp_path / "verdict")


def test_mlflow_tells_the_models_story_and_how_each_version_stands(browser: str, story: Story, tmp_path: Path) -> None:
    """What `andon history` tells, told by MLflow's own pages."""
    told = (f"Champion: version {story.version}", "in place of version 1", "version 1 became champion")
    visit(browser, f"{story.mlflow}/models/{NAME}", *told, folder=tmp_path / "model")
    stands = ("andon.status", "was champion", "andon.epoch", "andon.why", "andon.until")
    visit(browser, f"{story.mlflow}/models/{NAME}/versions/1", *stands, folder=tmp_path / "version")


def test_the_report_opens_from_a_file_says_what_happened_and_breaks_nothing(browser: str, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(as_html(SUMMARY, [QUIET, EVENTFUL], title="Parcels, replayed"), encoding="utf-8")
    words = ("Parcels, replayed", "2013-W15", "truncated <upload>", "promote +3.4%", "0.4100", "v2", "temp")
    text, console = visit(browser, page.as_uri(), *words, folder=tmp_path / "seen")
    assert console == [], "the report's console is silent"
    assert "Over 2 weeks the log loss was 0.4100 with Andon, 0.4500 without any retraining" in text
    assert (tmp_path / "seen" / "page.png").stat().st_size > 20_000, "it draws something"
