"""Out of the shadow: when its span is over, or something else has become of it, a challenger takes over or is refused.

The word on it is the ledger's one answer to the row by which it began, so two sweeps say one thing; what follows from
it is done by whoever comes next.
"""

from dataclasses import replace
from datetime import datetime
from typing import Literal

from registry.ledger import Recorded
from tasks.crowning import change_of
from tasks.events import announce
from tasks.live import Silent, read_figures
from tasks.objections import objection, replaced
from tasks.promote import crown
from tasks.proof import prove
from tasks.rollout_pairs import Pairing, pairs
from tasks.rollout_start import as_shadow
from tasks.rollout_watch import begin_watch
from tasks.showing import show_standing
from tasks.site import Site
from tasks.telling import log
from validation.deeds import failed, skipped
from validation.errors import LeaseLostError, RefusedError, RegistryError, ServiceDownError
from validation.failpoints import reached
from validation.intervals import paired_interval, plain
from validation.rollout_looks import block_of
from validation.rollout_rules import ShadowFacts, judge_shadow
from validation.rollout_verdict import ShadowVerdict
from validation.verdict import Verdict

Outcome = Literal["passed", "failed", "ended"]


def shadow_due(site: Site, as_of: datetime) -> bool:
    """Whether there is anything to decide or to do about a challenger in the shadow."""
    row = _newest(site)
    if row is None or row.outcome != "started":
        return row is not None and _is_live(site, row)
    return _over(row, as_of) or _moot(site, row) is not None


def leave_shadow(site: Site, as_of: datetime) -> tuple[Verdict, ...]:
    """Decide what is due, and do what was decided. Empty when it is not time yet."""
    row = _newest(site)
    if row is None or not shadow_due(site, as_of):
        return ()
    if row.outcome != "started":
        return _carry_out(site, row)
    word = _answer(site, row, as_of)
    reached("shadow.judged")
    return (as_shadow(word), *_carry_out(site, word))


def _newest(site: Site) -> Recorded | None:
    return next(iter(site.ledger.verdicts(site.name, kind="shadow", limit=1)), None)


def _is_live(site: Site, row: Recorded) -> bool:
    intent = site.ledger.intent(str(row.body["intent"]))
    return intent is not None and intent.state != "closed"


def _over(row: Recorded, as_of: datetime) -> bool:
    return as_of >= datetime.fromisoformat(row.body["until"])


def _moot(site: Site, row: Recorded) -> str | None:
    """Why nothing can come of it any more."""
    if not _is_live(site, row):
        return "its wish for a retrain was answered otherwise"
    champion = site.ledger.champion(site.name)
    if (champion.epoch if champion else 0) != row.body["epoch"]:
        gate = _gate(site, row)
        reign = f"another reign has begun since: version {champion.change.version} is champion" if champion else ""
        return replaced(site, gate) or reign
    return objection(site, version=row.subject, bundle_sha256=str(row.body["bundle_sha256"]), as_of=row.data_time)


def _gate(site: Site, row: Recorded) -> Recorded:
    (gate,) = site.ledger.verdicts(site.name, seq=int(row.body["gate"]))
    return gate


def _answer(site: Site, row: Recorded, as_of: datetime) -> Recorded:
    """The one word on it: ours, or of a sweep that was faster."""
    moot = _moot(site, row)
    verdict = _judged(site, row, as_of) if moot is None else _worded(row, "ended", (moot,), as_of)
    try:
        answer = site.ledger.answer(row.seq, verdict, actor=site.actor)
    except RefusedError:
        known = site.ledger.answer_to(row.seq)
        assert known is not None  # noqa: S101 - that is why it was refused
        return known
    log.info("%s", verdict)
    return answer


def _judged(site: Site, row: Recorded, as_of: datetime) -> ShadowVerdict:
    policy, gate = site.pipeline.rollout, site.pipeline.gate
    known, figures = as_shadow(row), read_figures(site)
    champion = site.ledger.champion(site.name)
    assert champion is not None  # noqa: S101 - the epoch was compared
    pairing = Pairing(
        began=row.recorded_at,
        live=champion.change,
        shadow=change_of(site, _gate(site, row)),
        since=known.since,
        until=known.until,
        block=block_of(known.until - known.since, least=gate.min_blocks),
    )
    found = pairs(site, pairing, as_of)
    gain = paired_interval(found.live - found.shadow, found.blocks, alpha=policy.alpha)
    silent = figures.shadows.get(row.subject, Silent()) if figures else Silent()
    facts = ShadowFacts(
        rows=found.rows,
        failed=found.failed,
        skipped=found.skipped,
        ms_per_row=silent.ms_per_row,
        gain=gain,
    )
    outcome, reasons = judge_shadow(facts, policy, max_ms=policy.max_latency_ms or gate.max_latency_ms)
    return replace(
        _worded(row, outcome, reasons, as_of),
        rows=facts.rows,
        failed=facts.failed,
        ms_per_row=facts.ms_per_row,
        labelled=gain.rows,
        blocks=gain.blocks,
        gain=gain.mean if gain.rows else None,
        lower=plain(gain.lower),
        upper=plain(gain.upper),
    )


def _worded(row: Recorded, outcome: Outcome, reasons: tuple[str, ...], as_of: datetime) -> ShadowVerdict:
    return replace(as_shadow(row), outcome=outcome, reasons=reasons, data_time=as_of)


def _carry_out(site: Site, word: Recorded) -> tuple[Verdict, ...]:
    """Promote, or close the intent with why not. What waits for a service is tried again by the next sweep."""
    if not _is_live(site, word):
        return ()
    intent, version = str(word.body["intent"]), word.subject
    try:
        told = _crowned(site, word) if word.outcome == "passed" else f"{word.outcome}: {word.reasons[0]}"
    except ServiceDownError as error:
        return (failed("reconcile", site.name, str(error), word.data_time),)
    site.ledger.close(intent, outcome=f"in the shadow: {told}" if told else "promote")
    reached("shadow.closed")
    show_standing(site)
    if not told:
        return ()
    announce("challenger.rejected", site.name, outcome=word.outcome, as_of=word.data_time.isoformat(), version=version)
    why = f"version {version} is not promoted; in the shadow: {told}"
    return (skipped("promote", site.name, why, word.data_time),) if word.outcome == "passed" else ()


def _crowned(site: Site, word: Recorded) -> str:
    """Make it champion, once; or why it may not be it any more."""
    gate = _gate(site, word)
    if any(item.change.intent == word.body["intent"] for item in site.ledger.champions(site.name)):
        return ""  # by a sweep that died then
    agreed, actor = _agreed(site, gate)
    try:
        prove(site, word.subject)
        change = replace(
            change_of(site, gate),
            why="; ".join((*agreed, *word.reasons, gate.reasons[0])),
            data_time=word.data_time,
            actor=actor,
        )
        crown(site, change, epoch=int(word.body["epoch"]), lease=None)
        begin_watch(site, word.data_time)
    except LeaseLostError:  # another one works on it now
        raise
    except (RefusedError, RegistryError) as error:
        return f"passed, but {error}"
    return ""


def _agreed(site: Site, gate: Recorded) -> tuple[tuple[str, ...], str]:
    """What the person said who was asked, and who it was."""
    from tasks.questions import in_words

    asked = site.ledger.verdicts(site.name, kind="question", subject=gate.subject)
    question = next((item for item in asked if item.body["gate"] == gate.seq), None)
    answer = site.ledger.answer_to(question.seq) if question else None
    return ((in_words(answer),), answer.actor) if answer else ((), site.actor)
