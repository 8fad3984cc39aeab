"""A batch judged where its rows are at hand: for the tests of contracts."""

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from validation.asking import Outcome
from validation.contract import ContractVerdict, Quarantine, Terms, judge_batch

NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)
TIME = pl.Datetime("us", "UTC")


@dataclass(frozen=True, kw_only=True)
class Result:
    """A judgement with its rows at hand."""

    verdict: ContractVerdict
    outcomes: tuple[Outcome, ...]
    good: pl.DataFrame
    bad: pl.DataFrame


def judge(frame: pl.DataFrame, contract: Any, *, as_of: datetime = NOON, text: bool = False, **terms: Any) -> Result:
    """Judge the frame; `bad` has the dead letter's columns also where there is none."""
    asked = Terms(
        **{"contract": contract, "policy": Quarantine(max_bad_share=1.0), "key": ("flight_id",), "time": "at"} | terms
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "1.parquet")
        result = judge_batch(
            frame.lazy(), asked, pipeline="flights", batch="1", as_of=as_of, dead_letter=path, text=text
        )
        assert path.exists() == (result.bad is not None)
        bad = None if result.bad is None else pl.read_parquet(result.bad)
        good = result.good.collect()
    nothing = frame.clear().with_columns(_row=pl.lit(0, pl.Int64), _rules=pl.lit([], pl.List(pl.String)))
    return Result(verdict=result.verdict, outcomes=result.outcomes, good=good, bad=nothing if bad is None else bad)
