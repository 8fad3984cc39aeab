"""An installation for tests of decisions: four registered versions of a small model, and what the ledger says of them.

Nothing is trained and judged here, so that a decision takes no longer than its own steps.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from modelling import bundle
from modelling.training import fit
from registry.ledger import Change, Ledger, Recorded
from registry.store import Submission
from tasks.site import Site, open_sites
from tests.flows.world import World
from tests.unit.modelling_world import DEFINITION, FAST, pipeline_in, rides
from validation.gate import GateVerdict

NAME = "rides"
POLICIES = """
    gate=Gate(approval="always"), governor=Governor(cooldown="3d"),
    task="binary","""
ACTOR = "ann@desk:1"


def day(number: int, hour: int = 0) -> datetime:
    """Days of the data: of years ago, as in a replay."""
    return datetime(2013, 4, 1, tzinfo=UTC) + timedelta(days=number - 1, hours=hour)


def build(home: Path) -> World:
    """The versions 1 to 4, each of another seed; nobody has judged them, and there is no champion."""
    (home / "pipelines").mkdir(parents=True)
    definition = DEFINITION.replace("import Labels", "import Gate, Governor, Labels").replace(
        '\n    task="TASK",', POLICIES
    )
    (home / "pipelines" / f"{NAME}.py").write_text(definition)
    (home / "making").mkdir()
    pipeline, rows = pipeline_in(home / "making"), rides(600)
    for number in range(1, 5):
        folder = home / "making" / str(number)
        sha256 = bundle.write(
            folder,
            model=fit(pipeline.spec, rides(600, seed=number), FAST, seed=number, threads=1),
            pipeline=NAME,
            definition=definition,
            definition_hash=pipeline.fingerprint,
            snapshot=f"snapshot-{number}",
            rows=rows,
            profile_json='{"bins": []}',
        )
        Deciding(home).site.store.register(
            Submission(
                pipeline=NAME,
                bundle=folder,
                bundle_sha256=sha256,
                intent=f"intent-{number}",
                attempt=1,
                verdict="promote",
            )
        )
    return World(home=home, weeks=())


@dataclass(frozen=True, slots=True)
class Deciding:
    """The installation below `home`, which the environment names too."""

    home: Path

    @property
    def site(self) -> Site:
        (found,) = open_sites(NAME, actor=ACTOR)
        return found

    @property
    def ledger(self) -> Ledger:
        return self.site.ledger

    def digest(self, version: str) -> str:
        return bundle.digest(self.home / "making" / version)

    def judge(self, version: str, outcome: str = "promote", *, at: datetime | None = None, **facts: Any) -> Recorded:
        """The gate's verdict on a version, compared with the champion of now, for the intent of its number."""
        champion = self.ledger.champion(NAME)
        known: dict[str, Any] = {
            "champion_is": "champion",
            "champion_version": champion.change.version if champion else "",
            "challenger_version": version,
            "bundle_sha256": self.digest(version),
            "evidence": "holdout", "rows": 300, "blocks": 7, "coverage": 1.0, "champion_loss": 0.6,
            "challenger_loss": 0.5, "gain": 0.1, "gain_share": 1 / 6, "standard_error": 0.01, "lower": 0.08,
            "upper": 0.12, "alpha": 0.2, "min_gain": 0.001, "calibration_bias": None, "latency_ms": 0.5,
            "size_mb": 0.1, "slices": (), "intent": f"intent-{version}", "snapshot": f"snapshot-{version}",
            "mature_rows": 600, "trained_until": day(1),
        }  # fmt: skip
        verdict = GateVerdict(
            pipeline=NAME,
            subject=version,
            outcome=outcome,
            reasons=("a gain of 16.67 %",),
            data_time=at or day(14),
            **(known | facts),
        )
        return self.ledger.record(verdict, actor="gate")

    def crown(self, version: str, *, at: datetime | None = None) -> None:
        """Judged and promoted, as a retrain does it; the alias with it."""
        judged = self.judge(version, at=at)
        champion = self.ledger.champion(NAME)
        change = Change(
            pipeline=NAME,
            kind="promotion",
            version=version,
            bundle_sha256=self.digest(version),
            trained_until=day(1),
            why=judged.reasons[0],
            data_time=judged.data_time,
            actor="gate",
            intent=f"intent-{version}",
            evidence=judged.seq,
        )
        self.ledger.crown(change, expected_epoch=champion.epoch if champion else 0)
        self.site.store.project(NAME, version)

    def reigns(self) -> list[tuple[str, str]]:
        """Kind and version of each champion."""
        return [(item.change.kind, item.change.version) for item in self.ledger.champions(NAME)]
