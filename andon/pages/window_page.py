"""The page of one monitoring window: the verdict first, then performance, drift and the features behind it. Pure."""

from collections.abc import Callable, Iterator, Sequence
from html import escape

from andon.pages import bars, layout
from andon.pages.charts import Axes, Line, Marker, lines
from andon.pages.heat import heat_legend, heat_map
from andon.pages.story import FeatureStory, Headline, OpenIncident, Point, SliceRow, WindowStory

Getter = Callable[[str], list[float | None]]  # a value of each window, by the name of its field
REALISED, ESTIMATE, PROBE, BIAS = "#0b6e4f", "#2f5fb3", "#8a3fa0", "#8a5c00"
_TITLES = {"alarm": "Alarm", "notice": "Notice", "quiet": "Quiet", "unknown": "Cannot be judged yet"}
_BARS = {
    "before": "reference, all its windows",
    "now": "this window",
    "new": "this window, where the reference never was",
}
_SLICES = (("slice", False), ("rows", True), ("loss", True), ("label - prediction", True))


def window_page(story: WindowStory) -> str:
    """The whole page as one HTML text, without script, network or anything else that it would need."""
    return layout.page(f"{story.pipeline}, {story.window}: {story.headline.what}", _parts(story))


def _parts(story: WindowStory) -> Iterator[str]:
    yield f"<header><h1>{escape(story.pipeline)} · {escape(story.window)}</h1>"
    champion = f"champion: version {story.champion}" if story.champion else "no champion"
    yield f'<p class="meta">{escape(champion)} · as known at {escape(story.as_of)} UTC</p></header><main>'
    yield _verdict(story.headline)
    yield layout.cards(story.cards) if story.cards else ""
    yield from (_incident(item, story.headline) for item in story.incidents)
    yield from _performance(story)
    yield _drift(story)
    yield _features(story.features)
    if story.slices:
        yield layout.section(
            "Slices",
            layout.wide(layout.table(_SLICES, [_slice(item) for item in story.slices]), first="start"),
            note=story.sliced,
        )
    yield "</main>"


def _verdict(headline: Headline) -> str:
    since = f"<dt>Since</dt><dd>{escape(headline.since)}</dd>" if headline.since else ""
    return (
        f'<div class="verdict {headline.tone}" role="status"><strong>{_TITLES[headline.tone]}</strong>'
        f'<p class="what">{escape(headline.what)}</p>'
        f"<dl>{since}<dt>What Andon does</dt><dd>{escape(headline.doing)}</dd></dl></div>"
    )


def _incident(item: OpenIncident, headline: Headline) -> str:
    """What the headline has said is not said again."""
    found = "".join(f"<li>{escape(line)}</li>" for line in item.lines)
    said = headline.doing.rstrip(".").lower() == item.doing.rstrip(".").lower()
    told = {"Probable cause": item.cause, "What Andon does": "" if said else item.doing}
    facts = "".join(f"<p><b>{name}:</b> {escape(text)}</p>" for name, text in told.items() if text)
    listed = f"<ul>{found}</ul>" if found else ""
    head = f"Open since {item.since}: {item.title}"
    return f'<div class="incident"><h3>{escape(head)}</h3>{listed}{facts}</div>'


def _performance(story: WindowStory) -> Iterator[str]:
    labels = [point.label for point in story.points]
    crowned = [
        Marker(at=index, text=f"v{point.crowned}", title=f"{point.label}: version {point.crowned} became champion")
        for index, point in enumerate(story.points)
        if point.crowned
    ]
    for title, note, series, axes in _charts(story, _getter(story.points)):
        drawn = lines(series, labels=labels, axes=axes, markers=crowned)
        yield layout.section(title, layout.wide(drawn), note=note)


