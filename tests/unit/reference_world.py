"""The reference of a model that becomes champion, made without a flow."""

import polars as pl

from modelling.model import Model
from modelling.refitting import cross_fit
from tasks.profiles import Reference, recent_of, reference_of
from tasks.site import Site


def crowned(site: Site, model: Model, rows: pl.DataFrame) -> Reference:
    """Of a model that was fitted on `rows`."""
    policy = site.pipeline.search
    unseen = cross_fit(
        site.pipeline.spec, rows, model.recipe, recent_of(site, rows), seed=policy.seed, threads=policy.threads
    )
    return reference_of(site, model, rows, unseen=unseen)
