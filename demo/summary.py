"""The year in numbers, from the ledger, the prediction log and the labels: nothing is remembered from the replay but
its clock and what the load's client saw.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median

from demo.load import Load
from demo.scores import Losses, gap_closed
from demo.timeline import Summary, WeekStory
from storage.prediction_log import count_requests, read_predictions
from tasks.site import Site


def summarise(
    site: Site, stories: Sequence[WeekStory], losses: Losses, load: Load, *, seconds: Mapping[str, float], total: float
) -> Summary:
    """Count what the ledger and the log hold."""
    ledger, name = site.ledger, site.name
    outcomes = {
        kind: Counter(row.outcome for row in ledger.verdicts(name, kind=kind)) for kind in ("drift", "gate", "governor")
    }
    batches = ledger.batches(name)
    states = Counter(batch.state for batch in batches)
    promoted = {champion.change.intent for champion in ledger.champions(name) if champion.change.kind == "promotion"}
    trained = {row.subject for row in ledger.verdicts(name, kind="training")}
    by_event = {row.subject for row in ledger.verdicts(name, kind="governor") if row.outcome == "run"}
    swaps = [story.seconds_to_serving for story in stories if story.seconds_to_serving is not None]
    return Summary(
        weeks=len(stories),
        batches_accepted=states["accepted"],
        batches_refused=states["refused"],
        batches_duplicate=states["duplicate"],
        rows_accepted=sum(batch.rows_accepted for batch in batches if batch.kind == "rows"),
        rows_quarantined=sum(batch.rows_quarantined for batch in batches if batch.state == "accepted"),
        drift_verdicts=outcomes["drift"].total(),
        drift_alarms=outcomes["drift"]["drift"],
        retrains=len(trained),
        retrains_by_event=len(trained & by_event),
        promotions=len(promoted),
        rejections=outcomes["gate"]["reject"],
        need_evidence=outcomes["gate"]["need evidence"],
        deferred=outcomes["governor"]["defer"],
        requests_served=count_requests(site.lake.predictions(name)),
        requests_failed=load.failed,
        rows_scored=_rows_answered(site),
        rows_judged=losses.rows,
        log_loss_andon=losses.overall.get("andon"),
        log_loss_never_retrain=losses.overall.get("never"),
        log_loss_weekly_retrain=losses.overall.get("weekly"),
        gap_closed=gap_closed(losses),
        seconds_event_to_serving_median=median(swaps) if swaps else None,
        seconds_total=total,
        seconds_by_stage={stage: round(spent, 1) for stage, spent in seconds.items()},
    )


def _rows_answered(site: Site) -> int:
    spec, folder = site.pipeline.spec, site.lake.predictions(site.name)
    return read_predictions(folder, site.pipeline.raw_schema, key=spec.key, time=spec.time).height
