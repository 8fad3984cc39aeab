"""One incident for one trouble: told when it opens, when there is news, and when it is over; not window by window."""

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.memory import MemoryLedger
from tests.unit.window_world import BEGIN, DAY, Watched
from validation.watch.alarms import Response, after_windows, drift_findings, quality_finding
from validation.watch.drift import PREDICTION, DriftVerdict
from validation.watch.findings import FeatureDrift
from validation.watch.incidents import (
    TOP,
    Finding,
    Incident,
    folded,
    next_incidents,
    restored,
    still_open,
)
from validation.watch.performance import PerformanceVerdict
from validation.watch.telling import text_of, title_of, when

NOW = datetime(2013, 6, 4, tzinfo=UTC)
REPLY = Response(
    doing="a retrain was asked for on 2013-06-04", severity="Andon acts", champion="3", ask="ask the met office"
)
FLOODED = pl.when(pl.int_range(pl.len()) % 2 == 0).then(None).otherwise(pl.col("temp"))


def found(kind: Any = "drift", **changes: Any) -> Finding:
    whole: dict[str, Any] = {
        "kind": kind,
        "about": "2013-06-03T00:00:00+00:00",
        "title": "the predictions have moved",
        "cause": "the world has changed",
        "doing": "a retrain was asked for",
        "severity": "Andon acts",
        "lines": ("temp moved by +0.50",),
        "names": ("temp",),
        "since": "2013-06-03T00:00:00+00:00",
        "windows": 1,
    }
    return Finding(**{**whole, **changes})


def news(open_: tuple[Incident, ...], *findings: Finding, at: datetime = NOW) -> tuple[Incident, ...]:
    return next_incidents(open_, findings, pipeline="bikes", as_of=at)


def feature(name: str, cause: Any = "shift", **changes: Any) -> FeatureDrift:
    sentence = (
        f"{name} moved by +0.93 reference standard deviations, since 2013-06-02 (by chance in one window in 4,700)"
    )
    whole: dict[str, Any] = {
        "name": name, "drifted": True, "p_value": 1e-9, "cause": cause, "shift": 0.9, "spread": 1.0, "nulls": 0.0,
        "sentence": sentence, "since": "2013-06-02T00:00:00+00:00",
    }  # fmt: skip
    return FeatureDrift(**{**whole, **changes})


def window(day: int, *features: FeatureDrift, outcome: str = "", raised: bool = True) -> DriftVerdict:
    names = [item.name for item in features]
    return DriftVerdict(
        pipeline="bikes",
        subject=f"2013-06-{day:02}T00:00:00+00:00",
        outcome=outcome or ("drift" if features else "quiet"),
        reasons=(),
        data_time=NOW,
        raised=raised,
        rows=100,
        p_value=1e-9,
        judged=9,
        features=features,
        prediction="drift" if PREDICTION in names else "quiet",
    )


def kinds(findings: tuple[Finding, ...]) -> list[str]:
    return [item.kind for item in findings]


def findings_of(*windows: DriftVerdict) -> tuple[Finding, ...]:
    return drift_findings(windows, REPLY, clear_after=3)


def test_an_incident_opens_once_and_closes_once() -> None:
    (opened,) = news((), found())
    assert (opened.outcome, opened.opened_at, opened.told) == ("opened", NOW, ("temp", "the world has changed"))
    assert news((opened,), found()) == ()
    (closed,) = news((opened,), at=NOW + DAY)
    assert (closed.outcome, closed.subject, closed.opened_at) == ("closed", opened.subject, NOW)
    assert still_open((opened, closed)) == ()


@pytest.mark.parametrize(
    ("changes", "is_news"),
    [
        ({"lines": ("temp moved by +0.70",), "windows": 2, "title": "moved further", "about": "the next"}, False),
        ({"severity": "a person should look"}, False),
        ({"names": ("temp", "humidity")}, True),
        ({"names": ()}, False),
        ({"cause": "another unit"}, True),
        ({"doing": "the retrain waits until 2013-06-07"}, True),
    ],
)
def test_only_what_a_person_would_want_to_know_is_news(changes: dict[str, Any], is_news: bool) -> None:  # noqa: FBT001
    (opened,) = news((), found())
    told = news((opened,), found(**changes))
    assert [item.outcome for item in told] == (["changed"] if is_news else [])
    assert news((*told, opened)[:1], found(**changes)) == ()


