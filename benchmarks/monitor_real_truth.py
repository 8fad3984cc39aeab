"""Was an alarm right, and what did nobody raise? Said by labels that came later, never by the alarms themselves.

The oracle is a refit on everything that was mature on a Monday, beside the champion on the weeks that follow. Clearly
better: by `min_regret` of the champion's loss or more, with its paired interval (days as blocks) above 0 at the level
at which the product itself asks for a retrain (20 %, one-sided). Proven: at 5 %, which on days that differ as much as
flights' takes gains of a tenth and more; told beside.

- An alarm is true when the refit of the first Monday from it on is clearly better on the next four weeks; unproven when
  it made so much less loss there, but not surely; false when it did not. Unknown: less than two weeks are left. Too
  late: true, and the first in a degradation that had begun more than 14 windows before.
- A degradation: at two Mondays or more in a row (a single one between may be unclear), under one champion, that
  Monday's refit is clearly better on the two weeks that follow. It is caught when an alarm is on in the course of it,
  else missed. Delay: windows from its first Monday to the alarm, 0 when it was on already.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from benchmarks.gate_real_weeks import WEEK, Made
from benchmarks.monitor_real_replay import Replay
from validation.durations import span
from validation.intervals import paired_interval

PROOF = 0.05
LATER = 4 * WEEK  # an alarm is looked back on from there
LEAST = 2 * WEEK  # of later rows; also the span in which a degradation must show
LATE_WINDOWS = 14
IN_A_ROW = 2  # Mondays
PAUSE = 2  # one Monday that is not clear does not end a degradation

Truth = Literal["true", "unproven", "false", "too late", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Whether a rule was in alarm after a window or a look at labels, under which reign, and why."""

    at: datetime
    reign: int
    on: bool
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """An alarm from its raise to `end`: the state without it, another champion, or the end of history."""

    kind: str
    at: datetime
    end: datetime
    reign: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Degradation:
    """A time in which a refit was clearly better than the champion of the reign."""

    begin: datetime
    end: datetime
    reign: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """Of a refit, later, as a share of the champion's loss, with the interval's lower bound; `pays`: it is worth it."""

    share: float
    lower: float
    pays: bool
    proven: bool

    @property
    def clear(self) -> bool:
        """Worth it, and surely so."""
        return self.pays and self.lower > 0


def spells(kind: str, states: Sequence[State], *, end: datetime) -> list[Spell]:
    """The alarms of one rule; its states in order of time."""
    found: list[Spell] = []
    for index, state in enumerate(states):
        before = states[index - 1] if index else None
        if state.on and not (before and before.on and before.reign == state.reign):
            later = (item.at for item in states[index:] if not (item.on and item.reign == state.reign))
            found.append(Spell(kind=kind, at=state.at, end=next(later, end), reign=state.reign, why=state.why))
    return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Oracle:
    """Knows what came later."""

    replay: Replay

    def degradations(self) -> tuple[tuple[Degradation, ...], float]:
        """All of them, and the share of Mondays on which the refit is clearly better."""
        replay, mondays = self.replay, self.replay.history.mondays
        weeks = range(replay.first + 1, len(mondays) - LEAST // WEEK)
        gains = {week: self.gain(week, self.reign_at(week), LEAST) for week in weeks}
        clear = [week for week in weeks if gains[week].clear]
        runs: list[list[int]] = []
        for week in clear:
            if runs and week - runs[-1][-1] <= PAUSE and self.reign_at(week) == self.reign_at(runs[-1][-1]):
                runs[-1].append(week)
            else:
                runs.append([week])
        found = tuple(
            Degradation(
                begin=mondays[run[0]],
                end=min(mondays[run[-1]] + LEAST, self.over(self.reign_at(run[0]))),
                reign=self.reign_at(run[0]),
                share=max(gains[week].share for week in run),
            )
            for run in runs
            if len(run) >= IN_A_ROW
        )
        return found, len(clear) / max(len(weeks), 1)

    def by_chance(self) -> float:
        """On how many of the Mondays an alarm would be true, whoever raised it and why."""
        replay, mondays = self.replay, self.replay.history.mondays
        weeks = range(replay.first + 1, len(mondays) - LEAST // WEEK)
        clear = [self.gain(week, self.reign_at(week - 1), LATER).clear for week in weeks]
        return sum(clear) / max(len(clear), 1)

    def truth(self, alarm: Spell, alarms: Iterable[Spell], found: Sequence[Degradation]) -> tuple[Truth, Gain | None]:
        """What the weeks after the alarm said of it."""
        mondays = self.replay.history.mondays
        week = next((number for number, monday in enumerate(mondays) if monday >= alarm.at), len(mondays))
        if week >= len(mondays) or mondays[-1] - mondays[week] < LEAST:
            return "unknown", None
        gain = self.gain(week, alarm.reign, LATER)
        if not gain.clear:
            return ("unproven" if gain.pays else "false"), gain
        late = LATE_WINDOWS * self.every
        around = [item for item in found if item.reign == alarm.reign and item.begin + late < alarm.at < item.end]
        earlier = [item for item in alarms if item.at < alarm.at]
        if any(not _on(earlier, item.begin, alarm.at, item.reign) for item in around):
            return "too late", gain
        return "true", gain

    def delay(self, degradation: Degradation, alarms: Iterable[Spell]) -> float | None:
        """Windows until an alarm was on; None when none was."""
        on = _on(alarms, degradation.begin, degradation.end, degradation.reign)
        return min((max(item.at - degradation.begin, timedelta()) / self.every for item in on), default=None)

    def gain(self, week: int, reign: int, length: timedelta) -> Gain:
        """Of the Monday's refit over the champion, from that Monday on."""
        history, champion = self.replay.history, self.replay.reigns[reign].made
        refit: Made = self.replay.models.of_everything(week, train="all")
        rows = history.between(history.mondays[week], min(history.mondays[week] + length, history.mondays[-1]))
        losses, policy = history.losses(champion, rows), history.pipeline.monitor
        gains, blocks, usual = losses - history.losses(refit, rows), history.days(rows), float(losses.mean())
        found, strict = (paired_interval(gains, blocks, alpha=alpha) for alpha in (policy.alpha, PROOF))
        share = found.mean / usual
        return Gain(share=share, lower=found.lower / usual, pays=share >= policy.min_regret, proven=strict.lower > 0)

    def reign_at(self, week: int) -> int:
        """Who serves from that Monday on."""
        return max(number for number, reign in enumerate(self.replay.reigns) if reign.week <= week)

    def over(self, reign: int) -> datetime:
        """When the reign ends."""
        mondays, reigns = self.replay.history.mondays, self.replay.reigns
        return mondays[reigns[reign + 1].week] if reign + 1 < len(reigns) else mondays[-1]

    @property
    def every(self) -> timedelta:
        """A window's length."""
        return span(self.replay.history.pipeline.monitor.every)


def _on(alarms: Iterable[Spell], begin: datetime, end: datetime, reign: int) -> list[Spell]:
    """Those that are on between the two moments, both included, under the reign: an alarm may be what ended it."""
    return [item for item in alarms if item.reign == reign and item.at <= end and item.end > begin]
