"""One window as a story for its page: from what the ledger says, and what the monitor has counted in it. Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from math import log10
from statistics import fmean

from andon.pages import words
from andon.pages.bars import share
from andon.pages.features import feature_story
from andon.pages.headline import headline
from andon.pages.story import Card, Cell, FeatureStory, Heat, HeatRow, SliceRow, Tone, WindowStory
from registry.ledger import Recorded
from tasks.looking import Looked
from tasks.page_facts import Known, findings, labels, points, told_incidents
from validation.watch.performance import PerformanceVerdict
from validation.watch.windows import WindowVerdict

HEAT_WINDOWS = 40
HEAT_FEATURES = 25
FEATURES, LEAST_FEATURES = 12, 4  # shown of a window: all that drifted up to so many, and never fewer
SLICES = 30
_METRICS = {"logloss": "log loss", "brier": "Brier score", "l1": "absolute error", "l2": "squared error"}
_DARKEST = 8.0  # -log10 of the p-value that is drawn darkest
_FAINTEST = 0.3  # shade of a finding, at least


def story(facts: Known, looked: Looked, as_of: datetime) -> WindowStory:
    """All that the page of one window draws."""
    verdict, site = looked.verdict, facts.site
    start = datetime.fromisoformat(verdict.subject)
    unjudged = verdict.outcome == "not enough history"
    slices = _sliced(facts, start)
    return WindowStory(
        pipeline=site.name,
        window=words.window(start, facts.every),
        as_of=f"{as_of:%Y-%m-%d %H:%M}",
        champion=looked.version,
        metric=_METRICS.get(site.pipeline.spec.metric, site.pipeline.spec.metric),
        headline=headline(verdict, findings(facts, start), policy=site.pipeline.drift, labels=labels(facts)),
        cards=tuple(_cards(facts, looked, start)),
        incidents=told_incidents(facts),
        points=points(facts, start),
        min_regret=site.pipeline.monitor.min_regret,
        heat=heat([row for moment, row in facts.drift.items() if moment <= start]),
        not_judged=verdict.reasons[0] if unjudged and verdict.reasons else "",
        features=tuple(_features(looked)),
        slices=() if slices is None else tuple(_slice(slices)),
        sliced="" if slices is None else f"Rows of {_day(slices)}, the newest window with labels; worst first.",
        scored=_scored(facts, start),
        rarity=f"This window: {verdict.rarity}." if verdict.rarity else "",
    )


def heat(rows: Sequence[Recorded]) -> Heat | None:
    """The worst features of the newest windows; None without a judged one. `rows`: drift verdicts, oldest first."""
    rows = rows[-HEAT_WINDOWS:]
    told = [{item["name"]: item for item in row.body["features"]} for row in rows]
    names = sorted({name for found in told for name in found}, key=lambda name: _badness(name, told))[:HEAT_FEATURES]
    if not names:
        return None
    starts = [datetime.fromisoformat(row.subject) for row in rows]
    labels = tuple(words.day(start, year=False) for start in starts)
    return Heat(
        labels=labels,
        rows=tuple(
            HeatRow(
                name=name,
                cells=tuple(
                    _cell(found.get(name), f"{name}, {label}") if row.body["judged"] else None
                    for row, found, label in zip(rows, told, labels, strict=True)
                ),
            )
            for name in names
        ),
        judged=max(int(row.body["judged"]) for row in rows),
    )


def _badness(name: str, told: Sequence[dict[str, dict[str, object]]]) -> tuple[float, ...]:
    """Findings of the newest window first, then by the number of findings, then by how rare it was at its worst."""
    found = [item for window in told if (item := window.get(name))]
    now = told[-1].get(name, {})
    return (
        -float(bool(now.get("drifted"))),
        -sum(bool(item["drifted"]) for item in found),
        -max(_rarity(item) for item in found),
    )


def _rarity(item: dict[str, object]) -> float:
    p_value = item["p_value"]
    return -log10(max(p_value, 1e-300)) if isinstance(p_value, int | float) else 0.0


def _cell(item: dict[str, object] | None, place: str) -> Cell:
    """A feature that was not among the worst of its window is nothing special."""
    if item is None:
        return Cell(shade=0.0)
    shade = min(_rarity(item) / _DARKEST, 1.0)
    if item["drifted"]:
        return Cell(shade=max(shade, _FAINTEST), marked=True, said=f"{place}: {words.plain(str(item['sentence']))}")
    return Cell(shade=shade if shade >= 2 / _DARKEST else 0.0)


def _features(looked: Looked) -> Iterator[FeatureStory]:
    known = {feature.name: feature for feature in looked.profile.features}
    found = [item for item in looked.verdict.features if item.name in known]
    many = min(max(sum(item.drifted for item in found), LEAST_FEATURES), FEATURES)
    for item in found[:many]:
        yield feature_story(item, known[item.name], looked.counts)


def _cards(facts: Known, looked: Looked, start: datetime) -> Iterator[Card]:
    verdict = looked.verdict
    drifted = sum(feature.drifted for feature in verdict.features)
    tone: Tone = "alarm" if verdict.outcome == "drift" else "notice" if drifted else "quiet"
    if verdict.judged:
        yield Card(value=f"{drifted} of {verdict.judged:,}", text="features moved further than usual", tone=tone)
    metric = _METRICS.get(facts.site.pipeline.spec.metric, facts.site.pipeline.spec.metric)
    realised = _newest(facts, start)
    if realised is not None and realised.loss is not None:
        yield Card(value=words.short(realised.loss), text=f"realised {metric} of {_day(realised)}, the newest known")
    said = looked.estimate
    if said is not None:
        between = f"({words.short(said.lower)} to {words.short(said.upper)})"
        yield Card(value=words.short(said.loss), text=f"estimate of this window's {metric} {between}")
    if facts.compared:
        yield from _gain(facts.compared[-1])
    if realised is not None and realised.bias is not None:
        proven = bool(realised.bias_lower and realised.bias_upper and realised.bias_lower * realised.bias_upper > 0)
        text = f"label - prediction on {_day(realised)}: {_leaning(realised.bias) if proven else 'not provably off'}"
        yield Card(value=f"{realised.bias:+.3g}", text=text)
    if realised is not None:
        few = realised.coverage < facts.site.pipeline.labels.min_coverage
        text = f"of the rows of {_day(realised)} have their label"
        yield Card(value=share(realised.coverage), text=text, tone="notice" if few else "quiet")
    yield Card(value=f"{verdict.rows:,}", text="rows in this window")
    since = words.day(facts.champion.change.data_time)
    yield Card(value=f"version {facts.champion.change.version}", text=f"champion since {since}")


def _gain(verdict: PerformanceVerdict) -> Iterator[Card]:
    if verdict.regret_share is None:
        return
    tone: Tone = "notice" if verdict.outcome in ("regret", "biased") else "quiet"
    proven = "proven" if verdict.outcome == "regret" else "not proven"
    text = f"of the loss a retrain would gain, {proven} on {verdict.rows:,} rows"
    yield Card(value=f"{verdict.regret_share:+.1%}", text=text, tone=tone)


def _leaning(bias: float) -> str:
    return "predicts too little" if bias > 0 else "predicts too much"


def _newest(facts: Known, start: datetime) -> WindowVerdict | None:
    """The newest window with labels, up to this one; one that all labels have come of, if there is any."""
    found = [item for moment, item in facts.windows.items() if moment <= start and item.labelled]
    whole = [item for item in found if item.outcome in ("realised", "corrected")]
    return next(reversed(whole or found), None)


def _sliced(facts: Known, start: datetime) -> WindowVerdict | None:
    found = [item for moment, item in facts.windows.items() if moment <= start and item.slices]
    return found[-1] if found else None


def _slice(verdict: WindowVerdict) -> Iterator[SliceRow]:
    for item in verdict.slices[:SLICES]:
        yield SliceRow(name=f"{item.column} = {item.value}", rows=item.rows, loss=item.loss, bias=item.bias)


def _scored(facts: Known, start: datetime) -> str:
    """How good the estimates were, of windows whose labels have all come."""
    found = [
        (item.estimate, item.loss, item.estimate_error)
        for moment, item in facts.windows.items()
        if moment <= start and item.outcome in ("realised", "corrected")
    ]
    known = [(said, loss, miss) for said, loss, miss in found if said and loss is not None and miss is not None]
    if not known:
        return ""
    within = sum(said.lower <= loss <= said.upper for said, loss, _ in known)
    off = fmean(abs(miss) for *_, miss in known)
    return f"Estimates so far: off by {words.short(off)} on average; {within} of {len(known)} held what came."


def _day(verdict: WindowVerdict) -> str:
    return words.day(datetime.fromisoformat(verdict.subject), year=False)
