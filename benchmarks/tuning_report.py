"""What the cells of the tuning benchmark say together: medians over seeds, times to a loss, wins and losses.

A peer's loss at the end is the better of two, by their medians: as it was found, and refitted for nothing on training
and validation rows; ours is what is delivered within the budget. `first`: the moment at which the best model by the
validation rows first has a loss on the later rows as low as wanted; `kept`: from when on it stays so. Never is inf.

`speedup_vs_flaml` asks for the loss that FLAML has after its seconds, as found: given validation rows it does not refit
within them. `speedup_vs_flaml_refitted` is stricter and asks for the better of its two, as do regret, wins and losses.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import geometric_mean, median
from typing import Any

from rich.table import Table

from benchmarks.show import CONSOLE

RIVALS = ("flaml", "lightgbm_tuner", "tpe", "control")
TUNERS = RIVALS[:-1]
TOLERANCE = 0.001  # cold and warm alike are asked when they were this near to the cold search's last loss
BIKES = "bikes"
UNSEEN = "unseen"  # tasks that were made when the search was finished: told by themselves
_BRIEF = ("speedup", "speedup_refitted", "speedup_kept", "regret", "gains")
Point = Sequence[float]  # seconds, loss of the validation rows, loss of the later rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One cell; `told`: what its process printed."""

    task: str
    tool: str
    seed: int
    told: Mapping[str, Any]


def answer(found: Sequence[Found], *, seconds: float) -> dict[str, Any]:
    """The issue's figures, and the table that they come from. What was not run, or not with ours, is left out."""
    names = list(dict.fromkeys(one.task for one in found))
    tasks = {name: _task([one for one in found if one.task == name], seconds) for name in names}
    large = {name: told for name, told in tasks.items() if not name.startswith((BIKES, UNSEEN))}
    unseen = {name: told for name, told in tasks.items() if name.startswith(UNSEEN)}
    splits = [told for name, told in tasks.items() if name.startswith(BIKES)]
    raced = [told for told in large.values() if "speedup" in told]
    warm = [told["warm"] for told in large.values() if "warm" in told]
    duels = _duels(large, splits)
    return {
        "speedup_vs_flaml_geomean": _mean(told["speedup"] for told in raced),
        "speedup_vs_flaml_min": min((told["speedup"] for told in raced), default=None),
        "speedup_vs_flaml_refitted_geomean": _mean(told["speedup_refitted"] for told in raced),
        "speedup_vs_flaml_refitted_min": min((told["speedup_refitted"] for told in raced), default=None),
        "speedup_kept_vs_flaml_geomean": _mean(told["speedup_kept"] for told in raced),
        "final_regret_vs_best_peer_max": max((told["regret"] for told in raced), default=None),
        "wins_at_60s": sum(duel["gain"] > 0 for duel in duels if duel["peer"] in TUNERS),
        "losses_at_60s": sum(duel["gain"] <= 0 for duel in duels if duel["peer"] in TUNERS),
        "lost_to": [duel for duel in duels if duel["gain"] <= 0],
        "warm_speedup_geomean": _mean(told["speedup"] for told in warm),
        "warm_speedup_delivered_geomean": _mean(told["speedup_delivered"] for told in warm),
        "bikes": _bikes(splits),
        "unseen": {name: _brief(told) for name, told in unseen.items()},
        "pace": {tool: _median(one.told["pace_s"] for one in found if one.tool == tool) for tool in _tools(found)},
        "seconds": seconds,
        "tasks": tasks,
    }


def first(trace: Iterable[Point], loss: float) -> float:
    """The first moment at which the later rows' loss was this or lower; inf if never."""
    return next((point[0] for point in trace if point[2] <= loss), math.inf)


def kept(trace: Sequence[Point], loss: float) -> float:
    """The moment from which on it stayed so; inf if it is higher at the end."""
    above = [number for number, point in enumerate(trace) if point[2] > loss]
    after = above[-1] + 1 if above else 0
    return trace[after][0] if after < len(trace) else math.inf


