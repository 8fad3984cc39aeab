"""A whole retrain of an installation that took the rows in from files, and what its two kinds of processes hold:

python -m benchmarks.memory_retrain make HOME ROWS, or: retrain HOME

The rows are those of benchmarks/memory_modes.py, with a key and a moment, evenly over a year; labels come beside them.
Without Prefect: its tasks' own functions, in the flow's order.
"""

import os
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from benchmarks.memory_modes import FILE_ROWS, LABEL, rows_of
from benchmarks.peers.stopwatch import timed

if TYPE_CHECKING:
    from tasks.orders import Order
    from validation.verdict import Verdict

NAME = "delays"
DAYS = 365
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_AS_OF = _BEGIN + timedelta(days=DAYS + 3)
_DEFINITION = f'''
"""Twenty columns as they are, and one that is made of two of them."""

import pandera.polars as pa
import polars as pl

from andon import Labels, Pipeline, Search, Source, Training

COLUMNS = {{
    "id": pa.Column(pl.Int64, unique=True),
    "at": pa.Column(pl.Datetime("us", "UTC")),
    **{{f"d{{place}}": pa.Column(pl.Float64, nullable=True) for place in range(9)}},
    **{{f"f{{place}}": pa.Column(pl.Float32) for place in range(4)}},
    **{{f"i{{place}}": pa.Column(pl.Int32) for place in range(3)}},
    "flag": pa.Column(pl.Boolean),
    **{{f"t{{place}}": pa.Column(pl.String, nullable=True) for place in range(3)}},
}}


def features(rows: pl.LazyFrame) -> pl.LazyFrame:
    return rows.with_columns(d8=pl.col("d8") - pl.col("d7"))


PIPELINE = Pipeline(
    name="{NAME}", source=Source(path="landing/{NAME}/*.parquet", time="at", key="id"),
    labels=Labels(path="landing/{NAME}_labels/*.parquet", target="{LABEL}"), contract=pa.DataFrameSchema(COLUMNS),
    features=features, task="binary", search=Search(threads=1, rounds=200, budget_seconds=10),
    training=Training(fixed={{"num_leaves": 7}}),
)
'''


def make(home: Path, rows: int) -> None:
    """The installation, unless it is there: rows and labels are taken in from files, as `andon ingest` does."""
    if (home / "ready").exists():
        return
    shutil.rmtree(home, ignore_errors=True)
    (home / "pipelines").mkdir(parents=True)
    (home / "pipelines" / f"{NAME}.py").write_text(_DEFINITION, encoding="utf-8")
    _act_in(home)
    from tasks.arrivals import landed
    from tasks.ingest import take_group
    from tasks.leases import holding
    from tasks.site import open_sites

    for number, start in enumerate(range(0, rows, FILE_ROWS)):
        _land(home / "lake" / "landing", number, start, min(FILE_ROWS, rows - start), of=rows)
    (site,) = open_sites(NAME)
    for group in landed(site):
        with holding(site, "ingest") as lease:
            assert lease is not None, "nobody else is here"  # noqa: S101
            take_group(group, _AS_OF, lease)
    (home / "ready").touch()


def retrain() -> dict[str, Any]:
    """The first champion, or, where there is one, its challenger."""
    from tasks.orders import answered
    from tasks.site import open_sites

    (site,) = open_sites(NAME)
    verdict = answered(site, None, _AS_OF, "the benchmark", work=_steps)
    return {"outcome": verdict.outcome, "reasons": verdict.reasons}


def _steps(order: "Order") -> "Verdict":
    from tasks.challengers import train_challenger
    from tasks.retrain import judge_challenger, register
    from tasks.settling import settle

    judged = judge_challenger.fn(order, train_challenger.fn(order))
    return settle(order, register.fn(order, judged))


def _land(landing: Path, number: int, first: int, count: int, *, of: int) -> None:
    """A file of rows and a file of their labels."""
    made, place = rows_of(count, seed=number), np.arange(first, first + count)
    moments = pl.Series((place * (DAYS * 86_400e6 / of)).astype(np.int64)).cast(pl.Duration("us")) + _BEGIN
    keyed = made.select(pl.Series("id", place), moments.cast(pl.Datetime("us", "UTC")).alias("at"), pl.all())
    labels = keyed.filter(pl.col("id") % 100 != 0).select("id", LABEL, known_at="at")  # one in a hundred never comes
    for kind, part in ((NAME, keyed.drop(LABEL)), (f"{NAME}_labels", labels)):
        (landing / kind).mkdir(parents=True, exist_ok=True)
        part.write_parquet(landing / kind / f"{number:04}.parquet")


def _act_in(home: Path) -> None:
    for name in [name for name in os.environ if name.startswith("ANDON_")]:
        del os.environ[name]
    os.environ |= {"ANDON_HOME": str(home), "ANDON_PIPELINES": str(home / "pipelines"), "ANDON_SETTLE_SECONDS": "0"}


if __name__ == "__main__":
    what, place, *more = sys.argv[1:]
    if what == "make":
        make(Path(place), int(more[0]))
    else:
        _act_in(Path(place))
        timed(retrain)
