"""Who serves in which week, if challengers are promoted by one policy or another: the product's rules on real weeks."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal

import numpy as np

from benchmarks.gate_real_evidence import Candidate, Examiner, Policy
from benchmarks.gate_real_weeks import Floats, History, Made, Models
from validation.gate import GateVerdict
from validation.intervals import paired_interval

FAULTY_SPAN = timedelta(days=14)  # what a faulty attempt is trained on: somebody mistook a number
LATER_WEEKS = 4  # a promotion is looked back on after so many
PROOF = 0.05


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Promotion:
    """In this week `new` came for `old`; `faulty`: it was trained by a mistake."""

    week: int
    old: Made
    new: Made
    faulty: bool


@dataclass(slots=True, kw_only=True, eq=False)
class Simulation:
    """A policy on the weeks of a history from `first`, at whose beginning the first champion is made of everything.

    In the weeks of `faulty` an attempt is trained on FAULTY_SPAN instead of everything. What comes of it, in order:
    `losses` (sum) and `sizes` (rows) of each week as served, `promotions`, `verdicts` of the gate. `fits`: models that
    the product would have made, beside the first.
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
    waiting: tuple[Candidate, ...] = ()

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
            self.faulty_attempts += train != "all"
            self._promote(week, self._refit(week, train), train)
            return
        examiner = Examiner(history=self.history, models=self.models, policy=self.policy)
        candidates, self.waiting = self.waiting, ()
        if self.policy.beside or not candidates:
            new = examiner.candidate(week, self.champion, train=train)
            self.faulty_attempts += new is not None and train != "all"
            self.fits += new is not None and new.model is not None
            candidates += () if new is None else (new,)
        for candidate in candidates:
            if self._look(week, candidate, examiner):
                self.waiting = ()
                return

    def _look(self, week: int, candidate: Candidate, examiner: Examiner) -> bool:
        """Was it promoted? Otherwise it may wait for another look."""
        shown = examiner.shown(week, candidate)
        if shown is None:
            return False
        self.fits += len(shown.all) if candidate.model is None else 0
        verdict = examiner.judged(week, self.champion, candidate, shown)
        if verdict.outcome == "promote":
            refit = self._refit(week, candidate.train)
            if examiner.spoilt(shown, refit):
                verdict = replace(verdict, outcome="refit refused")
            else:
                self._promote(week, refit, candidate.train)
        elif verdict.outcome == "need evidence" and candidate.look < self.policy.looks:
            earlier = (*candidate.earlier, verdict.blocks)
            self.waiting += (replace(candidate, look=candidate.look + 1, earlier=earlier),)
        self.verdicts.append(verdict)
        return verdict.outcome == "promote"

    def _refit(self, week: int, train: str | timedelta) -> Made:
        self.fits += 1
        return self.models.of_everything(week, train=train)

    def _promote(self, week: int, new: Made, train: str | timedelta) -> None:
        self.promotions.append(Promotion(week=week, old=self.champion, new=new, faulty=train != "all"))
        self.champion = new


def looked_back(history: History, promotion: Promotion) -> Literal["better", "worse", "proven worse"]:
    """Was the new model worse than the old one in the weeks that followed, on average or by the paired interval?"""
    stop = history.mondays[min(promotion.week + LATER_WEEKS, len(history.mondays) - 1)]
    rows = history.between(history.mondays[promotion.week], stop)
    gain = history.losses(promotion.old, rows) - history.losses(promotion.new, rows)
    found = paired_interval(gain, history.days(rows), alpha=PROOF)
    if found.upper < 0:
        return "proven worse"
    return "worse" if found.mean < 0 else "better"


def share_of(part: Floats, whole: Floats) -> tuple[float, float]:
    """Sum of part / sum of whole, and how far its interval reaches; weeks are the blocks."""
    share = float(part.sum() / whole.sum())
    around = paired_interval(part - share * whole, np.arange(len(part)), alpha=PROOF)
    return share, (around.upper - around.lower) / 2 * len(part) / float(whole.sum())


def quantiles(shares: Sequence[float]) -> list[float]:
    """Median, 95 % and the largest; none without any."""
    return [float(np.quantile(shares, at)) for at in (0.5, 0.95, 1.0)] if shares else []
