"""What the gate is shown of a challenger in a real week, and what it says: the product's own functions throughout."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
import polars as pl
from scipy.special import ndtr

from benchmarks.gate_real_weeks import ROW, WEEK, Floats, History, Index, Made, Models
from modelling.metrics import baseline_prediction
from modelling.splits import split, windows_between
from validation import gate
from validation.gate import Evidence, GateVerdict, Guards
from validation.intervals import paired_interval
from validation.refit import decided_otherwise, guard_refit, label_scale
from validation.sequential import bounds

BOUND_ALPHA = 0.05  # of the bands of a calibration bias, as in the product


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How challengers come and what they must prove. `every`: weeks from one attempt to the next.

    `looks`: at one challenger; a week later it is asked about its old rows and the new week. `beside`: a new challenger
    comes every week all the same. `rho`: of the spending function alpha * t ** rho; None: the product's own.
    """

    evidence: Literal["never", "none", "holdout", "prequential"]
    alpha: float = 0.2
    looks: int = 1
    days: int = 7
    windows: int = 8
    every: int = 1
    rho: float | None = None
    beside: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """A challenger and what it was trained on; it is judged on rows from `start` on. No model: it is a recipe."""

    train: str | timedelta
    start: datetime
    model: Made | None = None
    learned: Index | None = None
    look: int = 1
    earlier: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shown:
    """Rows that a model was asked about, its predictions, the best constant of its training rows, and these.

    Of a recipe: `before` are the windows before the last one, each with its own model.
    """

    model: Made
    rows: Index
    learned: Index
    before: "tuple[Shown, ...]" = ()

    @property
    def all(self) -> "tuple[Shown, ...]":
        """The windows in order of time."""
        return (*self.before, self)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examiner:
    """Shows candidates of one history to the gate, by one policy."""

    history: History
    models: Models
    policy: Policy

    def candidate(self, week: int, champion: Made, *, train: str | timedelta) -> Candidate | None:
        """The week's challenger, trained before its holdout; None while there are too few rows."""
        if self.policy.evidence == "prequential":
            return Candidate(train=train, start=champion.since)
        parts = split(
            self.history.mature(week),
            time=self.history.pipeline.spec.time,
            holdout=timedelta(days=self.policy.days),
            gap=self.history.gap,
            train=train,
            holdout_from=champion.until,
        )
        if parts.shortfall:
            return None
        model, learned = self.models.of(parts.train, since=parts.holdout_start), _index(parts.train)
        return Candidate(train=train, start=parts.holdout_start, model=model, learned=learned)

    def shown(self, week: int, candidate: Candidate) -> Shown | None:
        """The candidate on what is mature by now."""
        if candidate.model is None or candidate.learned is None:
            return self._recipe(week, candidate)
        moment = pl.col(self.history.pipeline.spec.time)
        rows = _index(self.history.mature(week).filter(moment >= candidate.start))
        return Shown(model=candidate.model, rows=rows, learned=candidate.learned)

    def _recipe(self, week: int, candidate: Candidate) -> Shown | None:
        """As tests/unit/prequential.py does it, with models that are kept; a test holds both together."""
        history, mature, parts = self.history, self.history.mature(week), []
        moment, end = pl.col(history.pipeline.spec.time), history.mondays[week] - history.gap
        for start, stop in windows_between(candidate.start, end, window=WEEK, max_windows=self.policy.windows):
            before = moment < start - history.gap
            if isinstance(candidate.train, timedelta):
                before &= moment >= start - candidate.train
            train, rows = mature.filter(before), _index(mature.filter(moment >= start, moment < stop))
            if train.height and len(rows):
                parts.append(Shown(model=self.models.of(train, since=start), rows=rows, learned=_index(train)))
        return replace(parts[-1], before=tuple(parts[:-1])) if parts else None

    def judged(self, week: int, champion: Made, candidate: Candidate, shown: Shown) -> GateVerdict:
        """The gate's verdict; "need evidence" stands for all that is open."""
        history, name = self.history, self.history.pipeline.name
        evidence = self._evidence(champion, candidate, shown)
        policy = replace(history.pipeline.gate, alpha=self.policy.alpha, max_looks=self.policy.looks)
        if self.policy.rho is not None:
            counts = (*candidate.earlier, len(np.unique(evidence.blocks)))
            own = level(self.policy.alpha, counts, looks=self.policy.looks, rho=self.policy.rho)
            policy = replace(policy, alpha=own, max_looks=1)
            evidence = replace(evidence, look=1, earlier_blocks=())
        guards = self._guards(champion, shown)
        verdict = gate.judge(
            evidence, guards, policy=policy, pipeline=name, subject=str(week), as_of=history.mondays[week]
        )
        is_open = self.policy.rho is not None and verdict.outcome == "expired"
        return replace(verdict, outcome="need evidence") if is_open else verdict

    def _evidence(self, champion: Made, candidate: Candidate, shown: Shown) -> Evidence:
        history, rows = self.history, _rows(shown)
        return Evidence(
            champion_loss=history.losses(champion, rows),
            challenger_loss=history.losses_of(predicted(shown), rows),
            baseline_loss=history.losses_of(self.constant(shown), rows),
            blocks=history.days(rows),
            slices={name: values[rows].tolist() for name, values in history.slices.items()},
            look=candidate.look,
            earlier_blocks=candidate.earlier,
        )

    def _guards(self, champion: Made, shown: Shown) -> Guards:
        """As `tasks.evidence` measures them."""
        history, task, rows = self.history, self.history.pipeline.task, _rows(shown)
        truth, blocks, old, new = history.labels[rows], history.days(rows), champion.prediction[rows], predicted(shown)
        scale = label_scale(truth, task=task)
        return Guards(
            load_ok=True,
            latency_ms=0.0,
            size_mb=0.0,
            champion_bias=paired_interval((truth - old) / scale, blocks, alpha=BOUND_ALPHA),
            challenger_bias=paired_interval((truth - new) / scale, blocks, alpha=BOUND_ALPHA),
            churn=float(decided_otherwise(old, new, task=task, scale=scale).mean()),
        )

    def constant(self, shown: Shown) -> Floats:
        """The best constant of what the models have learned, for each row."""
        spec, labels = self.history.pipeline.spec, self.history.labels
        parts = [
            np.full(len(part.rows), baseline_prediction(spec.task, spec.metric, labels[part.learned]))
            for part in shown.all
        ]
        return np.concatenate(parts)

    def spoilt(self, shown: Shown, refit: Made) -> tuple[str, ...]:
        """What speaks against the refit on everything mature in the place of the newest model that was shown."""
        history, familiar = self.history, shown.learned[-len(shown.rows) :]
        return guard_refit(
            proven_prediction=shown.model.prediction[familiar],
            refit_prediction=refit.prediction[familiar],
            proven_loss=history.losses(shown.model, shown.rows),
            refit_loss=history.losses(refit, shown.rows),
            label=history.labels[familiar],
            task=history.pipeline.spec.task,
        )


def predicted(shown: Shown) -> Floats:
    """What was said of each row, by the model of its window."""
    return np.concatenate([part.model.prediction[part.rows] for part in shown.all])


def level(alpha: float, blocks: Sequence[int], *, looks: int, rho: float) -> float:
    """The nominal level of the newest look, as `validation.sequential` makes it, with another `rho`."""
    fractions = [count / (looks * blocks[0]) for count in blocks]
    times = [1.0 if look >= looks else min(part, look / looks) for look, part in enumerate(fractions, start=1)]
    return float(ndtr(-bounds([alpha * time**rho for time in times], fractions)[-1]))


def _rows(shown: Shown) -> Index:
    return np.concatenate([part.rows for part in shown.all])


def _index(rows: pl.DataFrame) -> Index:
    return rows[ROW].to_numpy()
