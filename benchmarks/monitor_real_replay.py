"""A history replayed: a champion answers day by day, its windows and labels are judged by the product's own functions.

Labels and probes come on Mondays, as the weekly files bring them; windows of drift are days. The champion is either
the first one for ever, or a reason to retrain makes a challenger that the gate judges.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.gate_real_evidence import Examiner, Policy
from benchmarks.gate_real_weeks import ROW, Floats, History, Index, Made, Models
from modelling.crossfit import cross_fitted
from modelling.inputs import inputs_of
from modelling.recipes import DEFAULT_RECIPES
from modelling.splits import split
from tasks.profiles import MAX_FOLD
from validation.durations import span
from validation.watch import performance
from validation.watch.counting import count_window
from validation.watch.drift import PREDICTION, DriftVerdict, Seen, judge
from validation.watch.evidence import Prepared, prepared
from validation.watch.performance import PerformanceVerdict
from validation.watch.profile import build_profile
from validation.watch.trigger import Reason, reason_to_retrain

TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reign:
    """A champion from the Monday `week` on. `reference`: rows of its profile's windows, and what was said of them."""

    week: int
    made: Made
    reference: Index
    scores: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Day:
    """A window that is over: its rows, the champion's answers to them are in the replay; and what drift says of it."""

    start: datetime
    rows: Index
    reign: int
    verdict: DriftVerdict


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """What the labels of a Monday said of the champion before it, and the reason to retrain that there was."""

    week: int
    reign: int
    verdict: PerformanceVerdict
    reason: Reason | None


