"""How a challenger of a pipeline is to be made, out of its definition and of what the ledger remembers."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from andon.pipeline import Pipeline
from modelling.jobs import Champion, Plan
from modelling.recipes import Recipe
from modelling.rungs.choosing import Tried
from modelling.rungs.found import CHAMPION
from modelling.spec import Spec
from modelling.tuning.results import Place
from modelling.tuning.study import forget
from registry.ledger import Intent, Recorded
from tasks.history import KEPT, searched_at
from tasks.site import Site
from tasks.telling import log
from validation.durations import span

KEPT_WINDOWS = 6  # of what rungs lost, in the ledger: older ones hardly count (modelling/rungs/choosing.py)

When = Literal["never", "if needed", "always"]


def plan_of(
    pipeline: Pipeline,
    spec: Spec,
    start: Recipe,
    *,
    champion: Champion | None,
    when: When,
    study: Place | None = None,
    earlier: tuple[Tried, ...] = (),
) -> Plan:
    """The plan of this definition; `spec` is of raw or of prepared rows."""
    return Plan(
        spec=spec,
        start=start,
        champion=champion,
        gap=span(pipeline.labels.matures_after),
        window=span(pipeline.retrain.holdout),
        min_gain=pipeline.gate.min_gain,
        search=pipeline.search,
        when=when,
        train=pipeline.retrain.train,
        study=study,
        earlier=earlier,
    )


def when_to_search(site: Site, as_of: datetime, *, wanted: bool) -> When:
    """A search is due on request, when there was none for long, and when the last challenger did not pass; else it runs
    where no rung is good enough.
    """
    last, ledger = searched_at(site.ledger, site.name), site.ledger
    gates = ledger.verdicts(site.name, kind="gate", limit=1)
    failed = bool(gates) and gates[0].outcome != "promote"
    overdue = last is None or as_of - last >= span(site.pipeline.retrain.search_every)
    return "always" if wanted or failed or overdue else "if needed"


def study_of(site: Site, intent: Intent) -> Place:
    """Where this intent's search keeps its trials: an attempt that was killed is gone on with."""
    url = site.settings.study_url.get_secret_value()
    return Place(where=url or str(site.settings.home.absolute() / "studies"), name=f"{site.name}-{intent.id}")


def forget_study(site: Site, intent: Intent) -> None:
    """Take away what a killed search would go on with. Where that fails it stays, and the log says so."""
    place = study_of(site, intent)
    try:
        forget(place)
    except Exception as error:  # noqa: BLE001 - whatever a database's driver raises; its words may hold a password
        told = (site.name, place.name, type(error).__name__)
        log.warning("%s: the study %s could not be deleted (%s); see to the database of ANDON_STUDY_URL", *told)


def mark_of(pipeline: Pipeline, start: Recipe) -> str:
    """What rungs' losses are of: they can be compared where definition and parameters are the same."""
    told = f"{pipeline.fingerprint} {sorted(start.params.items())} {start.rounds}"
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def earlier_rungs(site: Site, start: Recipe, champion: Champion | None) -> tuple[Tried, ...]:
    """What the ladders of the past found of this recipe, in the newest windows; of the champion, of this one alone."""
    mark, sha256 = mark_of(site.pipeline, start), champion[1] if champion else ""
    known = site.ledger.verdicts(site.name, kind="training", limit=KEPT)
    found = {(item.start, item.rung): item for row in known for item in _rungs(row, mark, sha256)}
    return newest_windows(tuple(found.values()))


def newest_windows(tried: Sequence[Tried]) -> tuple[Tried, ...]:
    """Those of the newest windows, in order of time."""
    starts = sorted({item.start for item in tried})[-KEPT_WINDOWS:]
    return tuple(sorted((item for item in tried if item.start in starts), key=lambda item: (item.start, item.rung)))


def _rungs(row: Recorded, mark: str, champion: str) -> Iterator[Tried]:
    if row.body.get("rungs_of") != mark:
        return
    for item in msgspec.convert(row.body.get("rungs", ()), tuple[Tried, ...], strict=False):
        if item.rung != CHAMPION or row.body.get("champion_sha256") == champion:
            yield item
