"""A panic in Polars is no Exception, and ends a retrain all the same as an error does: with a verdict."""

import polars as pl
import pytest

from tasks.orders import answering
from tests.flows.world import World, day


def test_a_panic_closes_the_intent_and_is_told(world: World) -> None:
    asked = world.ledger.ask(intent_id="wish", pipeline="bikes", reason="a test", data_time=day(2, 7))
    with pytest.raises(pl.exceptions.PanicException), answering(world.site, asked.id, day(2, 7), "a test"):
        raise pl.exceptions.PanicException("called unwrap on nothing")
    intent = world.ledger.intent("wish")
    assert intent is not None
    assert (intent.state, intent.outcome) == ("closed", "failed")
    told = world.ledger.verdicts("bikes", kind="training")[-1]
    assert (told.outcome, told.reasons) == ("failed", ("PanicException: called unwrap on nothing",))
