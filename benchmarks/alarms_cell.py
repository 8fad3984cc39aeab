"""What the trials of one world say together: rates of false alarms with bounds, power at defaults and at equal rates.

An alarm of ours names what drifted; so must a peer's. At equal rates each peer is given what no user has: an oracle's
threshold, set on the very windows of this world in which nothing changed, so that its new alarms are no more than
ours; and each column's statistic is first divided by that column's own 99 % quantile in these windows, so that columns
of many levels do not drown the others.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.alarms_rivals import DATASET, DATASET_SHARE, RULES
from benchmarks.alarms_trial import Trial
from benchmarks.alarms_world import CHANGES, World

Flags = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float32]
WITHIN = (1, 3, 10)
OURS = "ours"
PEERS = ("Evidently", DATASET, "NannyML, 10", "NannyML, all", "KS, chi2", "PSI 0.1", "PSI 0.2")
USUAL = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One peer in one world. `scores`: (references, windows) while nothing changes, above `threshold` it alarms;
    `changed`: change -> (references, windows of it), the same of the column to be named.
    """

    scores: Scores
    threshold: float
    changed: Mapping[str, Scores]


def told(world: World, trials: Sequence[Trial]) -> dict[str, Any]:
    """All about one world, for the JSON."""
    new, suspect = np.array([item.new for item in trials]), np.array([item.suspect for item in trials])
    false: dict[str, Any] = {
        OURS: {
            "new": rate(new),
            "windows": rate(suspect),
            "prediction": rate(np.array([item.prediction for item in trials])),
        }
    }
    moved = [item for item in trials if item.changed]
    power = {kind: {OURS: _ours(moved, kind)} for kind in (moved[0].raised if moved else ())}
    for name in PEERS:
        plain, oracle = _peer(trials, name), _peer(trials, name, usual=True)
        limit = equal_threshold(oracle.scores, alarms=int(new.sum()))
        alarms = plain.scores > plain.threshold
        false[name] = {"new": rate(new_alarms(alarms)), "windows": rate(alarms)}
        for kind, table in power.items():
            table[name] = {
                "default": _within(plain.changed[kind] > plain.threshold),
                "equal": _within(oracle.changed[kind] > limit),
            }
    causes: Counter[str] = sum((item.causes for item in trials), Counter())
    return {
        "rows": world.rows, "null": world.null, "references": len(trials), "changed": len(moved), "windows": new.size,
        "false_alarms": false, "power": power, "labels": _labels(trials), "named": dict(causes.most_common(8)),
    }  # fmt: skip


def rate(flags: Flags) -> dict[str, float]:
    """Share of (references, windows) that are set, with bounds of 95 % each, one-sided; references are the clusters."""
    from scipy.special import stdtrit

    shares = flags.mean(axis=1)
    share = float(shares.mean())
    if len(shares) < 2:
        return {"share": share, "lower": 0.0, "upper": 1.0}
    reach = float(stdtrit(len(shares) - 1, 0.95)) * float(shares.std(ddof=1)) / len(shares) ** 0.5
    none = 1 - 0.05 ** (1 / len(shares)) if share == 0 else 0.0  # the share of references that may alarm all the same
    return {
        "share": round(share, 5),
        "lower": round(max(share - reach, 0.0), 5),
        "upper": round(max(share + reach, none / flags.shape[1]), 5),
    }


def new_alarms(alarms: Flags) -> Flags:
    """Which windows alarm after one that did not."""
    return alarms & ~np.column_stack([np.zeros(len(alarms), dtype=bool), alarms[:, :-1]])


def equal_threshold(scores: Scores, *, alarms: int) -> float:
    """The least threshold above which at most `alarms` windows alarm anew, coming from above."""
    candidates = np.unique(scores)[::-1]
    limit = float(candidates[0])
    for candidate in candidates:
        if new_alarms(scores > candidate).sum() > alarms:
            break
        limit = float(candidate)
    return limit


def error(share: float, of: int) -> float:
    """Standard error of a share of `of` references."""
    return float(np.sqrt(max(share * (1 - share), 0.25 / of) / of))


