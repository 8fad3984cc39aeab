"""Training in a process of its own, within the pipeline's limits, on rows for which `features` has run here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import polars as pl

from modelling.isolation import Limits, isolated
from modelling.mapped import kept, on_disk
from modelling.model import Model
from modelling.prepared import prepare, restored
from modelling.spec import Spec
from tasks.progress import training_progress
from tasks.site import Site
from validation.durations import span

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ready:
    """Prepared rows (see modelling/prepared.py) in the order of the raw ones, and the spec that fits them."""

    spec: Spec
    rows: pl.DataFrame

    def within(self, part: pl.DataFrame) -> pl.DataFrame:
        """Those of a part of the raw rows that holds all rows between its first and its last moment."""
        first, last = part[self.spec.time].min(), part[self.spec.time].max()
        return kept(self.rows, self.rows[self.spec.time].is_between(first, last)) if part.height else self.rows.clear()


def ready(site: Site, raw: pl.DataFrame) -> Ready:
    """Run the definition's `features`, once for all that is trained on these rows; DefinitionError when it fails."""
    spec, rows = prepare(site.pipeline.spec, raw)
    return Ready(spec=spec, rows=on_disk(rows))


def apart(site: Site, work: Callable[..., Result], /, *args: Any, doing: str = "", **kwargs: Any) -> Result:
    """`work(*args, **kwargs)` in a process of its own; TrainingFailedError when that ends without an answer.

    `doing`: what is shown while it goes on; "" shows nothing, and `work` is then given no `progress`.
    """
    training = site.pipeline.training
    limits = Limits(seconds=span(training.deadline).total_seconds(), memory_mb=training.memory_mb)
    if not doing:
        return isolated(work, *args, limits=limits, **kwargs)
    with training_progress(doing) as told:
        return isolated(work, *args, limits=limits, progress=told, **kwargs)


def own(site: Site, model: Model) -> Model:
    """A model of prepared rows, to be asked with raw ones."""
    return restored(model, site.pipeline.spec)
