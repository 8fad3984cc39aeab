"""What the alarms' simulation answers: the figures for the JSON, and tables for people, bad news first."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from benchmarks.alarms_cell import OURS, PEERS, WITHIN, better
from benchmarks.alarms_ours import REFERENCE
from benchmarks.show import CONSOLE

TARGET = 0.01
SHOWN = 3  # windows within which the tables show the power
_MOST_SHOWN = 40
_SHORT = dict(zip(PEERS, ("Ev", "Ev set", "NML 10", "NML all", "KS chi2", "PSI .1", "PSI .2"), strict=True))


def answered(cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The answers that the issue asks for. `*_max`: of the worst world whose windows are exchangeable given season."""
    kept = [cell for cell in cells if cell["null"] != "ar"]
    correlated = [cell for cell in cells if cell["null"] == "ar"]
    worst, worst_ar = _worst(kept, "new"), _worst(correlated, "new")
    return {
        "false_alarm_max": worst and worst["lower"],
        "false_alarm_target": TARGET,
        "false_alarm_worst": worst,
        "false_alarm_ar": worst_ar and worst_ar["share"],
        "false_alarm_ar_worst": worst_ar,
        "prediction_false_alarm_max": _worst(kept, "prediction"),
        "prediction_false_alarm_ar": _worst(correlated, "prediction"),
        "single_window_max": _worst(kept, "windows"),
        "single_window_ar": _worst(correlated, "windows"),
        "peers_false_alarm_max": {name: _worst(kept, "new", name) for name in PEERS},
        "peers_single_window_max": {name: _worst(kept, "windows", name) for name in PEERS},
        "reference_windows": REFERENCE,
        "power": _power(kept),
        "peers_better_at_equal_rate": [row for cell in cells for row in better(cell, SHOWN, at="equal")],
        "peers_better_at_defaults": [row for cell in cells for row in better(cell, SHOWN, at="default")],
    }


def show(answer: Mapping[str, Any]) -> None:
    """Tables for people."""
    cells = answer["cells"]
    _show_false(cells)
    if missed := [cell for cell in cells if cell["false_alarms"][OURS]["new"]["lower"] > TARGET]:
        CONSOLE.print("[bold]More new alarms than one in a hundred windows:[/bold]", *(_title(cell) for cell in missed))
    rows = answer["peers_better_at_equal_rate"]
    _table(f"Where a peer sees more within {SHOWN} windows at equal false alarms", rows[:_MOST_SHOWN])
    for cell in cells:
        _show_power(cell)
    _show_summary(answer["power"])
    _show_labels(cells)
    if answer["nannyml_check"]:
        CONSOLE.print({"NannyML itself, beside the rule as re-implemented": answer["nannyml_check"]})


def _power(cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Change -> of ours and of each peer, the mean over these worlds of what was named within 1, 3 and 10 windows."""
    tried = [cell["power"] for cell in cells if cell["power"]]
    return {
        kind: {
            OURS: _means([power[kind][OURS]["alarm"] for power in tried]),
            **{
                name: {at: _means([power[kind][name][at] for power in tried]) for at in ("default", "equal")}
                for name in PEERS
            },
        }
        for kind in (tried[0] if tried else ())
    }


def _means(rows: Sequence[Sequence[float]]) -> list[float]:
    return [round(sum(column) / len(rows), 3) for column in zip(*rows, strict=True)]


def _worst(cells: Sequence[Mapping[str, Any]], what: str, name: str = OURS) -> dict[str, Any] | None:
    if not cells:
        return None
    found = [{"rows": cell["rows"], "null": cell["null"], **cell["false_alarms"][name][what]} for cell in cells]
    return max(found, key=lambda item: (item["lower"], item["share"]))


def _show_false(cells: Sequence[Mapping[str, Any]]) -> None:
    ordered = sorted(cells, key=lambda cell: -cell["false_alarms"][OURS]["new"]["share"])
    rows = []
    for cell in ordered:
        ours = cell["false_alarms"][OURS]
        new = ours["new"]
        rows.append({
            "nothing changed": _title(cell),
            "ours, new": f"{new['share']:.2%} ({new['lower']:.2%}-{new['upper']:.2%})",
            "one window": f"{ours['windows']['share']:.2%}",
            "prediction": f"{ours['prediction']['share']:.2%}",
            **{_SHORT[name]: _pair(cell["false_alarms"][name]) for name in PEERS},
        })  # fmt: skip
    _table("Of windows in which nothing changed: ours new alarms (one-sided 95 % bounds) and suspect windows; "
           "peers' new alarms / windows in alarm", rows)  # fmt: skip


def _pair(found: Mapping[str, Mapping[str, float]]) -> str:
    return f"{found['new']['share']:.0%}/{found['windows']['share']:.0%}"


def _show_summary(power: Mapping[str, Any]) -> None:
    place = WITHIN.index(SHOWN)
    rows = [
        {
            "change": kind,
            f"ours, {'/'.join(map(str, WITHIN))}": "/".join(f"{share:.2f}" for share in table[OURS]),
            **{
                _SHORT[name]: f"{table[name]['default'][place]:.2f}/{table[name]['equal'][place]:.2f}" for name in PEERS
            },
        }
        for kind, table in power.items()
    ]
    _table(f"Mean over the worlds iid, day, week: raised and named; peers within {SHOWN} windows, default / at our "
           "false alarms", rows)  # fmt: skip


def _show_power(cell: Mapping[str, Any]) -> None:
    place = WITHIN.index(SHOWN)
    beaten = {(row["change"], row["peer"]) for row in better(cell, SHOWN, at="equal")}
    rows = [
        {
            "change": kind,
            f"ours, {'/'.join(map(str, WITHIN))}": "/".join(f"{share:.2f}" for share in table[OURS]["alarm"]),
            **{
                _SHORT[name]: f"{table[name]['default'][place]:.2f}/{table[name]['equal'][place]:.2f}"
                f"{'*' if (kind, name) in beaten else ''}"
                for name in PEERS
            },
        }
        for kind, table in cell["power"].items()
    ]
    _table(f"{_title(cell)}: raised and named; peers within {SHOWN} windows, default / at our false alarms "
           "(*: better than ours)", rows)  # fmt: skip


def _show_labels(cells: Sequence[Mapping[str, Any]]) -> None:
    rows = []
    for cell in cells:
        for change, found in cell["labels"].items():
            if change == "false":
                rows.append({
                    "world": _title(cell), "change": "none: new, per window", "drift alarm, no labels": "",
                    **{name: f"{found[name]['share']:.2%}" for name in ("bias proven", "retrain asked for")},
                })  # fmt: skip
                continue
            rows.append({"world": "", "change": change, **{
                name: "" if found[name] is None else "/".join(f"{share:.2f}" for share in found[name])
                for name in ("drift alarm, no labels", "bias proven", "retrain asked for")
            }})  # fmt: skip
    _table("Without labels and with mature ones: seen within 1/3/10 (with labels also 30) windows of the change", rows)


def _title(cell: Mapping[str, Any]) -> str:
    return f"{cell['rows'] // 1000}k {cell['null']}"


def _table(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        return
    table = Table(*rows[0], title=title, padding=0, pad_edge=False)
    for column in table.columns:
        column.no_wrap = True
    for row in rows:
        table.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()))
    CONSOLE.print(table)
