"""`andon why`: what was looked at last, what was decided, and what a retrain waits for, in sentences. Reads the ledger
only.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rich.text import Text

from andon.cli.options import AsOf, Json, OnePipeline
from andon.cli.output import grid, moment, people, print_json
from andon.cli.setup import data_time, pipelines, settings
from andon.cli.why_words import NONE, Facts, decided, headline, looked_at, next_retrain, open_incidents, waiting
from validation import governor
from validation.governor import BREAKER, Governor, cooldown_of
from validation.suppression import suppressed_until

if TYPE_CHECKING:
    from registry.ledger import Intent, Ledger, Recorded

_WINDOWS = 200  # newest rows of a kind that are looked at
_NEWEST = ("watch", "performance", "governor", "training", "gate")
_REPLAY = timedelta(days=1)  # a verdict that was written so long after its moment is of a replay
_TITLES = {
    "looked_at": "looked at",
    "decided": "decided",
    "waiting": "waiting",
    "next_retrain": "next retrain",
    "open_incidents": "open incidents",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Why the pipeline is as it is: sentences for people, and below them the facts that a script asks for.

    `earliest`: the first moment without cooldown and within the budget; cord and breaker aside.
    """

    pipeline: str
    as_of: datetime
    headline: str
    looked_at: tuple[str, ...]
    decided: tuple[str, ...]
    waiting: tuple[str, ...]
    next_retrain: tuple[str, ...]
    open_incidents: tuple[str, ...]
    paused: str | None
    breaker_open: bool
    suppressed_until: datetime | None
    budget_left: int
    earliest: datetime
    intents: "tuple[Intent, ...]"


def why(pipeline: OnePipeline, *, as_of: AsOf = None, json: Json = False) -> None:
    """What was looked at last, what was decided, what is put off until when, and when the next retrain could run."""
    from registry.sql import open_ledger

    place = settings()
    (definition,) = pipelines(pipeline, place)
    facts = read_facts(open_ledger(place.ledger), pipeline, definition.governor, data_time(as_of))
    answer = in_words(facts)
    if json:
        print_json(answer)
    else:
        _print(answer)


def read_facts(ledger: "Ledger", pipeline: str, policy: Governor, as_of: datetime | None) -> Facts:
    """What the ledger knows; as of now, or, where a replay of the past was written last, of its moment."""
    from registry.records import is_of_reign
    from registry.rollout_words import standing_words
    from tasks.history import history

    champion = ledger.champion(pipeline)
    newest = {kind: _newest(ledger, pipeline, kind) for kind in _NEWEST}
    drift = ledger.verdicts(pipeline, kind="drift", limit=_WINDOWS)
    changes = [row for kind in ("promotion", "rollback") if (row := _newest(ledger, pipeline, kind))]
    incidents = {row.subject: row for row in ledger.verdicts(pipeline, kind="incident", limit=_WINDOWS)}
    return Facts(
        pipeline=pipeline,
        as_of=as_of or _moment(ledger, [row for row in newest.values() if row]),
        champion=champion,
        change=max(changes, key=lambda row: row.seq, default=None),
        drift=tuple(row for row in drift if champion is None or is_of_reign(row, champion)),
        windows=ledger.verdicts(pipeline, kind="window", limit=_WINDOWS),
        intents=ledger.intents(pipeline),
        incidents=tuple(row for row in incidents.values() if row.outcome != "closed"),
        history=history(ledger, pipeline),
        policy=policy,
        rollout=standing_words(_newest(ledger, pipeline, "shadow"), _newest(ledger, pipeline, "probation"), champion),
        **newest,
    )


def in_words(facts: Facts) -> Answer:
    """The answer; decides nothing that the governor does not."""
    known, policy = facts.history, facts.policy
    found = governor.objections(known, policy=policy, pipeline=facts.pipeline, as_of=facts.as_of)
    return Answer(
        pipeline=facts.pipeline,
        as_of=facts.as_of,
        headline=headline(facts),
        looked_at=looked_at(facts),
        decided=decided(facts),
        waiting=waiting(facts),
        next_retrain=next_retrain(facts),
        open_incidents=open_incidents(facts),
        paused=known.paused,
        breaker_open=any(item.condition == BREAKER for item in found),
        suppressed_until=suppressed_until(known.taken_back, cooldown=cooldown_of(policy), as_of=facts.as_of),
        budget_left=governor.budget_left(known, policy=policy, as_of=facts.as_of),
        earliest=governor.earliest(known, policy=policy, pipeline=facts.pipeline, as_of=facts.as_of),
        intents=tuple(intent for intent in facts.intents if intent.state != "closed"),
    )


def _newest(ledger: "Ledger", pipeline: str, kind: str) -> "Recorded | None":
    return next(iter(ledger.verdicts(pipeline, kind=kind, limit=1)), None)


def _moment(ledger: "Ledger", rows: "Iterable[Recorded]") -> datetime:
    last = max(rows, key=lambda row: row.seq, default=None)
    is_replay = last is not None and last.recorded_at - last.data_time > _REPLAY
    return last.data_time if last is not None and is_replay else ledger.now()


def _print(answer: Answer) -> None:
    console = people()
    console.print(Text(answer.headline, style="bold"))
    console.print(Text(f"as of {moment(answer.as_of)}", style="dim"))
    for name, title in _TITLES.items():
        sentences: tuple[str, ...] = getattr(answer, name)
        colour = "red" if name == "open_incidents" and sentences != (NONE,) else ""
        console.print(Text(title, style="bold"))
        table = grid("", "")
        for sentence in sentences:
            table.add_row(Text("  -", style="dim"), Text(sentence, style=colour))
        console.print(table)
