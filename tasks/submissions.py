"""What the model store is shown of a challenger: its numbers, its verdict in words, and the rows behind it."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from andon.pages.card_page import card_page
from modelling import bundle
from registry.store import Learned, Study, Submission
from registry.verdict_page import verdict_page
from tasks.card_facts import Behind, Metrics, card_story, evidence_metrics
from tasks.card_making import study
from tasks.orders import Order
from tasks.telling import log
from validation.deeds import Trained
from validation.gate import GateVerdict

CARD = "model_card.html"


def submission(
    order: Order, folder: Path, *, verdict: GateVerdict, trained: Trained, behind: Behind | None = None
) -> Submission:
    """The bundle in `folder` with the gate's verdict on it, and what stands behind it in a model card."""
    sha256, measured = bundle.digest(folder), evidence_metrics(behind) if behind else {}
    page = verdict_page(verdict, asked=order.intent.reason, made=trained.reasons)
    slices = {f"slice_gain.{item.column}.{item.value}": item.gain for item in verdict.slices}
    return Submission(
        pipeline=order.site.name,
        bundle=folder,
        bundle_sha256=sha256,
        intent=order.intent.id,
        attempt=order.intent.attempt,
        verdict=verdict.outcome,
        metrics={**_numbers(verdict), **slices, **_named(measured), "training_seconds": trained.seconds},
        params={**trained.recipe, "searched": trained.searched, "rows": trained.rows},
        tags={"snapshot": verdict.snapshot, "champion": verdict.champion_version, "why": order.intent.reason},
        study=_study(order, trained, behind),
        notes=page,
        learned=_learned(order),
        evidence=_files(verdict, page),
        files=_card(order, behind, verdict=verdict, trained=trained, sha256=sha256, measured=measured),
    )


def _card(order: Order, behind: Behind | None, *, measured: Metrics, **told: Any) -> Mapping[str, bytes]:
    """The model card. One that cannot be drawn is told of in the log: it must not cost a challenger."""
    if behind is None:
        return {}
    try:
        story = card_story(order, behind, measured=measured, **told)
        return {CARD: card_page(story).encode()}
    except Exception:  # noqa: BLE001 - whatever it is, minutes of training and the gate's verdict are worth more
        log.exception("%s: the model card could not be drawn; everything else went on", order.site.name)
        return {}


def _study(order: Order, trained: Trained, behind: Behind | None) -> Study | None:
    """The search, if one was made; its trials alone where nothing else is known of it."""
    learned = behind.challenger.learned if behind else None
    search = learned.search if learned else None
    if search is not None and search.trials:
        return study(search, name=order.intent.id)
    return Study(name=order.intent.id, losses=trained.losses) if trained.losses else None


def _named(measured: Metrics) -> Mapping[str, float]:
    """Metrics of the evidence's rows, of the challenger as "evidence.auc", of others as "champion.auc"."""
    called = {"challenger": "evidence"}
    return {f"{called.get(who, who)}.{name}": value for who, told in measured.items() for name, value in told.items()}


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
