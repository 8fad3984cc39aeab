"""The off-ramp for notebooks: a pipeline's rows, models and their worth, by the functions that its flows use.

Nothing here writes anything down: no version, no verdict. What is found this way goes into the pipeline's file, and the
flow does the same with it.
"""

from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from validation.durations import span
from validation.errors import ContractError, RefusedError, RegistryError

if TYPE_CHECKING:
    from andon.pipeline import Pipeline
    from modelling.evaluation import Evaluation
    from modelling.model import Model
    from modelling.recipes import Recipe
    from tasks.site import Site


def snapshot(pipeline: "Pipeline", as_of: datetime | str | None) -> pl.DataFrame:
    """See `Pipeline.snapshot`."""
    from andon.cli.setup import data_time
    from tasks.site import moment
    from tasks.taking import question, take, why_nothing

    site = _site(pipeline)
    when = moment(data_time(as_of, option="as_of") if isinstance(as_of, str) else as_of)
    asked = question(site, when)
    taken = take(site, asked)
    if taken is None or not taken.rows.height:
        raise RefusedError(why_nothing(site, asked))
    return taken.rows


def champion(pipeline: "Pipeline") -> "Model | None":
    """See `Pipeline.champion`."""
    from tasks.champions import incumbent

    found = incumbent(_site(pipeline))
    if found is not None and found.bundle is None:
        raise RegistryError(found.unable)
    return found.bundle.model if found and found.bundle else None


def fit(
    pipeline: "Pipeline",
    rows: pl.DataFrame,
    *,
    recipe: "Recipe | None",
    champion: "Model | None",
) -> "Model":
    """See `Pipeline.fit`."""
    from modelling.leaks import find_leaks, in_words
    from modelling.recipes import DEFAULT_RECIPES
    from modelling.splits import split
    from modelling.training import fit as fitted

    spec, policy = pipeline.spec, pipeline.retrain
    parts = split(
        rows.sort(spec.time, *spec.key),
        time=spec.time,
        holdout=policy.holdout,
        gap=pipeline.labels.matures_after,
        train=policy.train,
        holdout_from=champion.trained_until if champion else None,
    )
    if parts.shortfall:
        raise ContractError(parts.shortfall)
    if leaks := find_leaks(spec, parts.train, holdout=parts.holdout):
        raise RefusedError(in_words(leaks))
    start = recipe or (champion.recipe if champion else DEFAULT_RECIPES[spec.task][0])
    return fitted(spec, parts.train, start, seed=pipeline.search.seed, threads=pipeline.search.threads)


def evaluate(pipeline: "Pipeline", model: "Model", rows: pl.DataFrame, *, against: "Model | None") -> "Evaluation":
    """See `Pipeline.evaluate`."""
    from modelling.evaluation import evaluate as evaluated

    return evaluated(
        model,
        rows.sort(pipeline.spec.time, *pipeline.spec.key),
        gap=span(pipeline.labels.matures_after),
        policy=pipeline.gate,
        pipeline=pipeline.name,
        against=against,
    )


def _site(pipeline: "Pipeline") -> "Site":
    """The installation's, for this very definition, which may differ from the file's."""
    from dataclasses import replace

    from tasks.site import open_sites

    (found,) = open_sites(pipeline.name)
    return replace(found, pipeline=pipeline)