def test_a_feature_that_comes_back_is_told_once() -> None:
    (opened,) = news((), found(names=("temp", "humidity")))
    (changed,) = news((opened,), found(names=("temp", "wind")))
    assert news((changed,), found(names=("humidity", "wind"))) == ()


def test_more_features_than_a_person_reads_are_left_out() -> None:
    names = tuple(f"column {number}" for number in range(50))
    (opened,) = news((), found(names=names, lines=names))
    assert opened.finding.names == opened.finding.lines == names[:TOP]


FINDINGS = st.builds(
    found,
    kind=st.sampled_from(["drift", "bad data", "quality", "silence", "unreadable data"]),
    names=st.lists(st.sampled_from("abcdefgh"), max_size=7, unique=True).map(tuple),
    cause=st.sampled_from(["the world", "a unit"]),
    doing=st.sampled_from(["nothing", "a retrain"]),
    windows=st.integers(1, 9),
)


@settings(max_examples=60)
@given(st.lists(st.lists(FINDINGS, max_size=4), max_size=12))
def test_whatever_is_found_each_incident_opens_and_closes_once_and_a_kind_has_one(steps: list[list[Finding]]) -> None:
    rows: list[Incident] = []
    for hour, findings in enumerate(steps):
        told = news(still_open(rows), *findings, at=NOW + timedelta(hours=hour))
        rows += told
        now_open = still_open(rows)
        assert news(now_open, *findings, at=NOW + timedelta(hours=hour)) == (), "the same again is no news"
        assert {item.finding.kind for item in now_open} == {item.kind for item in findings}
        assert max(Counter(item.finding.kind for item in now_open).values(), default=1) == 1
    for identity in {row.subject for row in rows}:
        outcomes = [row.outcome for row in rows if row.subject == identity]
        assert outcomes[0] == "opened"
        assert outcomes[1:-1] == ["changed"] * len(outcomes[1:-1])
        assert outcomes.count("opened") == 1
        assert len({row.opened_at for row in rows if row.subject == identity}) == 1
    assert [replace(row, outcome="changed") for row in still_open(folded(rows))] == [
        replace(row, outcome="changed") for row in still_open(rows)
    ]


@given(st.lists(FINDINGS, min_size=1, max_size=4))
def test_the_ledger_gives_back_what_it_was_given(findings: list[Finding]) -> None:
    ledger = MemoryLedger()
    for incident in news((), *findings):
        assert restored(ledger.record(incident, actor="me").body) == incident


def test_a_row_of_a_later_andon_is_read_without_what_it_does_not_know() -> None:
    (opened,) = news((), found())
    body = json.loads(msgspec.json.encode(opened))
    assert restored({**body, "colour": "red", "finding": {**body["finding"], "colour": "red"}}) == opened


def test_inputs_that_drift_alone_are_no_alarm() -> None:
    assert findings_of(window(1, feature("temp")), window(2, feature("temp"))) == ()


def test_a_prediction_that_drifts_is_one_with_its_inputs_as_the_lines() -> None:
    (drift,) = findings_of(window(3, feature("temp", "mix"), feature(PREDICTION)))
    assert (drift.kind, drift.names, drift.since) == ("drift", (PREDICTION, "temp"), "2013-06-02T00:00:00+00:00")
    assert drift.lines[1] == "temp moved by +0.93 reference standard deviations, since 2013-06-02"
    assert drift.cause == "other kinds of cases come in than the model learned from"
    assert (drift.doing, drift.severity) == (REPLY.doing, "Andon acts")


@pytest.mark.parametrize("cause", ["unit change", "null flood", "stuck", "disappeared", "changed kind"])
def test_bad_data_is_for_its_owner_also_where_the_prediction_moves_with_it(cause: str) -> None:
    (bad,) = findings_of(window(3, feature(PREDICTION), feature("wind"), feature("temp", cause)))
    assert (bad.kind, bad.severity, bad.names) == ("bad data", "a person must act", ("temp", PREDICTION, "wind"))
    assert bad.doing == "Andon does not retrain on this, and serves on with version 3; ask the met office"


