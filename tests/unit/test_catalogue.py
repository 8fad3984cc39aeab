"""The catalogue finds pipeline files, and tells what is wrong with those that it cannot take."""

from pathlib import Path

import pytest

from andon import DefinitionError
from andon.catalogue import catalogue, find, load

WHOLE = """
from tests.unit.definitions import define
PIPELINE = define(name={name!r})
"""


def write(folder: Path, file: str, name: str) -> Path:
    path = folder / file
    path.write_text(WHOLE.format(name=name))
    return path


def test_all_pipelines_are_found_by_name_and_private_files_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, "b.py", "zebra")
    write(tmp_path, "a.py", "mule")
    write(tmp_path, "_draft.py", "draft")
    assert list(catalogue([tmp_path])) == ["mule", "zebra"]


def test_a_pipeline_is_found_under_a_file_of_another_name(tmp_path: Path) -> None:
    write(tmp_path, "animals.py", "mule")
    assert find("mule", [tmp_path]).name == "mule"


def test_a_broken_neighbour_does_not_hide_a_pipeline_that_is_asked_for_by_name(tmp_path: Path) -> None:
    write(tmp_path, "mule.py", "mule")
    (tmp_path / "broken.py").write_text("import no_such_library")
    assert find("mule", [tmp_path]).name == "mule"


def test_two_pipelines_of_one_name_are_an_error_that_names_both_files(tmp_path: Path) -> None:
    write(tmp_path, "one.py", "mule")
    write(tmp_path, "two.py", "mule")
    with pytest.raises(DefinitionError, match=r"two pipelines are named 'mule': .*one\.py and .*two\.py; rename one"):
        catalogue([tmp_path])


def test_an_unknown_name_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    write(tmp_path, "mule.py", "mule")
    with pytest.raises(DefinitionError, match="there is no pipeline 'mole'; known are: mule"):
        find("mole", [tmp_path])


def test_an_empty_folder_says_that_none_is_known(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="known are: none"):
        find("mule", [tmp_path])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import no_such_library", r"mule\.py cannot be imported: ModuleNotFoundError: .*; mend the file"),
        ("def broken(:", r"mule\.py cannot be imported: SyntaxError"),
        ("raise SystemExit(3)", r"mule\.py cannot be imported: SystemExit"),
        ("PIPELINES = []", r"mule\.py must define PIPELINE = Pipeline\(\.\.\.\), found NoneType"),
        (WHOLE.format(name="Mule"), r"mule\.py: pipeline 'Mule': name must be"),
    ],
)
def test_a_file_that_defines_no_pipeline_says_why(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mule.py"
    path.write_text(text)
    with pytest.raises(DefinitionError, match=message):
        load(path)


def test_a_folder_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="does not exist; correct ANDON_PIPELINES"):
        catalogue([tmp_path / "nowhere"])


def test_a_file_that_is_not_python_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="is not a Python file"):
        load(tmp_path / "notes.txt")
