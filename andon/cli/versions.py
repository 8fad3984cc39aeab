"""What `andon diff` needs of two versions: their bundles, what the ledger says of them, and predictions of both."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from registry.difference import Churn, Version
from validation.difference import Change, compare_contracts
from validation.errors import AndonError

if TYPE_CHECKING:
    from modelling.bundle import Bundle
    from tasks.site import Site

NEWEST_ROWS = 20_000
_BATCH, _KNOWN_AT = "_batch", "_known_at"
_LARGE = 1.0  # regression: standard deviations of the earlier version's predictions by which a decision is another one


@contextmanager
def bundle_of(site: "Site", version: str) -> Iterator[tuple["Bundle", str]]:
    """The version's bundle and the source of its definition; a champion's from the cache, another's from the store.

    NoChampionError when nobody knows the version, RegistryError when its bytes are not those that were judged.
    """
    from modelling import bundle
    from tasks.champions import bundle_folder

    crowned = [row.change for row in site.ledger.champions(site.name) if row.change.version == version]
    judged = [item.body.get("bundle_sha256") for item in site.ledger.verdicts(site.name, kind="gate", subject=version)]
    sha256 = crowned[-1].bundle_sha256 if crowned else next((item for item in reversed(judged) if item), None)
    with tempfile.TemporaryDirectory() as folder:
        if crowned:
            place = bundle_folder(site, crowned[-1])
        else:
            place = site.store.fetch(site.name, version, into=Path(folder) / "bundle")
        yield bundle.load(place, sha256=sha256), (place / "definition.py").read_text(encoding="utf-8")


def facts(site: "Site", version: str, found: "Bundle", definition: str) -> Version:
    """What stands in the bundle and in the ledger."""
    manifest, gates = found.manifest, site.ledger.verdicts(site.name, kind="gate", subject=version)
    return Version(
        version=version,
        bundle_sha256=found.sha256,
        trained_until=manifest.trained_until,
        learned=manifest.learned,
        recipe={**manifest.recipe.params, "rounds": manifest.recipe.rounds},
        gate=gates[-1].body if gates else {},
        importance=dict(zip(manifest.encoding.names, found.model.engine.gains, strict=True)),
        definition_hash=manifest.definition_hash,
        definition=definition,
    )


def contract_changes(before: "Bundle", after: "Bundle") -> tuple[Change, ...]:
    """What the later version's contract of rows asks otherwise; each contract is the bundle's own."""
    from validation.rules import schema_of

    return compare_contracts(*(schema_of(_definition(item).contract) for item in (before, after)))


def churn_of(site: "Site", before: "Bundle", after: "Bundle") -> tuple[Churn | None, tuple[str, ...]]:
    """How differently both answer the newest accepted rows, or the earlier version's golden rows; and why not the
    first, or neither.
    """
    if before.manifest.task != after.manifest.task:
        return None, (f"one is a {before.manifest.task} model, the other a {after.manifest.task} one: no churn",)
    remarks = []
    try:
        rows = _newest(site)
        if rows is not None and rows.height:
            return _churn(before, after, rows, of=f"the newest {rows.height:,} accepted rows"), ()
        remarks.append("there are no accepted rows in the lake: compared by golden rows")
    except (AndonError, pl.exceptions.PolarsError) as error:
        remarks.append(f"the newest rows cannot be asked for ({_first_line(error)}): compared by golden rows")
    try:
        return _churn(before, after, _golden(before), of="the earlier version's golden rows"), tuple(remarks)
    except (AndonError, pl.exceptions.PolarsError) as error:
        return None, (*remarks, f"nor can the golden rows ({_first_line(error)}): no churn")


def _definition(found: "Bundle") -> Any:
    """The PIPELINE of the bundle's own module, which `bundle.load` has executed under this name."""
    return sys.modules[f"andon_bundle_{found.sha256[:12]}"].PIPELINE


def _newest(site: "Site") -> pl.DataFrame | None:
    """The newest accepted rows by event time, with what is looked up for them, as they were when they were scored."""
    from storage import tables
    from tasks.accepted import accepted
    from tasks.lookups import looked_up

    table = tables.scan(site.lake.curated(site.name), site.lake.remote)
    if table is None:
        return None
    pipeline = site.pipeline
    mine = table.filter(pl.col(_BATCH).is_in(list(accepted(site, "rows")))).select(*pipeline.source_schema, _KNOWN_AT)
    rows = (
        mine.sort(pipeline.spec.time, *pipeline.spec.key, descending=True).head(NEWEST_ROWS).collect(engine="streaming")
    )
    told = looked_up(site, rows.lazy(), as_known_at=site.ledger.now())
    return told.select(list(pipeline.raw_schema)).collect()


def _golden(found: "Bundle") -> pl.DataFrame:
    from modelling.golden import from_json

    return from_json(found.manifest.golden_rows, found.raw_schema)


def _churn(before: "Bundle", after: "Bundle", rows: pl.DataFrame, *, of: str) -> Churn:
    import numpy as np

    from validation.refit import decided_otherwise

    old, new = before.predict(rows), after.predict(rows)
    classes = before.manifest.classes, after.manifest.classes
    if classes[0] != classes[1]:
        named = [
            np.array(list(map(str, names)))[answer.argmax(axis=1)]
            for names, answer in zip(classes, (old, new), strict=True)
        ]
        return Churn(of=of, rows=rows.height, flips=float((named[0] != named[1]).mean()), mean_difference=None)
    scale = float(old.std()) or _LARGE
    flips = decided_otherwise(old, new, task=before.manifest.task, scale=scale)
    difference = np.abs(old - new) if old.ndim == 1 else np.abs(old - new).sum(axis=1) / 2
    return Churn(of=of, rows=rows.height, flips=float(flips.mean()), mean_difference=float(difference.mean()))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
