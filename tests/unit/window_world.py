"""A pipeline that is watched: a champion with a reference of 30 days, windows that are really counted and judged, and
what labels and a probe said of them. Ledger in memory, model store in a folder; no Prefect.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from andon.settings import Settings
from registry.ledger import Change
from registry.memory import MemoryLedger
from registry.store import Submission
from storage.lake import open_lake
from tasks.looking import Looked
from tasks.site import Site
from tasks.watch import Watch
from tests.fakes import FolderStore
from tests.unit.definitions import define
from validation.watch import drift
from validation.watch.counting import WindowCounts, count_window
from validation.watch.drift import PREDICTION, Drift
from validation.watch.estimates import Estimate
from validation.watch.performance import PerformanceVerdict
from validation.watch.profile import Profile, build_profile
from validation.watch.windows import SliceLoss, WindowVerdict

DAY = timedelta(days=1)
BEGIN = datetime(2013, 4, 1, tzinfo=UTC)  # of the champion; its reference are the 30 days before
LONG = "origin_weather_precipitation_mean_of_the_last_24_hours_before_departure"


def rows_of(start: datetime, *, seed: int, rows: int = 300, **changes: pl.Expr) -> pl.DataFrame:
    """A day of answers; `changes` are put over the columns."""
    draw = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "distance": draw.gamma(2.0, 300.0, rows),
            "temp": draw.normal(55.0, 9.0, rows),
            LONG: np.where(draw.random(rows) < 0.9, 0.0, draw.exponential(0.2, rows)),
            "carrier": draw.choice(["UA", "AA", "DL", "B6", "EV"], rows),
            PREDICTION: draw.beta(2.0, 6.0, rows),
        }
    )
    moments = [start + DAY * (number / rows) for number in range(rows)]
    return frame.with_columns(pl.Series("at", moments), **changes)


@dataclass(kw_only=True)
class Watched:
    """`day(n)` is the window n days after the champion was crowned."""

    home: Path
    changes: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        settings = Settings(home=self.home)
        pipeline = define(**self.changes)
        self.ledger, self.store = MemoryLedger(), FolderStore(self.home / "store")
        self.site = Site(
            pipeline=pipeline,
            settings=settings,
            ledger=self.ledger,
            store=self.store,
            lake=open_lake(settings),
            actor="me",
        )
        self.looked: list[Looked] = []
        self.profile = profile()

    def crown(self, *, at: datetime = BEGIN) -> str:
        (self.home / "bundle").mkdir(parents=True, exist_ok=True)
        champion = self.ledger.champion("trips")
        epoch = champion.epoch if champion else 0
        version = self.store.register(
            Submission(
                pipeline="trips", bundle=self.home / "bundle", bundle_sha256=str(epoch), intent=str(epoch), attempt=1,
                verdict="promote",
            )
        )  # fmt: skip
        change = Change(
            pipeline="trips", kind="promotion", version=version, bundle_sha256=str(epoch), trained_until=at,
            why="better", data_time=at, actor="me",
        )  # fmt: skip
        self.ledger.crown(change, expected_epoch=epoch)
        return version

    def watch(self) -> Watch:
        lease = self.ledger.acquire("trips", "monitor", holder="me", ttl=DAY)
        assert lease is not None
        return Watch(site=self.site, lease=lease, seen=0)

    def day(self, number: int, *, policy: Drift | None = None, rows: int = 300, **changes: pl.Expr) -> Looked:
        """Count and judge one more window, and write it to the ledger."""
        drawn = rows_of(BEGIN + number * DAY, seed=1_000 + number, rows=rows, **changes)
        return self.judge(number, count_window(drawn, self.profile), policy=policy)

    def judge(self, number: int, counts: WindowCounts, *, policy: Drift | None = None) -> Looked:
        """The same for a window that is counted already."""
        start, champion = BEGIN + number * DAY, self.ledger.champion("trips")
        assert champion is not None
        verdict = drift.judge(
            self.profile,
            counts,
            pipeline="trips",
            window_start=start,
            policy=policy or self.site.pipeline.drift,
            previous=[item.verdict.seen for item in self.looked],
            as_of=start + DAY,
        )
        version = champion.change.version
        found = Looked(verdict=verdict, counts=counts, profile=self.profile, estimate=estimate(0.45), version=version)
        self.ledger.record(verdict, actor="me")
        self.looked.append(found)
        return found

    def labels(self, number: int, loss: float | None, *, bias: float = 0.0, slices: bool = False) -> WindowVerdict:
        """What became of a window; without a loss there are no labels yet."""
        start = BEGIN + number * DAY
        parts = (SliceLoss(column="carrier", value="<b>UA</b>", rows=80, loss=0.61, bias=-0.02),)
        verdict = WindowVerdict(
            pipeline="trips", subject=start.isoformat(), outcome="estimated", reasons=("no label yet",),
            data_time=start + DAY, champion_version="1", rows=300, labelled=0, coverage=0.0, estimate=estimate(0.45),
        )  # fmt: skip
        if loss is not None:
            verdict = replace(
                verdict, outcome="realised", labelled=290, coverage=290 / 300, loss=loss, standard_error=0.01,
                bias=bias, bias_lower=bias - 0.01, bias_upper=bias + 0.01, estimate_error=0.45 - loss,
                slices=parts if slices else (),
            )  # fmt: skip
        self.ledger.record(verdict, actor="me")
        return verdict

    def compared(self, number: int, share: float, *, outcome: str = "fine", version: str = "1") -> None:
        """Champion against probe, on the seven days before this window."""
        start = BEGIN + (number - 7) * DAY
        verdict = PerformanceVerdict(
            pipeline="trips", subject=start.isoformat(), outcome=outcome, reasons=("retraining would gain",),
            data_time=start + 9 * DAY, rows=2_000, blocks=7, coverage=1.0, champion_loss=0.5,
            probe_loss=0.5 * (1 - share), regret=0.5 * share, regret_share=share, standard_error=0.004,
            lower=0.5 * share - 0.006, upper=0.5 * share + 0.006, calibration_bias=0.0, bias_lower=-0.01,
            bias_upper=0.01, champion_version=version,
        )  # fmt: skip
        self.ledger.record(verdict, actor="me")


def estimate(loss: float) -> Estimate:
    return Estimate(
        method="score table", rows=300, loss=loss, lower=loss - 0.05, upper=loss + 0.05, metrics={}, intervals={}
    )


def profile() -> Profile:
    days = [rows_of(BEGIN - number * DAY, seed=number) for number in range(30, 0, -1)]
    return build_profile(pl.concat(days), time="at", every=DAY, windows=30, until=BEGIN)


def eventful(home: Path, *, days: int = 30) -> Watched:
    """Quiet weeks with a second champion in them, then a flood of nulls on the last three days."""
    world = Watched(home=home)
    world.crown()
    flood = pl.when(pl.int_range(pl.len()) % 2 == 0).then(None).otherwise(pl.col("temp"))
    for number in range(days):
        if number == 12:
            world.crown(at=BEGIN + 12 * DAY)
        if number >= days - 3:
            world.day(number, temp=flood, carrier=pl.lit("a new airline"))
        else:
            world.day(number)
        world.labels(number, 0.43 + 0.02 * np.sin(number) if number < days - 8 else None, slices=True)
        if number % 7 == 6 and number < days - 6:
            world.compared(number + 1, 0.001 * number)
    return world
