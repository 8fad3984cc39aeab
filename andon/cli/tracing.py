"""Finds what a lineage is asked about: in the ledger, the prediction log and the curated table."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from andon.pipeline import Pipeline
from andon.settings import Settings
from registry.ledger import Batch, Ledger
from registry.lineage import Facts, of_batch, of_version
from registry.traces import BatchLineage, ModelLineage, PredictionLineage
from validation.errors import DefinitionError, NoChampionError

if TYPE_CHECKING:
    from storage.lake import Lake

_MANY = 5  # of what an error lists


def find_batch(batches: Sequence[Batch], wanted: str, *, pipeline: str, kind: str | None = None) -> Batch:
    """The one batch of a file's name or a number; of rows if it can be, unless another kind is named."""
    named = [item for item in batches if item.name == wanted and kind in (None, item.kind)]
    of_rows = [item for item in named if item.kind == "rows"]
    numbered = [item for item in batches if str(item.number) == wanted and item.kind == (kind or "rows")]
    found = of_rows or named or numbered
    if len(found) == 1:
        return found[0]
    if found:
        many = "; ".join(f"--batch {item.number} --kind {item.kind} ({item.state})" for item in found[-_MANY:])
        raise DefinitionError(f"{len(found)} batches have the name {wanted!r}; choose: {many}")
    raise _no_batch(batches, wanted, pipeline=pipeline, kind=kind)


def about_batch(ledger: Ledger, facts: Facts, batch: Batch) -> BatchLineage:
    """What came of a batch."""
    name = batch.name if batch.kind == "rows" else f"{batch.kind} {batch.name}"  # as ingest names it in its verdicts
    seqs = [seq for seq in (batch.verdict_seq, batch.settled_seq) if seq]
    own = [record for seq in seqs for record in ledger.verdicts(batch.pipeline, seq=seq)]
    decided = ledger.verdicts(batch.pipeline, kind="release", subject=name)
    mine = [record for record in decided if record.body.get("batch") == batch.number]  # others may have its name
    return of_batch(facts, batch, [*own, *mine])


def about_version(facts: Facts, version: str | None, *, pipeline: str) -> ModelLineage:
    """What a version comes from; the champion, when none is named."""
    if version is None and not facts.champions:
        raise NoChampionError(
            f"{pipeline} has no champion yet; ask about a batch or a version: andon lineage {pipeline} --batch 1"
        )
    asked = facts.champions[-1].change.version if version is None else version
    found = of_version(facts, asked)
    if found is None:
        raise NoChampionError(f"the ledger knows no version {asked!r} of {pipeline}; see: andon history {pipeline}")
    return found


def about_prediction(
    ledger: Ledger, facts: Facts, prediction_id: str, *, definition: Pipeline, place: Settings
) -> PredictionLineage:
    """What a prediction rests on."""
    from storage.lake import open_lake
    from storage.prediction_log import find_predictions

    lake = open_lake(place)
    found = find_predictions(lake.predictions(definition.name), prediction_id)
    if len(found) != 1:
        raise _not_one(definition.name, prediction_id, [row["prediction_id"] for row in found])
    (row,) = found
    key = {name: row.get(name) for name in definition.spec.key}
    numbers = _batches_with(lake, definition.name, key)
    mine = [item for item in facts.batches if item.kind == "rows" and item.number in numbers]
    return PredictionLineage(
        prediction_id=row["prediction_id"],
        version=row["version"],
        logged_at=row["logged_at"],
        prediction=row["prediction"],
        row={**key, definition.spec.time: row.get(definition.spec.time)},
        model=of_version(facts, row["version"]),
        batches=tuple(about_batch(ledger, facts, item) for item in mine),
    )


def _batches_with(lake: "Lake", pipeline: str, key: Mapping[str, Any]) -> set[int]:
    """The numbers of the batches that brought a row of this key."""
    from storage import tables

    rows = tables.scan(lake.curated(pipeline), lake.remote)
    if rows is None:
        return set()
    same = [pl.col(name).eq_missing(pl.lit(value)) for name, value in key.items()]
    return set(rows.filter(same).select("_batch").collect(engine="streaming")["_batch"])


def _no_batch(batches: Sequence[Batch], wanted: str, *, pipeline: str, kind: str | None) -> DefinitionError:
    what = f"{pipeline} has no batch {wanted!r} of {kind or 'rows'}"
    kinds = dict.fromkeys(item.kind for item in batches)
    if not kinds:
        return DefinitionError(f"{what}; none has come: andon ingest {pipeline}")
    newest = [[item for item in batches if item.kind == name][-1] for name in kinds]
    last = ", ".join(f"--batch {item.number} --kind {item.kind} ({item.name})" for item in newest)
    return DefinitionError(f"{what}; the last ones are {last}")


def _not_one(pipeline: str, prediction_id: str, ids: Sequence[str]) -> DefinitionError:
    if ids:
        return DefinitionError(
            f"{prediction_id!r} is a request of {len(ids):,} rows; name one of them: {', '.join(ids[:_MANY])}, ..."
        )
    return DefinitionError(
        f"the prediction log of {pipeline} has no id {prediction_id!r}; ids stand in the scorer's answers "
        "(x-andon-prediction-id) and in what is delivered; the log lies on the machine that scored"
    )
