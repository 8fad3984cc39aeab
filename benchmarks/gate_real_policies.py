"""Who serves in which week, if challengers are promoted by one policy or another: the product's rules on real weeks."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
import polars as pl
from scipy.special import ndtr

from benchmarks.gate_real_weeks import ROW, WEEK, Floats, History, Index, Made, Models
from modelling.metrics import baseline_prediction
from modelling.prequential import windows_between
from modelling.splits import split
from validation import gate
from validation.gate import Evidence, GateVerdict, Guards
from validation.intervals import paired_interval
from validation.refit import decided_otherwise, guard_refit, label_scale
from validation.sequential import bounds

BOUND_ALPHA = 0.05  # of the bands of a calibration bias, as in the product
FAULTY_SPAN = timedelta(days=14)  # what a faulty attempt is trained on: somebody mistook a number


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How challengers come and what they must prove. `every`: weeks from one attempt to the next.

    `looks`: at one challenger; a week later it is asked about its old rows and the new week. `rho`: of the spending
    function alpha * t ** rho; None: the product's own.
    """

    evidence: Literal["never", "none", "holdout", "prequential"]
    alpha: float = 0.2
    looks: int = 1
    days: int = 7
    windows: int = 8
    every: int = 1
    rho: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Promotion:
    """In this week `new` came for `old`; `faulty`: it was trained by a mistake."""

    week: int
    old: Made
    new: Made
    faulty: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Candidate:
    """A challenger of a week and what it was trained on; it is judged on rows from `start` on."""

    week: int
    train: str | timedelta
    start: datetime
    model: Made | None
    familiar: Index
    look: int = 1
    earlier: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Shown:
    """What the gate is shown of a candidate: predictions and the best constant of the training rows, one for each row.

    `proven` is its newest model, with rows that it learned and was asked.
    """

    rows: Index
    prediction: Floats
    constant: Floats
    proven: Made
    familiar: Index
    asked: Index


