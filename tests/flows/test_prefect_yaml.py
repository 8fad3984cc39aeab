"""prefect.yaml against the code: what it names exists, what it waits for is emitted, what it passes on is taken."""

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[2]
DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
FLOWS = ["ingest", "score", "monitor", "retrain", "promote", "rollback", "reconcile"]
# Alone, a template keeps the payload's type; within a text it would become a string.
TYPED = re.compile(r"\{\{ event\.payload\.(\w+) \}\}")
EVERY_FLOW = pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: str(deployment["name"]))


def triggers(deployment: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = deployment.get("triggers", [])
    return found


def payloads() -> dict[str, set[str]]:
    """Event -> names in the payload, as the calls of `announce` in tasks/ have them; `announce` adds the pipeline.

    Where the event is computed, it is one of the texts of that file.
    """
    found: dict[str, set[str]] = {}
    for path in (ROOT / "tasks").glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "announce"]
        for call in calls:
            texts = [str(node.value) for node in ast.walk(tree) if isinstance(node, ast.Constant)]
            named = call.args[0]
            for event in [str(named.value)] if isinstance(named, ast.Constant) else texts:
                found.setdefault(f"andon.{event}", {"pipeline"}).update(str(item.arg) for item in call.keywords)
    return found


def test_every_flow_is_deployed_once() -> None:
    assert [deployment["name"] for deployment in DEPLOYMENTS] == FLOWS
    assert [item["entrypoint"] for item in DEPLOYMENTS] == [f"flows/{name}.py:{name}" for name in FLOWS]
    assert sorted(path.stem for path in (ROOT / "flows").glob("[a-z]*.py")) == sorted(FLOWS)


@EVERY_FLOW
def test_an_entrypoint_loads_as_the_flow_of_its_name(
    deployment: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefect would deploy a placeholder for a flow file that cannot be imported, and say nothing."""
    from prefect.flows import load_flow_from_entrypoint

    monkeypatch.chdir(ROOT)
    loaded: Any = load_flow_from_entrypoint(deployment["entrypoint"], use_placeholder_flow=False)
    assert loaded.name == deployment["name"]
    taken = inspect.signature(loaded.fn).parameters
    given = [set(deployment.get("parameters", {})), *(set(trigger["parameters"]) for trigger in triggers(deployment))]
    needed = {name for name, parameter in taken.items() if parameter.default is inspect.Parameter.empty}
    assert all(names <= taken.keys() for names in given)
    assert not needed or not (deployment.get("schedules") or triggers(deployment)), "by hand only: it asks for a name"


@EVERY_FLOW
def test_a_trigger_waits_for_what_is_emitted_and_passes_on_what_it_holds(deployment: dict[str, Any]) -> None:
    emitted = payloads()
    for trigger in triggers(deployment):
        templates = [TYPED.fullmatch(value) for value in trigger["parameters"].values()]
        assert all(templates), trigger["parameters"]
        asked = {found[1] for found in templates if found}
        for event in trigger["expect"]:
            assert event in emitted
            assert asked <= emitted[event], event
        assert trigger["match"]["prefect.resource.id"] == "andon.pipeline.*"
        # Our own announcement of drift must not come back to us as a wish of somebody else's.
        assert (trigger["match"].get("andon.source") == "outside") == (trigger["expect"] == ["andon.drift.detected"])


def test_the_loop_closes_by_events() -> None:
    closed = {event: item["name"] for item in DEPLOYMENTS for trigger in triggers(item) for event in trigger["expect"]}
    assert closed == {
        "andon.batch.accepted": "score",
        "andon.window.scored": "monitor",
        "andon.drift.detected": "monitor",
        "andon.retrain.requested": "retrain",
    }
