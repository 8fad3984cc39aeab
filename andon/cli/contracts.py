"""`andon contract`: a first contract from a sample of data; what differs between contracts, or contract and data."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from andon.cli.options import Json
from andon.cli.output import grid, people, print_json, working
from andon.cli.setup import settings
from validation.errors import ContractError, DefinitionError

if TYPE_CHECKING:
    import polars as pl

    from storage.found import Found
    from storage.lake import Lake

app = typer.Typer(help="Write a first contract from data; compare contracts, or a contract with data.")

_SAMPLE_ROWS = 200_000
_SAMPLE_FILES = 50
_DATA = (".parquet", ".csv", ".csv.gz", ".csv.zst")

Source = Annotated[str, typer.Argument(help="A data file or glob (a path below the lake, a local path or s3://...).")]
Side = Annotated[str, typer.Argument(help="A pipeline's name, FILE.py:CLASS, or a data file.")]


@app.command()
def infer(
    source: Source,
    *,
    name: Annotated[str, typer.Option("--name", help="The class's name.")] = "Contract",
    output: Annotated[Path | None, typer.Option("--output", help="Write it to this file; it must be new.")] = None,
) -> None:
    """Write a readable Python contract from a sample: ranges with slack, lists of few texts, formats, keys, nulls."""
    from validation.inference import as_python, infer

    if not name.isidentifier():
        raise DefinitionError(f"--name must be a Python class's name, got {name!r}")
    with working(f"looking at {source}"):
        text = as_python(infer(_sample(source)), name=name, source="/".join(Path(source).parts[-2:]))
    if output is None:
        typer.echo(text, nl=False)
        return
    if output.exists():
        raise DefinitionError(f"{output} exists; name a new file, or remove it")
    output.write_text(text, encoding="utf-8")
    people().print(f"wrote {output}; read it, correct what you know better, and put it into the pipeline's file")


@app.command()
def diff(before: Side, after: Side, *, json: Json = False) -> None:
    """What the second asks, or is, otherwise than the first; exit code 1 when a change is breaking."""
    from validation.difference import compare_contracts, compare_data

    if _is_data(before):
        raise DefinitionError("name the contract first, then the data or the other contract: andon contract diff A B")
    with working("comparing"):
        changes = (
            compare_data(_contract(before), dict(_sample(after).schema))
            if _is_data(after)
            else compare_contracts(_contract(before), _contract(after))
        )
    if json:
        print_json(changes)
    elif not changes:
        people().print("no difference")
    else:
        table = grid("column", "change", "breaking", "what")
        for item in changes:
            table.add_row(item.column or "-", item.what, "yes" if item.breaking else "no", Text(item.detail))
        people().print(table)
    if any(item.breaking for item in changes):
        raise typer.Exit(1)


def _is_data(side: str) -> bool:
    return side.endswith(_DATA)


def _contract(side: str) -> Any:
    """The contract of a pipeline, or a class of a Python file, as a DataFrameSchema."""
    from andon.catalogue import find, load_module
    from validation.rules import schema_of

    file, _, name = side.partition(":")
    if not file.endswith(".py"):
        return schema_of(find(side, settings().pipeline_folders).contract)
    if not Path(file).is_file() or not name:
        raise DefinitionError(f"{side!r} must be FILE.py:CLASS, with a file that exists")
    contract = getattr(load_module(Path(file)), name, None)
    if contract is None:
        raise DefinitionError(f"{file} defines no {name}; name the contract's class")
    return schema_of(contract)


def _sample(source: str) -> "pl.DataFrame":
    """Rows from all files of the source, the same number from each; all columns, as they came."""
    import tempfile
    from datetime import UTC, datetime, timedelta

    import polars as pl

    from storage.lake import open_lake
    from storage.landing import admitted, scan

    lake = open_lake(settings())
    found = _found(source, lake)[:_SAMPLE_FILES]
    with (
        tempfile.TemporaryDirectory() as work,
        admitted(found, lake, work=Path(work), now=datetime.now(UTC), settle=timedelta(0)) as arrived,
    ):
        whole = [file for file in arrived.files if not file.flaw]
        most = _SAMPLE_ROWS // max(len(whole), 1)
        frames = {
            file.name: _typed(rows.head(most).collect(), text=text) for file in whole for rows, text in [scan(file)]
        }
    damaged = {file.name: file.flaw for file in arrived.files if file.flaw}
    if not frames:
        raise ContractError(f"no file of {source} can be read; name another")
    usual = Counter(str(frame.schema) for frame in frames.values()).most_common(1)[0][0]
    others = {name: "has other columns" for name, frame in frames.items() if str(frame.schema) != usual}
    for name, why in {**damaged, **others}.items():
        people().print(Text(f"left out: {name} {why}", style="yellow"), soft_wrap=True)
    return pl.concat(frame for name, frame in frames.items() if name not in others)


def _found(source: str, lake: "Lake") -> "tuple[Found, ...]":
    """The files: at this address, or below the lake."""
    from storage.address import Address
    from storage.objects import objects_for

    for glob in (Address.of(source), *([] if "://" in source or source.startswith("/") else [lake.glob(source)])):
        if found := objects_for(glob, lake.remote).find(glob):
            return found
    raise DefinitionError(f"there is no file {source}; name a path below {lake.root}, a local one, or s3://bucket/...")


def _typed(rows: "pl.DataFrame", *, text: bool) -> "pl.DataFrame":
    """CSV says no types: they are read off the texts, as Polars would."""
    import io

    import polars as pl

    if not text:
        return rows
    return pl.read_csv(io.StringIO(rows.write_csv()), infer_schema_length=None, try_parse_dates=True)
