"""`andon lineage`: what stands behind a batch, a model version or a prediction, and what came of it. Reads only."""

from typing import Annotated

import typer

from andon.cli.options import Json, OnePipeline
from andon.cli.output import people, print_json, working
from andon.cli.setup import pipelines, settings
from andon.cli.tracing import about_batch, about_prediction, about_version, find_batch
from andon.cli.trees import tree
from registry.lineage import read_facts
from registry.traces import BatchLineage, ModelLineage, PredictionLineage
from validation.errors import DefinitionError


def lineage(
    pipeline: OnePipeline,
    *,
    batch: Annotated[
        str | None, typer.Option("--batch", help="What came of this batch: its number or file name.")
    ] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="The batch is of rows, labels, or a table's name.")] = None,
    version: Annotated[str | None, typer.Option("--version", help="What this model version comes from.")] = None,
    prediction: Annotated[str | None, typer.Option("--prediction", help="What this prediction's id rests on.")] = None,
    json: Json = False,
) -> None:
    """Which data, model and decision stand behind a batch, a version (the champion when nothing is named) or a
    prediction, and what came of it.
    """
    from registry.sql import open_ledger

    if sum(asked is not None for asked in (batch, version, prediction)) > 1:
        raise DefinitionError("name one thing only: --batch, --version or --prediction")
    if kind is not None and batch is None:
        raise DefinitionError("--kind says of what a batch is; name the batch as well: --batch")
    place = settings()
    (definition,) = pipelines(pipeline, place)
    ledger = open_ledger(place.ledger)
    with working(f"following the traces of {pipeline}"):
        facts = read_facts(ledger, pipeline)
        found: BatchLineage | ModelLineage | PredictionLineage
        if batch is not None:
            found = about_batch(ledger, facts, find_batch(facts.batches, batch, pipeline=pipeline, kind=kind))
        elif prediction is not None:
            found = about_prediction(ledger, facts, prediction, definition=definition, place=place)
        else:
            found = about_version(facts, version, pipeline=pipeline)
    if json:
        print_json(found)
        return
    people().print(tree(found), soft_wrap=False)
