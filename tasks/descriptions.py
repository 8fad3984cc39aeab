"""What the ledger, a bundle and a person are told of a snapshot, and how it is found again. Writes nothing."""

from collections.abc import Sequence

import msgspec

from registry.ledger import Recorded
from storage.snapshot import Snapshot
from tasks.site import Site
from tasks.taking import label_rules
from validation.errors import DefinitionError
from validation.training_set import Description, as_ranges

_DIGEST_SHOWN = 16
_NAMED = 5


def describe(site: Site, snapshot: Snapshot) -> Description:
    """The snapshot in numbers."""
    asked, times = snapshot.question, snapshot.rows[site.pipeline.spec.time]
    rules, mature = label_rules(site), times.len() + snapshot.unlabelled.len()
    return Description(
        pipeline=site.name,
        id=snapshot.id,
        digest=snapshot.digest,
        definition=asked.definition,
        as_of=asked.as_of,
        as_known_at=asked.as_known_at,
        batches={kind: as_ranges(numbers) for kind, numbers in asked.batches.items()},
        since=times[0] if times.len() else None,
        until=times[-1] if times.len() else None,
        rows=times.len(),
        unlabelled=snapshot.unlabelled.len(),
        missing=snapshot.missing,
        coverage=times.len() / mature if mature else None,
        matures_after_seconds=rules.matures_after.total_seconds(),
        grace_seconds=rules.grace.total_seconds(),
        columns={name: digest[:_DIGEST_SHOWN] for name, digest in snapshot.columns.items()},
    )


def differences(before: Description, after: Description) -> tuple[str, ...]:
    """Why a snapshot that was taken again is not the one that was described, in sentences; none when it is."""
    if before.digest == after.digest:
        return ()
    counts = ("rows", "unlabelled", "missing")
    found = [
        f"{name}: {getattr(before, name):,} then, {getattr(after, name):,} now"
        for name in counts
        if getattr(before, name) != getattr(after, name)
    ]
    gone = [name for name in before.columns if name not in after.columns]
    other = [name for name, told in before.columns.items() if after.columns.get(name, told) != told]
    if gone:
        found.append(f"columns that are gone: {_some(gone)}")
    if other and before.rows == after.rows:  # of other rows all values are others
        found.append(f"other values: {_some(other)}")
    return tuple(found)


def find_description(site: Site, wanted: str, *, is_version: bool = False) -> Description:
    """The recorded snapshot of an id, of the beginning of one, or that a model version has learned from.

    DefinitionError when there is none, or more than one.
    """
    gates = site.ledger.verdicts(site.name, kind="gate", subject=wanted) if is_version or wanted.isdigit() else ()
    if is_version and not gates:
        raise DefinitionError(f"{site.name} has no version {wanted!r}; see: andon history {site.name}")
    start = str(gates[-1].body["snapshot"]) if gates else wanted
    recorded = site.ledger.verdicts(site.name, kind="snapshot")
    found = [item for item in recorded if item.subject.startswith(start)]
    if len(found) > 1:
        raise DefinitionError(f"{wanted!r} begins {len(found)} snapshots: {_ids(found)}; give more of it")
    if not found:
        known = f"the newest are {_ids(recorded[-_NAMED:])}" if recorded else "no retrain has taken one yet"
        raise DefinitionError(f"{site.name} has no recorded snapshot {wanted!r}; {known}")
    return msgspec.convert(found[0].body["description"], Description)


def _ids(recorded: Sequence[Recorded]) -> str:
    return _some([f"{item.subject[:12]} ({item.data_time:%Y-%m-%d})" for item in recorded])


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