@dataclass(slots=True, kw_only=True, eq=False)
class Simulation:
    """A policy on the weeks of a history from `first`, at whose beginning the first champion is made of everything.

    In the weeks of `faulty` an attempt is trained on FAULTY_SPAN instead of everything. What comes of it, in order:
    `losses` (sum) and `sizes` (rows) of each week as served, `promotions`, `verdicts` of the gate.
    """

    history: History
    models: Models
    policy: Policy
    first: int
    faulty: Collection[int] = ()
    losses: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    promotions: list[Promotion] = field(default_factory=list)
    verdicts: list[GateVerdict] = field(default_factory=list)
    fits: int = 0
    faulty_attempts: int = 0
    champion: Made = field(init=False)
    waiting: _Candidate | None = None

    def run(self) -> "Simulation":
        """Week by week: an attempt, then a week of service."""
        self.champion = self.models.of_everything(self.first, train="all")
        mondays = self.history.mondays
        for week in range(self.first, len(mondays) - 1):
            turn = (week - self.first) % self.policy.every == 0
            if week > self.first and turn and self.policy.evidence != "never":
                self._attempt(week)
            rows = self.history.between(mondays[week], mondays[week + 1])
            self.losses.append(float(self.history.losses(self.champion, rows).sum()))
            self.sizes.append(len(rows))
        return self

    def _attempt(self, week: int) -> None:
        train = FAULTY_SPAN if week in self.faulty else "all"
        if self.policy.evidence == "none":
            self.faulty_attempts += week in self.faulty
            self._promote(week, self._refit(week, train), train)
            return
        candidate, self.waiting = self.waiting or self._candidate(week, train), None
        self.faulty_attempts += candidate is not None and candidate.week in self.faulty and candidate.look == 1
        shown = candidate and self._shown(week, candidate)
        if candidate is None or shown is None:
            return
        verdict = self._judged(week, candidate, shown)
        outcome = verdict.outcome
        if outcome == "promote":
            refit = self._refit(week, candidate.train)
            if self._spoilt(shown, refit):
                outcome = "refit refused"
            else:
                self._promote(week, refit, candidate.train)
        elif outcome == "need evidence" and candidate.look < self.policy.looks:
            earlier = (*candidate.earlier, verdict.blocks)
            self.waiting = replace(candidate, look=candidate.look + 1, earlier=earlier)
        self.verdicts.append(replace(verdict, outcome=outcome, slices=()))

    def _refit(self, week: int, train: str | timedelta) -> Made:
        self.fits += 1
        return self.models.of_everything(week, train=train)

    def _promote(self, week: int, new: Made, train: str | timedelta) -> None:
        self.promotions.append(Promotion(week=week, old=self.champion, new=new, faulty=train != "all"))
        self.champion = new

    def _candidate(self, week: int, train: str | timedelta) -> _Candidate | None:
        mature, history = self.history.mature(week), self.history
        if self.policy.evidence == "prequential":
            return _Candidate(week=week, train=train, start=self.champion.since, model=None, familiar=_index(mature))
        parts = split(
            mature,
            time=history.pipeline.spec.time,
            holdout=timedelta(days=self.policy.days),
            gap=history.gap,
            train=train,
            holdout_from=self.champion.until,
        )
        if parts.shortfall:
            return None
        self.fits += 1
        model = self.models.of(parts.train, since=parts.holdout_start)
        return _Candidate(week=week, train=train, start=parts.holdout_start, model=model, familiar=_index(parts.train))

    def _shown(self, week: int, candidate: _Candidate) -> _Shown | None:
        if candidate.model is None:
            return self._shown_of_recipe(week, candidate)
        time = self.history.pipeline.spec.time
        rows = _index(self.history.mature(week).filter(pl.col(time) >= candidate.start))
        return _Shown(
            rows=rows,
            prediction=candidate.model.prediction[rows],
            constant=self._constant(candidate.familiar, rows),
            proven=candidate.model,
            familiar=candidate.familiar[-len(rows) :],
            asked=rows,
        )

    def _shown_of_recipe(self, week: int, candidate: _Candidate) -> _Shown | None:
        """As `modelling.prequential.prequential` does it, with models that are kept; a test holds both together."""
        history, mature = self.history, self.history.mature(week)
        moment, end = pl.col(history.pipeline.spec.time), history.mondays[week] - history.gap
        asked, models, past = [], [], np.zeros(0, dtype=np.int64)
        constants = []
        for start, stop in windows_between(candidate.start, end, window=WEEK, max_windows=self.policy.windows):
            before = moment < start - history.gap
            if isinstance(candidate.train, timedelta):
                before &= moment >= start - candidate.train
            train, rows = mature.filter(before), _index(mature.filter(moment >= start, moment < stop))
            if train.height and len(rows):
                self.fits += 1
                past = _index(train)
                asked.append(rows)
                models.append(self.models.of(train, since=start))
                constants.append(self._constant(past, rows))
        if not models:
            return None
        return _Shown(
            rows=np.concatenate(asked),
            prediction=np.concatenate([model.prediction[rows] for model, rows in zip(models, asked, strict=True)]),
            constant=np.concatenate(constants),
            proven=models[-1],
            familiar=past[-len(asked[-1]) :],
            asked=asked[-1],
        )

    def _constant(self, train: Index, rows: Index) -> Floats:
        spec = self.history.pipeline.spec
        return np.full(len(rows), baseline_prediction(spec.task, spec.metric, self.history.labels[train]))

    def _judged(self, week: int, candidate: _Candidate, shown: _Shown) -> GateVerdict:
        history, blocks = self.history, self.history.days(shown.rows)
        evidence = Evidence(
            champion_loss=history.losses(self.champion, shown.rows),
            challenger_loss=history.losses_of(shown.prediction, shown.rows),
            baseline_loss=history.losses_of(shown.constant, shown.rows),
            blocks=blocks,
            slices={name: values[shown.rows].tolist() for name, values in history.slices.items()},
            look=candidate.look,
            earlier_blocks=candidate.earlier,
        )
        policy = replace(history.pipeline.gate, alpha=self.policy.alpha, max_looks=self.policy.looks)
        if self.policy.rho is not None:
            counts = (*candidate.earlier, len(np.unique(blocks)))
            own = level(self.policy.alpha, counts, looks=self.policy.looks, rho=self.policy.rho)
            policy = replace(policy, alpha=own, max_looks=1)
            evidence = replace(evidence, look=1, earlier_blocks=())
        guards, name = self._guards(shown), history.pipeline.name
        verdict = gate.judge(
            evidence, guards, policy=policy, pipeline=name, subject=str(week), as_of=history.mondays[week]
        )
        undecided = self.policy.rho is not None and verdict.outcome == "expired"
        return replace(verdict, outcome="need evidence") if undecided else verdict

    def _guards(self, shown: _Shown) -> Guards:
        """As `tasks.evidence` measures them."""
        history, task = self.history, self.history.pipeline.task
        truth, blocks = history.labels[shown.rows], history.days(shown.rows)
        old, scale = self.champion.prediction[shown.rows], label_scale(truth, task=task)
        bias = [paired_interval((truth - said) / scale, blocks, alpha=BOUND_ALPHA) for said in (old, shown.prediction)]
        return Guards(
            load_ok=True,
            latency_ms=0.0,
            size_mb=0.0,
            champion_bias=bias[0],
            challenger_bias=bias[1],
            churn=float(decided_otherwise(old, shown.prediction, task=task, scale=scale).mean()),
        )

    def _spoilt(self, shown: _Shown, refit: Made) -> tuple[str, ...]:
        history = self.history
        return guard_refit(
            proven_prediction=shown.proven.prediction[shown.familiar],
            refit_prediction=refit.prediction[shown.familiar],
            proven_loss=history.losses(shown.proven, shown.asked),
            refit_loss=history.losses(refit, shown.asked),
            label=history.labels[shown.familiar],
            task=history.pipeline.spec.task,
        )


def level(alpha: float, blocks: Sequence[int], *, looks: int, rho: float) -> float:
    """The nominal level of the newest look, as `validation.sequential` makes it, with another `rho`."""
    fractions = [count / (looks * blocks[0]) for count in blocks]
    times = [1.0 if look >= looks else min(part, look / looks) for look, part in enumerate(fractions, start=1)]
    return float(ndtr(-bounds([alpha * time**rho for time in times], fractions)[-1]))


def _index(rows: pl.DataFrame) -> Index:
    return rows[ROW].to_numpy()
