"""What `andon why` says: facts of the ledger in, sentences for a tired operator out. Pure; reads and prints nothing.

Sentences have no full stop, and end with the command to type where a person must act.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from validation import governor
from validation.governor import BREAKER, CORD, Governor, History

if TYPE_CHECKING:
    from registry.ledger import Champion, Intent, Recorded

NONE = "none"
TOP = 5  # features that are told of a window
_LABELS_SAY = {
    "fine": "a retrain would gain nothing that is worth it",
    "regret": "it is stale",
    "biased": "it leans to one side, and a retrain would probably mend that",
    "need evidence": "nothing yet on what a retrain would gain",
}
_WINDOW_SAYS = {
    "quiet": "nothing has moved further than it moves anyway",
    "suspect": "something has moved; one such window alone is no alarm",
    "drift": "the data have moved, and the alarm is raised",
    "not enough history": "it cannot be judged yet",
}
_GATE_SAID = {
    "promote": "passed it",
    "reject": "rejected it",
    "need evidence": "needs more evidence",
    "expired": "found no proof in any of its looks",
}
_TRAINING = {"not trained": "trained nothing", "failed": "FAILED"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the ledger knows of a pipeline, as far as `andon why` tells it; of a kind the newest, None: there is none.

    `as_of`: data time for which moments are compared. `drift`: newest last, of the present champion. `windows`: rows of
    labelled and estimated windows, newest last. `intents`: all, newest last. `incidents`: the newest row of each that
    is open. `rollout`: who answers in the shadow, and how the champion is watched.
    """

    pipeline: str
    as_of: datetime
    champion: "Champion | None"
    watch: "Recorded | None"
    performance: "Recorded | None"
    governor: "Recorded | None"
    training: "Recorded | None"
    gate: "Recorded | None"
    change: "Recorded | None"
    drift: "tuple[Recorded, ...]"
    windows: "tuple[Recorded, ...]"
    intents: "tuple[Intent, ...]"
    incidents: "tuple[Recorded, ...]"
    history: History
    policy: Governor
    rollout: tuple[str, ...] = ()


def headline(facts: Facts) -> str:
    """Who is champion."""
    if facts.champion is None:
        return f"{facts.pipeline}: no champion yet; let data in and train one: andon retrain {facts.pipeline}"
    change = facts.champion.change
    return (
        f"{facts.pipeline}: version {change.version} is champion since {day(change.data_time)} "
        f"(epoch {facts.champion.epoch}), trained on rows before {day(change.trained_until)}"
    )


def looked_at(facts: Facts) -> tuple[str, ...]:
    """What the monitor saw last."""
    told = (*_drift(facts), *_performance(facts), *_windows(facts.windows))
    if facts.watch is None and not told:
        return (f"nothing was watched yet: andon monitor {facts.pipeline}",)
    last = f"the monitor's last report is of {day(facts.watch.data_time)}" if facts.watch else "it has not reported yet"
    return (last, *told)


def decided(facts: Facts) -> tuple[str, ...]:
    """What was asked for, and what came of it."""
    if not facts.intents:
        return ("no retrain was asked for yet", *_changed(facts), *facts.rollout)
    asked = facts.intents[-1]
    return (
        f"the last retrain was asked for on {day(asked.data_time)}, because of {_short(asked.reason)}",
        *_governed(facts, asked),
        *_trained(facts, asked),
        *_changed(facts),
        *facts.rollout,
    )


def waiting(facts: Facts) -> tuple[str, ...]:
    """The wish that is not answered yet, and what it waits for."""
    told = tuple(_live(intent, facts.pipeline) for intent in facts.intents if intent.state != "closed")
    return told or ("no wish is waiting",)


def next_retrain(facts: Facts) -> tuple[str, ...]:
    """What stands in the way of the next retrain, what the budget has left, and when it could run."""
    asked: dict[str, Any] = {"policy": facts.policy, "as_of": facts.as_of}
    found = governor.objections(facts.history, pipeline=facts.pipeline, **asked)
    left = governor.budget_left(facts.history, **asked)
    ways = [item.reason for item in found]
    budget = f"{left} of {facts.policy.max_per_month} attempts in 30 days are left"
    return (*ways, budget, _earliest(facts, by_person=any(item.condition in (CORD, BREAKER) for item in found)))


def open_incidents(facts: Facts) -> tuple[str, ...]:
    """What is wrong now."""
    return tuple(_incident(row) for row in facts.incidents) or (NONE,)


def day(moment: datetime | str) -> str:
    """A moment in UTC as people write it; midnight is the day alone."""
    when = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M").removesuffix(" 00:00")


def _drift(facts: Facts) -> Iterator[str]:
    if not facts.drift:
        return
    newest, counts = facts.drift[-1], Counter(row.outcome for row in facts.drift)
    many = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    yield f"{_windows_of(len(facts.drift))} since {day(facts.drift[0].subject)} under this champion: {many}"
    says = _WINDOW_SAYS.get(newest.outcome, newest.outcome)
    since = f", since the window of {day(newest.body['since'])}" if newest.body.get("since") else ""
    yield f"the newest window, {day(newest.subject)}: {says}{since}"
    if newest.outcome == "not enough history":
        yield from newest.reasons
    yield from _features(newest.body)
    if newest.body.get("raised") and newest.outcome == "quiet":
        yield "the alarm of the windows before is still raised: it ends after some quiet ones"
    if bad := newest.body.get("bad_data"):
        yield f"probably bad data in {', '.join(bad)}: no retrain is asked for because of it, the data are to be mended"


