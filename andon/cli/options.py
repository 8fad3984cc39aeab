"""Arguments and options that several commands share."""

from typing import Annotated

import typer

AnyPipeline = Annotated[str | None, typer.Argument(help="The pipeline's name; all pipelines when left out.")]
OnePipeline = Annotated[str, typer.Argument(help="The pipeline's name.")]
AsOf = Annotated[
    str | None, typer.Option("--as-of", metavar="MOMENT", help="Data time, e.g. 2013-04-07 (UTC); now when left out.")
]
From = Annotated[
    str | None, typer.Option("--from", metavar="MOMENT", help="Judge past windows again, from this data time on (UTC).")
]
To = Annotated[
    str | None, typer.Option("--to", metavar="MOMENT", help="Up to this one, without it; now when left out.")
]
Why = Annotated[str, typer.Option("--why", help="The reason, in a sentence; it stands in the ledger.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON value on stdout.")]
