"""The command line: what people read, what scripts read, and the exit codes."""

import json
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest

from andon import addresses
from andon.cli.commands import _tell
from andon.processes import free_port
from registry.ledger import Change, Ledger
from tests.unit.shell import PIPELINE, Ran, Shell
from validation.errors import SomeFailedError
from validation.verdict import Verdict
from validation.watch.incidents import Finding, next_incidents

DAY = datetime(2013, 4, 7, tzinfo=UTC)
STALE = Finding(
    kind="quality",
    about="2013-04-07",
    title="version 3 has become stale",
    cause="the world has changed",
    doing="a retrain was asked for",
    severity="Andon acts",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch(Verdict):
    kind: ClassVar[str] = "contract"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window(Verdict):
    kind: ClassVar[str] = "drift"


@dataclass(frozen=True, slots=True, kw_only=True)
class Training(Verdict):
    kind: ClassVar[str] = "training"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged(Verdict):
    kind: ClassVar[str] = "gate"


def ended(kind: type[Verdict], outcome: str) -> Verdict:
    return kind(pipeline="trips", subject="i1", outcome=outcome, reasons=("for a reason",), data_time=DAY)


def crown(ledger: Ledger, version: str, *, epoch: int) -> None:
    change = Change(
        pipeline="trips",
        kind="promotion",
        version=version,
        bundle_sha256="a" * 64,
        trained_until=DAY,
        why="better by 2 % on 1,000 rows",
        data_time=DAY,
        actor="tester",
    )
    ledger.crown(change, expected_epoch=epoch)


def note(ledger: Ledger, outcome: str, why: str) -> None:
    verdict = Verdict(pipeline="trips", subject="a note", outcome=outcome, reasons=(why,), data_time=DAY)
    ledger.record(verdict, actor="tester")


def loaded_by(code: str) -> set[str]:
    """Which of the heavy libraries a fresh Python has loaded after `code`."""
    heavy = ("prefect", "mlflow", "lightgbm", "pandera", "optuna", "scipy.stats", "sqlalchemy", "deltalake")
    program = f"{code}\nimport sys, json\nprint(json.dumps([name for name in {heavy} if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_andon_is_light() -> None:
    assert loaded_by("import andon") == set()


def test_help_is_light() -> None:
    assert loaded_by("from andon.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass") == set()


@pytest.mark.parametrize(
    "command",
    [
        "demo", "up", "ingest", "retrain", "monitor", "score", "promote", "rollback", "reconcile", "pause", "resume",
        "approve", "reject", "adopt",
        "status", "why", "incidents", "report", "history", "diff", "show", "check", "verify",
    ],
)  # fmt: skip
def test_each_command_explains_itself(andon: Shell, command: str) -> None:
    ran = andon(command, "--help")
    assert ran.code == 0
    assert "Usage: andon" in ran.out + ran.err


@pytest.mark.parametrize(
    "words",
    [
        ["status", "nope"],
        ["history", "nope"],
        ["diff", "nope", "1", "2"],
        ["show", "nope"],
        ["ingest", "nope"],
        ["score", "nope"],
        ["monitor", "nope"],
        ["retrain", "nope"],
        ["reconcile", "nope"],
        ["promote", "nope", "3", "--why", "it is better"],
        ["rollback", "nope", "--why", "it is worse"],
        ["approve", "nope", "--why", "it is good"],
        ["reject", "nope", "--why", "it is bad"],
        ["adopt", "nope", "--why", "it was meant"],
        ["pause", "nope", "--why", "it is odd"],
        ["resume", "nope", "--why", "it is solved"],
    ],
)
def test_an_unknown_pipeline_is_one_sentence_with_the_known_ones(andon: Shell, words: list[str]) -> None:
    expected = "DefinitionError: there is no pipeline 'nope'; known are: trips"
    assert andon(*words) == Ran(code=2, out="", err=expected)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ingest", "trips", "--as-of", "yesterday"], "--as-of must be a moment like 2013-04-07"),
        (["ingest", "trips", "--as-of", "2213-04-07"], "--as-of must lie between 1900 and now, got '2213-04-07'"),
        (["monitor", "trips", "--as-of", "0001-01-01"], "--as-of must lie between 1900 and now"),
        (["up", "--prefect-port", "99999"], "Invalid value for '--prefect-port'"),
        (["rollback", "trips"], "Missing option '--why'"),
        (["history", "trips", "--limit", "0"], "Invalid value for '--limit'"),
        (["dance"], "No such command 'dance'"),
        (["show"], "name a pipeline: andon show PIPELINE"),
        (["show", "trips", "--version", "7"], "the ledger knows no version '7' of trips; see: andon history trips"),
        (["show", "trips", "--verdict", "7"], "there is no verdict no. 7 about trips; see: andon history trips"),
    ],
)
def test_a_wrong_request_ends_with_code_2(andon: Shell, words: list[str], message: str) -> None:
    ran = andon(*words)
    assert ran.code == 2
    assert message in ran.err
    assert "Traceback" not in ran.err


