"""A person is asked: one question, one answer, and what follows from it, wherever somebody dies in between."""

import json
import os
from collections.abc import Iterator
from datetime import timedelta

import pytest

from registry.ledger import Recorded
from registry.promotion import repair_alias
from tasks import form
from tasks.adoption import ALIAS, adopt
from tasks.approval import AWAITING, answer_question, ask_person, carry_out, hear, lapse, open_question
from tasks.cord import pull
from tasks.exhibit import exhibit
from tasks.promote import force_version, roll_back_to
from tasks.questions import gate_of
from tasks.telling import note
from tests.flows.deciding import ACTOR, NAME, Deciding, day
from tests.flows.world import at_once
from tests.unit.shell import Shell
from validation.deeds import Question, Repair, Reply
from validation.errors import RefusedError

WHY = "the gate's policy asks a person about every promotion"
SOON = timedelta(days=3)


def ask(decided: Deciding, *, version: str = "3", outcome: str = "promote", timeout: timedelta = SOON) -> Recorded:
    """As a retrain does it: an intent, claimed and judged, and the question."""
    site = decided.site
    intent = site.ledger.ask(intent_id=f"intent-{version}", pipeline=NAME, reason="drift", data_time=day(14))
    gate = decided.judge(version, outcome, asks=WHY)
    return ask_person(site, gate=gate, intent=intent, why=WHY, lease=None, timeout=timeout)


def state(decided: Deciding) -> tuple[str, str]:
    """State and outcome (or condition) of the newest intent."""
    intent = decided.ledger.intents(NAME)[-1]
    return intent.state, intent.outcome or intent.condition


@pytest.fixture
def andon(
    decided: Deciding, prefect: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shell]:
    monkeypatch.setenv("PREFECT_API_URL", prefect)
    monkeypatch.setenv("ANDON_ACTOR", "bob")
    monkeypatch.setenv("COLUMNS", "200")
    before = dict(os.environ)
    yield Shell(decided.home, capsys)
    os.environ.clear()
    os.environ.update(before)


def test_a_question_waits_with_its_intent_and_is_asked_once(decided: Deciding) -> None:
    question = ask(decided)
    assert state(decided) == ("deferred", AWAITING)
    intent, gate = decided.ledger.intents(NAME)[-1], gate_of(decided.site, question)
    again = ask_person(decided.site, gate=gate, intent=intent, why=WHY, lease=None, timeout=SOON)
    assert again == question == open_question(decided.site, intent="intent-3", version="3")
    assert (question.kind, question.subject, question.outcome) == ("question", "3", "asked")
    assert open_question(decided.site, intent="another") is None
    assert open_question(decided.site, version="4") is None
    heard = hear(decided.site, question)  # no deployment: nobody can be waited for
    assert isinstance(heard, Question)
    assert heard.reasons[0] == f"may version 3 become champion? {WHY}"
    assert heard.reasons[1].endswith("answer in Prefect's UI, or: andon approve rides 3 --why ... (or andon reject)")
    assert lapse(decided.site) == ()
    assert decided.reigns()[-1] == ("promotion", "2")
    told = exhibit(decided.site, question, gate)
    assert "## May version 3 of rides become champion?" in told
    assert "| loss | 0.6 | 0.5 |" in told
    assert "| gain | | +16.67% |" in told


def test_an_approved_version_is_promoted_once_with_who_why_and_evidence(decided: Deciding) -> None:
    question = ask(decided, outcome="need evidence")
    site = decided.site
    told = answer_question(site, question, approve=True, why="seen the numbers", actor="bob")
    assert (told.kind, told.subject, told.outcome) == ("promotion", "3", "promoted")
    change = decided.ledger.champions(NAME)[-1].change
    assert (change.kind, change.version, change.bundle_sha256) == ("promotion", "3", decided.digest("3"))
    assert (change.actor, change.intent, change.evidence) == ("bob", "intent-3", question.body["gate"])
    assert change.why == "approved by bob: seen the numbers; a gain of 16.67 %"
    assert state(decided) == ("closed", "approved by bob: seen the numbers")
    assert site.store.projected(NAME) == "3"
    assert open_question(site) is None
    with pytest.raises(RefusedError, match="has its answer: approved, by bob"):
        answer_question(site, question, approve=False, why="no, wait")
    answer = site.ledger.answer_to(question.seq)
    assert answer is not None
    assert carry_out(site, question, answer) == told
    assert hear(site, question) == told
    assert lapse(site) == ()
    assert len(decided.reigns()) == 3


