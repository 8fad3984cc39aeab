"""A person answers in Prefect's own form: a real server, a real worker, flow runs that wait, and how they end."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest

from andon.processes import POOL, deploy, environment, free_port, start_prefect_server, start_worker, wait_until_up
from andon.settings import Settings
from registry.ledger import Recorded
from tasks.approval import ask_person
from tasks.questions import in_words
from tests.e2e.world import andon, told, wait_for
from tests.flows import deciding
from tests.flows.conftest import acting
from tests.flows.deciding import NAME, Deciding, day

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

WHY = "the gate's policy asks a person about every promotion"


@dataclass(frozen=True)
class Desk:
    """Where a person sits: the installation, and Prefect's server with the deployments and a worker."""

    decided: Deciding
    env: dict[str, str]

    def ask(self, intent: str, version: str, *, timeout: timedelta = timedelta(days=3)) -> tuple[Recorded, str]:
        """A question as a retrain asks it, and the id of the deployment's flow run that waits for the answer."""
        site = self.decided.site
        made = site.ledger.ask(intent_id=intent, pipeline=NAME, reason="drift", data_time=day(14))
        gate = self.decided.judge(version, "need evidence", asks=WHY, intent=intent)
        question = ask_person(site, gate=gate, intent=made, why=WHY, lease=None, timeout=timeout)
        deployment = self.api("GET", "/deployments/name/retrain/retrain")
        parameters = {"pipeline": NAME, "intent": intent, "as_of": day(14).isoformat()}
        run = self.api("POST", f"/deployments/{deployment['id']}/create_flow_run", {"parameters": parameters})
        self.await_state(run["id"], "Suspended")
        return question, run["id"]

    def api(self, method: str, path: str, body: object = None) -> Any:
        """What Prefect answers; asked again while its database is locked (503), as its own client does."""
        url = f"{self.env['PREFECT_API_URL']}{path}"

        def ask() -> httpx.Response | None:
            answer = httpx.request(method, url, json=body, timeout=30, trust_env=False)
            return None if answer.status_code == 503 else answer.raise_for_status()

        answered = wait_for(f"Prefect to answer {method} {path}", ask, seconds=60, every=1)
        return answered.json() if answered and answered.content else None

    def run(self, run: str) -> dict[str, Any]:
        return dict(self.api("GET", f"/flow_runs/{run}"))

    def await_state(self, run: str, name: str) -> dict[str, Any]:
        """The run, once it is in the state of this name."""
        wait_for(f"{run} to be {name}", lambda: self.run(run)["state"]["name"] == name, seconds=120, every=0.5)
        return self.run(run)

    def shown(self, run: str) -> tuple[dict[str, Any], str]:
        """The form's schema and description, as Prefect's UI reads them."""
        keys = self.run(run)["state"]["state_details"]["run_input_keyset"]
        schema, text = (self.api("GET", f"/flow_runs/{run}/input/{keys[part]}") for part in ("schema", "description"))
        return schema, text

    def fill_in(self, run: str, **answer: str) -> str:
        """Send the form, as the UI does: what the server says to it."""
        return str(self.api("POST", f"/flow_runs/{run}/resume", {"run_input": answer})["status"])


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    home, port = tmp_path_factory.mktemp("desk") / "home", free_port()
    with acting(home):
        deciding.build(home)
        decided = Deciding(home)
        decided.crown("1", at=day(7))
        decided.crown("2", at=day(14))
        env = environment(Settings(), prefect_port=port)
        env["PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED"] = "false"
        server = start_prefect_server(home, port, env=env)
        worker = start_worker(home, env=env)
        try:
            wait_until_up(worker, f"{env['PREFECT_API_URL']}/work_pools/{POOL}", status=200)
            deploy(env)
            yield Desk(decided, env)
        finally:
            worker.stop()
            server.stop()


def test_a_person_sees_the_evidence_and_approves_in_prefects_form(desk: Desk) -> None:
    question, run = desk.ask("intent-ui", "3")
    schema, text = desk.shown(run)
    assert schema["required"] == ["decision", "why"]
    assert schema["definitions"]["Decision"]["enum"] == ["approve", "reject"]
    assert f"**Why you are asked**: {WHY}" in text
    assert "| loss | 0.6 | 0.5 |" in text
    assert desk.fill_in(run, decision="approve", why="  ") == "REJECT"
    assert desk.fill_in(run, decision="perhaps", why="good") == "REJECT"
    assert desk.run(run)["state"]["name"] == "Suspended"
    assert desk.fill_in(run, decision="approve", why="seen the numbers") == "ACCEPT"
    desk.await_state(run, "Completed")
    newest = desk.decided.ledger.champions(NAME)[-1].change
    assert (newest.version, newest.intent, newest.evidence) == ("3", "intent-ui", question.body["gate"])
    assert newest.actor.startswith("Prefect UI, flow run retrain rides as of 2013-04-14 00:00 (")
    assert run in newest.actor
    assert desk.decided.site.store.projected(NAME) == "3"


def test_who_answers_on_the_command_line_ends_the_run_that_waits(desk: Desk) -> None:
    before = desk.decided.reigns()
    question, run = desk.ask("intent-cli", "4")
    (answer,) = told(andon(desk.env, "reject", NAME, "4", "--why", "not before the holidays", "--json"))
    assert (answer["kind"], answer["outcome"]) == ("answer", "rejected")
    ended = desk.run(run)
    recorded = desk.decided.ledger.answer_to(question.seq)
    assert recorded is not None
    assert (ended["state"]["type"], ended["state"]["name"]) == ("COMPLETED", "Answered")
    assert ended["state"]["message"] == in_words(recorded)
    assert desk.decided.reigns() == before


def test_the_sweep_ends_what_nobody_answers(desk: Desk) -> None:
    before = desk.decided.reigns()
    question, run = desk.ask("intent-silent", "4", timeout=timedelta(seconds=40))
    wait_for("the deadline", lambda: desk.decided.ledger.now().isoformat() > question.body["deadline"], seconds=60)
    swept = told(andon(desk.env, "reconcile", NAME, "--as-of", day(14).isoformat(), "--json"))
    assert [item["outcome"] for item in swept if item["kind"] == "answer"] == ["timed out"]
    ended = desk.run(run)
    assert (ended["state"]["type"], ended["state"]["name"]) == ("COMPLETED", "Answered")
    assert desk.decided.ledger.intents(NAME)[-1].state == "closed"
    assert desk.decided.reigns() == before