def test_a_wrong_variable_is_named(andon: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDON_LEASE_SECONDS", "soon")
    ran = andon("status")
    assert ran.code == 2
    assert "ANDON_LEASE_SECONDS: Input should be a valid number" in ran.err
    assert "got 'soon'; all variables: andon show --settings" in ran.err


@pytest.mark.parametrize("form", ["postgresql://me:hunter2@db/andon", "postgresql://db/andon?password=hunter2"])
def test_a_password_is_never_shown(andon: Shell, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setenv("ANDON_LEDGER_URL", form)
    monkeypatch.setenv("ANDON_MLFLOW_URI", form)
    for words in (["show", "--settings"], ["show", "--settings", "--json"]):
        ran = andon(*words)
        assert ran.code == 0
        assert "hunter2" not in ran.out + ran.err
        assert "***" in ran.out + ran.err


def test_a_ledger_that_is_down_ends_with_code_3(andon: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDON_LEDGER_URL", f"postgresql+psycopg://127.0.0.1:{free_port()}/andon")
    ran = andon("status")
    assert ran.code == 3
    assert ran.err.startswith("ServiceDownError: the ledger at")


def test_an_error_that_nobody_foresaw_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert _tell(ZeroDivisionError("division by zero\nand more"), ["status", "trips"]) == 1
    told = capsys.readouterr().err
    assert told == "Unexpected ZeroDivisionError: division by zero; to see where: andon --debug status trips\n"


def test_what_went_well_is_printed_above_what_failed(capsys: pytest.CaptureFixture[str]) -> None:
    batch = Batch(pipeline="trips", subject="week 14", outcome="accept", reasons=("all is well",), data_time=DAY)
    error = SomeFailedError("ingest failed for 1 of 2 pipelines: cars: no folder", [batch], exit_code=2)
    assert _tell(error, ["ingest"]) == 2
    told = capsys.readouterr().err
    assert told.index("trips contract week 14: accept") < told.index("all is well") < told.index("cars: no folder")
    assert _tell(error, ["ingest", "--json"]) == 2
    assert [row["pipeline"] for row in json.loads(capsys.readouterr().out)] == ["trips"]


def test_debug_shows_where_an_error_comes_from_wherever_it_stands(andon: Shell) -> None:
    assert "Traceback" not in andon("status", "nope").err
    assert "Traceback" in andon("--debug", "status", "nope").err
    assert "Traceback" in andon("status", "nope", "--debug").err


def test_a_broken_announcement_is_no_announcement(andon: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANDON_SCORER_URL")
    andon.home.mkdir()
    for text in ("", "[]", "{}", '{"pid": "seven", "env": {}}', '{"pid": 1, "env": 7}'):
        (andon.home / "up.json").write_text(text)
        assert andon("status").code == 0


def test_servers_that_run_already_are_not_started_twice(andon: Shell) -> None:
    andon.home.mkdir()
    addresses.announce(andon.home, defaultdict(str))
    ran = andon("up")
    assert ran.code == 1
    assert "RefusedError: the servers of" in ran.err
    assert "run already" in ran.err


def test_an_empty_installation_says_what_to_do_first(andon: Shell) -> None:
    status = andon("status")
    assert status.code == 0
    assert status.out == ""
    assert "champion no champion yet: andon retrain trips" in status.err
    assert "scorer not running" in status.err
    assert "last batch none yet: andon ingest trips" in status.err
    history = andon("history", "trips")
    assert history.code == 0
    assert history.err == "nothing has been decided about trips yet; let data in: andon ingest trips"


def test_status_tells_champion_cord_and_intents(andon: Shell) -> None:
    ledger = andon.ledger()
    crown(ledger, "3", epoch=0)
    intent = ledger.ask(intent_id="i1", pipeline="trips", reason="the days got longer", data_time=DAY)
    ledger.defer(intent.id, until=datetime(2013, 4, 10, tzinfo=UTC), condition="")
    (incident,) = next_incidents((), [STALE], pipeline="trips", as_of=DAY)
    ledger.record(incident, actor="monitor")
    ran = andon("status", "trips")
    assert "incident version 3 has become stale; more: andon incidents trips" in ran.err
    assert "champion version 3 (epoch 1) since 2013-04-07 00:00, trained on rows before 2013-04-07 00:00" in ran.err
    assert "because better by 2 % on 1,000 rows" in ran.err
    assert "the days got longer (put off until 2013-04-10 00:00)" in ran.err

    told = json.loads(andon("status", "trips", "--json").out)
    assert (told["version"], told["epoch"], told["paused"]) == ("3", 1, None)
    assert told["intents"][0]["state"] == "deferred"
    assert told["incidents"] == ["version 3 has become stale"]

    (over,) = next_incidents([incident], (), pipeline="trips", as_of=DAY, over={"quality": "a new champion"})
    ledger.record(over, actor="monitor")
    assert "incident" not in andon("status", "trips").err


def test_history_is_a_list_of_sentences_newest_last(andon: Shell) -> None:
    ledger = andon.ledger()
    for number in range(5):
        note(ledger, "quiet", f"window {number} is as always")
    ran = andon("history", "trips", "--limit", "2")
    assert "window 2" not in ran.err
    assert ran.err.index("window 3 is as always") < ran.err.index("window 4 is as always")
    rows = json.loads(andon("history", "trips", "--json").out)
    assert [row["reasons"] for row in rows] == [[f"window {number} is as always"] for number in range(5)]


def test_history_shows_decisions_and_counts_what_happens_every_day(andon: Shell) -> None:
    ledger = andon.ledger()
    for kind, outcome in ((Batch, "accept"), (Batch, "accept"), (Batch, "refuse"), (Window, "quiet")):
        ledger.record(
            kind(pipeline="trips", subject="x", outcome=outcome, reasons=("so",), data_time=DAY), actor="a@b:1"
        )
        if outcome == "refuse":
            crown(ledger, "3", epoch=0)
    ran = andon("history", "trips")
    assert ran.err == (
        "trips: version 3 is champion (epoch 1) "
        "4 2013-04-07 00:00 version 3 became champion (epoch 1), better by 2 % on 1,000 rows "
        f"by tester, written on {ledger.now():%Y-%m-%d} ... drift: 1 quiet"
    )
    note(ledger, "odd", "nobody foresaw this")
    assert "1 earlier decisions: andon history trips --limit 2" in andon("history", "trips", "--limit", "1").err
    rows = json.loads(andon("history", "trips", "--json").out)
    assert [(row["seq"], row["text"], row["tone"]) for row in rows] == [
        (4, "version 3 became champion (epoch 1)", "good"),
        (6, "note a note: odd", "plain"),
    ]
    assert [row["seq"] for row in json.loads(andon("history", "trips", "--all", "--json").out)] == [1, 2, 3, 4, 5, 6]
    assert "2013-04-07 00:00 contract x: refuse, so" in andon("history", "trips", "--all").err


def test_history_counts_what_came_between_two_decisions(andon: Shell) -> None:
    ledger = andon.ledger()
    for number, outcome in enumerate(("accept", "refuse", "accept")):
        crown(ledger, str(number), epoch=number)
        ledger.record(
            Batch(pipeline="trips", subject="x", outcome=outcome, reasons=("so",), data_time=DAY), actor="a@b:1"
        )
    told = andon("history", "trips").err
    order = (
        "version 0 became",
        "... batches: 1 accepted",
        "version 1 became",
        "... batches: 1 refused",
        "version 2 became",
    )
    assert [told.index(words) for words in order] == sorted(told.index(words) for words in order)


def test_a_rule_of_brackets_is_printed_as_it_is(andon: Shell) -> None:
    """Rich reads [red] as markup; a reason may hold anything."""
    note(andon.ledger(), "quiet", "carrier in [red] and [/] is fine")
    assert "carrier in [red] and [/] is fine" in andon("history", "trips").err


def test_show_prints_definition_version_and_verdict(andon: Shell) -> None:
    crown(andon.ledger(), "3", epoch=0)
    definition = json.loads(andon("show", "trips", "--json").out)
    assert (definition["name"], definition["labels"]["matures_after"]) == ("trips", 86_400.0)
    assert definition["inputs"] == ["distance", "zone", "hour"]
    assert "matures_after: 1 day" in andon("show", "trips").err

    version = json.loads(andon("show", "trips", "--version", "3", "--json").out)
    assert version["reigns"][0]["change"]["bundle_sha256"] == "a" * 64
    verdict = json.loads(andon("show", "trips", "--verdict", "1", "--json").out)
    assert (verdict["kind"], verdict["outcome"]) == ("promotion", "promoted")


def test_show_documents_every_variable(andon: Shell) -> None:
    rows = json.loads(andon("show", "--settings", "--json").out)
    assert [row["variable"] for row in rows] == [
        "ANDON_HOME",
        "ANDON_LAKE",
        "ANDON_S3_ENDPOINT",
        "ANDON_S3_REGION",
        "ANDON_REMOTE_SECONDS",
        "ANDON_SETTLE_SECONDS",
        "ANDON_LEDGER_URL",
        "ANDON_LEDGER_KEY",
        "ANDON_STUDY_URL",
        "ANDON_MLFLOW_URI",
        "ANDON_PIPELINES",
        "ANDON_SCORE_ROWS",
        "ANDON_SCORER_URL",
        "ANDON_SCORER_WORKERS",
        "ANDON_SCORER_TOKENS",
        "ANDON_SCORER_TOKEN_FILE",
        "ANDON_SCORER_TOKEN",
        "ANDON_DELIVERY_DATABASE",
        "ANDON_ACTOR",
        "ANDON_LEASE_SECONDS",
        "ANDON_ALERT_WEBHOOKS",
        "ANDON_ALERT_BLOCKS",
        "ANDON_PUBLIC_URL",
        "ANDON_SILENCE_SECONDS",
    ]
    assert all(row["meaning"] for row in rows)


def test_check_is_content_with_a_fresh_installation_and_changes_nothing(andon: Shell) -> None:
    ran = andon("check")
    assert ran.code == 0, ran.err
    assert "pipeline trips ok binary, 3 inputs" in ran.err
    assert "made at first use" in ran.err
    assert not andon.home.exists()


def test_check_names_the_rules_that_need_a_pass_of_their_own(andon: Shell) -> None:
    findings = {row["what"]: row for row in json.loads(andon("check", "--json").out)}
    detail = findings["rules of trips"]["detail"]
    assert detail.startswith("all in one pass over a file, but: trip_id.unique reads trip_id ")
    assert detail.endswith("ms for 10,000 rows: it compares all rows")


def test_check_looks_at_the_delivery_database_when_a_pipeline_delivers_there(
    andon: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def finding() -> dict[str, Any] | None:
        return next(
            (row for row in json.loads(andon("check", "--json").out) if row["what"] == "delivery database"), None
        )

    assert finding() is None
    text = PIPELINE.replace('name="trips"', 'name="trips", delivery=Delivery(database="scores")')
    (andon.home.parent / "pipelines" / "trips.py").write_text(f"from andon import Delivery\n{text}")
    assert finding() == {
        "what": "delivery database",
        "state": "ok",
        "detail": f"sqlite:///{andon.home}/delivery.db, made at first use",
        "code": 0,
    }
    assert not andon.home.exists()
    monkeypatch.setenv("ANDON_DELIVERY_DATABASE", f"postgresql://andon:T0PS3CRET@127.0.0.1:{free_port()}/scores")
    told = finding()
    assert told is not None
    assert (told["state"], told["code"]) == ("not reachable", 3)
    assert "see that the server answers" in told["detail"]
    assert "T0PS3CRET" not in told["detail"]


def test_check_names_two_files_of_one_name(andon: Shell) -> None:
    (andon.home.parent / "pipelines" / "twin.py").write_text(PIPELINE)
    ran = andon("check", "--json")
    findings = {row["what"]: row for row in json.loads(ran.out)}
    assert ran.code == 2
    assert findings["pipeline twin"]["detail"].endswith("twin.py: another file defines 'trips' as well; rename one")


def test_status_tells_a_training_that_came_to_nothing_until_a_gate_judges_again(andon: Shell) -> None:
    ledger = andon.ledger()
    assert "last training" not in andon("status", "trips").err
    for outcome in ("failed", "not trained"):
        ledger.record(ended(Training, outcome), actor="tester")
        assert f"last training {outcome} on 2013-04-07 00:00: for a reason" in andon("status", "trips").err
    assert json.loads(andon("status", "trips", "--json").out)["training"]["outcome"] == "not trained"
    ledger.record(ended(Judged, "reject"), actor="tester")
    assert "last training" not in andon("status", "trips").err
    ledger.record(ended(Training, "failed"), actor="tester")
    ledger.record(ended(Training, "trained"), actor="tester")
    assert "last training" not in andon("status", "trips").err


def test_a_broken_neighbour_hides_no_status(andon: Shell) -> None:
    (andon.home.parent / "pipelines" / "broken.py").write_text("import no_such_library")
    ran = andon("status", "--json")
    assert ran.code == 0
    assert [row["pipeline"] for row in json.loads(ran.out)] == ["trips"]


def test_check_names_what_is_broken_and_ends_with_the_worst_code(andon: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    (andon.home.parent / "pipelines" / "broken.py").write_text("import no_such_library")
    ran = andon("check", "--json")
    findings = {row["what"]: row for row in json.loads(ran.out)}
    assert ran.code == 2
    assert findings["pipeline broken"]["detail"].endswith("mend the file")
    assert findings["pipeline trips"]["state"] == "ok"

    monkeypatch.setenv("ANDON_MLFLOW_URI", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{free_port()}/api")
    ran = andon("check")
    assert ran.code == 3
    assert "does not answer; start it, or correct ANDON_MLFLOW_URI" in ran.err
    assert "does not answer; start it (andon up), or correct PREFECT_API_URL" in ran.err
