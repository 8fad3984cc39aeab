"""What became of the answers: windows are realised as their labels mature, and opened again by a correction."""

import polars as pl
import pytest

from flows.ingest import ingest
from flows.monitor import monitor
from flows.score import score
from tasks.windows import told_windows
from tests.flows.world import World, day
from validation.watch.windows import WindowVerdict


def windows(verdicts: tuple[object, ...]) -> list[WindowVerdict]:
    return [verdict for verdict in verdicts if isinstance(verdict, WindowVerdict)]


def by_hand(world: World, since: int, until: int) -> float:
    """Mean loss of the delivered scores against the landed labels, in days of January."""
    scores = pl.read_parquet(world.lake / "scores" / "bikes" / "*.parquet")
    labels = pl.concat([pl.read_parquet(week.labels) for week in world.weeks[1:7] if week.labels])
    spec = world.site.pipeline.spec
    joined = scores.join(labels, on=list(spec.key)).filter(
        pl.col(spec.time).is_between(day(1, since), day(1, until), closed="left")
    )
    away = joined["prediction"].to_numpy() - joined[spec.target].to_numpy()
    return float((away**2).mean())


def test_windows_are_realised_by_their_labels_and_again_by_a_correction(world: World) -> None:
    score("bikes", as_of=day(1, 31))
    found = windows(monitor("bikes", as_of=day(1, 31)))
    realised = [item for item in found if item.outcome == "realised"]
    assert {item.coverage for item in realised} == {1.0}
    first = realised[0]
    assert first.subject == day(1, 24).isoformat()
    assert first.loss == pytest.approx(by_hand(world, 24, 25), rel=1e-9)
    assert windows(monitor("bikes", as_of=day(1, 31))) == []

    corrected = pl.read_parquet(world.weeks[5].labels or "")
    spec = world.site.pipeline.spec
    one = corrected[60:61].with_columns(pl.col(spec.target) + 50, known_at=pl.lit(day(2, 8)))
    world.put("bike_rentals", "correction.parquet", one.cast(corrected.schema))
    ingest("bikes", as_of=day(2, 8))
    again = [item for item in windows(monitor("bikes", as_of=day(2, 8))) if item.outcome == "corrected"]
    assert len(again) == 1
    newest = told_windows(world.site)[again[0].subject]
    assert newest == again[0]
    assert newest.loss != next(item.loss for item in realised if item.subject == newest.subject)
