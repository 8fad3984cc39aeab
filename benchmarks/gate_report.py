"""What the gate's simulations say: rates with their bounds, for the JSON and for people, worst first."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from benchmarks import gate_seeds, gate_simulation, gate_slices
from benchmarks.gate_seeds import SeedTrial
from benchmarks.gate_simulation import METHODS, Chunk, simulated
from benchmarks.gate_slices import SliceChunk
from benchmarks.gate_world import World
from benchmarks.show import CONSOLE

ONE_SIDED_95 = 1.6448536
TWO_SIDED_95 = 1.9599640
LOOKS = ("single", "re-tested")
POWER_WORLDS = tuple(World(rows=20_000, days=60, ar=ar) for ar in (0, 0.4))


def wilson(hits: int, of: int, z: float = TWO_SIDED_95) -> tuple[float, float]:
    """Bounds of a share at z standard errors; (0, 1) of nothing. Source: Wilson 1927."""
    if not of:
        return 0.0, 1.0
    share, width = hits / of, z * z / of
    centre = (share + width / 2) / (1 + width)
    reach = z / (1 + width) * (share * (1 - share) / of + width / (4 * of)) ** 0.5
    return round(max(centre - reach, 0.0), 5), round(min(centre + reach, 1.0), 5)


def simulation(found: Sequence[Chunk], slices: Sequence[SliceChunk]) -> dict[str, Any]:
    """The answers about score-level worlds; a false promotion is of a challenger without any gain."""
    chunks = gate_simulation.together(found)
    iid = {world: item for world, item in chunks.items() if world.ar is None}
    correlated = {world: item for world, item in chunks.items() if world.ar is not None}
    worst = {
        "false_promotion_iid": _worst(iid, "single"),
        "false_promotion_correlated": _worst(correlated, "single"),
        "false_promotion_retested": _worst(chunks, "re-tested"),
    }
    power = {f"AR {world.ar:g}": _cell(chunks[world], 0.01, "ours") for world in POWER_WORLDS if world in chunks}
    return {
        **{name: cell and cell["lower"] for name, cell in worst.items()},
        "power_1pct_correlated_20k": min((cell["single"] for cell in power.values()), default=None),
        "slice_false_block": max((item["blocked"] for item in _slices(slices)), default=None),
        "worst_cells": worst,
        "power": power,
        "slices": _slices(slices),
        "asked_with_every_row": sum(item.asked_twice for item in found),
        "of_these_the_same": sum(item.same for item in found),
        "cells": [
            {"world": str(world), "gain": gain, "method": method, **_cell(item, gain, method)}
            for world, item in chunks.items()
            for gain in gate_simulation.GAINS
            for method in METHODS
        ],
    }


def seeds(found: Sequence[SeedTrial]) -> dict[str, Any]:
    """Of models that differ by their seed alone; the answers are those of the longest holdout at alpha 0.05."""
    of = len(found) // len(gate_seeds.HOLDOUTS)
    table = {
        f"{days} days": {
            name: {"promoted": _share(hits, of), "to_a_worse_model": _share(wrong, of)}
            for name, (hits, wrong) in row.items()
        }
        for days, row in gate_seeds.shares(found).items()
    }
    strict = table[f"{gate_seeds.HOLDOUTS[-1]} days"]["alpha 0.05"]
    gains = sorted(abs(item.true_gain) for item in found)
    return {
        "seed_null_promotions": strict["promoted"],
        "seed_promotions_to_a_worse_model": strict["to_a_worse_model"],
        "seed_median_true_gain": gains[len(gains) // 2],
        "seeds": table,
    }


def _share(hits: int, of: int) -> dict[str, Any]:
    return {"share": hits / of, "of": of, "interval": wilson(hits, of)}


def _worst(chunks: Mapping[World, Chunk], looks: str) -> dict[str, Any] | None:
    """The world in which ours promoted most often without any gain; `lower`: the one-sided 95 % bound."""
    if not chunks:
        return None
    world = max(chunks, key=lambda name: chunks[name].promoted[0.0, "ours", looks] / chunks[name].trials)
    hits, trials = chunks[world].promoted[0.0, "ours", looks], chunks[world].trials
    return {
        "world": str(world),
        "rate": hits / trials,
        "decisions": trials,
        "lower": wilson(hits, trials, ONE_SIDED_95)[0],
        "two_sided": wilson(hits, trials),
    }


def _cell(item: Chunk, gain: float, method: str) -> dict[str, Any]:
    """Shares promoted at a single look and in re-tests; None where re-tests were not simulated."""
    return {
        looks: round(item.promoted[gain, method, looks] / item.trials, 5)
        if simulated(item.world, gain, method, looks)
        else None
        for looks in LOOKS
    }


def _slices(found: Sequence[SliceChunk]) -> list[dict[str, Any]]:
    return [
        {
            "world": f"{world}, of uneven length",
            "decisions": item.trials,
            "slices": round(item.slices, 1),
            "blocked": round(item.counts["no gain", "blocked"] / item.trials, 5),
            "interval": wilson(item.counts["no gain", "blocked"], item.trials),
            "promoted": round(item.counts["no gain", "promoted"] / item.trials, 5),
            "regression_blocked": round(
                item.counts["one slice worse", "blocked"] / item.counts["one slice worse", "decisions"], 5
            ),
        }
        for world, item in gate_slices.together(found).items()
    ]


def show(answer: Mapping[str, Any]) -> None:
    """Tables for people."""
    if answer.get("cells"):
        _show_false(answer)
        _show_gains(answer)
    titles = {
        "slices": "Slices: a challenger without any gain, and one that makes a group of 9 % of the rows 5 % worse",
        "cycles": "Per 50 cycles: regressions shipped, promotions, final gain (alpha None: newer is better)",
    }
    for name, title in titles.items():
        if answer.get(name):
            _show(title, answer[name])
    if answer.get("seeds"):
        rows = [
            {"holdout": days, **{f"{name}, {what}": cell[what]["share"] for name, cell in row.items() for what in cell}}
            for days, row in answer["seeds"].items()
        ]
        _show("Models that differ by their seed alone: shares of the pairs", rows)
    if answer.get("bootstrap"):
        CONSOLE.print({name: value for name, value in answer["bootstrap"].items() if "speedup" in name})
        CONSOLE.print({"ends apart, of half the width": answer["bootstrap"]["ends"]})


def _show_false(answer: Mapping[str, Any]) -> None:
    cells = {(cell["world"], cell["method"]): cell for cell in answer["cells"] if cell["gain"] == 0}
    worlds = sorted(dict.fromkeys(world for world, _ in cells), key=lambda world: -cells[world, "ours"]["single"])
    rows = [
        {
            "no gain": world,
            **{f"{method}, {looks}": cells[world, method][looks] for method in METHODS for looks in LOOKS},
        }
        for world in worlds
    ]
    _show("Promoted without any gain at alpha 0.05, worst first", rows)


def _show_gains(answer: Mapping[str, Any]) -> None:
    rows = [
        {"world": cell["world"], "method": cell["method"], "gain": f"{cell['gain']:+.1%}", "single": cell["single"],
         "re-tested": cell["re-tested"]}
        for cell in answer["cells"] if cell["gain"] and cell["world"] in map(str, POWER_WORLDS)
    ]  # fmt: skip
    _show("Promoted, by true gain", rows)


def _show(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        return
    table = Table(*rows[0], title=title)
    for row in rows:
        table.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()))
    CONSOLE.print(table)
