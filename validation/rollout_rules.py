"""What figures and labels say of a challenger in the shadow, and of a champion that is watched. Pure: reads nothing.

A finding needs more than chance: a share of failed answers above what is declared, on enough of them; a bound of the
paired loss difference that is all on one side, at a level that all looks at a champion share.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

from validation.intervals import Interval, upper_at
from validation.rollout import Rollout
from validation.rollout_looks import Looks

TAIL = 0.95  # which answers are slow

What = Literal["errors", "latency", "quality"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What a scorer counted: answers, `failed` of them by our fault, the slow ones' milliseconds (None: not known).

    `span` says since when, as people do.
    """

    requests: int
    failed: int
    p95_ms: float | None = None
    span: str = "since its promotion"

    @property
    def share(self) -> float:
        """Of the answers that failed, in [0, 1]; 0 without answers."""
        return self.failed / self.requests if self.requests else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is wrong with a champion, in a word and in a sentence."""

    what: What
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowFacts:
    """What a challenger did in the shadow: `rows` that it was given, `failed` of them, its time for one (None: nobody
    has measured it), and the champion's loss - its own where labels are mature (None: nowhere). `skipped`: live rows
    that it could not be given.
    """

    rows: int
    failed: int
    ms_per_row: float | None = None
    gain: Interval | None = None
    skipped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchFacts:
    """What is known of a champion that is watched. `live`: of several spans; `before`: of its predecessor's reign.

    `gain`: the predecessor's loss - its own at the look of `look` blocks, None without one. `hands_off`: why nothing is
    rolled back of itself, "" where it is. `is_over`: its span is; `labels_over`: labels can say no more. `unlabelled`:
    rows of the shadow whose label is still to come.
    """

    live: tuple[Live, ...] = ()
    before: Live | None = None
    gain: Interval | None = None
    look: int = 0
    hands_off: str = ""
    is_over: bool = False
    labels_over: bool = False
    unlabelled: int = 0


def judge_shadow(
    facts: ShadowFacts, policy: Rollout, *, max_ms: float
) -> tuple[Literal["passed", "failed"], tuple[str, ...]]:
    """May it take over, and why. Nobody asked, or hardly anybody: then nothing speaks against it, which is said."""
    faults = tuple(_faults(facts, policy, max_ms))
    if faults:
        return "failed", faults
    if not facts.rows and facts.skipped:
        why = "the prediction log leaves out what its features need, or was too far behind"
        return "passed", (
            f"none of {facts.skipped:,} live rows could be scored in the shadow ({why}): nothing is known",
        )
    if not facts.rows:
        return "passed", ("no live row came to it in the shadow (nobody asked the scorer): nothing speaks against it",)
    few = "" if facts.rows >= policy.min_requests else f", fewer than the {policy.min_requests:,} that would tell much"
    told = f"in the shadow it answered {facts.rows - facts.failed:,} of {facts.rows:,} rows{few}{_pace(facts)}"
    return "passed", (told, _labels_say(facts.gain))


def judge_live(live: Live, before: Live | None, policy: Rollout) -> Found | None:
    """What is wrong by the answers alone. Errors that its predecessor made as often are not its own."""
    if live.requests < policy.min_requests:
        return None
    counted = f"{live.failed:,} of {live.requests:,} answers {live.span}"
    known = before if before is not None and before.requests >= policy.min_requests else None
    if live.share > policy.max_error_share and (known is None or live.share > known.share):
        limit = f"at most {policy.max_error_share:.2%} may"
        then = f"; of its predecessor's {known.share:.2%} did" if known else ""
        return Found(what="errors", reason=f"{counted} failed, {live.share:.2%}: {limit}{then}")
    most, found = policy.max_latency_ms, live.p95_ms
    if most is not None and found is not None and found > most:
        slow = f"one answer in twenty took longer than {found:.1f} ms {live.span}"
        return Found(what="latency", reason=f"{slow} ({live.requests:,} answers): {most:g} ms are allowed")
    return None


def judge_quality(gain: Interval, looks: Looks, look: int) -> Found | None:
    """What is wrong by the labels: its loss is surely higher than its predecessor's on the same rows, at this look."""
    level = looks.level(look)
    upper = upper_at(gain, level)
    if not upper < 0:
        return None
    reason = (
        f"its loss is {-gain.mean:.5f} higher than its predecessor's on the {gain.rows:,} rows in {gain.blocks} blocks "
        f"of time that both answered and whose labels have come, at least {-upper:.5f} (at level {level:.2g}, of "
        f"{looks.alpha:g} for all looks)"
    )
    return Found(what="quality", reason=reason)


