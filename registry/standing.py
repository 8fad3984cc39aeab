"""How each version stands, by the ledger's word: what the model store's tags shall say. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from registry.ledger import Champion, ChangeKind, Recorded
from registry.store import TOLD

_WHY_CHARACTERS = 1_000
_HOW: Mapping[ChangeKind, str] = {
    "promotion": "promoted",
    "rollback": "put back by a rollback",
    "forced": "forced past the gate",
    "adoption": "adopted after its alias was moved by hand",
}
_JUDGED = {"reject": "rejected", "expired": "expired"}
_ANSWERED = {"rejected": "rejected", "timed out": "rejected", "failed": "rejected"}
_NO = {("shadow", "failed")}  # also after a person's yes


def standing(verdicts: Iterable[Recorded], champions: Sequence[Champion]) -> Mapping[str, Mapping[str, str]]:
    """Version -> its tags, for every version that the ledger knows.

    andon.status: champion, was champion, rolled back, challenger (the newest one, passed or waiting for evidence or an
    answer), superseded (such a one before it), rejected, expired. With it, where there is one: andon.how, .epoch, .by,
    .why, .decided_at and .until (data time), .evidence (no. of the gate's verdict). andon.forced stays for ever.

    `verdicts`: at least those of the gate, the answers of persons and those on shadows, in their order.
    """
    told = list(verdicts)
    gates = {item.subject: item for item in told if item.kind == "gate" and item.body.get("challenger_version")}
    answers = {item.subject: item for item in told if item.kind == "answer" or (item.kind, item.outcome) in _NO}
    newest = max(gates.values(), key=lambda item: item.seq, default=None)
    found: dict[str, Mapping[str, str]] = {}
    for version in (*gates, *(row.change.version for row in champions)):
        if version not in found:
            gate = gates.get(version)
            tags = _reign(version, champions) or _wish(gate, answers.get(version), is_newest=gate is newest)
            evidence = {"evidence": str(gate.seq)} if gate else {}
            found[version] = {f"{TOLD}{name}": text for name, text in (evidence | _filled(tags)).items()}
    return found


def known_versions(verdicts: Iterable[Recorded], champions: Iterable[Champion]) -> frozenset[str]:
    """The versions that the ledger knows: for `ModelStore.abandoned`, all others were left by dead attempts."""
    judged = {item.subject for item in verdicts if item.kind == "gate" and item.body.get("challenger_version")}
    return frozenset(judged | {row.change.version for row in champions})


def _reign(version: str, champions: Sequence[Champion]) -> Mapping[str, str] | None:
    """Of a version that is or was champion: by its newest row, and the one behind it."""
    mine = [number for number, row in enumerate(champions) if row.change.version == version]
    if not mine:
        return None
    row, after = champions[mine[-1]], next(iter(champions[mine[-1] + 1 :]), None)
    deposed = after is not None and after.change.kind == "rollback"
    decided = after if after is not None and deposed else row
    evidence = row.change.evidence
    return {
        "status": "champion" if after is None else "rolled back" if deposed else "was champion",
        "how": _HOW[row.change.kind],
        "epoch": str(row.epoch),
        **_decision(decided.change.actor, (decided.change.why,), decided.change.data_time),
        "until": _day(after.change.data_time) if after else "",
        "evidence": str(evidence) if evidence is not None else "",
        "forced": "; ".join(_forced(champions[number] for number in mine))[:_WHY_CHARACTERS],
    }


def _forced(rows: Iterable[Champion]) -> Iterator[str]:
    for row in rows:
        if row.change.kind == "forced":
            yield f"{_day(row.change.data_time)} by {row.change.actor}: {row.change.why}"


def _wish(gate: Recorded | None, answer: Recorded | None, *, is_newest: bool) -> Mapping[str, str]:
    """Of a version that was never champion: by the gate, and by the person who was asked."""
    if gate is None:
        return {}
    if answer is not None and answer.outcome in _ANSWERED:
        status, by = _ANSWERED[answer.outcome], answer
    else:
        status, by = _JUDGED.get(gate.outcome, "challenger" if is_newest else "superseded"), gate
    return {"status": status, **_decision(by.actor, by.reasons, by.data_time)}


def _decision(actor: str, reasons: Sequence[str], when: datetime) -> Mapping[str, str]:
    return {"by": actor, "why": "; ".join(reasons)[:_WHY_CHARACTERS], "decided_at": _day(when)}


def _filled(tags: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in tags.items() if text}


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
