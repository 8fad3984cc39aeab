"""What the model store is shown of a challenger: its numbers, its verdict in words, and the rows behind it."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import msgspec
import polars as pl

from modelling import bundle
from registry.store import Learned, Study, Submission
from registry.verdict_page import verdict_page
from tasks.orders import Order
from validation.deeds import Trained
from validation.gate import GateVerdict


def submission(order: Order, folder: Path, *, verdict: GateVerdict, trained: Trained) -> Submission:
    """The bundle in `folder` with the gate's verdict on it."""
    page = verdict_page(verdict, asked=order.intent.reason, made=trained.reasons)
    slices = {f"slice_gain.{item.column}.{item.value}": item.gain for item in verdict.slices}
    return Submission(
        pipeline=order.site.name,
        bundle=folder,
        bundle_sha256=bundle.digest(folder),
        intent=order.intent.id,
        attempt=order.intent.attempt,
        verdict=verdict.outcome,
        metrics={**_numbers(verdict), **slices, "training_seconds": trained.seconds},
        params={**trained.recipe, "searched": trained.searched, "rows": trained.rows},
        tags={"snapshot": verdict.snapshot, "champion": verdict.champion_version, "why": order.intent.reason},
        study=Study(name=order.intent.id, losses=trained.losses) if trained.losses else None,
        notes=page,
        learned=_learned(order),
        evidence=_files(verdict, page),
    )


def _files(verdict: GateVerdict, page: str) -> Mapping[str, bytes]:
    """How the gate came to its verdict, for people and for programs."""
    told = {"kind": verdict.kind, **msgspec.to_builtins(verdict)}
    files = {
        "verdict.md": page.encode(),
        "verdict.json": msgspec.json.format(msgspec.json.encode(told)),
    }
    if verdict.slices:
        files["slices.csv"] = pl.DataFrame([asdict(item) for item in verdict.slices]).write_csv().encode()
    return files


def _numbers(verdict: GateVerdict) -> Mapping[str, float]:
    return {
        name: float(value)
        for name, value in asdict(verdict).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _learned(order: Order) -> Learned:
    """What the model store shows of the snapshot; the whole description is in the ledger."""
    description, schema = order.description, order.snapshot.rows.schema
    told = msgspec.to_builtins(replace(description, columns={}))
    return Learned(
        name=order.site.name,
        digest=description.digest,
        source=str(order.site.lake.curated(order.site.name)),
        columns={name: str(dtype) for name, dtype in schema.items()},
        profile={"num_rows": description.rows, **told},
    )