def test_what_the_last_windows_showed_stays_until_they_do_not() -> None:
    moved, quiet = window(1, feature(PREDICTION)), [window(day) for day in (2, 3, 4)]
    assert kinds(findings_of(moved, *quiet[:2])) == ["drift"]
    assert findings_of(moved, *quiet[:2], window(4, raised=False)) == ()
    bad = window(5, feature("temp", "stuck"))
    assert kinds(findings_of(moved, bad)) == ["bad data", "drift"]
    assert kinds(findings_of(moved, *quiet[:2], bad)) == ["bad data"]


def test_a_suspect_window_or_one_that_was_not_judged_says_nothing() -> None:
    assert findings_of(window(1, feature(PREDICTION), outcome="suspect", raised=False)) == ()
    assert findings_of(window(1, outcome="not enough history")) == ()
    unjudged = window(2, outcome="not enough history")
    assert kinds(findings_of(window(1, feature(PREDICTION)), unjudged, unjudged, unjudged)) == ["drift"]


def test_verdicts_from_before_the_prediction_had_an_alarm_go_by_the_windows() -> None:
    old = replace(window(1, feature(PREDICTION)), prediction="")
    assert kinds(findings_of(old)) == ["drift"]
    assert findings_of(replace(old, outcome="suspect", raised=False)) == ()


WINDOWS = st.lists(
    st.sets(st.sampled_from(["temp", "wind", PREDICTION, "broken"])).map(
        lambda names: tuple(feature(name, "stuck" if name == "broken" else "shift") for name in sorted(names))
    ),
    min_size=1,
    max_size=14,
)


@given(WINDOWS, st.data())
def test_windows_looked_at_in_one_go_leave_what_they_leave_one_by_one(
    drawn: list[tuple[FeatureDrift, ...]], data: st.DataObject
) -> None:
    """However the runs of the monitor fall; only fewer rows tell it."""
    seen = [window(day, *features) for day, features in enumerate(drawn, start=1)]
    windows = [
        replace(item, raised=any(other.features for other in seen[max(0, end - 2) : end + 1]))
        for end, item in enumerate(seen)
    ]
    cut = data.draw(st.integers(1, len(windows)))

    def taken(rows: list[Incident], until: int, fresh: int) -> list[Incident]:
        told = after_windows(still_open(rows), windows[:until], REPLY, fresh=fresh, clear_after=3, as_of=NOW)
        return [*rows, *told]

    one_by_one: list[Incident] = []
    for end in range(1, len(windows) + 1):
        one_by_one = taken(one_by_one, end, 1)
    in_two = taken(taken([], cut, cut), len(windows), len(windows) - cut)
    assert taken(in_two, len(windows), 1) == in_two, "looking again at the same windows is no news"
    for rows in (one_by_one, in_two):
        assert [row.finding.kind for row in rows if row.outcome == "opened"] == [
            row.finding.kind for row in one_by_one if row.outcome == "opened"
        ]
    left = [sorted((row.finding.kind, row.finding.names, sorted(row.told)) for row in still_open(rows))
            for rows in (one_by_one, in_two)]  # fmt: skip
    assert left[0] == left[1]
    assert len(in_two) <= len(one_by_one)


def performance(outcome: str, *, bias: float = 0.0) -> PerformanceVerdict:
    return PerformanceVerdict(
        pipeline="bikes", subject="2013-06-01T00:00:00+00:00", outcome=outcome, reasons=("told at length",),
        data_time=NOW, rows=2_000, blocks=7, coverage=1.0, champion_loss=0.5, probe_loss=0.48, regret=0.02,
        regret_share=0.04, standard_error=0.004, lower=0.01, upper=0.03, calibration_bias=bias, bias_lower=bias - 0.01,
        bias_upper=bias + 0.01, champion_version="3",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("verdict", "title", "first"),
    [
        (performance("regret"), "has become stale", "a refit on newer data makes 4.0% less loss on the same rows"),
        (performance("biased", bias=0.05), "predicts wrongly", "its predictions are 0.05 too low on average"),
        (performance("biased", bias=-0.05), "predicts wrongly", "its predictions are 0.05 too high on average"),
    ],
)
def test_what_labels_prove_is_an_alarm(verdict: PerformanceVerdict, title: str, first: str) -> None:
    finding = quality_finding(verdict, REPLY)
    assert finding is not None
    assert (finding.kind, finding.about) == ("quality", "version 3")
    assert (finding.title, finding.lines[0]) == (f"version 3, which serves, {title}", first)


