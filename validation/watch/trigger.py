"""Is there a reason to retrain? What labels prove comes first, then what drift suggests, unless the data seem bad."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from validation.watch.drift import PREDICTION, PROBABLE_BAD_DATA, DriftVerdict
from validation.watch.findings import FeatureDrift
from validation.watch.performance import PerformanceVerdict

By = Literal["regret", "calibration", "estimate", "prediction drift"]
MAX_INPUTS_TOLD = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a retrain is asked for, in a sentence without its full stop; `by`: what is proven or seen."""

    sentence: str
    by: By


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimatedLoss:
    """The loss of a window (its start as an ISO moment) before its labels: it probably lies between the bounds.

    `usual`: the mean loss of the reference's windows; None when nobody knows.
    """

    window: str
    loss: float
    lower: float
    upper: float
    usual: float | None


def reason_to_retrain(
    performance: PerformanceVerdict | None,
    drift: Sequence[DriftVerdict],
    *,
    estimate: EstimatedLoss | None = None,
) -> Reason | None:
    """The first reason there is, or None. `drift`: verdicts on the windows that are new since the last question.

    Regret and bias rest on labels, so they come first. Drift counts while its alarm is raised and when the prediction
    itself drifted; an estimated loss that has surely grown speaks louder then, and by itself not at all. Inputs that
    drift alone often leave the loss as it is, so they are told, not acted on. A window with a null flood or a changed
    unit asks for repair of the data: a retrain would learn the damage. The loss itself is never a reason: it says how
    hard the days were.
    """
    if performance is not None and performance.outcome == "regret":
        return Reason(sentence=f"regret: {performance.reasons[0]}", by="regret")
    if performance is not None and performance.outcome == "biased":
        return Reason(sentence=f"calibration: {'; '.join(reversed(performance.reasons))}", by="calibration")
    found = next((verdict for verdict in reversed(drift) if _is_reason(verdict)), None)
    if found is None:
        return None
    moved = f"drift in the window of {_day(found.subject)}: {_told(found)}"
    if estimate is not None and estimate.usual is not None and estimate.lower > estimate.usual:
        return Reason(sentence=f"{_grown(estimate, estimate.usual)}; {moved}", by="estimate")
    return Reason(sentence=moved, by="prediction drift")


def _is_reason(verdict: DriftVerdict) -> bool:
    """NOTE: verdicts of older ledgers do not tell of the prediction's own alarm, nor which features are bad data."""
    found = _drifted(verdict)
    bad = verdict.bad_data or any(feature.cause in PROBABLE_BAD_DATA for feature in found.values())
    raised = (verdict.prediction or verdict.outcome) == "drift"
    return raised and PREDICTION in found and not bad


def _drifted(verdict: DriftVerdict) -> dict[str, FeatureDrift]:
    return {feature.name: feature for feature in verdict.features if feature.drifted}


def _told(verdict: DriftVerdict) -> str:
    found = _drifted(verdict)
    inputs = [feature.sentence for name, feature in found.items() if name != PREDICTION][:MAX_INPUTS_TOLD]
    along = f", along with: {'; '.join(inputs)}" if inputs else ""
    return f"{found[PREDICTION].sentence}{along}"


def _grown(estimate: EstimatedLoss, usual: float) -> str:
    return (
        f"estimate: before its labels, the loss of the window of {_day(estimate.window)} is estimated as "
        f"{estimate.loss:.5f} ({estimate.lower:.5f} to {estimate.upper:.5f}), the reference's windows had {usual:.5f}"
    )


def _day(start: str) -> str:
    """A window's start as people write moments, at midnight the day alone."""
    return start[:16].replace("T", " ").removesuffix(" 00:00")
