"""`andon snapshot`: what models have learned from, taken again from the lake, and what differs. Reads only."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from andon.cli.options import AsOf, Json, OnePipeline
from andon.cli.output import moment, people, plain, print_facts, print_json, working
from andon.cli.setup import data_time, settings
from validation.errors import DefinitionError, RefusedError
from validation.training_set import Description

if TYPE_CHECKING:
    from storage.comparison import Difference
    from storage.snapshot import Snapshot
    from tasks.site import Site

app = typer.Typer(help="The rows that models have learned from: look at them, take them again, compare two.")

Id = Annotated[str | None, typer.Argument(metavar="[ID]", help="A snapshot's id, or the beginning of it.")]
Version = Annotated[str | None, typer.Option("--version", help="The one that this model version has learned from.")]
Either = Annotated[str, typer.Argument(metavar="ID", help="A snapshot's id, the beginning of it, or a model version.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A snapshot, which versions have learned from it, and whether the lake still gives it (`is_same`; None for one
    that was taken just now). `remarks` say what differs, and what else should be known.
    """

    snapshot: Description
    versions: tuple[str, ...]
    is_same: bool | None
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Two snapshots by their ids, and what differs; `remarks` where the lake does not give one as it was."""

    before: str
    after: str
    difference: "Difference"
    remarks: tuple[str, ...]


@app.command()
def show(
    pipeline: OnePipeline, snapshot: Id = None, *, version: Version = None, as_of: AsOf = None, json: Json = False
) -> None:
    """A snapshot that a retrain took, and whether the lake still gives it; or the one that it would take now."""
    if sum(given is not None for given in (snapshot, version, as_of)) > 1:
        raise DefinitionError("name one thing only: an ID, --version or --as-of")
    site = _site(pipeline)
    with working(f"taking a snapshot of {pipeline}"):
        if snapshot is None and version is None:
            found = _present(site, as_of)
        else:
            found = _again(site, snapshot or version or "", is_version=version is not None)
    if json:
        print_json(found)
    else:
        _print(found)
    if found.is_same is False:
        raise typer.Exit(1)


@app.command()
def diff(pipeline: OnePipeline, before: Either, after: Either, *, json: Json = False) -> None:
    """What differs between two snapshots: rows added, removed and corrected, labels, span, batches."""
    from storage.comparison import compare
    from tasks.descriptions import find_description

    site = _site(pipeline)
    spec = site.pipeline.spec
    with working(f"comparing two snapshots of {pipeline}"):
        told = [find_description(site, wanted) for wanted in (before, after)]
        taken = [_taken(site, description) for description in told]
        remarks = [
            f"{description.id[:12]} is not what it was; {remark}"
            for description, snapshot in zip(told, taken, strict=True)
            for remark in _differences(site, description, snapshot)
        ]
        difference = compare(*taken, key=spec.key, time=spec.time, target=spec.target)
    found = Compared(before=told[0].id, after=told[1].id, difference=difference, remarks=tuple(remarks))
    if json:
        print_json(found)
    else:
        _print_difference(found)


def _site(pipeline: str) -> "Site":
    from tasks.site import open_sites

    (site,) = open_sites(pipeline, settings())
    return site


def _present(site: "Site", as_of: str | None) -> Shown:
    """What a retrain would learn from; it is not written down."""
    from tasks.descriptions import describe
    from tasks.site import moment as data_moment
    from tasks.taking import question, take, why_nothing

    asked = question(site, data_moment(data_time(as_of)))
    snapshot = take(site, asked)
    if snapshot is None:
        raise RefusedError(why_nothing(site, asked))
    remarks = () if snapshot.rows.height else (why_nothing(site, asked),)
    return Shown(
        snapshot=describe(site, snapshot), versions=_versions(site, snapshot.id), is_same=None, remarks=remarks
    )


def _again(site: "Site", wanted: str, *, is_version: bool) -> Shown:
    """What a retrain has learned from, compared with what the lake gives today."""
    from tasks.descriptions import find_description

    told = find_description(site, wanted, is_version=is_version)
    remarks = list(_differences(site, told, _taken(site, told)))
    is_same = not remarks
    if told.definition != site.pipeline.fingerprint:
        remarks.append("the pipeline's definition is another one now: a retrain would give these rows another id")
    return Shown(snapshot=told, versions=_versions(site, told.id), is_same=is_same, remarks=tuple(remarks))


def _taken(site: "Site", description: Description) -> "Snapshot":
    from tasks.taking import take_again

    snapshot = take_again(site, description)
    if snapshot is None:
        place = site.lake.curated(site.name)
        raise RefusedError(f"there is no table of rows at {place} any more; restore it, or correct ANDON_LAKE")
    return snapshot


def _differences(site: "Site", told: Description, snapshot: "Snapshot") -> tuple[str, ...]:
    from tasks.descriptions import describe, differences

    return differences(told, describe(site, snapshot))


def _versions(site: "Site", snapshot: str) -> tuple[str, ...]:
    gates = site.ledger.verdicts(site.name, kind="gate")
    return tuple(
        gate.subject for gate in gates if gate.body["snapshot"] == snapshot and gate.body["challenger_version"]
    )


def _print(found: Shown) -> None:
    described = replace(found.snapshot, columns={})
    print_facts({**plain(described), "columns": list(found.snapshot.columns), "versions": list(found.versions)})
    if found.is_same is not None:
        told = "the lake still gives it, to the last value" if found.is_same else "the lake gives something else now"
        people().print(Text(told, style="green" if found.is_same else "red"))
    for remark in found.remarks:
        people().print(Text(remark, style="yellow"), soft_wrap=True)


def _print_difference(found: Compared) -> None:
    told = found.difference
    people().print(Text(f"{found.before[:12]} -> {found.after[:12]}", style="bold"))
    people().print(
        f"rows {told.rows_before:,} -> {told.rows_after:,}: {told.added:,} added, {told.removed:,} removed, "
        f"{told.corrected:,} corrected, {told.relabelled:,} with another label"
    )
    for name, span in (("from", told.span_before), ("to", told.span_after)):
        people().print(f"span {name} {moment(span[0])} - {moment(span[1])}" if span else f"span {name} nothing")
    lists = ("columns", "columns_added", "columns_removed", "columns_retyped", "batches", "examples")
    facts = {name: value for name, value in plain(told).items() if name in lists and value}
    print_facts(facts)
    for count, what in ((told.more_columns, "columns"), (told.more_batches, "batches")):
        if count:
            people().print(f"and {count:,} more {what}")
    for remark in found.remarks:
        people().print(Text(remark, style="yellow"), soft_wrap=True)
