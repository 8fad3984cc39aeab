"""What a scorer tells of itself is read as it is meant, or not at all; and what a sweep remembers of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from andon.settings import Settings
from registry.ledger import Champion, Change
from tasks.live import Silent, described, read_figures, scorer_status
from tasks.rollout_memo import HOUR, Look, Memo, read_memo, write_memo
from tasks.site import Site
from tests.flows.rolling import Scorer, scoring
from validation.rollout_rules import Live

about: Any = pytest.approx
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Reigns:
    """A ledger in which versions 1 and 2 were champion, and then 1 again."""

    def champions(self, pipeline: str) -> list[Champion]:
        known = Change(
            pipeline=pipeline,
            kind="adoption",
            version="",
            bundle_sha256="",
            trained_until=NOW,
            why="so",
            data_time=NOW,
            actor="bob",
        )
        return [
            Champion(change=replace(known, version=version), epoch=epoch, from_version=None, recorded_at=NOW)
            for epoch, version in ((1, "1"), (2, "2"), (3, "1"))
        ]


@dataclass
class Place:
    """What is asked of a site here."""

    settings: Settings
    name: str = "rides"
    ledger: Reigns = field(default_factory=Reigns)


@pytest.fixture
def scorer() -> Iterator[Scorer]:
    with scoring() as answering:
        yield answering


def at(url: str, home: Path, **more: str) -> Site:
    return cast("Site", Place(Settings(home=home, scorer_url=url, **more)))  # type: ignore[arg-type]


def test_figures_are_those_of_the_pipeline_by_reign_and_by_shadow(scorer: Scorer, tmp_path: Path) -> None:
    scorer.count({1: (30, 1), 2: (200, 0)}, shadows={"7": (40, 2, 0.1)}, seconds=0.02)
    figures = read_figures(at(scorer.url, tmp_path))
    assert figures is not None
    assert figures.reigns == {
        1: Live(requests=31, failed=1, p95_ms=about(47.75)),
        2: Live(requests=200, failed=0, p95_ms=about(47.75)),
    }, "4xx are the callers'"
    assert figures.shadows == {"7": Silent(scored=40, failed=2, seconds=about(0.1))}
    assert figures.shadows["7"].ms_per_row == pytest.approx(2.5)
    assert Silent().ms_per_row is None
    scorer.count({1: (30, 1)}, pipeline="flights")
    other = read_figures(at(scorer.url, tmp_path))
    assert other is not None
    assert (other.reigns, other.shadows) == ({}, {})


def test_a_reign_is_not_charged_with_what_another_homes_champion_did(scorer: Scorer, tmp_path: Path) -> None:
    scorer.count({1: (30, 1), 2: (200, 90), 3: (40, 2), 4: (50, 3)}, versions={2: "7", 3: "1"})
    figures = read_figures(at(scorer.url, tmp_path))
    assert figures is not None
    told = {epoch: (live.requests, live.failed) for epoch, live in figures.reigns.items()}
    assert told == {1: (31, 1), 3: (42, 2)}


def test_the_token_is_sent_where_there_is_one(scorer: Scorer, tmp_path: Path) -> None:
    read_figures(at(scorer.url, tmp_path))
    read_figures(at(scorer.url, tmp_path, scorer_token="hush"))  # noqa: S106 - of a test
    assert [asked["authorization"] for asked in scorer.asked] == ["", "Bearer hush"]


def test_to_whom_the_token_is_not_known_nothing_is_told(scorer: Scorer, tmp_path: Path) -> None:
    scorer.count({2: (200, 0)})
    scorer.token = "hush"  # noqa: S105
    stranger, friend = at(scorer.url, tmp_path), at(scorer.url, tmp_path, scorer_token="hush")  # noqa: S106
    assert (read_figures(stranger), described(stranger), scorer_status(stranger)) == (None, None, None)
    assert described(friend) == {"status": "ready", "version": "1"}
    assert read_figures(friend) is not None


@pytest.mark.parametrize("text", ["<html>", 'andon_requests_total{pipeline="rides"} 3\n', "a b c"])
def test_another_program_tells_nothing(scorer: Scorer, tmp_path: Path, text: str) -> None:
    scorer.text = text
    figures = read_figures(at(scorer.url, tmp_path))
    assert figures is None or not figures.reigns


def test_a_scorer_that_is_not_there_tells_nothing(tmp_path: Path) -> None:
    nowhere = at("http://127.0.0.1:9", tmp_path)
    assert (read_figures(nowhere), scorer_status(nowhere)) == (None, None)


def test_how_it_stands_is_read_from_version(scorer: Scorer, tmp_path: Path) -> None:
    scorer.status = "refused: its sha256"
    assert scorer_status(at(f"{scorer.url}/", tmp_path)) == "refused: its sha256"
    scorer.status = None
    assert scorer_status(at(scorer.url, tmp_path)) is None


def test_a_memo_is_kept_and_a_broken_or_missing_one_is_empty(tmp_path: Path) -> None:
    site = at("http://127.0.0.1:9", tmp_path)
    assert read_memo(site) == Memo()
    memo = (
        Memo()
        .of(3)
        .with_sample(Live(requests=10, failed=1), NOW)
        .with_look(Look(blocks=5, batches=3, newest=4))
        .seen("ready", NOW)
    )
    write_memo(site, memo)
    assert read_memo(site) == memo
    (tmp_path / "rollout" / "rides.json").write_text("{")
    assert read_memo(site) == Memo()


def test_the_last_hour_is_counted_from_the_newest_sample_that_is_older() -> None:
    memo = Memo().of(2)
    for minutes, requests, failed in ((0, 100, 0), (30, 200, 0), (90, 900, 5), (100, 1_000, 25)):
        memo = memo.with_sample(Live(requests=requests, failed=failed), NOW + timedelta(minutes=minutes))
    assert [sample.requests for sample in memo.samples] == [200, 900, 1_000]
    assert memo.recent() == Live(requests=800, failed=25, span="in the last hour")
    assert memo.of(2) is memo
    assert memo.of(3).samples == ()
    assert timedelta(minutes=60) == HOUR


def test_a_scorer_that_has_started_anew_says_nothing_of_the_last_hour() -> None:
    memo = Memo().with_sample(Live(requests=900, failed=5), NOW)
    assert memo.recent() is None
    assert memo.with_sample(Live(requests=10, failed=0), NOW).recent() is None


@pytest.mark.parametrize("anew", [(50, 0), (900, 4), (905, 20)])
def test_what_was_counted_before_the_scorer_started_anew_is_never_compared_with_what_came_after(
    anew: tuple[int, int],
) -> None:
    memo = Memo().with_sample(Live(requests=900, failed=5), NOW)
    for requests, failed in (anew, (1_200, 24)):
        memo = memo.with_sample(Live(requests=requests, failed=failed), NOW)
    recent = Live(requests=1_200 - anew[0], failed=24 - anew[1], span="in the last hour")
    assert memo.recent() == recent, "not 300 requests, and 19 failures of them"


def test_since_when_it_is_degraded_and_when_it_was_seen_last() -> None:
    memo = Memo().seen("degraded: no ledger", NOW)
    assert (memo.answered_at, memo.degraded_since) == (NOW, NOW)
    later = memo.seen("degraded: no ledger", NOW + HOUR)
    assert (later.answered_at, later.degraded_since) == (NOW + HOUR, NOW)
    assert memo.seen("ready", NOW).degraded_since is None
    assert memo.seen(None, NOW + HOUR).answered_at == NOW
