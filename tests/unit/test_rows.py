"""What was written to the ledger comes back as it was."""

from dataclasses import replace
from datetime import UTC, datetime
from math import isnan, nan
from typing import TypeVar

from registry.memory import MemoryLedger
from tasks.rows import as_verdict
from validation.verdict import Verdict
from validation.watch.drift import DriftVerdict
from validation.watch.estimates import Estimate
from validation.watch.findings import FeatureDrift
from validation.watch.windows import SliceLoss, WindowVerdict

V = TypeVar("V", bound=Verdict)
JUNE = datetime(2013, 6, 3, tzinfo=UTC)
WINDOW = WindowVerdict(
    pipeline="p", subject=JUNE.isoformat(), outcome="realised", reasons=("the loss is 0.5",), data_time=JUNE,
    champion_version="3", rows=4, labelled=4, coverage=1.0, loss=0.5,
    estimate=Estimate(
        method="m", rows=4, loss=1.0, lower=0.0, upper=2.0, metrics={"auc": 0.5}, intervals={"auc": (0.4, 0.6)}
    ),
    slices=(SliceLoss(column="origin", value="JFK", rows=4, loss=0.5, bias=None),),
)  # fmt: skip
FOUND = FeatureDrift(
    name="x", drifted=True, p_value=0.001, cause="shift", shift=1.0, spread=1.0, nulls=0.0, sentence="x moved"
)
DRIFT = DriftVerdict(
    pipeline="p", subject=JUNE.isoformat(), outcome="drift", reasons=("x moved",), data_time=JUNE,
    raised=True, rows=4, p_value=0.001, judged=1, features=(FOUND,), since=JUNE.isoformat(), bad_data=("x",),
)  # fmt: skip


def again(verdict: V) -> V:
    return as_verdict(MemoryLedger().record(verdict, actor="me"), type(verdict))


def test_verdicts_come_back_whole() -> None:
    assert again(WINDOW) == WINDOW
    assert again(DRIFT) == DRIFT


def test_what_is_no_number_comes_back_as_none() -> None:
    odd = again(replace(DRIFT, p_value=nan, features=(replace(FOUND, shift=nan),)))
    assert isnan(odd.p_value)
    assert isnan(odd.features[0].shift)
    assert again(replace(WINDOW, loss=None)).loss is None


def test_a_row_of_an_older_andon_has_the_defaults() -> None:
    row = MemoryLedger().record(DRIFT, actor="me")
    new = {"since", "bad_data", "rarity", "prediction", "epoch"}
    old = replace(row, body={name: value for name, value in row.body.items() if name not in new})
    found = as_verdict(old, DriftVerdict)
    assert (found.since, found.bad_data, found.features) == ("", (), (FOUND,))
