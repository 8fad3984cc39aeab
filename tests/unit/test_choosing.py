from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelling.rungs.choosing import DOUBT, MEMORY, SLIGHT, WINDOWS, Tried, choose, gain, halved, mean_loss

START = datetime(2024, 1, 1, tzinfo=UTC)
WEEK = timedelta(weeks=1)


def tried(**losses: Sequence[float | None]) -> list[Tried]:
    """The losses of each rung, week by week; None: not tried."""
    return [
        Tried(start=START + week * WEEK, stop=START + (week + 1) * WEEK, rung=name, loss=loss, rows=100)
        for name, own in losses.items()
        for week, loss in enumerate(own)
        if loss is not None
    ]


def test_the_gain_is_a_share_that_newer_windows_decide() -> None:
    """By hand: shares of 0.2 and, newer, 0.5."""
    known = tried(all=[1.0, 2.0], short=[0.8, 1.0])
    assert gain(known, "short", reference="all") == pytest.approx((0.5 + MEMORY * 0.2) / (1 + MEMORY + DOUBT))
    assert gain(known, "all", reference="all") == 0


def test_few_windows_decide_less_than_many() -> None:
    known = tried(all=[1.0] * 4, steady=[0.9] * 4, late=[None, None, None, 0.89])
    assert choose(known, ["all", "steady", "late"], reference="all") == "steady"


@pytest.mark.parametrize(("loss", "expected"), [(0.99, "short"), (1.0, "middle"), (1.01, "middle")])
def test_the_reference_is_kept_unless_another_is_better(loss: float, expected: str) -> None:
    known = tried(all=[2.0], middle=[1.0], short=[loss])
    assert choose(known, ["all", "middle", "short"], reference="middle") == expected


@pytest.mark.parametrize(("off", "expected"), [(-1e-9, "all"), (1e-9, "short")])
@pytest.mark.parametrize("reference", ["all", "short"])
def test_all_rows_alike_are_taken_where_nothing_gains_more_than_slightly(
    reference: str, off: float, expected: str
) -> None:
    """The gain is drawn to 0 by DOUBT, and a share of the reference's loss."""
    share = (1 + DOUBT) * SLIGHT + off
    known = tried(all=[1.0], short=[1 - share]) if reference == "all" else tried(all=[1 + share], short=[1.0])
    assert choose(known, ["all", "short"], reference=reference) == expected


def test_without_a_window_of_all_rows_a_reference_that_adapts_is_kept() -> None:
    assert choose([], ["all", "short"], reference="short") == "short"
    assert choose(tried(short=[1.0]), ["all", "short"], reference="short") == "short"


def test_the_better_half_is_worth_another_window_with_all_rows_and_the_reference() -> None:
    known = tried(all=[1.0], a=[0.8], b=[1.3], c=[0.9], reference=[1.2], unable=[None])
    rungs = ["all", "unable", "a", "b", "c", "reference"]
    assert halved(known, rungs, reference="reference") == ("all", "a", "c", "reference")
    assert halved(known, ["all", "a", "c", "reference"], reference="reference") == ("all", "a", "c", "reference")
    assert halved(known, ["all", "a", "b", "c"], reference="all") == ("all", "a", "c")
    assert halved([], rungs, reference="reference") == tuple(rungs)


def test_windows_without_the_reference_or_the_rung_say_nothing() -> None:
    known = tried(all=[1.0, None, 0.0], short=[None, 0.1, 0.0])
    assert gain(known, "short", reference="all") == 0
    assert choose([], ["all", "short"], reference="all") == "all"
    assert mean_loss(known, "short", beside="none") is None


def test_windows_of_long_ago_are_forgotten() -> None:
    known = tried(all=[1.0] * (WINDOWS + 1), short=[0.1] + [1.0] * WINDOWS)
    assert gain(known, "short", reference="all") == 0


def test_mean_losses_are_of_the_windows_that_both_have_by_rows() -> None:
    known = tried(all=[1.0, 3.0, 5.0], short=[2.0, 4.0, None])
    heavy = [Tried(start=item.start, stop=item.stop, rung=item.rung, loss=item.loss, rows=10) for item in known[:1]]
    assert mean_loss([*heavy, *known[1:]], "all", beside="short") == pytest.approx((10 * 1 + 100 * 3) / 110)
    assert mean_loss(known, "short", beside="all") == 3.0


@given(
    losses=st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)), min_size=1, max_size=20), by=st.floats(0.1, 9)
)
def test_the_unit_of_the_loss_does_not_matter(losses: list[tuple[float, float]], by: float) -> None:
    one = tried(all=[first for first, _ in losses], short=[second for _, second in losses])
    other = tried(all=[by * first for first, _ in losses], short=[by * second for _, second in losses])
    assert gain(one, "short", reference="all") == pytest.approx(gain(other, "short", reference="all"), abs=1e-9)
    assert gain(one, "short", reference="all") < 1
