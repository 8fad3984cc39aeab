"""Lineages as trees for people. Decides nothing, reads nothing."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.text import Text
from rich.tree import Tree

from andon.cli.output import coloured, moment
from registry.ledger import Batch, BatchState
from registry.traces import Answered, BatchLineage, Fed, Model, ModelLineage, PredictionLineage, Reign, Told
from validation.training_set import as_ranges

_SHORT = 12  # characters of a digest
_REASONS = 3
_VERSIONS = 12
_NOT_LEARNED: Mapping[BatchState, str] = {
    "claimed": "it is not judged yet: andon ingest {pipeline}",
    "accepted": "no retrain has taken it yet",
    "suspect": "it is held out until a person releases it: andon quarantine release {pipeline} {number} --kind {kind}",
    "refused": "nothing of it was taken",
    "duplicate": "nothing of it was taken again",
    "dropped": "a person has dropped it",
}


def tree(found: BatchLineage | ModelLineage | PredictionLineage) -> Tree:
    """Any lineage."""
    if isinstance(found, BatchLineage):
        return _batch(found)
    return _version(found) if isinstance(found, ModelLineage) else _prediction(found)


def _prediction(found: PredictionLineage) -> Tree:
    root = Tree(Text.assemble((f"prediction {found.prediction_id}", "bold"), f": {_value(found.prediction)}"))
    _say(root, f"of {', '.join(f'{name} {_value(value)}' for name, value in found.row.items())}")
    _say(root, f"logged {moment(found.logged_at)}")
    if found.model is None:
        _say(root, f"version {found.version}: this ledger does not know it; correct ANDON_LEDGER_URL", style="red")
    else:
        root.add(_version(found.model))
    for batch in found.batches:
        root.add(_batch(batch, learners=False))
    if not found.batches:
        _say(root, "its row came in no batch: only the scorer was asked for it")
    return root


def _version(found: ModelLineage) -> Tree:
    model = found.model
    serves = any(reign.until is None for reign in model.reigns)
    state = "serves now" if serves else "was champion" if model.reigns else "never champion"
    root = Tree(Text.assemble((f"version {model.version}", "bold"), ": ", (state, "green" if serves else "yellow")))
    if found.asked is not None:
        _say(root, f"asked for {moment(found.asked.data_time)}: {found.asked.reason}")
    for told in (found.training, model.gate):
        if told is not None:
            root.add(_told(told))
    said = model.gate.reasons if model.gate else ()
    _say(root, *(_reign(reign) + ("" if reign.why in said else f": {reign.why}") for reign in model.reigns))
    if model.bundle_sha256:
        _say(root, f"bundle sha256 {model.bundle_sha256[:_SHORT]}")
    root.add(_snapshot(found))
    _say(root, _answers(model))
    return root


def _snapshot(found: ModelLineage) -> Tree:
    what, name = found.snapshot, found.model.snapshot[:_SHORT] or "unknown"
    if what is None:
        return Tree(Text(f"snapshot {name}: this ledger does not say of which batches it was made", style="yellow"))
    span = f" from {_day(what['since'])} to {_day(what['until'])}" if what["since"] else ""
    coverage = "" if what["coverage"] is None else f", {what['coverage']:.1%} of the mature ones labelled"
    branch = Tree(
        Text(f"snapshot {name}: {what['rows']:,} rows{span}, as known at {_day(what['as_known_at'])}{coverage}")
    )
    _say(branch, *(_fed(fed) for fed in found.fed), f"look closer: andon snapshot show {what['pipeline']} {name}")
    return branch


def _batch(found: BatchLineage, *, learners: bool = True) -> Tree:
    batch = found.batch
    name = f"batch {batch.number} of {batch.kind}"
    root = Tree(Text.assemble((name, "bold"), f" {batch.name}: ", coloured(batch.state)))
    _say(root, *_arrival(batch), *([f"contract {found.contract[:_SHORT]}"] if found.contract else []))
    if found.verdict is not None:
        root.add(_told(found.verdict))
    _say(root, *_aside(found))
    for told in found.decided:
        root.add(_told(told))
    _say(root, *_kin(found))
    if found.answered is not None:
        _say(root, _answer(found.answered))
    if learners:
        root.add(_learners(found))
    return root


def _learners(found: BatchLineage) -> Tree:
    batch = found.batch
    if found.snapshots is None:
        return Tree(Text("this ledger does not say which models have learned from it", style="yellow"))
    if not found.snapshots:
        why = _NOT_LEARNED[batch.state].format(pipeline=batch.pipeline, number=batch.number, kind=batch.kind)
        return Tree(Text(f"no model has learned from it: {why}"))
    snapshots, versions = _count(found.snapshots, "snapshot"), _count(found.models, "version")
    branch = Tree(Text(f"it is in {snapshots}, of which {versions} learned"))
    if len(found.models) > _VERSIONS:
        _say(branch, f"{_count(found.models[:-_VERSIONS], 'earlier version')}: ask with --json")
    for model in found.models[-_VERSIONS:]:
        outcome = coloured(model.gate.outcome) if model.gate else Text("never judged")
        rest = "".join(f", {_reign(reign)}" for reign in model.reigns)
        head = Text.assemble((f"version {model.version}", "bold"), ": ", outcome, rest)
        branch.add(Text.assemble(head, f", {_answers(model)}" if model.answered else ""))
    return branch


def _told(told: Told) -> Tree:
    what = f"{told.kind} verdict of {moment(told.data_time)}: "
    branch = Tree(Text.assemble(what, coloured(told.outcome), (f"  no. {told.seq} by {told.actor}", "dim")))
    _say(branch, *told.reasons[:_REASONS])
    if len(told.reasons) > _REASONS:
        _say(branch, f"and {len(told.reasons) - _REASONS} more reasons: andon show PIPELINE --verdict {told.seq}")
    return branch


def _arrival(batch: Batch) -> Iterator[str]:
    yield f"arrived {moment(batch.recorded_at)}, sha256 {batch.sha256[:_SHORT]}"
    if batch.verdict_seq is not None:
        fate = {"suspect": "held", "dropped": "dropped"}.get(batch.state, "taken")
        yield (
            f"{batch.rows_in:,} rows: {batch.rows_accepted:,} {fate}, {batch.rows_quarantined:,} set aside, "
            f"{batch.rows_duplicate:,} repeated"
        )
    if batch.span is not None:
        yield f"event times {moment(batch.span[0])} to {moment(batch.span[1])}"


def _aside(found: BatchLineage) -> Iterator[str]:
    batch = found.batch
    if found.rules:
        broken = ", ".join(f"{name} {rows:,}" for name, rows in found.rules.items())
        look = f"andon quarantine show {batch.pipeline} {batch.number} --kind {batch.kind}"
        yield f"broken rules: {broken}" + ("" if found.decided else f"; the rows: {look}")


def _kin(found: BatchLineage) -> Iterator[str]:
    for batch in found.released_as:
        yield f"what was set aside came again as no. {batch.number}, {batch.name}: {batch.state}"
    if found.released_from is not None:
        yield f"it was set aside from no. {found.released_from.number}, {found.released_from.name}, and released"
    for batch in found.same_bytes:
        yield f"the same bytes came as no. {batch.number}, {batch.name}: {batch.state}"
    for batch in found.same_name:
        yield f"other bytes came under this name as no. {batch.number}: {batch.state}"


def _reign(reign: Reign) -> str:
    until = f"until {moment(reign.until)}" if reign.until else "on, and serves now"
    return f"champion (epoch {reign.epoch}) from {moment(reign.since)} {until}"


def _answers(model: Model) -> str:
    if not model.answered:
        return "answered no batch yet"
    rows, numbers = sum(item.rows for item in model.answered), as_ranges(item.batch for item in model.answered)
    return f"answered {_count(model.answered, 'batch')} ({numbers}), {rows:,} rows"


def _answer(answered: Answered) -> str:
    where = f", delivered to {', '.join(answered.delivered)}" if answered.delivered else ""
    versions = " and ".join(answered.versions)
    return f"{answered.rows:,} rows answered by version {versions} through the {answered.through}{where}"


def _fed(fed: Fed) -> str:
    names = f", {fed.first} to {fed.last}" if fed.first != fed.last else f", {fed.first}" if fed.first else ""
    return f"{fed.kind}: {_count(range(fed.batches), 'batch')} ({fed.numbers}), {fed.rows:,} accepted rows{names}"


def _say(branch: Tree, *lines: str, style: str = "") -> None:
    for line in lines:
        branch.add(Text(line, style=style))


def _count(items: Sequence[Any], noun: str) -> str:
    many = f"{noun}es" if noun.endswith("ch") else f"{noun}s"
    return f"{len(items):,} {noun if len(items) == 1 else many}"


def _day(text: str) -> str:
    return text[:16].replace("T", " ")


def _value(value: Any) -> str:
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, list):
        return ", ".join(map(_value, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