def _task(cells: Sequence[Found], seconds: float) -> dict[str, Any]:
    tools = {tool: [one for one in cells if one.tool == tool] for tool in _tools(cells) if tool != "warm"}
    table = {tool: _tool(found) for tool, found in tools.items()}
    told: dict[str, Any] = {"tools": table}
    if "flaml" in table:
        target = told["target"] = table["flaml"]["found"]
        for tool, found in tools.items():
            table[tool] |= _times([one.told["trace"] for one in found], target)
    if "ours" in table and "flaml" in table:
        told["speedup"] = _speedup(seconds, table["ours"]["first_s"])
        told["speedup_kept"] = _speedup(seconds, table["ours"]["kept_s"])
        firsts = [first(one.told["trace"], table["flaml"]["loss"]) for one in tools["ours"]]
        told["speedup_refitted"] = _speedup(seconds, _median(firsts))
    if "ours" in table and (rivals := {tool: table[tool]["loss"] for tool in RIVALS if tool in table}):
        best = min(rivals, key=lambda tool: rivals[tool])
        told |= {"best_peer": best, "regret": _round(table["ours"]["loss"] / rivals[best] - 1)}
        told["gains"] = {tool: _round(1 - table["ours"]["loss"] / loss) for tool, loss in rivals.items()}
    if warm := _warm(cells):
        told["warm"] = warm
    return told


def _tool(found: Sequence[Found]) -> dict[str, Any]:
    """`found`, `refitted`: medians of the losses on the later rows; `loss`: what counts, from `low` to `high`."""
    ours = found[0].tool == "ours"
    names = {"found": "found" if ours else "final", "refitted": "final" if ours else "retrained"}
    losses = {name: [one.told[key] for one in found] for name, key in names.items()}
    medians = {name: _median(values) for name, values in losses.items()}
    chosen = "refitted" if ours else min(medians, key=lambda name: medians[name])
    return {
        "seeds": len(found), **medians, "loss": medians[chosen], "counts": chosen, "low": min(losses[chosen]),
        "high": max(losses[chosen]), "cpu_s": _median(one.told["cpu_s"] for one in found),
        "trials": _median(one.told.get("trials", math.nan) for one in found),
    }  # fmt: skip


def _times(traces: Sequence[Sequence[Point]], target: float) -> dict[str, Any]:
    firsts = [first(trace, target) for trace in traces]
    return {
        "first_s": _median(firsts), "first_low_s": min(firsts), "first_high_s": max(firsts),
        "kept_s": _median(kept(trace, target) for trace in traces),
    }  # fmt: skip


def _warm(cells: Sequence[Found]) -> dict[str, Any]:
    """How much sooner the second cycle's search has what the first had at its end; each seed by itself.

    `speedup`: of the searches alone, their own boosters. `speedup_delivered`: until there is a model as good as the
    one that the cold search delivers; the fit of the old recipe to all rows is the first that there is.
    """
    cold = {one.seed: one.told for one in cells if one.tool == "ours"}
    pairs = [(cold[one.seed], one.told) for one in cells if one.tool == "warm" and one.seed in cold]
    if not pairs:
        return {}
    searched, delivered = [], []
    for before, now in pairs:
        begun = now["refit"][0]
        wanted = {name: before[name] * (1 + TOLERANCE) for name in ("found", "final")}
        later = [(point[0] - begun, *point[1:]) for point in now["trace"][:-1]]
        searched.append((first(before["trace"][:-1], wanted["found"]), first(later, wanted["found"])))
        models = [(begun, math.nan, now["refit"][1]), *now["trace"]]
        delivered.append((first(before["trace"], wanted["final"]), first(models, wanted["final"])))
    return {
        "seeds": len(pairs),
        "speedup": _median(_speedup(*pair) for pair in searched),
        "speedup_delivered": _median(_speedup(*pair) for pair in delivered),
        "cold_s": _median(pair[0] for pair in searched),
        "warm_s": _median(pair[1] for pair in searched),
        "final": _median(now["final"] for _, now in pairs),
    }


