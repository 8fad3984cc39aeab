"""What a notebook gives to `Pipeline.fit` and `Pipeline.evaluate`: is it what they ask for? Errors say what to give."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from validation.errors import DefinitionError

if TYPE_CHECKING:
    from andon.pipeline import Pipeline
    from modelling.bundle import Bundle
    from modelling.rungs.choosing import Tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What serves now: its `bundle`, and what `earlier` retrains found of ways to use the rows with its recipe."""

    bundle: "Bundle"
    earlier: "tuple[Tried, ...]" = ()


def check_fit(pipeline: "Pipeline", rows: Any, *, champion: Any, recipe: Any) -> None:
    """DefinitionError for arguments of `fit` of another kind, and for rows without the target."""
    from modelling.recipes import Recipe

    _check_rows(pipeline, rows)
    if champion is not None and not isinstance(champion, Standing):
        raise _wrong("champion", champion, "the whole champion: pipeline.champion(), or None for a first model")
    if recipe is not None and not isinstance(recipe, Recipe):
        raise _wrong("recipe", recipe, "a Recipe (modelling.recipes), as model.recipe is, or None for the champion's")


def check_evaluate(pipeline: "Pipeline", model: Any, rows: Any, *, against: Any) -> None:
    """DefinitionError for arguments of `evaluate` of another kind, and for rows without the target."""
    from modelling.model import Model

    if not isinstance(model, Model):
        raise _wrong("model", model, "a Model, as pipeline.fit(rows) makes it, or pipeline.champion().bundle.model")
    _check_rows(pipeline, rows)
    if against is not None and not isinstance(against, Model | Standing):
        raise _wrong("against", against, "pipeline.champion(), a Model as pipeline.fit(rows) makes it, or None")


def _check_rows(pipeline: "Pipeline", rows: Any) -> None:
    if isinstance(rows, pl.LazyFrame):
        raise _wrong("rows", rows, "a Polars DataFrame: rows.collect()")
    if not isinstance(rows, pl.DataFrame):
        pandas = type(rows).__module__.partition(".")[0] == "pandas"
        raise _wrong("rows", rows, f"a Polars DataFrame: {'pl.from_pandas(rows)' if pandas else 'pipeline.snapshot()'}")
    spec = pipeline.spec
    wanted = dict.fromkeys((*spec.key, spec.time, spec.target))
    if missing := [name for name in wanted if name not in rows.columns]:
        raise DefinitionError(
            f"rows have no {', '.join(missing)}; give key, time, the contract's columns and the target, as "
            "pipeline.snapshot() has them"
        )


def _wrong(what: str, got: Any, wanted: str) -> DefinitionError:
    kind = f"{type(got).__module__.partition('.')[0]}.{type(got).__name__}".removeprefix("builtins.")
    return DefinitionError(f"{what} must not be a {kind}; give {wanted}")