def decide_watch(facts: WatchFacts, policy: Rollout, looks: Looks) -> tuple[str, tuple[str, ...], str] | None:
    """Outcome, reasons and what was found of a champion that is watched; None: watch on, there is no news."""
    found = next(_found(facts, policy, looks), None)
    if found is not None:
        if facts.hands_off:
            return "told", (found.reason, facts.hands_off), found.what
        return "roll back", (found.reason,), found.what
    if not facts.is_over:
        return None
    if facts.unlabelled and not facts.labels_over:
        waits = f"its answers were fine; {facts.unlabelled:,} of them still wait for labels"
        return "waits for labels", (waits,), ""
    return ("fine", (_fine(facts),), "") if facts.labels_over or not facts.unlabelled else None


def quantile(buckets: Sequence[tuple[float, float]], share: float) -> float | None:
    """The value below which this share lies, by a cumulative histogram of (upper edge, count): inside a bucket spread
    evenly; above the last finite edge that edge. None when it is empty. As Prometheus' histogram_quantile.
    """
    ordered = sorted(buckets)
    total = ordered[-1][1] if ordered else 0.0
    if not total:
        return None
    wanted, edge, below = share * total, 0.0, 0.0
    for upper, count in ordered:
        if count >= wanted and count > below:
            return edge if upper == inf else edge + (upper - edge) * max(wanted - below, 0.0) / (count - below)
        edge, below = upper, count
    return edge


def _faults(facts: ShadowFacts, policy: Rollout, max_ms: float) -> Iterator[str]:
    share = facts.failed / facts.rows if facts.rows else 0.0
    enough = facts.rows >= policy.min_requests or share == 1
    if enough and share > policy.max_error_share:
        limit = f"at most {policy.max_error_share:.2%} may"
        yield f"in the shadow it failed on {facts.failed:,} of {facts.rows:,} rows, {share:.2%}: {limit}"
    if facts.ms_per_row is not None and facts.ms_per_row > max_ms:
        yield f"in the shadow a row took it {facts.ms_per_row:.2f} ms, at most {max_ms:g} ms are allowed"
    if facts.gain is not None and facts.gain.upper < 0:
        yield f"in the shadow it was provably worse than the champion: {_difference(facts.gain)}"


def _found(facts: WatchFacts, policy: Rollout, looks: Looks) -> Iterator[Found]:
    for live in facts.live:
        if (found := judge_live(live, facts.before, policy)) is not None:
            yield found
    if facts.gain is not None and (found := judge_quality(facts.gain, looks, facts.look)) is not None:
        yield found


def _labels_say(gain: Interval | None) -> str:
    if gain is None or not gain.rows:
        return "none of these rows has a mature label yet"
    return f"where labels are mature, nothing proves it worse than the champion: {_difference(gain)}"


def _difference(gain: Interval) -> str:
    return (
        f"its loss is {-gain.mean:+.5f} from the champion's (bounds {-gain.upper:+.5f} to {-gain.lower:+.5f}, "
        f"{gain.rows:,} rows in {gain.blocks} blocks of time)"
    )


def _pace(facts: ShadowFacts) -> str:
    return "" if facts.ms_per_row is None else f", {facts.ms_per_row:.2f} ms each"


def _fine(facts: WatchFacts) -> str:
    live = facts.live[0] if facts.live else None
    answers = f"{live.failed:,} of {live.requests:,} answers failed" if live else "no scorer told of its answers"
    if facts.gain is None or not facts.gain.rows:
        return f"nothing was found against it: {answers}, and no row has a label on which two could be compared"
    return f"nothing was found against it: {answers}; {_difference(facts.gain).replace('champion', 'predecessor')}"