@dataclass(slots=True, kw_only=True, eq=False)
class Replay:
    """The weeks of a history from `first` on. What comes of it: `reigns`, `days`, `looks`, and all answers."""

    history: History
    models: Models
    first: int
    retrained: bool
    reigns: list[Reign] = field(default_factory=list)
    days: list[Day] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    answers: Floats = field(init=False)
    inputs: pl.DataFrame = field(init=False)
    reference: Prepared = field(init=False)
    previous: list[Seen] = field(default_factory=list)

    def run(self) -> "Replay":
        """Week by week: what the labels say, perhaps another champion, then a week of service."""
        spec = self.history.pipeline.spec
        self.answers = np.full(self.history.rows.height, np.nan)
        self.inputs = inputs_of(spec, self.history.rows).with_columns(self.history.rows[spec.time])
        self._crown(self.first, self.models.of_everything(self.first, train="all"))
        for week in range(self.first, len(self.history.mondays) - 1):
            if week > self.first:
                self._look(week)
            self._serve(week)
        return self

    def _look(self, week: int) -> None:
        before = self.history.mondays[week - 1]
        verdict = self._against_probe(week)
        new = [day.verdict for day in self.days if day.start >= before]
        reason = reason_to_retrain(verdict, new)
        self.looks.append(Look(week=week, reign=len(self.reigns) - 1, verdict=verdict, reason=reason))
        if reason and self.retrained and (made := self._challenger(week)):
            self._crown(week, made)

    def _serve(self, week: int) -> None:
        reign, mondays = self.reigns[-1], self.history.mondays
        rows = self.history.between(mondays[week], mondays[week + 1])
        self.answers[rows] = reign.made.prediction[rows]
        every = span(self.history.pipeline.monitor.every)
        for start in _starts(mondays[week], mondays[week + 1], every):
            own = self.history.between(start, start + every)
            verdict = self._judged(start, own)
            self.days.append(Day(start=start, rows=own, reign=len(self.reigns) - 1, verdict=verdict))
            self.previous.append(verdict.seen)

    def _judged(self, start: datetime, rows: Index) -> DriftVerdict:
        pipeline = self.history.pipeline
        return judge(
            self.reference,
            count_window(self.watched(rows, self.answers[rows]), self.reference.profile),
            pipeline=pipeline.name,
            window_start=start,
            policy=pipeline.drift,
            previous=self.previous,
            as_of=start + span(pipeline.monitor.every),
        )

    def watched(self, rows: Index, scores: Floats) -> pl.DataFrame:
        """The model's inputs and what was said of them."""
        return self.inputs[rows].with_columns(pl.Series(PREDICTION, scores, nan_to_null=True))

    def _crown(self, week: int, made: Made) -> None:
        """Its reference: inputs and answers of the windows before its cut-off; scores of models that had not seen the
        rows where nobody answered.
        """
        policy, time = self.history.pipeline.monitor, self.history.pipeline.spec.time
        every = span(policy.every)
        until: datetime = pl.Series([made.until]).dt.truncate(every)[0]
        since = until - policy.reference_windows * every
        mature = self.history.mature(week).filter(pl.col(time) < made.until)
        rows = mature.filter(pl.col(time) >= since, pl.col(time) < until)[ROW].to_numpy()
        scores = self.answers[rows]
        if np.isnan(scores).any():
            asked = mature.filter(pl.col(time) >= since)[ROW].to_numpy()
            fitted = np.full(len(self.answers), np.nan)
            fitted[asked] = self._cross_fitted(made, mature, since)
            scores = np.where(np.isnan(scores), fitted[rows], scores)
        self.reigns.append(Reign(week=week, made=made, reference=rows, scores=scores))
        frame = self.watched(rows, scores)
        self.reference = prepared(
            build_profile(frame, time=time, every=every, windows=policy.reference_windows, until=until)
        )
        self.previous = []

    def _cross_fitted(self, made: Made, mature: pl.DataFrame, since: datetime) -> Floats:
        history = self.history
        path: Path = self.models.folder / f"{made.name}-cross.npy"
        if not path.exists():
            spec = history.pipeline.spec
            recent = mature.filter(pl.col(spec.time) >= since).height
            found = cross_fitted(
                spec,
                history.rows[mature[ROW].to_numpy()],
                DEFAULT_RECIPES[spec.task][0],
                folds=max(2, ceil(recent / mature.height / MAX_FOLD)),
                since=since,
                gap=history.gap,
                seed=self.models.seed,
                threads=1,
            )
            np.save(path, found)
        kept: Floats = np.load(path)
        return kept

    def _against_probe(self, week: int) -> PerformanceVerdict:
        """As `tasks.looking.against_probe` does it, with models that are kept."""
        history, made = self.history, self.reigns[-1].made
        policy, spec, mature = history.pipeline.monitor, history.pipeline.spec, history.mature(week)
        end = _newest(mature, spec.time)
        start = max(end - span(policy.evidence), made.until)
        rows = mature.filter(pl.col(spec.time) >= start)[ROW].to_numpy()
        parts = split(
            mature,
            time=spec.time,
            holdout=policy.evidence,
            gap=history.gap,
            train="all",
            holdout_from=made.until,
        )
        known = bool(parts.shortfall) or parts.trained_until <= made.until
        probe = None if known else self.models.of(parts.train, since=parts.holdout_start)
        return performance.judge(
            pipeline=history.pipeline.name,
            window_start=start,
            champion_loss=history.losses(made, rows),
            probe_loss=None if probe is None else history.losses(probe, rows),
            blocks=history.days(rows),
            label=history.labels[rows],
            prediction=made.prediction[rows],
            task=spec.task,
            coverage=1.0,
            policy=policy,
            min_coverage=history.pipeline.labels.min_coverage,
            as_of=history.mondays[week],
        )

    def _challenger(self, week: int) -> Made | None:
        """The refit on everything mature, if a challenger trained before the holdout passes the gate. No governor."""
        retrain, gate = self.history.pipeline.retrain, self.history.pipeline.gate
        policy = Policy(evidence="holdout", alpha=gate.alpha, days=span(retrain.holdout).days)
        examiner = Examiner(history=self.history, models=self.models, policy=policy)
        champion = self.reigns[-1].made
        candidate = examiner.candidate(week, champion, train="all")
        shown = examiner.shown(week, candidate) if candidate else None
        if candidate is None or shown is None or not len(shown.rows):
            return None
        if examiner.judged(week, champion, candidate, shown).outcome != "promote":
            return None
        refit = self.models.of_everything(week, train="all")
        return None if examiner.spoilt(shown, refit) else refit


def _starts(since: datetime, until: datetime, every: timedelta) -> Iterator[datetime]:
    while since + every <= until:
        yield since
        since += every


def _newest(rows: pl.DataFrame, time: str) -> datetime:
    newest = rows[time].max()
    assert isinstance(newest, datetime)  # noqa: S101 - there are weeks of them
    return newest + TICK
