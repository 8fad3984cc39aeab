"""The verdict on a window in three short answers: what is the matter, since when, and what does Andon do about it?

An alarm is what the incidents tell as well, in their words; features that moved alone are a notice. Pure.
"""

from collections.abc import Sequence
from datetime import datetime

from andon.pages import words
from andon.pages.story import Headline
from validation.watch.drift import PREDICTION, DriftVerdict
from validation.watch.incidents import Finding
from validation.watch.policy import Drift

_FIRST = ("a person must act", "a person should look", "Andon acts")


def headline(verdict: DriftVerdict, findings: Sequence[Finding], *, policy: Drift, labels: str) -> Headline:
    """`findings`: what is alarming now, by the verdicts; `labels`: what labels say where they prove nothing."""
    if findings:
        return _alarm(sorted(findings, key=lambda finding: _FIRST.index(finding.severity)))
    if verdict.outcome == "not enough history":
        told = f"{_sentence(verdict.reasons[0])}"
        return Headline(tone="unknown", what=told, since="", doing="Waits for more history and decides nothing by it.")
    moved = [feature for feature in verdict.features if feature.drifted]
    if moved:
        what = f"{_count(len(moved), verdict.judged)} further than usual: {words.brief(moved[0].sentence)}."
        doing = _waits(policy) if verdict.outcome == "suspect" else _tells(verdict, labels)
        return Headline(tone="notice", what=what, since=_since(verdict.since), doing=doing)
    if verdict.raised:
        return Headline(
            tone="notice",
            what=f"None of {verdict.judged:,} features moved further than usual, after windows in which some had.",
            since=_since(verdict.since),
            doing=f"Keeps the drift in mind until {policy.clear_after} windows in a row are quiet.",
        )
    return Headline(
        tone="quiet",
        what=f"None of {verdict.judged:,} features moved further than usual; {labels}.",
        since="",
        doing="Nothing: the champion serves on.",
    )


def _alarm(findings: Sequence[Finding]) -> Headline:
    first, *others = findings
    told = f"{first.title}: {words.brief(first.lines[0])}" if first.lines else first.title
    also = f" Also: {'; '.join(finding.title for finding in others)}." if others else ""
    many = f", seen in {first.windows} windows" if first.windows > 1 else ""
    return Headline(
        tone="alarm",
        what=f"{_sentence(told)}{also}",
        since=f"{_since(first.since)}{many}" if first.since else "",
        doing=_sentence(first.doing),
    )


def _waits(policy: Drift) -> str:
    return f"Waits: one such window is chance now and then, {policy.raise_on} of 3 are not."


def _tells(verdict: DriftVerdict, labels: str) -> str:
    if any(feature.name == PREDICTION and feature.drifted for feature in verdict.features):
        return "Watches the predictions, which have begun to move; a second such window is an alarm."
    return f"Tells it here and asks for nothing: the predictions have not moved, and {labels}."


def _count(moved: int, judged: int) -> str:
    return f"{moved} of {judged:,} features moved" if moved > 1 else f"1 of {judged:,} features moved"


def _since(moment: str) -> str:
    try:
        return words.day(datetime.fromisoformat(moment))
    except ValueError:
        return moment


def _sentence(text: str) -> str:
    """With a capital letter and a full stop."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
