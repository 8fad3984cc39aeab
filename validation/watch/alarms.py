"""Which verdicts of the monitor are an alarm, and in which words: from verdicts to findings. Pure.

Drift of the prediction is an alarm, and what labels prove about the champion, and data that is probably bad. Inputs
that drift alone are a notice: the page tells of them, nobody is woken up.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from validation.watch.drift import PREDICTION, PROBABLE_BAD_DATA, DriftVerdict
from validation.watch.findings import Cause, FeatureDrift
from validation.watch.incidents import (
    Finding,
    Incident,
    IncidentKind,
    Severity,
    folded,
    next_incidents,
    still_open,
)
from validation.watch.performance import PerformanceVerdict
from validation.watch.telling import when

ALARMING_PERFORMANCE = ("regret", "biased")
_NAMED = 3  # columns named in a title
_NO_NEWS = re.compile(r" \((p =|by chance) [^)]*\)|, since [0-9-]+( [0-9:]+)?|[,:] probably bad data.*$")
_WORLD = "the world that the model learned from has changed"
_CAUSES: Mapping[Cause, str] = {
    "unit change": "another unit, or what measures it is broken",
    "null flood": "values no longer arrive from where they are measured, or a join finds nothing",
    "stuck": "what measures it is stuck at one value",
    "disappeared": "a column is not delivered any more",
    "changed kind": "a column is delivered with another type",
    "mix": "other kinds of cases come in than the model learned from",
    "unseen": "kinds of cases come in that the model has never seen",
    "nulls": "more or fewer values are missing than the model is used to",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What Andon does about drift or a worse champion, in words, and whether a person is needed.

    `champion`: the version that serves meanwhile. `ask`: whom to ask about bad data, and for what.
    """

    doing: str
    severity: Severity
    champion: str
    ask: str


def drift_findings(windows: Sequence[DriftVerdict], response: Response, *, clear_after: int) -> tuple[Finding, ...]:
    """What the newest window leaves alarming; `windows`: those under the present champion up to it, oldest first.

    While the alarm is raised, a trouble that the last `clear_after` judged windows have shown is still there.
    """
    judged = [window for window in windows if window.outcome != "not enough history"]
    if not judged or not judged[-1].raised:
        return ()
    lately = judged[-clear_after:][::-1]
    shown: tuple[tuple[Callable[[DriftVerdict], bool], Callable[..., Finding]], ...] = (
        (_has_bad_data, _bad_data),
        (_prediction_moved, _moved),
    )
    newest = ((tell, next((window for window in lately if shows(window)), None)) for shows, tell in shown)
    return tuple(tell(window, judged, response) for tell, window in newest if window is not None)


def after_windows(
    open_: Sequence[Incident],
    windows: Sequence[DriftVerdict],
    response: Response,
    *,
    fresh: int,
    clear_after: int,
    as_of: datetime,
) -> tuple[Incident, ...]:
    """The news after the newest `fresh` windows (at least the newest one), as if each had been looked at when it was
    judged, but told at once. `open_`: open incidents of drift and of bad data; `windows` as in `drift_findings`.
    """
    rows: list[Incident] = []
    for end in range(len(windows) - max(fresh, 1) + 1, len(windows) + 1) if windows else ():
        findings = drift_findings(windows[:end], response, clear_after=clear_after)
        many = min(clear_after, end)
        quiet = f"the last {many} windows do not show it" if many > 1 else "the last window does not show it"
        over: dict[IncidentKind, str] = {"drift": quiet, "bad data": quiet}
        known = still_open((*open_, *rows))
        rows += next_incidents(known, findings, pipeline=windows[0].pipeline, as_of=as_of, over=over)
    return folded(rows)


