"""Asking a person: the question and its one answer stand in the ledger; what follows from the answer is done here.

Prefect's form (form.py) and `andon approve` are two doors to `answer_question`. Judges nothing: the gate did.
"""

from contextlib import suppress
from datetime import timedelta
from typing import Literal

from registry.ledger import Champion, Change, Intent, IntentState, Lease, Recorded
from registry.promotion import promote
from registry.rules import announcement
from tasks import form
from tasks.events import announce
from tasks.exhibit import exhibit
from tasks.history import KEPT
from tasks.objections import objection, replaced
from tasks.proof import prove
from tasks.questions import as_question, as_reply, deadline, gate_of, in_words, worded
from tasks.rollout_start import as_shadow, goes_first, into_shadow, shadow_of
from tasks.showing import show_standing
from tasks.site import Site
from tasks.telling import log, note
from validation.deeds import Reply, failed, skipped
from validation.errors import RefusedError, RegistryError, ServiceDownError
from validation.failpoints import reached
from validation.verdict import Verdict

AWAITING = "a person's answer"  # an intent's condition while a question about it is open
GRACE = timedelta(days=1)  # Prefect gives up so long after the deadline; by then a sweep has ended the flow run
_LIVE: tuple[IntentState, ...] = ("open", "claimed", "deferred")


def ask_person(
    site: Site, *, gate: Recorded, intent: Intent, why: str, lease: Lease | None, timeout: timedelta
) -> Recorded:
    """Ask whether the version that the gate's verdict is about may become champion; the intent waits for the answer.

    One question for each verdict of the gate: whoever asks again gets the first one.
    """
    asked = site.ledger.verdicts(site.name, kind="question", subject=gate.subject)
    known = next((item for item in asked if item.body["gate"] == gate.seq), None)
    question = known or note(site, worded(site, gate, intent, why, timeout), lease=lease)
    reached("approval.asked")
    if site.ledger.answer_to(question.seq) is None:
        with suppress(RefusedError):  # answered and carried out at this moment: the intent is closed
            site.ledger.defer(intent.id, until=None, condition=AWAITING, lease=lease)
    if known is None:
        _announce("approval.asked", question, why=why)
    return question


def open_question(site: Site, *, intent: str | None = None, version: str | None = None) -> Recorded | None:
    """The question that waits for an answer, of this intent and about this version where they are named.

    There is at most one: its intent is not closed, and a pipeline has only one such intent.
    """
    question = _newest(site, intent=intent, version=version)
    return question if question and site.ledger.answer_to(question.seq) is None else None


def hear(site: Site, question: Recorded) -> Verdict:
    """Put the question where a person looks. In a flow run of a deployment for one pipeline: suspend it with the form,
    and when it comes again, carry the answer out. Elsewhere: the question, which says how it is answered.
    """
    if site.ledger.answer_to(question.seq) is None and not form.can_ask():
        return as_question(question)
    if site.ledger.answer_to(question.seq) is None and not _is_overdue(site, question):
        left = deadline(question) + GRACE - site.ledger.now()
        shown = exhibit(site, question, gate_of(site, question))
        given = form.ask(question, shown=shown, seconds=left.total_seconds())
        with suppress(RefusedError):  # somebody else was faster, and that answer counts
            approve = given.decision is form.Decision.APPROVE
            return answer_question(site, question, approve=approve, why=given.why, actor=form.who())
    answer = site.ledger.answer_to(question.seq) or _by_itself(site, question)
    return carry_out(site, question, answer) if answer else as_question(question)


def answer_question(site: Site, question: Recorded, *, approve: bool, why: str, actor: str | None = None) -> Verdict:
    """Write the answer, and carry it out. One that comes after the deadline is a no, whatever it says.

    RefusedError without a reason, or when somebody has answered before.
    """
    if not why.strip():
        raise RefusedError(f"say why version {question.subject} of {site.name!r} is answered so: --why 'the reason'")
    outcome: Literal["approved", "rejected", "timed out"] = "approved" if approve else "rejected"
    if _is_overdue(site, question):
        outcome, why = "timed out", f"the answer ({outcome}: {why}) came after {deadline(question):%Y-%m-%d %H:%M}"
    answer = _answer(site, question, outcome, why, actor=actor or site.actor)
    verdict = carry_out(site, question, answer)
    show_standing(site)
    form.end_waiting({form.key(question): in_words(answer)})
    return verdict


def carry_out(site: Site, question: Recorded, answer: Recorded) -> Verdict:
    """Do what the answer says, or finish doing it: promote the version (let it answer in the shadow first, where the
    definition says so), or close the intent with the reason.

    An approved version is not promoted any more when the cord is pulled, when another champion serves than the gate
    compared it with, or when its bundle does not load: that closes the intent. ServiceDownError leaves it for later.
    """
    key = str(question.body["intent"])
    if answer.outcome != "approved":
        site.ledger.close(key, outcome=in_words(answer))
        _announce("challenger.rejected", question, outcome=answer.outcome)
        return as_reply(answer)
    came = _crowned(site, key) or _crown_unless(site, question, answer)
    if isinstance(came, Recorded):
        return as_shadow(came)
    if isinstance(came, Champion):
        site.ledger.close(key, outcome=in_words(answer))
        return announcement(came)
    told = f"version {question.subject} was approved, but is not promoted: {came}"
    return skipped("approve", site.name, site.ledger.close(key, outcome=told).outcome, question.data_time)


