"""The leaks that raw rows and the prediction log alone can tell, before a training process sees prepared rows."""

import polars as pl

from modelling.leaks import Leak, made_of_other_rows
from modelling.leaks_served import changed_since_scored
from modelling.splits import just_after
from storage.masking import LogPolicy
from storage.prediction_log import read_predictions
from tasks.champions import Incumbent
from tasks.site import Site


def early_leaks(site: Site, train: pl.DataFrame, champion: Incumbent | None) -> tuple[Leak, ...]:
    """Inputs that `features` makes of other rows than their own, and those that have learned of the outcome since the
    champion scored them. `train`: raw labelled rows in order of time.
    """
    return (*made_of_other_rows(site.pipeline.spec, train), *leaks_since_scored(site, train, champion))


def leaks_since_scored(site: Site, train: pl.DataFrame, champion: Incumbent | None) -> tuple[Leak, ...]:
    """The inputs of the training rows that have learned of the outcome since the champion scored them; () without one,
    or while it has scored few of them.
    """
    spec = site.pipeline.spec
    until = just_after(train, time=spec.time)
    if champion is None or champion.bundle is None or until is None or until <= champion.trained_until:
        return ()
    folder, schema, since = site.lake.predictions(site.name), site.pipeline.raw_schema, champion.trained_until
    served = read_predictions(folder, schema, key=spec.key, time=spec.time, since=since, until=until)
    served = served.filter(pl.col("version") == champion.version)
    newest = train.filter(pl.col(spec.time) >= since)
    # What the log leaves out or hashes, and what this champion was never asked with, is so on both sides.
    masked = LogPolicy.of(site.pipeline.serving, site.settings).mask(newest)
    unasked = [name for name in schema if name not in champion.bundle.raw_schema]
    nothing = [pl.lit(None, schema[name]).alias(name) for name in unasked]
    return changed_since_scored(spec, masked.with_columns(nothing), served.with_columns(nothing))
