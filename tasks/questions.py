"""Questions to a person and their answers as values: how they are worded, and read back from the ledger."""

from datetime import datetime, timedelta

from registry.ledger import Intent, Recorded
from tasks.site import Site
from validation.deeds import Question, Reply


def worded(site: Site, gate: Recorded, intent: Intent, why: str, timeout: timedelta) -> Question:
    """The question about the version of the gate's verdict, open for so long on the ledger's clock."""
    until = site.ledger.now() + timeout
    command = f"andon approve {site.name} {gate.subject} --why ..."
    return Question(
        pipeline=site.name,
        subject=gate.subject,
        outcome="asked",
        reasons=(
            f"may version {gate.subject} become champion? {why}",
            f"silence until {until:%Y-%m-%d %H:%M} is a no; answer in Prefect's UI, or: {command} (or andon reject)",
        ),
        data_time=gate.data_time,
        intent=intent.id,
        gate=gate.seq,
        why=why,
        deadline=until,
    )


def as_question(asked: Recorded) -> Question:
    """The question as the verdict that it is."""
    body = asked.body
    return Question(
        pipeline=asked.pipeline,
        subject=asked.subject,
        outcome=asked.outcome,
        reasons=asked.reasons,
        data_time=asked.data_time,
        intent=body["intent"],
        gate=body["gate"],
        why=body["why"],
        deadline=deadline(asked),
    )


def as_reply(answer: Recorded) -> Reply:
    """The answer as the verdict that it is."""
    return Reply(
        pipeline=answer.pipeline,
        subject=answer.subject,
        outcome=answer.outcome,
        reasons=answer.reasons,
        data_time=answer.data_time,
        question=answer.body["question"],
        intent=answer.body["intent"],
    )


def deadline(question: Recorded) -> datetime:
    """Until when the question may be answered, on the ledger's clock."""
    return datetime.fromisoformat(question.body["deadline"])


def in_words(answer: Recorded) -> str:
    """Who answered what, and why."""
    return f"{answer.outcome} by {answer.actor}: {answer.reasons[0]}"


def gate_of(site: Site, question: Recorded) -> Recorded:
    """The gate's verdict on which the question rests."""
    (gate,) = site.ledger.verdicts(site.name, seq=int(question.body["gate"]))
    return gate