def _charts(story: WindowStory, get: Getter) -> Iterator[tuple[str, str, list[Line], Axes]]:
    """Title, note, lines and axes of each chart over time."""
    note = f"{story.metric}, mean per row of each window; smaller is better. Dotted: a new champion. {story.scored}"
    axes = Axes(name=f"{story.metric} of each window", nothing=_NO_LOSS)
    yield "Performance", note, _losses(get, story.metric), axes
    asks = () if story.min_regret is None else ((story.min_regret, "from here on a retrain is asked for"),)
    gain = Line(
        name="gain of the probe, with its bounds", colour=PROBE, values=get("regret_share"), dots=True,
        lower=get("regret_lower"), upper=get("regret_upper"),
    )  # fmt: skip
    axes = Axes(name="gain of a retrain", height=170, percent=True, levels=((0.0, ""), *asks), nothing=_NO_PROBE)
    yield "What a retrain would gain", _GAIN, [gain], axes
    bias = Line(
        name="label - prediction", colour=BIAS, values=get("bias"), lower=get("bias_lower"), upper=get("bias_upper")
    )
    axes = Axes(name="label minus prediction", height=170, levels=((0.0, ""),), nothing=_NO_LABELS)
    yield "Calibration", _CALIBRATION, [bias], axes
    coverage = Line(name="share of the rows with a label", colour=REALISED, values=get("coverage"))
    shares = ((0.0, ""), (1.0, ""))
    axes = Axes(name="share of rows with a label", height=140, percent=True, levels=shares, nothing=_NO_LABELS)
    yield "Labels that have come", "", [coverage], axes


_GAIN = (
    "A probe, the same recipe refitted on newer rows, against the champion on the same rows: the share of the "
    "champion's loss that it saves. It is proven where the whole line is above zero."
)
_CALIBRATION = "Mean of label - prediction of each window: above zero the champion predicts too little."
_NO_LOSS = "No window has labels or an estimate yet, so nothing can be said of the quality."
_NO_PROBE = "The champion has not been compared with a probe yet: that needs mature labels that are newer than it."
_NO_LABELS = "No window has labels yet."


def _getter(points: Sequence[Point]) -> Getter:
    def get(name: str) -> list[float | None]:
        return [getattr(point, name) for point in points]

    return get


def _losses(get: Getter, metric: str) -> list[Line]:
    return [
        Line(name="estimate, before the labels, with its interval", colour=ESTIMATE, values=get("estimate"),
             lower=get("estimate_lower"), upper=get("estimate_upper"), dashed=True),
        Line(name="probe, mean of its evidence up to here", colour=PROBE, values=get("probe"), dots=True),
        Line(name=f"realised {metric}", colour=REALISED, values=get("loss")),
    ]  # fmt: skip


def _drift(story: WindowStory) -> str:
    heat = story.heat
    nothing = story.not_judged or "No window has been judged yet."
    shown = heat_map(heat, name="How unusual each feature was in each window", nothing=nothing)
    if heat is None or not heat.rows:
        return layout.section("Drift by feature", shown)
    unjudged = any(cell is None for row in heat.rows for cell in row.cells)
    legend = heat_legend(
        shade="darker: rarer when nothing has changed",
        mark="a finding: too rare and too far",
        unjudged="not judged: not enough history, or no rows" if unjudged else "",
    )
    of = f"The {len(heat.rows)} worst of {heat.judged:,} features" if heat.judged > len(heat.rows) else "Each feature"
    told = f"{of}, in each of the last {len(heat.labels)} windows. {story.rarity}"
    return layout.section(
        "Drift by feature", layout.wide(shown), legend, layout.empty(story.not_judged) if story.not_judged else "",
        note=told,
    )  # fmt: skip


def _features(features: Sequence[FeatureStory]) -> str:
    if not features:
        return layout.section("Features, before and now", layout.empty("There is no feature to compare."))
    keys = "".join(f'<span><i class="box {kind}"></i>{name}</span>' for kind, name in _BARS.items())
    cards = "".join(_feature(item) for item in features)
    note = (
        "Shares of the rows, worst feature first. Ranges of a number hold about the same share of the reference each."
    )
    return layout.section(
        "Features, before and now", f'<p class="legend">{keys}</p>', f'<div class="features">{cards}</div>', note=note
    )


def _feature(item: FeatureStory) -> str:
    pill = f'<span class="pill">{escape(item.cause)}</span>' if item.drifted else ""
    facts = "".join(f"<li>{escape(fact)}</li>" for fact in item.facts)
    name = f"{item.name}: shares of the rows in the reference and in this window"
    picture = bars.upright(item.bars, name=name) if item.kind == "number" else bars.lying(item.bars, name=name)
    shown = picture if item.bars else layout.empty("Nothing to compare: the column is not what it was.")
    return (
        f'<article class="feature{" drifted" if item.drifted else ""}"><h3>{escape(item.name)}{pill}</h3>'
        f"<p>{escape(item.sentence)}</p><ul>{facts}</ul>{shown}</article>"
    )


def _slice(item: SliceRow) -> tuple[str, ...]:
    bias = "" if item.bias is None else f"{item.bias:+.4f}"
    return item.name, f"{item.rows:,}", f"{item.loss:.4f}", bias
