"""The ledger's verdicts in sentences: what a tired operator reads, and what the model store shows. Pure.

Each verdict becomes one entry: who did what, and why. What happens every day (a batch taken in, a quiet window) is
routine; what was decided about models, by rules or persons, is not; a kind that nobody foresaw is not, either.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from typing import Literal

from registry.gate_words import gate_reasons
from registry.ledger import Champion, Recorded
from registry.rollout_words import WATCH, probation_words, shadow_words

Tone = Literal["good", "bad", "asks", "plain"]

_ROUTINE = {"contract", "drift", "performance", "score", "snapshot", "training", "watch", "window"}
_ROUTINE_OUTCOMES = {("governor", "run"), ("alert", "delivered"), ("probation", "started")}
_STORY = {"promotion", "rollback", "gate", "answer", "shadow"}
_STORY_CHARACTERS = 5_000
_LINE_CHARACTERS = 700
_ROOM_FOR_MORE = 200
_DIGEST, _SHORT = 64, 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A verdict in words: `text` is one sentence without its full stop, `why` are further ones.

    `when`: data time; `recorded_at`: the ledger's clock. `who`: without the process. `tone`: whether all is well.
    """

    seq: int
    kind: str
    subject: str
    outcome: str
    when: datetime
    recorded_at: datetime
    who: str
    text: str
    why: tuple[str, ...]
    tone: Tone


def is_routine(record: Recorded) -> bool:
    """Whether it is one of the many that come by every day, also by how it ended: nobody objected, all were told."""
    return record.kind in _ROUTINE or (record.kind, record.outcome) in _ROUTINE_OUTCOMES


def entries(verdicts: Sequence[Recorded], *, asked: Mapping[str, str] | None = None) -> tuple[Entry, ...]:
    """The verdicts in words, in their order; `asked`: by intent, why a retrain was asked for."""
    by_seq = {record.seq: record for record in verdicts}
    answered = {record.body.get("question") for record in verdicts if record.kind == "answer"}
    return tuple(_entry(record, by_seq, asked or {}, is_open=record.seq not in answered) for record in verdicts)


def story(verdicts: Iterable[Recorded], champions: Sequence[Champion]) -> str:
    """Who is champion and how that came about, in Markdown, newest first, as much as 5,000 characters hold."""
    told = [record for record in verdicts if record.kind in _STORY]
    by_seq = {record.seq: record for record in told}
    gates = {record.seq: gate for record in told if (gate := _gate_behind(record, by_seq))}
    merged = {gate.seq for gate in gates.values()}
    lines = [_line(entry, gates.get(entry.seq)) for entry in reversed(entries(told)) if entry.seq not in merged]
    head = _head(champions)
    sizes = accumulate((len(line) + 1 for line in lines), initial=len(head) + _ROOM_FOR_MORE)
    kept = sum(size <= _STORY_CHARACTERS for size in sizes) - 1
    pipeline = told[0].pipeline if told else ""
    more = [f"\n{len(lines) - kept} earlier decisions: `andon history {pipeline}`"] if lines[kept:] else []
    return "\n".join([head, "", *lines[:kept], *more])


def person(actor: str) -> str:
    """Who acted, without the number of the process."""
    return actor.rpartition(":")[0] if actor.rpartition(":")[2].isdigit() else actor


def _entry(record: Recorded, by_seq: Mapping[int, Recorded], asked: Mapping[str, str], *, is_open: bool) -> Entry:
    text, tone = _SENTENCES.get(record.kind, _anything)(record)
    if record.kind == "question" and not is_open:
        tone = "plain"
    return Entry(
        seq=record.seq,
        kind=record.kind,
        subject=record.subject,
        outcome=record.outcome,
        when=record.data_time,
        recorded_at=record.recorded_at,
        who=person(record.actor),
        text=text,
        why=tuple(_why(record, by_seq, asked, is_open=is_open)),
        tone=tone,
    )


def _why(record: Recorded, by_seq: Mapping[int, Recorded], asked: Mapping[str, str], *, is_open: bool) -> Iterable[str]:
    """The reasons; a promotion's are those of the gate, which are told there."""
    gate = _gate_behind(record, by_seq)
    if gate is not None:
        yield f"by verdict no. {gate.seq}"
    if record.kind == "gate":
        yield from gate_reasons(record)
        if reason := asked.get(str(record.body.get("intent"))):
            yield f"asked for: {reason.partition(' (')[0]}"
    else:
        yield from (reason for reason in record.reasons if gate is None or reason not in "; ".join(gate.reasons))
    if record.kind == "question" and is_open:
        yield f"to answer: andon approve {record.pipeline} {record.subject} --why ... (or reject)"


def _gate_behind(record: Recorded, by_seq: Mapping[int, Recorded]) -> Recorded | None:
    """The gate's verdict on a promoted version: the named one, or in older ledgers the newest before it."""
    if record.kind != "promotion":
        return None
    named = (record.body.get("change") or {}).get("evidence")
    if named is not None:
        return by_seq.get(named)
    about = [item for item in by_seq.values() if item.kind == "gate" and item.subject == record.subject]
    return next((item for item in reversed(about) if item.seq < record.seq), None)


