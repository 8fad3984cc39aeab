"""One way from landed files to a committed Delta table, in this process:

python -m benchmarks.ingest_modes WAY HOME FILE...

HOME is a new folder; ours makes an installation of it, with the files linked into its landing folder.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import plain
from benchmarks.peers.stopwatch import cpu_seconds, timed

Way = Callable[[Path, list[Path]], dict[str, Any]]

_AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
_DEFINITION = """
from andon import Labels, Pipeline, Source
from benchmarks.orders_contract import Orders
import polars as pl

def features(orders: pl.LazyFrame) -> pl.LazyFrame:
    return orders.select("id", "created_at", "price", "quantity")

PIPELINE = Pipeline(
    name="orders", source=Source(path="landing/orders/*.parquet", time="created_at", key="id"),
    labels=Labels(path="landing/returns/*.parquet", target="returned"), contract=Orders, features=features,
    task="binary",
)
"""


def ours(_: Path, __: list[Path]) -> dict[str, Any]:
    """The work of the task, without Prefect: what has landed, group by group."""
    from tasks.arrivals import landed
    from tasks.ingest import take_group
    from tasks.leases import holding
    from tasks.site import open_sites

    (site,) = open_sites("orders")
    with _without_prefect() as stages:
        for group in landed(site):
            with holding(site, "ingest") as lease:
                assert lease is not None, "nobody else is here"  # noqa: S101
                take_group(group, _AS_OF, lease)
    return {"stages": stages}


def ours_flow(_: Path, __: list[Path]) -> dict[str, Any]:
    """The whole flow; the server's address is in the environment, the server's own time is not counted."""
    from demo.stage import in_process_flows
    from flows.ingest import ingest

    with in_process_flows():
        ingest("orders", as_of=_AS_OF)
    return {}


def plain_each(home: Path, files: list[Path]) -> dict[str, Any]:
    """Without Andon, file by file."""
    return plain.each(files, home / "table")


def plain_together(home: Path, files: list[Path]) -> dict[str, Any]:
    """Without Andon, all files as one."""
    return plain.together(files, home / "table")


WAYS: dict[str, Way] = {
    "ours": ours,
    "ours_flow": ours_flow,
    "plain": plain_each,
    "plain_together": plain_together,
}


def prepare(home: Path, files: list[Path]) -> None:
    """An installation at `home` to which the files have come."""
    for name in [name for name in os.environ if name.startswith("ANDON_")]:
        del os.environ[name]
    os.environ |= {"ANDON_HOME": str(home), "ANDON_PIPELINES": str(home / "pipelines")}
    (home / "pipelines").mkdir(parents=True)
    (home / "pipelines" / "orders.py").write_text(_DEFINITION, encoding="utf-8")
    landing = home / "lake" / "landing" / "orders"
    landing.mkdir(parents=True)
    for file in files:
        (landing / file.name).hardlink_to(file)

    from tasks.site import open_sites

    (site,) = open_sites("orders")
    site.ledger.batches("orders", kind="rows")  # its tables are made


def committed(home: Path) -> dict[str, Any]:
    """The rows of the table that was written, and the bytes of its files."""
    import polars as pl

    (log,) = home.rglob("_delta_log")
    rows = pl.scan_delta(log.parent).select(pl.len()).collect().item()
    return {"committed": rows, "bytes": sum(file.stat().st_size for file in log.parent.rglob("*.parquet"))}


@contextmanager
def _without_prefect() -> Iterator[dict[str, float]]:
    """No event is sent; yields the CPU seconds up to each named point of ingest, added up over groups."""
    from tasks import ingest, writing

    spent: dict[str, float] = {}
    last = [cpu_seconds()]

    def reached(point: str) -> None:
        now = cpu_seconds()
        spent[point] = spent.get(point, 0.0) + now - last[0]
        last[0] = now

    # NOTE: this process does nothing else, so nothing is put back.
    ingest.reached = writing.reached = reached  # type: ignore[attr-defined]
    ingest.announce = lambda *_, **__: None  # type: ignore[attr-defined]
    yield spent


def main() -> None:
    way, place, *names = sys.argv[1:]
    home, files = Path(place), [Path(name) for name in names]
    import pandera.polars  # noqa: F401  # imports are no part of the work

    if way.startswith("ours"):
        prepare(home, files)
        import flows.ingest  # noqa: F401
    timed(lambda: WAYS[way](home, files), then=lambda: committed(home))


if __name__ == "__main__":
    main()
