"""The off-ramp for notebooks: a pipeline's rows, models and their worth, by the functions that its flows use.

Nothing here writes anything down: no version, no verdict. What is found this way goes into the pipeline's file, and the
flow does the same with it.
"""

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal, get_args

import polars as pl

from andon.notebook_checks import Standing, check_evaluate, check_fit
from validation.durations import span
from validation.errors import ContractError, DefinitionError, RefusedError, RegistryError

if TYPE_CHECKING:
    from andon.pipeline import Pipeline
    from modelling.evaluation import Evaluation
    from modelling.jobs import Plan
    from modelling.model import Model
    from modelling.recipes import Recipe
    from modelling.spec import Spec
    from modelling.splits import Split
    from tasks.site import Site

__all__ = ["Standing", "When", "champion", "evaluate", "fit", "snapshot"]

When = Literal["never", "if needed", "always"]


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


def champion(pipeline: "Pipeline") -> Standing | None:
    """See `Pipeline.champion`."""
    from tasks.champions import incumbent
    from tasks.plans import earlier_rungs

    site = _site(pipeline)
    found = incumbent(site)
    if found is None:
        return None
    if found.bundle is None:
        raise RegistryError(found.unable)
    bundle = found.bundle
    return Standing(bundle=bundle, earlier=earlier_rungs(site, bundle.manifest.recipe, (bundle.model, bundle.sha256)))


def fit(
    pipeline: "Pipeline",
    rows: pl.DataFrame,
    *,
    champion: Standing | None,
    recipe: "Recipe | None",
    search: When,
) -> "Model":
    """See `Pipeline.fit`."""
    from modelling.jobs import learn
    from modelling.leaks import in_words, made_of_other_rows
    from modelling.prepared import prepare, restored

    check_fit(pipeline, rows, champion=champion, recipe=recipe)
    if search not in get_args(When):
        raise DefinitionError(f"search must be one of {', '.join(get_args(When))}, got {search!r}")
    spec = pipeline.spec
    ordered = rows.sort(spec.time, *spec.key)
    ready, prepared = prepare(spec, ordered)
    raw, parts = _split(pipeline, ordered, champion), _split(pipeline, prepared, champion)
    if parts.shortfall:
        raise ContractError(parts.shortfall)
    if early := made_of_other_rows(spec, raw.train):
        raise RefusedError(in_words(early))
    plan = _plan(pipeline, ready, champion=champion, recipe=recipe, search=search)
    learned = learn(plan, parts.train, holdout=parts.holdout)
    if learned.model is None:
        raise RefusedError(in_words(learned.leaks))
    return restored(learned.model, spec)


def evaluate(
    pipeline: "Pipeline", model: "Model", rows: pl.DataFrame, *, against: "Model | Standing | None"
) -> "Evaluation":
    """See `Pipeline.evaluate`."""
    from modelling.evaluation import evaluate as evaluated

    check_evaluate(pipeline, model, rows, against=against)
    return evaluated(
        model,
        rows.sort(pipeline.spec.time, *pipeline.spec.key),
        gap=span(pipeline.labels.matures_after),
        policy=pipeline.gate,
        pipeline=pipeline.name,
        against=against.bundle.model if isinstance(against, Standing) else against,
    )


def _split(pipeline: "Pipeline", rows: pl.DataFrame, champion: Standing | None) -> "Split":
    from modelling.splits import split

    return split(
        rows,
        time=pipeline.spec.time,
        holdout=pipeline.retrain.holdout,
        gap=pipeline.labels.matures_after,
        train=pipeline.retrain.train,
        holdout_from=champion.bundle.manifest.trained_until if champion else None,
    )


def _plan(
    pipeline: "Pipeline", ready: "Spec", *, champion: Standing | None, recipe: "Recipe | None", search: When
) -> "Plan":
    """As the flow's, but that a search is due when it is asked for, and that its study is not kept."""
    from modelling.recipes import DEFAULT_RECIPES
    from tasks.plans import plan_of

    known = champion.bundle if champion else None
    own = known if known and known.manifest.definition_hash == pipeline.fingerprint else None
    return plan_of(
        pipeline,
        ready,
        recipe or (known.manifest.recipe if known else DEFAULT_RECIPES[pipeline.task][0]),
        champion=(replace(own.model, spec=ready), own.sha256) if own else None,
        when=search,
        earlier=champion.earlier if champion and own and not recipe else (),
    )


def _site(pipeline: "Pipeline") -> "Site":
    """The installation's, for this very definition, which may differ from the file's."""
    from tasks.site import open_sites

    (found,) = open_sites(pipeline.name)
    return replace(found, pipeline=pipeline)