def test_a_no_and_silence_close_the_intent_and_promote_nothing(decided: Deciding) -> None:
    told = answer_question(decided.site, ask(decided), approve=False, why="not before the holidays", actor="bob")
    assert isinstance(told, Reply)
    assert (told.outcome, state(decided)) == ("rejected", ("closed", "rejected by bob: not before the holidays"))
    question = ask(decided, version="4", timeout=timedelta(0))
    (silent,) = lapse(decided.site)
    assert (silent.kind, silent.subject, silent.outcome) == ("answer", "4", "timed out")
    assert state(decided)[1].startswith(f"timed out by {ACTOR}: nobody has answered until ")
    with pytest.raises(RefusedError, match="has its answer: timed out"):
        answer_question(decided.site, question, approve=True, why="I was on holiday")
    assert lapse(decided.site) == ()
    assert len(decided.reigns()) == 2


def test_a_yes_after_the_deadline_is_a_no_and_one_without_a_reason_is_none(decided: Deciding) -> None:
    question = ask(decided, timeout=timedelta(0))
    with pytest.raises(RefusedError, match="say why version 3 of 'rides' is answered so: --why"):
        answer_question(decided.site, question, approve=True, why=" \n")
    late = answer_question(decided.site, question, approve=True, why="good")
    assert late.outcome == "timed out"
    assert late.reasons[0].startswith("the answer (approved: good) came after ")
    assert len(decided.reigns()) == 2


def test_who_died_after_the_answer_or_after_the_crowning_is_finished_by_the_sweep(decided: Deciding) -> None:
    question = ask(decided)
    reply = Reply(
        pipeline=NAME, subject="3", outcome="approved", reasons=("good",), data_time=day(14),
        question=question.seq, intent="intent-3",
    )  # fmt: skip
    decided.ledger.answer(question.seq, reply, actor="bob")
    assert open_question(decided.site) is None
    both = at_once(*[lambda: lapse(decided.site)] * 2)  # two sweeps at once
    assert [verdict.subject for item in both if isinstance(item, tuple) for verdict in item][:1] == ["3"], both
    assert (len(decided.reigns()), state(decided)) == (3, ("closed", "approved by bob: good"))
    assert lapse(decided.site) == ()

    # As if it had died between the ledger's word and the intent's end, and a rollback had come since.
    judged = decided.judge("4", asks=WHY)
    intent = decided.ledger.ask(intent_id="intent-4", pipeline=NAME, reason="drift", data_time=day(14))
    asked = ask_person(decided.site, gate=judged, intent=intent, why=WHY, lease=None, timeout=SOON)
    decided.ledger.answer(
        asked.seq,
        Reply(pipeline=NAME, subject="4", outcome="approved", reasons=("good",), data_time=day(14),
              question=asked.seq, intent="intent-4"),
        actor="bob",
    )  # fmt: skip
    decided.crown("4", at=day(14))
    roll_back_to(decided.site, "1", "complaints", day(15))
    assert [item.subject for item in lapse(decided.site)] == ["4"]
    assert state(decided) == ("closed", "approved by bob: good")
    assert decided.reigns()[-1] == ("rollback", "1")


def test_what_has_changed_since_the_gate_stops_an_approved_version_and_says_so(decided: Deciding) -> None:
    question = ask(decided)
    pull(NAME, "the stops are rebuilt")
    told = answer_question(decided.site, question, approve=True, why="good", actor="bob")
    assert told.outcome == "skipped"
    assert told.reasons[0].startswith("version 3 was approved, but is not promoted: the cord is pulled (the stops are")
    assert state(decided) == ("closed", told.reasons[0])
    answer = decided.ledger.answer_to(question.seq)
    assert answer is not None
    assert answer.outcome == "approved"
    assert carry_out(decided.site, question, answer) == told

    question = ask(decided, version="4")
    force_version(decided.site, "3", "the regulator wants it", day(15))
    told = answer_question(decided.site, question, approve=True, why="good", actor="bob")
    assert "the gate compared version 4 with version 2, and now version 3 is champion" in told.reasons[0]
    assert decided.reigns()[-1] == ("forced", "3")


