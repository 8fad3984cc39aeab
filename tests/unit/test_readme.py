"""The README is true: its example is a pipeline, its short commands run, the others exist, its table is the rule."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from andon.catalogue import load
from tests.unit.test_architecture import MAY_IMPORT_OF_OURS, ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Every command of the README, in blocks and in running text, without its comment."""
    lines = [line for kind in ("sh", "text") for block in blocks(kind) for line in block.splitlines()]
    inline = re.findall(r"`((?:andon|make|prefect) [^`]+)`", README)
    known = re.compile(r"(\.venv/bin/andon|andon|make|prefect)\s")
    return [line.split("  #")[0].split(" # ")[0].strip() for line in [*lines, *inline] if known.match(line)]


def test_the_example_is_a_whole_pipeline(tmp_path: Path) -> None:
    (example,) = blocks("python")
    path = tmp_path / "heating.py"
    path.write_text(example, encoding="utf-8")
    pipeline = load(path)
    assert pipeline.name == "heating"
    assert list(pipeline.inputs) == ["house", "outside", "inside", "hour", "gap"]


def test_the_python_calls_are_python_and_name_a_flow_that_exists() -> None:
    for call in blocks("python-call"):
        compile(call, "README", "exec")
    assert "def retrain(" in (ROOT / "flows/retrain.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", [line for block in blocks("sh") for line in block.splitlines()])
def test_a_short_command_runs(command: str, tmp_path: Path) -> None:
    program, *arguments = shlex.split(command)
    assert program == ".venv/bin/andon"
    env = {name: value for name, value in os.environ.items() if not name.startswith(("ANDON_", "PREFECT_"))}
    done = subprocess.run(
        [sys.executable, "-m", "andon.cli", *arguments],
        env={**env, "ANDON_HOME": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", sorted(set(commands())))
def test_every_other_command_exists(command: str) -> None:
    program, word, *_ = [*shlex.split(command), ""]
    if program == "make":
        assert re.search(rf"^{word}:", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    elif program.endswith("andon") and not word.startswith("-"):
        from typer.main import get_command

        from andon.cli.commands import app

        found = get_command(app)
        assert word in found.commands, f"andon {word} is no command"  # type: ignore[attr-defined]


def test_the_folder_table_is_the_import_rule() -> None:
    told = {
        folder: "" if rule == "nothing" else rule
        for folder, rule in re.findall(r"^\| `(\w+)/` \| [^|]+ \| ([^|;]+?)(?:;[^|]*)? \|$", README, flags=re.MULTILINE)
    }
    ruled = {
        folder: ", ".join(sorted(allowed)) if folder != "demo" else "anything"
        for folder, allowed in MAY_IMPORT_OF_OURS.items()
    }
    assert {folder: ", ".join(sorted(rule.split(", "))) for folder, rule in told.items()} == ruled
