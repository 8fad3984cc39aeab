"""What the demo tells, week by week: frozen values that the replay fills and the report draws."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class WeekStory:
    """One replayed week. Losses are mean log losses of its scored and labelled rows; None where there are none.

    `regret_share`: what the probe gained over the champion, as a share of its loss. `drift`: how many of the week's
    windows each feature was a finding in. `damage`: what was broken on purpose.
    """

    label: str
    starts: str
    rows: int
    quarantined: int
    refused: int
    damage: str
    drift_outcomes: dict[str, int]
    drift: dict[str, int]
    performance: str
    regret_share: float | None
    asked: str
    gate: str
    gain_share: float | None
    gain_lower: float | None
    champion: str
    promoted: str
    seconds_to_serving: float | None
    seconds: float
    loss_andon: float | None = None
    loss_never: float | None = None
    loss_weekly: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The year in numbers, computed from the ledger, the prediction log and the labels; written to summary.json."""

    weeks: int
    batches_accepted: int
    batches_refused: int
    batches_duplicate: int
    rows_accepted: int
    rows_quarantined: int
    drift_verdicts: int
    drift_alarms: int
    retrains: int
    retrains_by_event: int
    promotions: int
    rejections: int
    need_evidence: int
    deferred: int
    requests_served: int
    requests_failed: int
    rows_scored: int
    rows_judged: int
    log_loss_andon: float | None
    log_loss_never_retrain: float | None
    log_loss_weekly_retrain: float | None
    gap_closed: float | None
    seconds_event_to_serving_median: float | None
    seconds_total: float
    seconds_by_stage: dict[str, float] = field(default_factory=dict)