def test_a_question_about_a_comparison_of_no_worth_any_more_is_closed_by_the_sweep(decided: Deciding) -> None:
    ask(decided)
    decided.crown("4", at=day(14))
    (told,) = lapse(decided.site)
    assert (told.kind, told.outcome) == ("answer", "rejected")
    assert told.reasons[0].startswith("the gate compared version 3 with version 2, and now version 4 is champion")
    assert state(decided)[0] == "closed"


def test_the_form_asks_for_a_choice_and_a_reason() -> None:
    schema = form.Approval.model_json_schema()
    assert schema["required"] == ["decision", "why"]
    assert schema["$defs"]["Decision"]["enum"] == ["approve", "reject"]
    assert schema["properties"]["why"]["pattern"] == r"\S"
    assert not form.can_ask()


def test_the_command_line_answers_the_open_question_or_says_what_there_is(decided: Deciding, andon: Shell) -> None:
    none = andon("approve", NAME, "--why", "good")
    assert (none.code, none.err) == (
        1,
        "RefusedError: no question about 'rides' waits for an answer: andon history rides",
    )
    ask(decided)
    wrong = andon("reject", NAME, "4", "--why", "bad")
    assert wrong.code == 1
    assert "the question about 'rides' is about version 3, not 4; look at it: andon show rides" in wrong.err
    done = andon("approve", NAME, "3", "--why", "good", "--json")
    assert (done.code, json.loads(done.out)["outcome"]) == (0, "promoted")
    assert decided.ledger.champions(NAME)[-1].change.why.startswith("approved by bob@")
    again = andon("reject", NAME, "--why", "bad")
    assert "waits for an answer; the last one, about version 3, was approved by bob@" in again.err
    ask(decided, version="4")
    rejected = andon("reject", NAME, "--why", "bad", "--json")
    assert (rejected.code, json.loads(rejected.out)["outcome"]) == (0, "rejected")


def test_an_alias_that_was_moved_by_hand_is_adopted_also_after_its_repair(decided: Deciding, andon: Shell) -> None:
    site = decided.site
    with pytest.raises(RefusedError, match="nothing to adopt for 'rides': nobody has moved its alias"):
        adopt(site, None, "it is better")
    site.store.project(NAME, "3")
    with pytest.raises(RefusedError, match="of 'rides' was not moved to version 4, but to 3; for another one: andon"):
        adopt(site, "4", "it is better")
    done = andon("adopt", NAME, "--why", "it is better", "--json")
    assert (done.code, json.loads(done.out)["outcome"]) == (0, "adopted")
    assert decided.reigns()[-1] == ("adoption", "3")
    assert decided.ledger.champions(NAME)[-1].change.bundle_sha256 == decided.digest("3")

    site.store.project(NAME, "4")
    moved = repair_alias(site.ledger, site.store, NAME)  # as reconcile does it, and reports it
    assert moved is not None
    assert (moved.found, site.store.projected(NAME)) == ("4", "3")
    report = Repair(
        pipeline=NAME, subject=ALIAS, outcome="repaired", reasons=(moved.sentence,), data_time=day(15), found="4"
    )
    note(site, report)
    pull(NAME, "the stops are rebuilt")
    with pytest.raises(RefusedError, match=r"the cord is pulled .*marked for ever: andon promote rides 4 --force"):
        adopt(site, None, "I meant it")
    andon("resume", NAME, "--why", "rebuilt")
    assert adopt(site, "4", "I meant it").outcome == "adopted"
    assert (decided.reigns()[-1], site.store.projected(NAME)) == (("adoption", "4"), "4")
    with pytest.raises(RefusedError, match="nothing to adopt"):
        adopt(site, None, "once more")
