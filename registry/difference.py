"""What differs between two versions of a model: data, recipe, gate's numbers, slices, inputs, definition. Pure.

Compares what stands in two bundles and in the ledger; what is missing there (an older bundle) is None, never guessed.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from validation.difference import Change
from validation.training_set import Description, as_ranges, numbers_in

LINES_SHOWN = 40  # of the definition
_NUMBERS = (
    "outcome", "champion_version", "gain", "gain_share", "lower", "upper", "champion_loss", "challenger_loss",
    "baseline_loss", "rows", "blocks", "evidence", "look", "churn", "champion_bias", "challenger_bias", "latency_ms",
    "size_mb",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One side. `learned`: its training rows; `gate`: body of the newest gate's verdict on it, {} without one;
    `importance`: by input the gain of all splits on it; `definition`: the source of its pipeline.
    """

    version: str
    bundle_sha256: str
    trained_until: datetime
    learned: Description | None
    recipe: Mapping[str, float]
    gate: Mapping[str, Any]
    importance: Mapping[str, float]
    definition_hash: str
    definition: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One value on both sides; None where a side has none."""

    name: str
    before: Any
    after: Any

    @property
    def is_same(self) -> bool:
        """Whether both sides have the same value."""
        return bool(self.before == self.after)


@dataclass(frozen=True, slots=True, kw_only=True)
class Churn:
    """How differently both predict the same `rows` (`of`: which): `flips`, the share that is decided otherwise, and
    `mean_difference`, the mean absolute difference of the predictions (of several classes: summed, and halved).
    """

    of: str
    rows: int
    flips: float
    mean_difference: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionDifference:
    """From one version to another; `metrics` and `slices` are each gate's own, on rows of its own time."""

    before: str
    after: str
    is_same_bundle: bool
    data: tuple[Pair, ...]
    batches: Mapping[str, tuple[str, str]]
    parameters: tuple[Pair, ...]
    metrics: tuple[Pair, ...]
    slices: tuple[Pair, ...]
    inputs_added: tuple[str, ...]
    inputs_removed: tuple[str, ...]
    importance: tuple[Pair, ...]
    is_same_definition: bool
    contract: tuple[Change, ...]
    definition_lines: tuple[str, ...]
    churn: Churn | None
    remarks: tuple[str, ...]


def compare_versions(
    before: Version,
    after: Version,
    *,
    contract: Sequence[Change] = (),
    churn: Churn | None = None,
    remarks: Sequence[str] = (),
) -> VersionDifference:
    """`contract` and `churn` need code and rows: the caller has found them. `remarks`: what could not be compared."""
    old, new = before.importance, after.importance
    return VersionDifference(
        before=before.version,
        after=after.version,
        is_same_bundle=before.bundle_sha256 == after.bundle_sha256,
        data=tuple(_data(before, after)),
        batches=dict(_batches(before.learned, after.learned)),
        parameters=_pairs(before.recipe, after.recipe),
        metrics=_pairs(_metrics(before.gate), _metrics(after.gate)),
        slices=tuple(sorted(_pairs(_slices(before.gate), _slices(after.gate)), key=_worst)),
        inputs_added=tuple(name for name in new if name not in old),
        inputs_removed=tuple(name for name in old if name not in new),
        importance=tuple(sorted(_pairs(_shares(old), _shares(new)), key=_largest)),
        is_same_definition=before.definition_hash == after.definition_hash,
        contract=tuple(contract),
        definition_lines=tuple(_lines(before.definition, after.definition)),
        churn=churn,
        remarks=tuple(remarks),
    )


def _pairs(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Pair, ...]:
    return tuple(Pair(name=name, before=before.get(name), after=after.get(name)) for name in {**before, **after})


def _data(before: Version, after: Version) -> Iterator[Pair]:
    """The training rows, and how far they reach."""
    yield Pair(name="trained_until", before=before.trained_until, after=after.trained_until)
    told = (_described(before.learned), _described(after.learned))
    yield from _pairs(*told)


def _described(learned: Description | None) -> Mapping[str, Any]:
    if learned is None:
        return {}
    names = ("id", "digest", "rows", "since", "until", "as_known_at", "coverage", "unlabelled", "missing")
    return {**{name: getattr(learned, name) for name in names}, "columns": len(learned.columns)}


def _batches(before: Description | None, after: Description | None) -> Iterator[tuple[str, tuple[str, str]]]:
    """By kind, which batches came (first) and which went (second), as ranges."""
    old, new = (before.batches if before else {}), (after.batches if after else {})
    for kind in {**old, **new} if before and after else ():
        numbers = [set(numbers_in(side.get(kind, ""))) for side in (old, new)]
        yield kind, (as_ranges(numbers[1] - numbers[0]), as_ranges(numbers[0] - numbers[1]))


def _metrics(gate: Mapping[str, Any]) -> Mapping[str, Any]:
    """NOTE: what the first look at a challenger turned down was never loaded: its latency and size are 0."""
    measured = {name: gate[name] for name in _NUMBERS if gate.get(name) not in (None, "")}
    return {name: value for name, value in measured.items() if value or name not in ("latency_ms", "size_mb")}


def _slices(gate: Mapping[str, Any]) -> Mapping[str, float]:
    """Gains by slice, as shares of the champion's loss where it is known, so that two gates can be held together."""
    loss = gate.get("champion_loss")
    told = gate.get("slices") or ()
    return {f"{item['column']} = {item['value']}": item["gain"] / loss for item in told} if loss else {}


def _shares(importance: Mapping[str, float]) -> Mapping[str, float]:
    total = sum(importance.values())
    return {name: gain / total if total else 0.0 for name, gain in importance.items()}


def _worst(pair: Pair) -> float:
    return float(min(value for value in (pair.before, pair.after) if value is not None))


def _largest(pair: Pair) -> float:
    return -float(max(value for value in (pair.before, pair.after) if value is not None))


def _lines(before: str, after: str) -> Iterator[str]:
    """The changed lines of the definition, with a minus or a plus before them."""
    found = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    changed = [line[:200] for line in found if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    yield from changed[:LINES_SHOWN]
    if len(changed) > LINES_SHOWN:
        yield f"... and {len(changed) - LINES_SHOWN} more lines"
