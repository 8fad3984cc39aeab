"""Looking back: past windows are judged again as the monitor judged them, and nothing is written down."""

from datetime import datetime

import pytest

from flows.ingest import ingest
from flows.monitor import monitor
from flows.score import score
from tasks.backfill import Recomputed
from tests.flows.world import POLICIES, World, day
from validation.errors import DefinitionError, NoChampionError

NOW = day(2, 15)


def looked_back(since: datetime, until: datetime) -> tuple[Recomputed, ...]:
    found = monitor("bikes", since=since, until=until, as_of=NOW)
    assert all(isinstance(item, Recomputed) for item in found)
    return found  # type: ignore[return-value]


@pytest.mark.slow
def test_past_windows_are_judged_again_and_the_ledger_stays_as_it_is(world: World) -> None:
    """First by the same rules, so that nothing differs; then by others, and with a window that nobody judged."""
    score("bikes", as_of=day(1, 31))
    monitor("bikes", as_of=day(1, 31))
    world.land(6, 7)
    ingest("bikes", as_of=day(2, 14))
    monitor("bikes", as_of=day(2, 14))
    before = (world.ledger.head(), world.ledger.intents("bikes"))

    found = looked_back(day(1, 30), day(2, 7))
    recorded = {item.subject: item for item in world.ledger.verdicts("bikes", kind="drift")}
    days = [day(1, 30), day(1, 31), *(day(2, number) for number in range(1, 7))]
    assert [item.subject for item in found] == [moment.isoformat() for moment in days]
    assert [item.drift.outcome for item in found] == [recorded[item.subject].outcome for item in found]
    assert [item.drift.p_value for item in found] == [recorded[item.subject].body["p_value"] for item in found]
    assert {(item.champion_version, item.differs) for item in found} == {("1", ())}
    assert (world.ledger.head(), world.ledger.intents("bikes")) == before
    score("bikes", as_of=day(2, 14))
    before = (world.ledger.head(), world.ledger.intents("bikes"))

    *_, asking, unseen = looked_back(day(2, 12), day(2, 15))
    assert asking.performance is not None
    assert (asking.subject, asking.outcome, asking.by) == (day(2, 13).isoformat(), "would ask", "regret")
    assert asking.performance.outcome == "regret"
    assert unseen.differs == ("the ledger has no drift verdict on this window",)

    strict = POLICIES.replace('evidence="3d"', 'evidence="3d", min_regret=0.99')
    world.define(strict)
    (asked, _) = looked_back(day(2, 13), day(2, 15))
    assert asked.outcome == "no reason"
    assert any(item.startswith("the champion was 'regret' then and is 'fine' now") for item in asked.differs)
    assert any("differs: the champion was" in reason for reason in asked.reasons)
    assert (world.ledger.head(), world.ledger.intents("bikes")) == before


@pytest.mark.usefixtures("world")
def test_a_span_that_cannot_be_judged_is_told_with_the_one_that_can() -> None:
    score("bikes", as_of=day(1, 31))
    with pytest.raises(DefinitionError, match="--from must lie before --to"):
        monitor("bikes", since=day(2, 2), until=day(2, 2), as_of=NOW)
    with pytest.raises(DefinitionError, match="nobody said from when on"):
        monitor("bikes", until=day(2, 2), as_of=NOW)
    with pytest.raises(DefinitionError, match=r"there from 2011-01-2\d .* to 2011-02-06 23:00"):
        monitor("bikes", since=day(2, 10), until=NOW, as_of=NOW)
    with pytest.raises(NoChampionError, match="its first came on 2011-01-31 00:00"):
        monitor("bikes", since=day(1, 3), until=day(1, 10), as_of=NOW)


def test_without_a_champion_there_is_nothing_to_look_back_on(empty: World) -> None:
    assert empty.champion() is None
    with pytest.raises(NoChampionError, match="andon retrain bikes"):
        monitor("bikes", since=day(1, 3), as_of=NOW)
