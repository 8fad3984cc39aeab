"""`andon reproduce`: a version made again, of the rows that it learned from. Changes nothing.

Exit code 0: identical bytes, or the same predictions; 1: something else came of it, or it cannot be made again.
"""

from typing import TYPE_CHECKING

import typer
from rich.text import Text

from andon.cli.options import Json, OnePipeline
from andon.cli.output import people, print_json, working
from andon.cli.setup import settings

if TYPE_CHECKING:
    from tasks.reproduce import Reproduction


def reproduce(pipeline: OnePipeline, version: str, *, json: Json = False) -> None:
    """Make VERSION again, of its snapshot, by its own definition, recipe and seed; and say what differs."""
    from andon.cli.versions import bundle_of
    from tasks.reproduce import reproduce as make_again
    from tasks.site import open_sites

    (site,) = open_sites(pipeline, settings())
    with working(f"making version {version} of {pipeline} again"), bundle_of(site, version) as (found, _):
        made = make_again(site, version, found)
    if json:
        print_json(made)
    else:
        _print(made)
    raise typer.Exit(int(made.outcome == "different"))


def _print(made: "Reproduction") -> None:
    console, style = people(), "bold red" if made.outcome == "different" else "green"
    told = f": version {made.version} of {made.pipeline}, made again of {made.rows:,} rows{_distance(made)}"
    console.print(Text.assemble((made.outcome, style), told), soft_wrap=True)
    for line in made.differences:
        console.print(Text(f"  {line}"), soft_wrap=True)


def _distance(made: "Reproduction") -> str:
    if made.outcome == "identical bytes":
        return ""
    return f"; of {made.asked:,} predictions the furthest are {made.apart:.2g} apart"