@pytest.mark.parametrize("outcome", ["fine", "need evidence"])
def test_what_is_not_proven_is_none(outcome: str) -> None:
    assert quality_finding(performance(outcome, bias=0.3), REPLY) is None


def test_a_message_is_what_a_tired_person_needs() -> None:
    (bad,) = findings_of(window(3, feature("temp", "null flood"), feature("wind")))
    (opened,) = news((), replace(bad, windows=2), at=NOW)
    told = replace(opened, link="https://andon.example.org/bikes/2013-06-03.html")
    assert title_of(told) == "bikes: probably bad data in temp"
    assert text_of(told) == (
        "A person must act. Since 2013-06-02, in 2 windows.\n\n"
        "What has moved most:\n"
        "- temp moved by +0.93 reference standard deviations, since 2013-06-02\n"
        "- wind moved by +0.93 reference standard deviations, since 2013-06-02\n\n"
        "Probable cause: values no longer arrive from where they are measured, or a join finds nothing.\n\n"
        "What is done: Andon does not retrain on this, and serves on with version 3; ask the met office.\n\n"
        "Look: https://andon.example.org/bikes/2013-06-03.html\n"
        f"More: andon incidents bikes (no. {opened.subject})"
    )
    (closed,) = next_incidents((told,), (), pipeline="bikes", as_of=NOW, over={"bad data": "the data is whole again"})
    assert title_of(closed) == "bikes: over: probably bad data in temp"
    assert text_of(closed).startswith("It is over: the data is whole again. It began on 2013-06-02.\n\nWhat it was:")


def test_a_message_stays_short_whatever_the_columns_are_called() -> None:
    names = [f"{'a_very_long_column' * 20}_{number}" for number in range(40)]
    (bad,) = findings_of(window(3, *(feature(name, "stuck") for name in names)))
    (opened,) = news((), bad)
    assert len(title_of(opened)) <= 120
    assert len(text_of(opened)) < 2_500  # Slack cuts a text at 4,000
    assert opened.finding.title.endswith(" and 37 more")


@pytest.mark.parametrize(
    ("moment", "told"),
    [
        ("2013-06-03T00:00:00+00:00", "2013-06-03"),
        ("2013-06-03T02:30:00+02:00", "2013-06-03 00:30 UTC"),
        ("2013-06-03", "2013-06-03"),
        ("version 3", "version 3"),
    ],
)
def test_moments_are_told_in_one_way(moment: str, told: str) -> None:
    assert when(moment) == told


def test_real_windows_from_the_first_flood_to_the_last(tmp_path: Path) -> None:
    """Counted and judged by the real detector: one incident from beginning to end, and no retrain is its answer."""
    world = Watched(home=tmp_path)
    world.crown()
    rows: list[Incident] = []
    for number in range(12):
        world.day(number, temp=FLOODED if 3 <= number <= 6 else pl.col("temp"))
        verdicts = [item.verdict for item in world.looked]
        rows += after_windows(still_open(rows), verdicts, REPLY, fresh=1, clear_after=3, as_of=BEGIN + number * DAY)
    assert [(row.finding.kind, row.outcome) for row in rows] == [("bad data", "opened"), ("bad data", "closed")]
    assert rows[0].finding.lines[0].startswith("temp is null in 50.0% of the rows, before in 0.0%")
    assert rows[0].finding.about == (BEGIN + 3 * DAY).isoformat()
    assert rows[1].data_time == BEGIN + 9 * DAY
