"""What the runs of the drift benchmark say: a table for people, and the figures that are asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from benchmarks import show
from benchmarks.drift_data import DRIFTED
from benchmarks.measure import Run
from benchmarks.show import CONSOLE, Figures, ratio

_WARM = ", warm"


def finish(raw: Mapping[str, Sequence[Run]], *, rows: int) -> None:
    """Tables on stderr, and the JSON on stdout."""
    medians = figures(raw)
    titles = {"": f"{rows:,} rows x 30 columns", "long": f"{10 * rows:,} x 30", "wide": f"{rows // 10:,} x 1,000"}
    for size, title in titles.items():
        mine = [(name, got) for name, got in medians.items() if _size(name) == size]
        base = medians.get(f"ours {'parquet' if size == 'long' else 'memory'} {size}".strip())
        if mine:
            show.table(f"{title}; medians over processes", mine, base=base)
    found = told(raw)
    CONSOLE.print(f"Moved on purpose: {', '.join(sorted(DRIFTED))}. Named as drifted:")
    for name, columns in found.items():
        CONSOLE.print(f"  {name}: {', '.join(columns) or 'none'}")
    show.finish({**answer(raw, medians, rows=rows), "drifted": found}, medians)


def figures(raw: Mapping[str, Sequence[Run]]) -> dict[str, Figures]:
    """The medians of each mode's first, cold work over its processes, and of what its processes say of the warm one."""
    found: dict[str, Figures] = {}
    for name, runs in raw.items():
        rows = max((run.found.get("rows", 0) for run in runs), default=0)
        found[name] = show.figures(runs, {"rows": rows})
        if not found[name].failed and all("warm_cpu_s" in run.found for run in runs) and "profile" not in name:
            warm = [replace(run, cpu_s=run.found["warm_cpu_s"], wall_s=run.found["warm_wall_s"]) for run in runs]
            found[name + _WARM] = show.figures(warm, {"rows": rows})
    return found


def told(raw: Mapping[str, Sequence[Run]]) -> dict[str, list[str]]:
    """The columns that each tool calls drifted."""
    return {name: runs[0].found["drifted"] for name, runs in raw.items() if runs and "drifted" in runs[0].found}


def answer(raw: Mapping[str, Sequence[Run]], medians: Mapping[str, Figures], *, rows: int) -> dict[str, Any]:
    """The figures that are asked for; None for what was not run. Of a limit the worse of cold and warm."""
    ours, nannyml = medians.get("ours memory"), medians.get("nannyml")
    cold = {source: _of_limit(medians, source) for source in ("memory", "parquet")}
    warm = {source: _of_limit(medians, source, _WARM) for source in ("memory", "parquet")}
    wide, long = medians.get("ours memory wide"), medians.get("ours parquet long")
    return {
        "benchmark": "drift",
        "rows": rows,
        "cpu_vs_nannyml": _share(ours, nannyml),
        "cpu_vs_nannyml_fitted": _vs_fitted(ours, raw.get("nannyml", ())),
        "cpu_vs_evidently": _share(ours, medians.get("evidently")),
        "cpu_vs_limit": _worse(cold["memory"], warm["memory"]),
        "cpu_vs_limit_parquet": _worse(cold["parquet"], warm["parquet"]),
        "cpu_vs_limit_cold_and_warm": [cold["memory"], warm["memory"]],
        "cpu_vs_limit_parquet_cold_and_warm": [cold["parquet"], warm["parquet"]],
        "cpu_vs_limit_long": _of_limit(medians, "parquet long"),
        "peak_mb": None if long is None or long.failed else round(long.peak_mb),
        "profile_kb": _first(raw.get("profile", ()), "profile_kb"),
        "profile_cpu_s": None if "profile" not in medians else round(medians["profile"].cpu_s, 2),
        "seconds_1000_columns": None if wide is None or wide.failed else round(wide.wall_s, 2),
        "cpu_seconds_1000_columns": None if wide is None or wide.failed else round(wide.cpu_s, 2),
    }


def _size(name: str) -> str:
    last = name.removesuffix(_WARM).rpartition(" ")[2]
    return last if last in ("long", "wide") else ""


def _share(ours: Figures | None, peer: Figures | None) -> float | None:
    if ours is None or peer is None or ours.failed or peer.failed:
        return None
    return round(ours.cpu_s / peer.cpu_s, 5)


def _of_limit(medians: Mapping[str, Figures], source: str, warm: str = "") -> float | None:
    return ratio(medians.get(f"ours {source}{warm}"), medians.get(f"limit {source}{warm}"))


def _worse(cold: float | None, warm: float | None) -> float | None:
    return None if cold is None or warm is None else max(cold, warm)


def _vs_fitted(ours: Figures | None, runs: Sequence[Run]) -> float | None:
    """Against NannyML's second half alone: a fitted reference can be kept."""
    if ours is None or ours.failed or not runs or runs[0].failed:
        return None
    return round(ours.cpu_s / (runs[0].cpu_s - runs[0].found["fit_cpu_s"]), 5)


def _first(runs: Sequence[Run], name: str) -> float | None:
    return round(runs[0].found[name], 1) if runs and name in runs[0].found else None
