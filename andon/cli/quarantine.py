"""`andon quarantine`: what was set aside, why, and what a person decides about it."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from andon.cli.options import AnyPipeline, AsOf, Json, OnePipeline, Why
from andon.cli.output import grid, moment, people, print_json, print_sentence, print_verdicts, working
from andon.cli.setup import data_time, settings

if TYPE_CHECKING:
    import polars as pl

    from tasks.release import Held
    from tasks.site import Site

app = typer.Typer(help="Bad rows, refused files and suspect batches: look at them, release or drop them.")

Number = Annotated[int, typer.Argument(help="The batch's number, as `andon quarantine list` shows it.")]
Kind = Annotated[str, typer.Option("--kind", help="rows, labels, or a reference table's name.")]
_ROWS_SHOWN = 20


@app.command(name="list")
def list_(pipeline: AnyPipeline = None, *, json: Json = False) -> None:
    """All that waits for a person."""
    from tasks.release import held

    found = [(site, item) for site in _sites(pipeline) for item in held(site)]
    if json:
        print_json([_facts(site, item) for site, item in found])
        return
    if not found:
        people().print("nothing is set aside")
        return
    table = grid("pipeline", "kind", "batch", "file", "what", "rows", "why")
    for site, item in found:
        fact = _facts(site, item)
        table.add_row(*(Text(str(fact[name])) for name in ("pipeline", "kind", "batch", "file", "what", "rows", "why")))
    people().print(table)
    people().print("look closer: andon quarantine show PIPELINE BATCH; then release or drop, with --why")


@app.command()
def show(pipeline: OnePipeline, batch: Number, *, kind: Kind = "rows", json: Json = False) -> None:
    """One batch: its verdict, and the first of its rows with the rules that they break."""
    from tasks.release import differences, rows_aside, verdict_of

    (site,) = _sites(pipeline)
    verdict, rows = verdict_of(site, kind, batch), rows_aside(site, kind, batch, limit=_ROWS_SHOWN)
    changes = differences(site, kind, batch)
    if json:
        print_json({"verdict": verdict, "difference": changes, "rows": [] if rows is None else rows.to_dicts()})
        return
    print_sentence(f"{verdict.seq:>5}  {moment(verdict.data_time)} ", verdict)
    if changes:
        people().print("how its columns differ from the contract:")
    for change in changes:
        people().print(Text(f"  {change}"), soft_wrap=True)
    if rows is not None:
        _print_rows(rows)


@app.command()
def release(
    pipeline: OnePipeline, batch: Number, *, why: Why, kind: Kind = "rows", as_of: AsOf = None, json: Json = False
) -> None:
    """Judge it again by today's contract and take in what passes; a suspect batch counts from --as-of (now) on."""
    from tasks.release import release as decide
    from tasks.site import moment as at

    (site,) = _sites(pipeline)
    with working(f"releasing batch {batch} of {pipeline}"):
        verdicts = decide(site, kind, batch, why=why, as_of=at(data_time(as_of)))
    print_verdicts(verdicts, json=json)
    if verdicts[-1].outcome != "released":
        raise typer.Exit(1)


@app.command()
def drop(
    pipeline: OnePipeline, batch: Number, *, why: Why, kind: Kind = "rows", as_of: AsOf = None, json: Json = False
) -> None:
    """Give it up for good; the ledger keeps who did it and why."""
    from tasks.release import drop as decide
    from tasks.site import moment as at

    (site,) = _sites(pipeline)
    print_verdicts(decide(site, kind, batch, why=why, as_of=at(data_time(as_of))), json=json)


def _sites(pipeline: str | None) -> "tuple[Site, ...]":
    from tasks.site import open_sites

    return open_sites(pipeline, settings())


def _facts(site: "Site", item: "Held") -> dict[str, Any]:
    batch, entry = item.batch, item.entry
    refusal = entry.refusal if entry else None
    if batch.state == "suspect":
        what, rows, why = "suspect batch", batch.rows_accepted, "strange against those before it"
    elif refusal is not None:
        what, rows, why = "refused file", batch.rows_in, refusal.reasons[0]
    elif entry is not None and entry.rows is not None:
        what, rows, why = "bad rows", batch.rows_quarantined, "they break rules of the contract"
    else:
        what, rows, why = "repeated rows", batch.rows_duplicate, "an earlier file brought their keys, with other values"
    return {
        "pipeline": site.name, "kind": batch.kind, "batch": batch.number, "file": batch.name,
        "what": what, "rows": rows, "why": why,
    }  # fmt: skip


def _print_rows(rows: "pl.DataFrame") -> None:
    table = grid("row", "breaks", "values")
    for row in rows.to_dicts():
        position, rules = row.pop("_row", "-"), row.pop("_rules", ())
        values = ", ".join(f"{name}={str(value)[:40]}" for name, value in row.items())
        table.add_row(str(position), Text(", ".join(rules)), Text(values))
    people().print(table)
