"""One model behind several servers, each with one worker, loaded by wrk: requests a second, latency and CPU.

Ours is the scorer as it is shipped, with prediction log and tokens, and gets raw columns; the peers get category codes,
which is less work. Each peer is run with LightGBM's own threads and with one; the better of each cell counts.

python -m benchmarks.serving [--seconds S] [--only NAME,...] [--quick]. Needs wrk. Prints JSON.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.serving_load import Cell, load, resident_mb
from benchmarks.serving_servers import MLFLOW_DERIVED, OURS, PEERS, TRIVIAL, Server, running
from benchmarks.serving_world import MANY, World, make_world
from benchmarks.show import CONSOLE

CELLS = ((1, 1), (1, 8), (1, 64), (MANY, 1), (MANY, 8))  # rows, connections
TREES = (500, 2_000)
_THREADS: Mapping[str, Mapping[str, str]] = {"own": {}, "one": {"OMP_NUM_THREADS": "1"}}
_WARM_SECONDS = 1

Cells = dict[str, dict[str, Any]]


def main(*, seconds: int, only: Sequence[str], quick: bool) -> None:
    """Measure in a scratch folder; tables on stderr, one line of JSON on stdout."""
    with tempfile.TemporaryDirectory(prefix="andon-serving-") as folder:
        scratch = Path(folder)
        trees = (20,) if quick else TREES
        worlds = [make_world("plain", count, scratch, rows=3_000 if quick else 30_000) for count in trees]
        derived = make_world("derived", trees[0], scratch, rows=3_000 if quick else 30_000)
        found = {f"{world.trees} trees": _compare(world, scratch, seconds, only) for world in worlds}
        features = _compare_features(derived, scratch, seconds, only)
    for title, cells in found.items():
        _show(title, cells)
    _show("eight feature expressions on raw columns", features)
    answer = _answer(next(iter(found.values())), features, worlds[0].native_us)
    print(
        json.dumps(
            {**answer, "all": found, "features": features, "load_average": os.getloadavg(), "cpus": os.cpu_count()}
        )
    )


def _compare(world: World, scratch: Path, seconds: int, only: Sequence[str]) -> dict[str, Cells]:
    servers = [OURS, TRIVIAL, *PEERS.values()]
    chosen = [server for server in servers if not only or server.name in only]
    return {server.name: _measure(server, world, scratch, seconds, CELLS) for server in chosen}


def _compare_features(world: World, scratch: Path, seconds: int, only: Sequence[str]) -> dict[str, Cells]:
    servers = [OURS, MLFLOW_DERIVED]
    chosen = [server for server in servers if not only or server.name in only]
    cells = [cell for cell in CELLS if cell[0] == 1]
    return {server.name: _measure(server, world, scratch, seconds, cells) for server in chosen}


def _measure(server: Server, world: World, scratch: Path, seconds: int, cells: Sequence[tuple[int, int]]) -> Cells:
    """Every cell; of a peer's two settings the better."""
    settings = _THREADS if server.name in PEERS else {"own": {}}
    best: Cells = {}
    for threads, env in settings.items():
        CONSOLE.print(f"{server.name}, {world.name}, {world.trees} trees, threads: {threads}")
        with running(server, world, scratch, env) as (pid, url):
            for rows, connections in cells:
                asked = {"pid": pid, "connections": connections, "token": server.token}
                load(url, world.bodies[server.bodies, rows], seconds=_WARM_SECONDS, **asked)  # type: ignore[arg-type]
                cell = load(url, world.bodies[server.bodies, rows], seconds=seconds, **asked)  # type: ignore[arg-type]
                name = f"{rows} rows, {connections} connections"
                told = {**_rounded(cell), "threads": threads, "resident_mb": round(resident_mb(pid))}
                if name not in best or cell.rps > best[name]["rps"]:
                    best[name] = told
    return best


def _answer(plain: Mapping[str, Cells], features: Mapping[str, Cells], native_us: float) -> dict[str, Any]:
    one, many = "1 rows, 8 connections", f"{MANY} rows, 8 connections"
    full = "1 rows, 64 connections"
    mine, rival = plain.get("ours", {}), plain.get("mlflow", {})
    return {
        "rps_vs_mlflow_1row_c8": _ratio(mine, rival, one),
        "rps_vs_mlflow_1row_c64": _ratio(mine, rival, full),
        "cpu_vs_mlflow_1row": _ratio(mine, rival, one, "cpu_us"),
        "rps_vs_mlflow_100rows": _ratio(mine, rival, many),
        "share_of_native_limit": round(mine[full]["rps"] * native_us / 1e6, 3) if full in mine else None,
        "share_of_native_limit_c8": round(mine[one]["rps"] * native_us / 1e6, 3) if one in mine else None,
        "native_us": round(native_us, 1),
        "p99_ms_c8": mine.get(one, {}).get("p99_ms"),
        "rps_vs_mlflow_features_c64": _ratio(features.get("ours", {}), features.get("mlflow", {}), full),
        "failed": sum(cell["failed"] for cells in (mine, features.get("ours", {})) for cell in cells.values()),
    }


def _ratio(mine: Cells, rival: Cells, cell: str, name: str = "rps") -> float | None:
    return round(mine[cell][name] / rival[cell][name], 4) if cell in mine and cell in rival else None


def _show(title: str, found: Mapping[str, Cells]) -> None:
    shown = Table(
        "rows, connections", "server", "requests/s", "p50 ms", "p99 ms", "CPU us/request", "MB", "failed", title=title
    )
    for column in list(shown.columns)[2:]:
        column.justify = "right"
    names = list(dict.fromkeys(name for cells in found.values() for name in cells))
    for name in names:
        for server, cells in found.items():
            if (cell := cells.get(name)) is not None:
                shown.add_row(
                    name, server, f"{cell['rps']:,.0f}", f"{cell['p50_ms']:.2f}", f"{cell['p99_ms']:.1f}",
                    f"{cell['cpu_us']:,.0f}", f"{cell['resident_mb']:,}", f"{cell['failed']:,}",
                )  # fmt: skip
        shown.add_section()
    CONSOLE.print(shown)


def _rounded(cell: Cell) -> dict[str, Any]:
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in asdict(cell).items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=3, help="of each cell")
    parser.add_argument("--only", default="", help="servers, separated by commas: ours,trivial,mlflow,fastapi,...")
    parser.add_argument("--quick", action="store_true", help="20 trees, to see whether it runs")
    options = parser.parse_args()
    names = tuple(name for name in options.only.split(",") if name)
    main(seconds=options.seconds, only=names, quick=options.quick)
