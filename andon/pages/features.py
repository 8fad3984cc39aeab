"""One feature's finding and counts as what a page draws of it: the sentence, facts in a few words, bars. Pure."""

from collections.abc import Iterator
from datetime import datetime

from andon.pages import words
from andon.pages.bars import share
from andon.pages.bins import bars, nulls_before
from andon.pages.story import FeatureStory
from validation.watch.counting import WindowCounts, median
from validation.watch.findings import FeatureDrift, rarity
from validation.watch.profile import Counts, FeatureProfile

_MOVED = 0.1  # sd, or a ratio of spreads: less is not told


def feature_story(found: FeatureDrift, feature: FeatureProfile, counts: WindowCounts) -> FeatureStory:
    """`feature`: of the profile that the window was judged by; a column that is gone has no bars."""
    now = counts.features[feature.name]
    gone = feature.name in counts.gone
    return FeatureStory(
        name=found.name,
        kind=feature.kind,
        drifted=found.drifted,
        cause=found.cause or "",
        sentence=f"{words.plain(found.sentence)}.",
        facts=tuple(_facts(found, feature, now)) if not gone else (),
        bars=() if gone else bars(feature, now),
    )


def _facts(found: FeatureDrift, feature: FeatureProfile, now: Counts) -> Iterator[str]:
    if found.drifted and found.since:
        yield f"since {words.day(datetime.fromisoformat(found.since))}"
    if found.drifted and found.p_value > 0:
        yield rarity(found.p_value)
    middle = median(feature, now) if feature.kind == "number" else None
    if middle is not None and feature.centre is not None:
        yield f"median {words.short(feature.centre)} → {words.short(middle)}"
    if feature.kind == "number" and abs(found.shift) >= _MOVED:
        yield f"moved by {found.shift:+.2f} reference sd"
    if abs(found.spread - 1) >= _MOVED:
        yield f"spreads {found.spread:.2f} times as wide"
    nulls = now.nulls / now.rows if now.rows else 0.0
    if nulls or nulls_before(feature):
        yield f"null {share(nulls_before(feature))} → {share(nulls)}"
    if now.novel:
        yield f"never seen before: {share(now.novel / now.rows)} of the rows"