def _promotion(record: Recorded) -> tuple[str, Tone]:
    version, epoch = record.subject, record.body.get("epoch")
    before = f" in place of version {record.body['from_version']}" if record.body.get("from_version") else ""
    if record.outcome == "forced":
        return f"version {version} was FORCED past the gate: it is champion{before} (epoch {epoch})", "bad"
    if record.outcome == "adopted":
        return f"version {version} was adopted, whose alias was moved by hand: champion{before} (epoch {epoch})", "asks"
    return f"version {version} became champion{before} (epoch {epoch})", "good"


def _rollback(record: Recorded) -> tuple[str, Tone]:
    since = record.body.get("from_version")
    how = "rolled back by itself" if record.actor == WATCH else "rolled back"
    return f"{how} from version {since} to version {record.subject} (epoch {record.body.get('epoch')})", "bad"


def _gate(record: Recorded) -> tuple[str, Tone]:
    body = record.body
    what = f"version {record.subject}" if body.get("challenger_version") else f"the attempt {record.subject}"
    many = body.get("max_looks") or 1
    look = f", look {body.get('look', 1)} of {many}" if many > 1 else ""
    dry = ", in a dry run: nothing is promoted" if body.get("mode") == "dry_run" else ""
    said: dict[str, tuple[str, Tone]] = {
        "promote": (f"the gate passed {what}", "good"),
        "reject": (f"the gate rejected {what}", "bad"),
        "need evidence": (f"the gate needs more evidence on {what}", "asks"),
        "expired": (f"the gate found no proof for {what} in any of its looks", "bad"),
    }
    text, tone = said.get(record.outcome, (f"the gate said {record.outcome!r} of {what}", "asks"))
    return f"{text}{look}{dry}", tone


def _question(record: Recorded) -> tuple[str, Tone]:
    deadline = str(record.body.get("deadline", ""))[:16].replace("T", " ")
    return f"a person is asked whether version {record.subject} may become champion, until {deadline}", "asks"


def _answer(record: Recorded) -> tuple[str, Tone]:
    said: dict[str, tuple[str, Tone]] = {
        "approved": (f"{person(record.actor)} approved version {record.subject}", "good"),
        "rejected": (f"{person(record.actor)} rejected version {record.subject}", "bad"),
        "timed out": (f"nobody answered about version {record.subject} in time, which is a no", "bad"),
    }
    return said.get(record.outcome, _anything(record))


def _cord(record: Recorded) -> tuple[str, Tone]:
    if record.outcome == "paused":
        return f"{person(record.actor)} stopped the line: nothing is retrained or promoted", "bad"
    return f"{person(record.actor)} let the line run again", "good"


def _repair(record: Recorded) -> tuple[str, Tone]:
    done = record.outcome == "repaired"
    return f"reconcile {'repaired' if done else 'reports'}: {record.subject}", "plain" if done else "asks"


def _governor(record: Recorded) -> tuple[str, Tone]:
    until = str(record.body.get("until") or "")[:16].replace("T", " ")
    when = f" until {until}" if until else ""
    said = {"run": "may run", "defer": f"is put off{when}", "refuse": "is refused"}
    return f"the retrain {record.subject} {said.get(record.outcome, record.outcome)}", "plain"


def _incident(record: Recorded) -> tuple[str, Tone]:
    title = (record.body.get("finding") or {}).get("title", record.subject)
    said: dict[str, tuple[str, Tone]] = {
        "opened": (f"an incident: {title}", "bad"),
        "changed": (f"news of an incident: {title}", "bad"),
        "closed": (f"an incident is over: {title}", "good"),
    }
    return said.get(record.outcome, _anything(record))


def _alert(record: Recorded) -> tuple[str, Tone]:
    told = record.outcome == "delivered"
    return f"people were {'' if told else 'not '}told of {record.subject}", "plain" if told else "asks"


def _anything(record: Recorded) -> tuple[str, Tone]:
    tone: Tone = "bad" if record.outcome in ("refuse", "drift", "regret", "biased") else "plain"
    return f"{record.kind} {_named(record.subject)}: {record.outcome}", tone


def _named(subject: str) -> str:
    """A window's start as people write moments, a digest by its beginning, anything else as it is."""
    if len(subject) == _DIGEST and subject.isalnum():
        return subject[:_SHORT]
    try:
        return _day(datetime.fromisoformat(subject)) if "T" in subject else subject
    except ValueError:
        return subject


_SENTENCES: Mapping[str, Callable[[Recorded], tuple[str, Tone]]] = {
    "promotion": _promotion,
    "rollback": _rollback,
    "gate": _gate,
    "question": _question,
    "shadow": shadow_words,
    "probation": probation_words,
    "answer": _answer,
    "cord": _cord,
    "repair": _repair,
    "governor": _governor,
    "projection": lambda record: (f"the model store could not follow: version {record.subject}", "asks"),
    "incident": _incident,
    "alert": _alert,
}


def _head(champions: Sequence[Champion]) -> str:
    if not champions:
        return "**There is no champion yet.**"
    newest, change = champions[-1], champions[-1].change
    forced = " It was forced past the gate." if change.kind == "forced" else ""
    return f"**Champion: version {change.version}** since {_day(change.data_time)} (epoch {newest.epoch}).{forced}"


def _line(entry: Entry, gate: Recorded | None) -> str:
    """A promotion is told with the reasons of the gate behind it."""
    why = "; ".join(entry.why if gate is None else gate_reasons(gate))
    return f"- **{_day(entry.when)}** {entry.text}{': ' if why else ''}{why}"[:_LINE_CHARACTERS]


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
