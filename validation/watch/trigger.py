"""Is there a reason to retrain? Proven regret first; then drift of the prediction, unless the data is probably bad."""

from collections.abc import Sequence

from validation.watch.drift import PREDICTION, PROBABLE_BAD_DATA, DriftVerdict
from validation.watch.performance import PerformanceVerdict

MAX_INPUTS_TOLD = 3


def reason_to_retrain(performance: PerformanceVerdict | None, drift: Sequence[DriftVerdict]) -> str | None:
    """The reason in one sentence, or None. `drift`: verdicts on the windows that are new since the last question.

    Regret is measured on labels, so it comes first. Drift counts while its alarm is raised and when the prediction
    itself drifted; inputs that drift alone often leave the loss as it is, so they are told, not acted on. A window
    with a null flood or a changed unit asks for repair of the data: a retrain would learn the damage.
    """
    if performance is not None and performance.outcome == "regret":
        return f"regret: {performance.reasons[0]}"
    for verdict in reversed(drift):
        found = {feature.name: feature for feature in verdict.features if feature.drifted}
        bad = any(feature.cause in PROBABLE_BAD_DATA for feature in found.values())
        if verdict.outcome == "drift" and PREDICTION in found and not bad:
            inputs = [feature.sentence for name, feature in found.items() if name != PREDICTION][:MAX_INPUTS_TOLD]
            along = f", along with: {'; '.join(inputs)}" if inputs else ""
            return f"drift in the window of {verdict.subject}: {found[PREDICTION].sentence}{along}"
    return None