def better(cell: Mapping[str, Any], within: int, *, at: str) -> list[dict[str, Any]]:
    """Where a peer sees more than ours does, by two standard errors."""
    place, of = WITHIN.index(within), cell["changed"]
    return [
        {"rows": cell["rows"], "null": cell["null"], "change": kind, "peer": name,
         "ours": table[OURS]["alarm"][place], "peer's": table[name][at][place]}
        for kind, table in cell["power"].items()
        for name in PEERS
        if table[name][at][place] - table[OURS]["alarm"][place]
        > 2 * np.hypot(error(table[OURS]["alarm"][place], of), error(table[name][at][place], of))
    ]  # fmt: skip


def _ours(trials: Sequence[Trial], kind: str) -> dict[str, list[float]]:
    raised = np.array([item.raised[kind] for item in trials])
    suspected = np.array([item.suspected[kind] for item in trials])
    return {
        "alarm": [_share(raised <= within) for within in WITHIN],
        "single window": [_share(suspected <= within) for within in WITHIN],
    }


def _within(alarms: Flags) -> list[float]:
    return [_share(alarms[:, :within].any(axis=1)) for within in WITHIN]


def _share(flags: Flags) -> float:
    return round(float(flags.mean()), 4)


def _peer(trials: Sequence[Trial], name: str, *, usual: bool = False) -> Peer:
    """`usual`: each column's statistic over its own 99 % quantile while nothing changes."""
    if name == DATASET:
        return _dataset(trials)
    moved = [item for item in trials if item.changed]
    rule = RULES.index(name.split(" 0.", maxsplit=1)[0])
    far = np.array([item.rivals[rule] for item in trials])
    scale = np.quantile(far, USUAL, axis=(0, 1)) if usual else np.ones(far.shape[2])
    return Peer(
        scores=(far / scale).max(axis=2),
        threshold=2.0 if name == "PSI 0.2" else 1.0,
        changed={
            kind: np.array([item.changed[kind][rule] for item in moved]) / scale[CHANGES[kind].named]
            for kind in (moved[0].changed if moved else ())
        },
    )


def _dataset(trials: Sequence[Trial]) -> Peer:
    """Scores are shares of columns; a change is named where its column is one of them."""
    rule = RULES.index("Evidently")
    moved = [item for item in trials if item.changed]
    named = {
        kind: np.array([item.changed[kind][rule] > 1 for item in moved]) for kind in (moved[0].changed if moved else ())
    }
    return Peer(
        scores=np.array([(item.rivals[rule] > 1).mean(axis=1) for item in trials], dtype=np.float32),
        threshold=float(np.nextafter(np.float32(DATASET_SHARE), np.float32(0))),
        changed={kind: np.array([item.dataset[kind] for item in moved]) * named[kind] for kind in named},
    )


def _labels(trials: Sequence[Trial]) -> dict[str, Any]:
    """With mature labels: new wishes to retrain and proven biases, while nothing changes and after each change."""
    first = trials[0].labels
    return {
        "false": {
            "retrain asked for": rate(np.array([item.labels.asked for item in trials])),
            "bias proven": rate(np.array([item.labels.biased for item in trials])),
        },
        **{
            change: {
                "retrain asked for": [
                    _share(np.array([item.labels.asked_after[change] <= within for item in trials]))
                    for within in (*WITHIN, 30)
                ],
                "bias proven": [
                    _share(np.array([item.labels.biased_after[change] <= within for item in trials]))
                    for within in (*WITHIN, 30)
                ],
                "drift alarm, no labels": _without(trials, change),
            }
            for change in first.asked_after
        },
    }


def _without(trials: Sequence[Trial], change: str) -> list[float] | None:
    """The drift alarm names the prediction. A change of the concept leaves all that it looks at as it is: what it
    raises then are its false alarms, counted from the same window on.
    """
    if moved := [item for item in trials if change in item.raised]:
        return _ours(moved, change)["alarm"]
    if change in CHANGES:
        return None
    later = np.array([item.new[item.start : item.start + WITHIN[-1]] for item in trials])
    return _within(later)