def quality_finding(verdict: PerformanceVerdict, response: Response) -> Finding | None:
    """What labels prove against the champion; None when the verdict is no alarm."""
    if verdict.outcome not in ALARMING_PERFORMANCE:
        return None
    version, share, bias = verdict.champion_version, verdict.regret_share or 0.0, verdict.calibration_bias or 0.0
    gain = f"a refit on newer data makes {share:.1%} less loss on the same rows"
    off = f"its predictions are {abs(bias):.3g} too {'low' if bias > 0 else 'high'} on average"
    biased = verdict.outcome == "biased"
    told = (off, gain) if biased else (gain,)
    return Finding(
        kind="quality",
        about=f"version {version}",
        title=f"version {version}, which serves, {'predicts wrongly' if biased else 'has become stale'}",
        lines=(*told, f"measured on {verdict.rows:,} rows whose labels have come"),
        names=(verdict.outcome,),
        cause="what the inputs mean for the answer has changed since the champion was trained",
        doing=response.doing,
        severity=response.severity,
        since=verdict.subject,
    )


def _has_bad_data(window: DriftVerdict) -> bool:
    return window.outcome == "drift" and bool(_bad(window))


def _prediction_moved(window: DriftVerdict) -> bool:
    """By the prediction's own alarm; verdicts from before it had one go by the window's."""
    if _bad(window):
        return False
    if window.prediction:
        return window.prediction == "drift"
    return window.outcome == "drift" and PREDICTION in {item.name for item in _drifted(window)}


def _bad_data(window: DriftVerdict, windows: Sequence[DriftVerdict], response: Response) -> Finding:
    bad = _bad(window)
    others = [item for item in _drifted(window) if item not in bad]
    told = ", ".join(item.name for item in bad[:_NAMED]) + (f" and {len(bad) - _NAMED} more" if bad[_NAMED:] else "")
    since = min(_since(item, window) for item in bad)
    return Finding(
        kind="bad data",
        about=window.subject,
        title=f"probably bad data in {told}",
        lines=_lines((*bad, *others), window),
        names=tuple(item.name for item in (*bad, *others)),
        cause=_cause(bad),
        doing=f"Andon does not retrain on this, and serves on with version {response.champion}; {response.ask}",
        severity="a person must act",
        since=since,
        windows=sum(_has_bad_data(item) for item in windows if item.subject >= since),
    )


def _moved(window: DriftVerdict, windows: Sequence[DriftVerdict], response: Response) -> Finding:
    found = _drifted(window)
    score = [item for item in found if item.name == PREDICTION]
    inputs = _inputs(window)
    since = min((_since(item, window) for item in score), default=window.since or window.subject)
    along = [_inputs(item) for item in reversed(windows) if item.subject >= since]
    return Finding(
        kind="drift",
        about=window.subject,
        title="the predictions have moved",
        lines=_lines((*score, *inputs), window),
        names=tuple(item.name for item in (*score, *inputs)),
        cause=_cause(next((inputs for inputs in along if inputs), ())),
        doing=response.doing,
        severity=response.severity,
        since=since,
        windows=sum(_prediction_moved(item) for item in windows if item.subject >= since),
    )


def _drifted(window: DriftVerdict) -> list[FeatureDrift]:
    return [item for item in window.features if item.drifted]


def _bad(window: DriftVerdict) -> list[FeatureDrift]:
    return [item for item in _drifted(window) if item.cause in PROBABLE_BAD_DATA]


def _since(item: FeatureDrift, window: DriftVerdict) -> str:
    return item.since or window.since or window.subject


def _inputs(window: DriftVerdict) -> list[FeatureDrift]:
    return [item for item in _drifted(window) if item.name != PREDICTION]


def _cause(found: Sequence[FeatureDrift]) -> str:
    """Of the worst of them; where there is none, the inputs have moved together."""
    if not found:
        return "no input has moved by itself; several together may have, each a little"
    return _CAUSES.get(found[0].cause or "shift", _WORLD)


def _lines(found: Sequence[FeatureDrift], window: DriftVerdict) -> tuple[str, ...]:
    """Each feature's sentence, without how rare it is, and since when."""
    return tuple(f"{_NO_NEWS.sub('', item.sentence)}, since {when(_since(item, window))}" for item in found)