def _features(body: Any) -> Iterator[str]:
    drifted = [feature for feature in body.get("features", ()) if feature["drifted"]]
    for feature in drifted[:TOP]:
        since = f", since the window of {day(feature['since'])}" if feature.get("since") else ""
        yield f"{feature['sentence']}{since}"
    if drifted[TOP:]:
        yield f"and {len(drifted) - TOP} more"


def _performance(facts: Facts) -> Iterator[str]:
    row = facts.performance
    if row is None:
        return
    judged, now = row.body.get("champion_version"), facts.champion.change.version if facts.champion else ""
    who = "the champion" if judged in ("", None, now) else f"version {judged}, the champion of then"
    says = _LABELS_SAY.get(row.outcome, row.outcome)
    yield f"on {day(row.data_time)} labels of rows from {day(row.subject)} on told of {who}: {says}"
    yield from row.reasons


def _windows(rows: "Sequence[Recorded]") -> Iterator[str]:
    """The newest window that has labels, and the newest one that has an estimate only."""
    labelled = [row for row in rows if row.outcome != "estimated"]
    estimated = [row for row in rows if row.outcome == "estimated"]
    for found in (labelled, estimated):
        if found:
            row = max(found, key=lambda row: (row.subject, row.seq))
            yield f"the window of {day(row.subject)} ({row.outcome}): {'; '.join(row.reasons)}"


def _governed(facts: Facts, asked: "Intent") -> Iterator[str]:
    row = facts.governor
    if row is not None and row.subject == asked.id:
        said = {"run": "let it run", "defer": "put it off", "refuse": "refused it"}.get(row.outcome, row.outcome)
        yield f"the governor {said} (on {day(row.data_time)}): {row.reasons[0]}"


def _trained(facts: Facts, asked: "Intent") -> Iterator[str]:
    """The newest attempt: of this wish, or of the one before it."""
    training, gate = facts.training, facts.gate
    if training is not None and training.outcome in _TRAINING and (gate is None or training.seq > gate.seq):
        yield f"the last attempt, of {day(training.data_time)}, {_TRAINING[training.outcome]}: {training.reasons[0]}"
    elif gate is not None:
        mine = "" if gate.body.get("intent") == asked.id else " (of an earlier wish)"
        what = f"version {gate.subject}" if gate.body.get("challenger_version") else "the attempt"
        said = _GATE_SAID.get(gate.outcome, gate.outcome)
        yield f"the gate has judged {what} on {day(gate.data_time)}{mine} and {said}: {gate.reasons[0]}"
    if asked.state == "closed" and asked.outcome not in _GATE_SAID:
        yield f"the wish has ended: {asked.outcome}"


def _changed(facts: Facts) -> Iterator[str]:
    """NOTE: a rollback of today says so, though the pipeline's data may be of last year."""
    row = facts.change
    if row is not None and row.kind == "rollback":
        yield (
            f"on {day(row.data_time)} {'Andon by itself' if row.actor == 'watch' else 'a person'} rolled back from "
            f"version {row.body.get('from_version')} to version {row.subject}: {'; '.join(row.reasons)}"
        )


def _live(intent: "Intent", pipeline: str) -> str:
    asked = f"the wish of {day(intent.data_time)} ({_short(intent.reason)})"
    if intent.state == "open":
        return f"{asked} may run, and waits for its flow run; the sweep starts one if nobody does: andon reconcile"
    if intent.state == "claimed":
        return f"{asked} is worked on now (attempt {intent.attempt})"
    until = f"until {day(intent.until)}" if intent.until else ""
    condition = intent.condition
    if condition in (CORD, BREAKER):
        condition = f"until {condition}: andon resume {pipeline} --why ..."
    elif condition == "a person's answer":
        condition = f"for {condition}: andon approve {pipeline} --why ... (or reject)"
    elif condition:
        condition = f"for {condition}"
    return f"{asked} is put off {' and '.join(filter(None, (until, condition)))}; it is not forgotten"


def _earliest(facts: Facts, *, by_person: bool) -> str:
    moment = governor.earliest(facts.history, policy=facts.policy, pipeline=facts.pipeline, as_of=facts.as_of)
    when = "at once" if moment == facts.as_of else f"on {day(moment)} at the earliest"
    least = facts.policy.min_new_rows
    rows = f"given a reason and {f'{least:,} new mature rows' if least > 1 else 'a new mature row'}"
    first = f"once a person resumes the pipeline (andon resume {facts.pipeline} --why ...), " if by_person else ""
    return f"{first}the next retrain could run {when}, {rows}"


def _incident(row: "Recorded") -> str:
    finding = row.body.get("finding") or {}
    since = row.body.get("opened_at")
    told = filter(None, (finding.get("title"), finding.get("cause"), finding.get("doing")))
    return f"{'since ' + day(since) + ': ' if since else ''}{'; '.join(told) or '; '.join(row.reasons)}"


def _short(reason: str) -> str:
    """Without its numbers, which stand where they were measured."""
    return reason.partition(" (")[0]


def _windows_of(count: int) -> str:
    return "the window" if count == 1 else f"{count:,} windows"
