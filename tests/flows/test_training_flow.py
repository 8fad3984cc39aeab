"""What a definition says of training holds from the retrain to what serves and to what the next window is judged by."""

import numpy as np
import polars as pl
import pytest

from flows.ingest import ingest
from flows.monitor import monitor
from flows.retrain import retrain
from flows.score import score
from tasks.champions import incumbent
from tests.flows.world import POLICIES, World, day

BUSY = """
    task="binary", metric="brier",
    training=Training(
        weight="rides", class_weight="balanced", calibration="isotonic",
        monotone={"humidity": -1}, fixed={"num_leaves": 8},
    ),
    contract=Weighed,
"""
WEIGHED = """
import pandera.polars as pa
from pipelines.bikes import Bikes

class Weighed(Bikes):
    rides: float

"""


def land(world: World, number: int) -> None:
    """A week of hours with weights, and whether more than so many bikes were rented in those of the week before."""
    world.put("busy", f"{number}.parquet", world.rows(number).with_columns(rides=pl.col("hour") + 1.0))
    if labels := world.weeks[number].labels:
        told = pl.read_parquet(labels).with_columns(rentals=(pl.col("rentals") > 30).cast(pl.Int64))
        world.put("busy_rentals", f"{number}.parquet", told)


@pytest.mark.slow
def test_weights_balance_constraints_and_calibration_hold_in_the_champion_and_its_estimates(empty: World) -> None:
    empty.define(POLICIES + BUSY, name="busy")
    path = empty.home / "pipelines" / "busy.py"
    path.write_text(path.read_text().replace("PIPELINE = ", f"{WEIGHED}PIPELINE = ", 1))
    for number in range(6):
        land(empty, number)
        ingest("busy", as_of=empty.weeks[number].starts_at)
    retrain("busy", as_of=day(1, 31))

    site = empty.site_of("busy")
    champion = incumbent(site)
    assert champion is not None, [item.reasons for item in site.ledger.verdicts("busy", kind="gate")]
    assert champion.bundle is not None
    model = champion.bundle.model
    assert model.calibration is not None
    assert champion.bundle.manifest.metric == "brier"
    assert "[num_leaves: 8]" in model.text
    champion.bundle.verify()
    week = empty.rows(5).with_columns(rides=1.0)
    # Humidity and not the temperature: no other input is computed from it.
    wetter = [champion.bundle.predict(week.with_columns(humidity=pl.lit(share))) for share in (0.1, 0.3, 0.5, 0.7, 0.9)]
    assert (np.diff(np.array(wetter), axis=0) <= 1e-12).all()

    score("busy", as_of=day(1, 31))
    land(empty, 6)
    ingest("busy", as_of=day(2, 7))
    monitor("busy", as_of=day(2, 7))
    told = [item.body["estimate"] for item in site.ledger.verdicts("busy", kind="window")]
    assert any(told)
    assert all(0 < estimate["loss"] < 0.25 for estimate in told if estimate)  # as a Brier score is
