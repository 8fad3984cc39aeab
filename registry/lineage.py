"""What came of a batch, and what a model comes from: batch -> snapshots -> models -> predictions, and back.

Walks over what the ledger says about one pipeline. An older ledger lacks a link of the chain: then the lineage says so,
and nothing is guessed in its place. Writes nothing.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from registry.ledger import Batch, BatchKind, Champion, Intent, Ledger, Recorded
from registry.traces import Answered, BatchLineage, Fed, Model, ModelLineage, Reign, Told
from validation.training_set import is_within, numbers_in

ROWS: BatchKind = "rows"
_RELEASED = re.compile(r"released (\d+) ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the ledger says about one pipeline, as far as a lineage needs it."""

    batches: tuple[Batch, ...]
    snapshots: tuple[Recorded, ...]
    trainings: tuple[Recorded, ...]
    gates: tuple[Recorded, ...]
    answers: tuple[Answered, ...]
    champions: tuple[Champion, ...]
    intents: tuple[Intent, ...]


def read_facts(ledger: Ledger, pipeline: str) -> Facts:
    """Read them, each once."""
    return Facts(
        batches=ledger.batches(pipeline),
        snapshots=ledger.verdicts(pipeline, kind="snapshot"),
        trainings=ledger.verdicts(pipeline, kind="training"),
        gates=ledger.verdicts(pipeline, kind="gate"),
        answers=tuple(_answered(score) for score in ledger.verdicts(pipeline, kind="score")),
        champions=ledger.champions(pipeline),
        intents=ledger.intents(pipeline),
    )


def of_batch(facts: Facts, batch: Batch, about: Iterable[Recorded]) -> BatchLineage:
    """What came of a batch; `about`: the verdict that finished it, and those of persons about it."""
    by_seq = {record.seq: record for record in about}
    verdict = by_seq.pop(batch.verdict_seq or 0, None)
    body: Mapping[str, Any] = verdict.body if verdict else {}
    others = [item for item in facts.batches if item.kind == batch.kind and item.number != batch.number]
    holding = [
        item.subject for item in facts.snapshots if is_within(batch.number, _batches_of(item).get(batch.kind, ""))
    ]
    learned = [gate for gate in facts.gates if gate.body.get("snapshot") in holding]
    return BatchLineage(
        batch=batch,
        verdict=_told(verdict) if verdict else None,
        contract=body.get("fingerprint", ""),
        rules={rule["name"]: rule["rows"] for rule in body.get("rules", ())},
        suspicions=tuple(body.get("suspicions", ())),
        decided=tuple(_told(by_seq[seq]) for seq in sorted(by_seq)),
        same_bytes=tuple(item for item in others if item.sha256 == batch.sha256),
        same_name=tuple(item for item in others if item.name == batch.name),
        released_as=tuple(item for item in others if _origin(item) == batch.number),
        released_from=next((item for item in others if item.number == _origin(batch)), None),
        answered=next((item for item in facts.answers if (batch.kind, batch.number) == (ROWS, item.batch)), None),
        snapshots=tuple(holding) if facts.snapshots or not facts.gates else None,
        models=tuple(_model(facts, version) for version in _versions(learned)),
    )


def of_version(facts: Facts, version: str) -> ModelLineage | None:
    """What a version comes from; None when neither the gate nor a promotion knows it."""
    model = _model(facts, version)
    if model.gate is None and not model.reigns:
        return None
    gate = next((gate for gate in reversed(facts.gates) if gate.subject == version), None)
    intent = gate.body.get("intent") if gate else None
    taken = next((item for item in facts.snapshots if item.subject == model.snapshot), None)
    training = [item for item in facts.trainings if gate and item.subject == intent and item.seq < gate.seq]
    return ModelLineage(
        model=model,
        asked=next((item for item in facts.intents if item.id == intent), None),
        training=_told(training[-1]) if training else None,
        snapshot=_description(taken) if taken else None,
        fed=tuple(_fed(facts, kind, numbers) for kind, numbers in _in_order(_batches_of(taken))) if taken else (),
    )


def _model(facts: Facts, version: str) -> Model:
    gate = next((gate for gate in reversed(facts.gates) if gate.subject == version), None)
    crowned = [row.change.bundle_sha256 for row in facts.champions if row.change.version == version]
    judged = [gate.body.get("bundle_sha256", "")] if gate else [""]
    return Model(
        version=version,
        gate=_told(gate) if gate else None,
        snapshot=gate.body.get("snapshot", "") if gate else "",
        bundle_sha256=(crowned or judged)[-1],
        reigns=_reigns(facts.champions, version),
        answered=tuple(item for item in facts.answers if version in item.versions),
    )


def _reigns(champions: Sequence[Champion], version: str) -> tuple[Reign, ...]:
    ends = [*(row.change.data_time for row in champions[1:]), None]
    return tuple(
        Reign(epoch=row.epoch, since=row.change.data_time, until=end, why=row.change.why, actor=row.change.actor)
        for row, end in zip(champions, ends, strict=False)
        if row.change.version == version
    )


def _answered(score: Recorded) -> Answered:
    return Answered(
        batch=int(score.subject),
        rows=int(score.body["rows"]),
        versions=tuple(score.body["versions"]),
        through=score.body["through"],
        delivered=tuple(score.body["delivered"]),
        verdict=_told(score),
    )


def _origin(batch: Batch) -> int | None:
    """The batch from whose quarantine this one was released, by the name that the release gave it."""
    found = _RELEASED.match(batch.name)
    return int(found[1]) if found else None


def _versions(gates: Iterable[Recorded]) -> Sequence[str]:
    """The versions that came to the gate; an attempt that gave no model has none."""
    return list(dict.fromkeys(gate.subject for gate in gates if gate.body.get("challenger_version")))


def _fed(facts: Facts, kind: BatchKind, numbers: str) -> Fed:
    mine = [item for item in facts.batches if item.kind == kind and is_within(item.number, numbers)]
    return Fed(
        kind=kind,
        numbers=numbers,
        batches=len(numbers_in(numbers)),
        rows=sum(item.rows_accepted for item in mine),
        first=mine[0].name if mine else "",
        last=mine[-1].name if mine else "",
    )


def _in_order(batches: Mapping[str, str]) -> Sequence[tuple[str, str]]:
    """Rows first; the rest by name."""
    return sorted(batches.items(), key=lambda item: (item[0] != ROWS, item[0]))


def _batches_of(snapshot: Recorded) -> Mapping[str, str]:
    found: Mapping[str, str] = _description(snapshot).get("batches", {})
    return found


def _description(snapshot: Recorded) -> Mapping[str, Any]:
    found: Mapping[str, Any] = snapshot.body.get("description", {})
    return found


def _told(record: Recorded) -> Told:
    return Told(**{item.name: getattr(record, item.name) for item in fields(Told)})
