"""One week of the replay through the real loop: files land, are taken in, scored and watched; a retrain comes by event.

The replay calls ingest, score and monitor in this process and then waits, as an operator would, until the ledger says
that this week's intents are answered. It never calls retrain.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import httpx

from demo.damage import Damage, arrivals, observed
from demo.load import Load
from demo.timeline import WeekStory
from demo.weeks import Week
from registry.ledger import Batch, Intent
from tasks.site import Site
from validation.errors import AndonError
from validation.verdict import Verdict
from validation.watch.drift import DriftVerdict

_PATIENCE = timedelta(seconds=45)
_LIMIT_SECONDS = 300.0
_BREATH_SECONDS = 0.15  # Prefect's SQLite answers 503, and its client waits 2 s, when a flow starts on another's heels


class LoopBrokenError(AndonError):
    """The replay cannot go on: an intent stays unanswered, or the scorer does not follow."""


@dataclass(slots=True, kw_only=True)
class Replayer:
    """What a replay needs, and the seconds that its stages took."""

    site: Site
    landing: Path
    load: Load
    seed: int
    tell: Callable[[str], None]
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def history(self, week: Week) -> None:
        """Take in a week that lies before the first champion."""
        self._land(week, None)
        self._ingest(week.starts_at)

    def week(self, week: Week, damage: Damage | None) -> WeekStory:
        """Replay one week and tell what happened."""
        began, mark = time.monotonic(), self._newest()
        self._land(week, damage)
        self._ingest(week.starts_at)
        if self.site.ledger.champion(self.site.name) is None:
            self.tell("asking for the first champion")
            self._monitor(week.starts_at)
            self._await_answer(week.starts_at)
        before = self._champion()
        scored = self._score(week.starts_at)
        watched = self._monitor(week.starts_at)
        to_serving = self._await_answer(week.starts_at)
        return self._story(week, damage, mark, (*scored, *watched), before=before, to_serving=to_serving, began=began)

    def close(self, labels: Path, at: datetime) -> None:
        """Let the last labels land, so that the last weeks can be judged."""
        self._put("flight_arrivals", labels.name, labels.read_bytes())
        self._ingest(at)

    def _land(self, week: Week, damage: Damage | None) -> None:
        if week.labels is not None:
            self._put("flight_arrivals", week.labels.name, week.labels.read_bytes())
        for name, file in week.tables.items():
            self._put(name, file.name, observed(file.read_bytes(), damage, seed=self.seed))
        for arrival in arrivals(week.batch.name, week.batch.read_bytes(), damage, seed=self.seed):
            self._put("flights", arrival.name, arrival.data)

    def _put(self, kind: str, name: str, data: bytes) -> None:
        folder = self.landing / kind
        folder.mkdir(parents=True, exist_ok=True)
        beside = folder / f".{name}.tmp"
        beside.write_bytes(data)
        beside.replace(folder / name)

    def _ingest(self, as_of: datetime) -> tuple[Verdict, ...]:
        from flows.ingest import ingest

        with self._stage("ingest"):
            return ingest(self.site.name, as_of=as_of)

    def _score(self, as_of: datetime) -> tuple[Verdict, ...]:
        from flows.score import score

        with self._stage("score"):
            return score(self.site.name, as_of=as_of, through="scorer")

    def _monitor(self, as_of: datetime) -> tuple[Verdict, ...]:
        from flows.monitor import monitor

        with self._stage("monitor"):
            return monitor(self.site.name, as_of=as_of)

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        self.tell(name)
        time.sleep(_BREATH_SECONDS)
        began = time.monotonic()
        yield
        self.seconds[name] += time.monotonic() - began

    def _await_answer(self, as_of: datetime) -> float | None:
        """Wait until no intent is unanswered and the scorer serves the champion; seconds from event to serving."""
        from flows.reconcile import reconcile

        before, asked = self._champion(), self._unanswered()
        if not asked:
            return None
        self.tell(f"waiting for the retrain: {asked[0].reason[:60]}")
        began = swept = time.monotonic()
        while pending := self._unanswered():
            if time.monotonic() - began > _LIMIT_SECONDS:
                raise LoopBrokenError(f"intent {pending[0].id} has no answer after {_LIMIT_SECONDS:.0f} s")
            if time.monotonic() - swept > _PATIENCE.total_seconds():
                reconcile(self.site.name, as_of=as_of)
                swept = time.monotonic()
            time.sleep(0.2)
        self.seconds["retrain"] += time.monotonic() - began
        if self._champion() == before:
            return None
        self._await_scorer()
        return (self.site.ledger.now() - asked[0].changed_at).total_seconds()

    def _await_scorer(self) -> None:
        wanted = self._champion()
        self.tell(f"waiting for the scorer to serve version {wanted}")
        began = time.monotonic()
        url = f"{self.site.settings.scorer_url}/{self.site.name}/version"
        while httpx.get(url, timeout=10.0, trust_env=False).json().get("version") != wanted:
            if time.monotonic() - began > _LIMIT_SECONDS:
                raise LoopBrokenError(f"the scorer does not serve version {wanted}; see its log")
            time.sleep(0.1)
        self.seconds["swap"] += time.monotonic() - began

    def _unanswered(self) -> tuple[Intent, ...]:
        return self.site.ledger.intents(self.site.name, states=("open", "claimed"))

    def _champion(self) -> str:
        champion = self.site.ledger.champion(self.site.name)
        return champion.change.version if champion else ""

    def _newest(self) -> int:
        last = self.site.ledger.verdicts(limit=1)
        return last[0].seq if last else 0

    def _finished_since(self, mark: int) -> list[Batch]:
        batches = self.site.ledger.batches(self.site.name)
        return [batch for batch in batches if batch.verdict_seq and batch.verdict_seq > mark]

    def _story(
        self,
        week: Week,
        damage: Damage | None,
        mark: int,
        verdicts: tuple[Verdict, ...],
        *,
        before: str,
        to_serving: float | None,
        began: float,
    ) -> WeekStory:
        """The week from the ledger's rows after `mark`."""
        rows = [row for row in self.site.ledger.verdicts(self.site.name) if row.seq > mark]
        of = {kind: [row for row in rows if row.kind == kind] for kind in ("governor", "gate", "performance")}
        batches = self._finished_since(mark)
        windows = [item for item in verdicts if isinstance(item, DriftVerdict)]
        performance = of["performance"][-1] if of["performance"] else None
        gate = of["gate"][-1] if of["gate"] else None
        after = self._champion()
        return WeekStory(
            label=week.label,
            starts=week.starts_at.isoformat(),
            rows=sum(batch.rows_accepted for batch in batches if batch.kind == "rows" and batch.state == "accepted"),
            quarantined=sum(batch.rows_quarantined for batch in batches if batch.state == "accepted"),
            refused=sum(batch.state != "accepted" for batch in batches),
            damage=str(damage) if damage else "",
            drift_outcomes=dict(Counter(item.outcome for item in windows)),
            drift=dict(Counter(found.name for item in windows for found in item.features if found.drifted)),
            performance=performance.outcome if performance else "",
            regret_share=performance.body["regret_share"] if performance else None,
            asked=of["governor"][-1].outcome if of["governor"] else "",
            gate=gate.outcome if gate else "",
            gain_share=gate.body["gain_share"] if gate else None,
            gain_lower=gate.body["lower"] if gate else None,
            champion=before,
            promoted=after if after != before else "",
            seconds_to_serving=to_serving,
            seconds=time.monotonic() - began,
        )
