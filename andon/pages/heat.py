"""A heat map as a table: its cells can be pointed at, read aloud and moved sideways while the names stay."""

from collections.abc import Iterator
from html import escape

from andon.pages.layout import empty
from andon.pages.story import Cell, Heat

_SHADES = 6  # s1 to s6 of the style; s0 is nothing
_MARK = "●"
_FEW = 8  # date labels in the head


def heat_map(heat: Heat | None, *, name: str, nothing: str) -> str:
    """The table; a sentence where there is no row."""
    if heat is None or not heat.rows:
        return empty(nothing)
    body = "".join(
        f'<tr><th scope="row" title="{escape(row.name)}">{escape(row.name)}</th>'
        f"{''.join(_cell(cell) for cell in row.cells)}</tr>"
        for row in heat.rows
    )
    return (
        f'<table class="heat"><caption class="hidden">{escape(name)}</caption>'
        f'<colgroup><col/><col span="{len(heat.labels)}"/></colgroup>'
        f"<thead><tr><th></th>{''.join(_head(heat))}</tr></thead><tbody>{body}</tbody></table>"
    )


def heat_legend(*, shade: str, mark: str = "", unjudged: str = "") -> str:
    """What a darker shade, the mark and a hatched cell mean; what is left out is not in the picture."""
    ramp = "".join(f'<i class="box s{level}" style="margin:0"></i>' for level in range(_SHADES + 1))
    keys = [f"<span>{ramp} {escape(shade)}</span>"]
    if mark:
        keys.append(f"<span>{_MARK} {escape(mark)}</span>")
    if unjudged:
        keys.append(f'<span><i class="box not"></i>{escape(unjudged)}</span>')
    return f'<p class="legend">{"".join(keys)}</p>'


def _head(heat: Heat) -> Iterator[str]:
    """Every so many windows a date, at the left end of its windows."""
    count = len(heat.labels)
    step = max(1, -(-count // _FEW))
    for index in range(0, count, step):
        yield f'<th scope="col" colspan="{min(step, count - index)}">{escape(heat.labels[index])}</th>'


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return '<td class="not"></td>'
    level = 0 if cell.shade <= 0 else min(_SHADES, 1 + int(cell.shade * _SHADES))
    told = f' title="{escape(cell.said)}"' if cell.said else ""
    return f'<td class="s{level}"{told}>{_MARK if cell.marked else ""}</td>'
