"""`andon diff`: what differs between two versions of a model, side by side. Reads only."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.text import Text

from andon.cli.options import Json, OnePipeline
from andon.cli.output import grid, moment, people, print_json, working
from andon.cli.setup import settings

if TYPE_CHECKING:
    from registry.difference import Pair, VersionDifference

_SHOWN = 20  # slices, and inputs by importance
_DATA, _GATE = "training data", "the gate's numbers (each on rows of its own time)"
_SLICES, _INPUTS = "gain by slice, of the champion's loss", "importance by gain, of all inputs"
_RECIPE = "parameters"
_IN_WORDS = {_DATA, _GATE, _RECIPE}
_SHARES = {"gain_share", "churn", "coverage"}
_DIGESTS = {"id", "digest"}
_SHORT = 12


def diff(
    pipeline: OnePipeline,
    before: str = typer.Argument(metavar="V1", help="A version."),
    after: str = typer.Argument(metavar="V2", help="Another one."),
    *,
    json: Json = False,
) -> None:
    """What differs between two versions: data, parameters, the gate's numbers, slices, inputs, definition, churn."""
    with working(f"comparing versions {before} and {after} of {pipeline}"):
        found = _compared(pipeline, before, after)
    if json:
        print_json(found)
    else:
        _print(found)


def _compared(pipeline: str, before: str, after: str) -> "VersionDifference":
    from andon.cli.versions import bundle_of, churn_of, contract_changes, facts
    from registry.difference import compare_versions
    from tasks.site import open_sites

    (site,) = open_sites(pipeline, settings())
    with bundle_of(site, before) as old, bundle_of(site, after) as new:
        churn, remarks = churn_of(site, old[0], new[0])
        return compare_versions(
            facts(site, before, *old),
            facts(site, after, *new),
            contract=contract_changes(old[0], new[0]),
            churn=churn,
            remarks=remarks,
        )


def _print(found: "VersionDifference") -> None:
    console = people()
    console.print(Text(f"version {found.before} -> version {found.after}", style="bold"))
    if found.is_same_bundle:
        console.print("both are the same bundle, to the last byte")
    _table(console, _DATA, found, found.data, show=_plain)
    for kind, (came, went) in found.batches.items():
        told = "the same" if not came + went else f"came {came or 'none'}, went {went or 'none'}"
        console.print(Text(f"batches of {kind}: {told}"), soft_wrap=True)
    _table(console, _RECIPE, found, found.parameters, show=_plain, only_changes=True)
    _table(console, _GATE, found, found.metrics, show=_plain)
    _table(console, _SLICES, found, found.slices[:_SHOWN], show=_signed)
    _table(console, _INPUTS, found, found.importance[:_SHOWN], show=_share)
    _print_inputs(console, found)
    _print_definition(console, found)
    _print_churn(console, found)


def _table(
    console: Console,
    title: str,
    found: "VersionDifference",
    pairs: "Iterable[Pair]",
    *,
    show: Callable[[str, Any], str],
    only_changes: bool = False,
) -> None:
    rows = [pair for pair in pairs if not (only_changes and pair.is_same)]
    console.print(Text(f"\n{title}", style="bold"))
    if not rows:
        console.print("nothing differs" if only_changes else "nothing is known")
        return
    table = grid("", f"version {found.before}", f"version {found.after}", "")
    for pair in rows:
        same = pair.is_same
        table.add_row(
            Text(pair.name.replace("_", " ") if title in (_DATA, _GATE) else pair.name),
            Text(show(pair.name, pair.before)),
            Text(show(pair.name, pair.after), style="" if same else "yellow"),
            Text("" if same else _change(pair, is_share=title not in _IN_WORDS or pair.name in _SHARES), style="dim"),
        )
    console.print(table)


def _print_inputs(console: Console, found: "VersionDifference") -> None:
    for names, what in ((found.inputs_added, "added"), (found.inputs_removed, "removed")):
        if names:
            console.print(Text(f"inputs {what}: {', '.join(names)}", style="yellow"), soft_wrap=True)
    if len(found.importance) > _SHOWN:
        console.print(f"and {len(found.importance) - _SHOWN} inputs of less importance: --json")


def _print_definition(console: Console, found: "VersionDifference") -> None:
    console.print(Text("\ndefinition", style="bold"))
    console.print("the same" if found.is_same_definition else Text("it is another one", style="yellow"))
    for change in found.contract:
        console.print(Text(f"contract: {change}", style="red" if change.breaking else ""), soft_wrap=True)
    for line in found.definition_lines:
        console.print(Text(line, style="green" if line.startswith("+") else "red"), soft_wrap=True)


def _print_churn(console: Console, found: "VersionDifference") -> None:
    console.print(Text("\nchurn", style="bold"))
    if found.churn is not None:
        console.print(f"{found.churn.flips:.2%} of the decisions flip on {found.churn.of}", soft_wrap=True)
        if found.churn.mean_difference is not None:
            console.print(f"on average the predictions differ by {found.churn.mean_difference:.4g}", soft_wrap=True)
    for remark in found.remarks:
        console.print(Text(remark, style="yellow"), soft_wrap=True)


def _plain(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, float):
        return f"{value:.2%}" if name in _SHARES else f"{value:.6g}"
    if name in _DIGESTS:
        return str(value)[:_SHORT]
    return f"{value:,}" if isinstance(value, int) else str(value)


def _signed(_: str, value: float | None) -> str:
    return "-" if value is None else f"{value:+.2%}"


def _share(_: str, value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _change(pair: "Pair", *, is_share: bool) -> str:
    """The difference of two numbers, of shares in percentage points; nothing for other values."""
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in (pair.before, pair.after)):
        return ""
    step = pair.after - pair.before
    if is_share:
        return f"{step * 100:+.2f} points"
    return f"{step:+,}" if isinstance(step, int) else f"{step:+.4g}"
