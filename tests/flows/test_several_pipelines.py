"""Several pipelines in one run: what fails for one is told and raised, and the others are served all the same."""

from pathlib import Path

import pytest

from tasks.each import for_each
from tasks.site import Site, open_sites
from validation.deeds import skipped
from validation.errors import DefinitionError, SomeFailedError
from validation.verdict import Verdict

DEFINITION = """
from typing import Annotated
import pandera.polars as pa
import polars as pl
from andon import Labels, Pipeline, Source

class Rows(pa.DataFrameModel):
    key: str
    at: Annotated[pl.Datetime, "us", "UTC"]
    size: float

PIPELINE = Pipeline(
    name="NAME", source=Source(path="landing/x/*.parquet", time="at", key="key"),
    labels=Labels(path="landing/y/*.parquet", target="value"), contract=Rows,
    features=lambda rows: rows, task="regression",
)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("apples", "pears", "plums"):
        path = tmp_path / "pipelines" / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(DEFINITION.replace("NAME", name))
    monkeypatch.setenv("ANDON_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ANDON_PIPELINES", str(tmp_path / "pipelines"))
    return tmp_path / "pipelines"


@pytest.mark.usefixtures("folder")
def test_one_that_fails_is_raised_when_the_others_had_their_turn() -> None:
    served = []

    def work(site: Site) -> list[Verdict]:
        served.append(site.name)
        if site.name == "apples":
            raise DefinitionError("they are rotten")
        return [skipped("retrain", site.name, "ripe", site.ledger.now())]

    words = "retrain failed for 1 of 3 pipelines: apples: they are rotten"
    with pytest.raises(SomeFailedError, match=words) as raised:
        for_each("retrain", open_sites(None), work)
    assert [verdict.pipeline for verdict in raised.value.verdicts] == ["pears", "plums"]
    assert raised.value.exit_code == DefinitionError.exit_code
    assert served == ["apples", "pears", "plums"]


@pytest.mark.usefixtures("folder")
def test_several_that_fail_are_told_together() -> None:
    def work(_: Site) -> list[Verdict]:
        raise ValueError("rotten")

    words = "retrain failed for 3 of 3 pipelines: apples: ValueError: rotten; pears: ValueError: rotten; plums"
    with pytest.raises(SomeFailedError, match=words):
        for_each("retrain", open_sites(None), work)


@pytest.mark.usefixtures("folder")
def test_of_one_pipeline_the_error_itself_is_raised() -> None:
    def work(_: Site) -> list[Verdict]:
        raise DefinitionError("rotten")

    with pytest.raises(DefinitionError, match=r"^rotten$"):
        for_each("retrain", open_sites("pears"), work)


def test_a_wrong_file_stops_no_other_pipeline(folder: Path) -> None:
    (folder / "pears.py").write_text("this is no Python")
    assert [site.name for site in open_sites(None)] == ["apples", "plums"]
    with pytest.raises(DefinitionError, match=r"pears\.py cannot be imported: SyntaxError"):
        open_sites("pears")


def test_when_no_file_is_right_the_first_error_is_raised(folder: Path) -> None:
    for path in folder.glob("*.py"):
        path.write_text("this is no Python")
    with pytest.raises(DefinitionError, match=r"apples\.py cannot be imported"):
        open_sites(None)
