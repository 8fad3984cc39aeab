"""The import table of the README, checked with ast: who may import what, and where the heavy libraries live."""

import ast
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = ("andon", "demo", "flows", "modelling", "pipelines", "registry", "serving", "storage", "tasks", "validation")

MAY_IMPORT_OF_OURS = {
    "validation": set(),
    "modelling": {"validation"},
    "andon": {"validation", "modelling"},
    "registry": {"validation", "modelling"},
    "storage": {"validation", "andon"},
    "pipelines": {"andon"},
    "tasks": {"andon", "modelling", "registry", "storage", "validation"},
    "flows": {"tasks", "andon", "validation"},
    "serving": {"andon", "modelling", "registry", "storage", "validation"},
    "demo": set(OURS),
}
MUST_NOT_IMPORT = {
    "validation": {"prefect", "mlflow", "s3fs", "sqlalchemy", "lightgbm", "optuna", "deltalake"},
    "modelling": {"prefect", "mlflow", "s3fs", "sqlalchemy", "deltalake"},
    "andon": {"prefect", "mlflow", "lightgbm", "optuna"},
    "registry": {"prefect", "s3fs", "lightgbm", "optuna"},
    "storage": {"prefect", "mlflow", "lightgbm", "optuna", "sqlalchemy"},
    "tasks": {"mlflow", "optuna", "lightgbm", "s3fs", "sqlalchemy", "deltalake"},
    "flows": {"mlflow", "s3fs", "lightgbm", "optuna", "sqlalchemy", "deltalake", "polars"},
    "serving": {"prefect", "optuna", "pandas", "mlflow", "sqlalchemy"},
    "pipelines": {"prefect", "mlflow", "lightgbm", "optuna", "sqlalchemy"},
    "demo": set(),
}
ONLY_IN = {
    "mlflow": {"registry/mlflow_store.py"},
    "lightgbm": {f"modelling/boosting/{name}.py" for name in ("dataset", "growing", "live", "streaming")},
    "ctypes": {"modelling/native.py"},
    "optuna": {"modelling/tuning/search.py", "modelling/tuning/study.py"},
}
# The command line may import any package of ours, inside a command; so may what a notebook calls.
FREE_TO_IMPORT = ("andon/cli/", "andon/notebook.py")


def imports(path: Path) -> set[str]:
    """The dotted names of all modules that a file imports, wherever in the file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} has a relative import; ours are absolute"
            found.add(node.module or "")
    return found


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", OURS)
def test_a_package_imports_only_what_the_table_allows(package: str) -> None:
    for path in sources(package):
        relative = path.relative_to(ROOT).as_posix()
        tops = {name.split(".")[0] for name in imports(path)}
        if not relative.startswith(FREE_TO_IMPORT):
            of_ours = (tops & set(OURS)) - {package}
            assert of_ours <= MAY_IMPORT_OF_OURS[package], f"{relative} imports {of_ours - MAY_IMPORT_OF_OURS[package]}"
        assert not tops & MUST_NOT_IMPORT[package], f"{relative} imports {tops & MUST_NOT_IMPORT[package]}"


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_a_heavy_library_is_imported_in_the_file_that_owns_it_alone(library: str) -> None:
    users = {
        path.relative_to(ROOT).as_posix()
        for package in OURS
        if package != "demo"
        for path in sources(package)
        if library in {name.split(".")[0] for name in imports(path)}
    }
    assert users <= ONLY_IN[library]


def test_nothing_imports_the_demo() -> None:
    importers = {
        path.relative_to(ROOT).as_posix()
        for package in OURS
        if package != "demo"
        for path in sources(package)
        if any(name.split(".")[0] == "demo" for name in imports(path))
    }
    assert not [path for path in importers if not path.startswith(FREE_TO_IMPORT)]


def test_no_flow_file_is_named_like_a_module_that_it_would_hide() -> None:
    """Prefect leaves flows/ first on sys.path: a file named like a library would be imported in its place."""
    taken = set(OURS) | set(sys.stdlib_module_names) | set(packages_distributions())
    assert not {path.stem for path in sources("flows") if path.stem != "__init__"} & taken


def test_a_flow_file_defines_flows_and_nothing_that_lives_on() -> None:
    """Path loading makes a second copy of the module: types, tasks and state would exist twice."""
    for path in sources("flows"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert not [node for node in tree.body if isinstance(node, ast.ClassDef | ast.Assign | ast.AnnAssign)], (
            path.name
        )
        decorators = {
            ast.unparse(d).split("(")[0]
            for node in tree.body
            if isinstance(node, ast.FunctionDef)
            for d in node.decorator_list
        }
        assert decorators <= {"flow"}, f"{path.name} is decorated with {decorators}"


def test_task_names_are_unique() -> None:
    """Prefect keys tasks by bare function name."""
    names = [
        node.name
        for package in ("tasks", "flows")
        for path in sources(package)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
        and any(ast.unparse(d).split("(")[0] == "task" for d in node.decorator_list)
    ]
    assert len(names) == len(set(names)), sorted({name for name in names if names.count(name) > 1})


def test_only_the_public_face_has_an_init_with_content() -> None:
    filled = {path.parent.name for path in ROOT.glob("*/__init__.py") if path.stat().st_size > 0}
    assert filled <= {"andon", "tests"}