def _duels(large: Mapping[str, Any], splits: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Ours against each rival on each task; the bikes are one, by the median over their splits. `gain`: of the loss."""
    gains = [(name, peer, gain) for name, told in large.items() for peer, gain in told.get("gains", {}).items()]
    split = {peer: [told["gains"][peer] for told in splits if peer in told.get("gains", {})] for peer in RIVALS}
    gains += [(BIKES, peer, _median(values)) for peer, values in split.items() if values]
    return [{"task": task, "peer": peer, "gain": gain} for task, peer, gain in gains]


def _bikes(splits: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Medians over the splits; `gains`: of each split."""
    raced = [told for told in splits if "speedup" in told and "gains" in told]
    tools = dict.fromkeys(tool for told in splits for tool in told["tools"])
    losses = {tool: _median(told["tools"][tool]["loss"] for told in splits if tool in told["tools"]) for tool in tools}
    return {
        "splits": len(splits),
        "losses": losses,
        "speedup": _median(told["speedup"] for told in raced) if raced else None,
        "speedups": [told["speedup"] for told in raced],
        "gains": {peer: [told["gains"].get(peer) for told in raced] for peer in RIVALS} if raced else {},
    }


def _brief(told: Mapping[str, Any]) -> dict[str, Any]:
    losses = {tool: row["loss"] for tool, row in told["tools"].items()}
    return {"losses": losses, **{name: told.get(name) for name in _BRIEF}}


def show(told: Mapping[str, Any]) -> None:
    """For people; what was lost comes first."""
    for duel in told["lost_to"]:
        CONSOLE.print(f"LOST: {duel['task']} to {duel['peer']}, by {-duel['gain']:.2%}")
    for name, task in told["tasks"].items():
        CONSOLE.print(_shown(name, task, told["seconds"]))
    for key in list(told)[:11]:
        if key != "lost_to":
            CONSOLE.print(f"{key}: {told[key]}")
    for name in ("bikes", "unseen"):
        CONSOLE.print(f"{name}: {told[name]}")
    CONSOLE.print(f"CPU seconds of the same piece of work (what a second was worth): {told['pace']}")


def _shown(name: str, task: Mapping[str, Any], seconds: float) -> Table:
    more = "".join(
        f", {key} {task[key]}" for key in ("speedup", "speedup_refitted", "best_peer", "regret") if key in task
    )
    warm = f", warm {task['warm']}" if "warm" in task else ""
    table = Table(title=f"{name}: loss of later rows after {seconds:g} s{more}{warm}")
    columns: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "found": lambda row: f"{row['found']:.5g}",
        "refitted": lambda row: f"{row['refitted']:.5g}",
        "low to high": lambda row: f"{row['low']:.5g} to {row['high']:.5g}",
        "first <= FLAML's": _moments,
        "kept": lambda row: _moment(row["kept_s"]) if "kept_s" in row else "",
        "trials": lambda row: f"{row['trials']:g}",
        "CPU s": lambda row: f"{row['cpu_s']:.1f}",
        "seeds": lambda row: f"{row['seeds']}",
    }
    for column in ("", *columns):
        table.add_column(column, justify="right", no_wrap=True)
    for tool, row in task["tools"].items():
        table.add_row(tool, *(told(row) for told in columns.values()))
    return table


def _moments(row: Mapping[str, Any]) -> str:
    if "first_s" not in row:
        return ""
    return f"{_moment(row['first_s'])} ({_moment(row['first_low_s'])} to {_moment(row['first_high_s'])})"


def _moment(seconds: float) -> str:
    return f"{seconds:.1f} s" if math.isfinite(seconds) else "never"


def _tools(found: Sequence[Found]) -> list[str]:
    return list(dict.fromkeys(one.tool for one in found))


def _speedup(before: float, now: float) -> float:
    """0 when the second never gets there."""
    return _round(before / now) if math.isfinite(before) and math.isfinite(now) else 0.0


def _mean(values: Iterable[float]) -> float | None:
    """The geometric mean, which is 0 when one of them is."""
    known = list(values)
    if not known:
        return None
    return _round(geometric_mean(known)) if min(known) > 0 else 0.0


def _median(values: Iterable[float]) -> float:
    return _round(median(values))


def _round(value: float) -> float:
    return float(f"{value:.6g}")