def lapse(site: Site) -> tuple[Verdict, ...]:
    """For the sweep: questions past their deadline, or about a comparison that is of no worth any more, get their no;
    answers that nobody has carried out are carried out; flow runs that wait for nothing any more are ended.
    """
    question = _newest(site)
    answer = (site.ledger.answer_to(question.seq) or _by_itself(site, question)) if question else None
    done: tuple[Verdict, ...] = ()
    if question and answer and shadow_of(site, gate_of(site, question)) is None:
        try:
            done = (carry_out(site, question, answer),)
        except ServiceDownError as error:
            done = (failed("reconcile", site.name, str(error), question.data_time),)
    form.end_waiting(_lately_answered(site))
    return done


def _newest(site: Site, *, intent: str | None = None, version: str | None = None) -> Recorded | None:
    """The newest question of the intent that is not closed, answered or not."""
    live = {item.id for item in site.ledger.intents(site.name, states=_LIVE) if intent in (None, item.id)}
    asked = site.ledger.verdicts(site.name, kind="question", subject=version, limit=KEPT) if live else ()
    return next((item for item in reversed(asked) if item.body["intent"] in live), None)


def _crown_unless(site: Site, question: Recorded, answer: Recorded) -> Champion | Recorded | str:
    """The new champion, the row by which it goes into the shadow, or why the version may not be it any more."""
    try:
        return _crown(site, question, answer)
    except (RefusedError, RegistryError) as error:
        return _crowned(site, str(question.body["intent"])) or str(error)  # a twin may have been first


def _crown(site: Site, question: Recorded, answer: Recorded) -> Champion | Recorded:
    current, gate = site.ledger.champion(site.name), gate_of(site, question)
    reign = {"version": gate.subject, "bundle_sha256": str(gate.body["bundle_sha256"])}
    if (why_not := replaced(site, gate) or objection(site, **reign, as_of=gate.data_time)) is not None:
        raise RefusedError(why_not)
    intent = site.ledger.intent(str(question.body["intent"]))
    if intent is not None and goes_first(site, gate):
        return into_shadow(site, intent, gate, lease=None, why=in_words(answer))
    proven = prove(site, gate.subject)
    change = Change(
        pipeline=site.name,
        kind="promotion",
        version=proven.version,
        bundle_sha256=proven.bundle_sha256,
        trained_until=proven.trained_until,
        why=f"{in_words(answer)}; {gate.reasons[0]}",
        data_time=gate.data_time,
        actor=answer.actor,
        intent=str(question.body["intent"]),
        evidence=gate.seq,
    )
    champion = promote(site.ledger, site.store, change=change, expected_epoch=current.epoch if current else 0)
    reached("approval.crowned")
    _announce("champion.promoted", question)
    return champion


def _crowned(site: Site, intent: str) -> Champion | None:
    reigns = site.ledger.champions(site.name)
    return next((item for item in reversed(reigns) if item.change.intent == intent), None)


def _by_itself(site: Site, question: Recorded) -> Recorded | None:
    """The answer that nobody needs to give: time is up, or the comparison is of no worth any more; None: wait on."""
    moot = replaced(site, gate_of(site, question))
    if not _is_overdue(site, question) and moot is None:
        return None
    silence = f"nobody has answered until {deadline(question):%Y-%m-%d %H:%M}, which is a no"
    with suppress(RefusedError):
        return _answer(site, question, "rejected" if moot else "timed out", moot or silence, actor=site.actor)
    return site.ledger.answer_to(question.seq)


def _answer(
    site: Site, question: Recorded, outcome: Literal["approved", "rejected", "timed out"], why: str, *, actor: str
) -> Recorded:
    reply = Reply(
        pipeline=site.name,
        subject=question.subject,
        outcome=outcome,
        reasons=(why,),
        data_time=question.data_time,
        question=question.seq,
        intent=str(question.body["intent"]),
    )
    answer = site.ledger.answer(question.seq, reply, actor=actor)
    log.info("%s (by %s)", reply, actor)
    reached("approval.answered")
    return answer


def _lately_answered(site: Site) -> dict[str, str]:
    """How the questions were answered for which flow runs may still wait, by the form's key."""
    asked = site.ledger.verdicts(site.name, kind="question", limit=5)
    lately = [item for item in asked if site.ledger.now() < deadline(item) + GRACE]
    answered = [(item, site.ledger.answer_to(item.seq)) for item in lately]
    return {form.key(item): in_words(answer) for item, answer in answered if answer is not None}


def _is_overdue(site: Site, question: Recorded) -> bool:
    return site.ledger.now() >= deadline(question)


def _announce(event: str, question: Recorded, **payload: str) -> None:
    if form.connected():
        about = {"version": question.subject, "intent": str(question.body["intent"])}
        announce(event, question.pipeline, **about, as_of=question.data_time.isoformat(), **payload)
