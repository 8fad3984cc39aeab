"""The frame of a page: one HTML text with its style, without script, network or fonts of its own."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Literal

from andon.pages.story import Card

_STYLE = """
:root{color-scheme:light}*{box-sizing:border-box}
body{font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;color:#1c1c1c;background:#fff;
margin:0 auto;max-width:1120px;padding:20px 24px 60px;overflow-wrap:anywhere}
h1{font-size:22px;line-height:1.25;margin:0 0 2px}h2{font-size:18px;margin:34px 0 4px}h3{font-size:15px;margin:0}
p{margin:4px 0}.note,.meta{color:#555;font-size:13.5px}.empty{color:#666;font-style:italic}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.verdict{border-left:8px solid;border-radius:6px;padding:12px 18px;margin:14px 0;background:#f6f6f4}
.verdict strong{display:block;font-size:13px;letter-spacing:.06em;text-transform:uppercase}
.verdict .what{font-size:18px;line-height:1.4;font-weight:600;margin:2px 0 4px}
.verdict dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 14px;margin:0}
.verdict dt{color:#555}.verdict dd{margin:0}
.alarm{border-color:#b3261e}.verdict.alarm{background:#fdf0ee}.alarm>strong,.card.alarm b{color:#b3261e}
.notice{border-color:#c98a00}.verdict.notice{background:#fdf7e6}.notice>strong,.card.notice b{color:#8a5c00}
.quiet{border-color:#0b6e4f}.verdict.quiet{background:#eff8f4}.quiet>strong{color:#0b6e4f}
.unknown{border-color:#8a8a85}.unknown>strong{color:#555}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:10px;margin:14px 0}
.card{border:1px solid #deded8;border-radius:8px;padding:8px 12px}
.card b{display:block;font-size:20px;line-height:1.3}
.card span{display:block;color:#555;font-size:12.5px;line-height:1.35}
.roomy{min-width:720px}.scroll{overflow-x:auto}.end{direction:rtl}.end>*{direction:ltr}
svg{display:block;width:100%;height:auto}.scroll>svg{min-width:860px}
.axis{font-size:12px;fill:#555}.grid{stroke:#e6e6e1}.zero{stroke:#8a8a85}
.marker line{stroke:#0b6e4f;stroke-dasharray:2 3}.marker text{font-size:12px;fill:#0b6e4f;font-weight:600}
.legend{font-size:13px;display:flex;flex-wrap:wrap;gap:2px 18px;margin:2px 0 6px}
.legend i{display:inline-block;width:26px;margin-right:6px;vertical-align:middle}
.legend i.box{width:14px;height:14px;border-radius:2px;vertical-align:-2px}
table{border-collapse:collapse;font-size:13px;width:100%}
th,td{text-align:left;padding:4px 8px;border-bottom:1px solid #ecece8;vertical-align:top}th{color:#555;font-weight:600}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
tr.promoted{background:#eef7f2}
table.heat{border-collapse:separate;border-spacing:1px;table-layout:fixed;min-width:760px}
.heat th,.heat td{border:0;padding:0;font-size:12px;line-height:18px;height:18px}
.heat col:first-child{width:190px}
.heat th[scope=row]{position:sticky;left:0;background:#fff;padding-right:8px;text-align:right;color:#1c1c1c;
font-weight:400;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.heat thead th{color:#555;font-weight:400;white-space:nowrap;overflow:visible}
.heat td{text-align:center;font-size:10px;color:#1c1c1c;overflow:hidden}
.s0{background:#f1f1ee}.s1{background:#fbe3d6}.s2{background:#f6c4ab}.s3{background:#ec9b78}.s4{background:#dc6f49}
.s5{background:#b3401e}.s6{background:#7d1f0c}.heat .s4,.heat .s5,.heat .s6{color:#fff}
.not{background:repeating-linear-gradient(45deg,#fff 0 3px,#c9c9c4 3px 4px)}
.features{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,440px),1fr));gap:14px;margin-top:8px}
.feature{border:1px solid #deded8;border-radius:8px;padding:10px 14px}.feature.drifted{border-color:#b3261e}
.feature .pill{font-size:12px;font-weight:600;color:#b3261e;margin-left:8px;white-space:nowrap}
.feature ul{margin:4px 0 6px;padding:0;list-style:none;display:flex;flex-wrap:wrap;gap:0 14px;font-size:13px;color:#444}
.before{fill:#a9b0b7;background:#a9b0b7}.now{fill:#2f5fb3;background:#2f5fb3}.new{fill:#b3261e;background:#b3261e}
.incident{border:1px solid #b3261e;border-radius:8px;padding:10px 16px;margin:8px 0}
.incident ul{margin:4px 0;padding-left:20px}
@media(max-width:640px){body{padding:14px 14px 40px}.verdict{padding:10px 12px}.verdict .what{font-size:17px}
.verdict dl{grid-template-columns:1fr}.verdict dt{font-size:13px;margin-top:4px}.cards{grid-template-columns:1fr 1fr}
.heat col:first-child{width:124px}.feature .axis{font-size:14px}}
@media print{.scroll{overflow:visible}.feature,.incident{break-inside:avoid}}
"""


def page(title: str, parts: Iterable[str]) -> str:
    """The whole page as one HTML text."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>"
    )


def section(title: str, *parts: str, note: str = "") -> str:
    """A heading, what is seen below it in a sentence, and the thing itself."""
    told = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<section><h2>{escape(title)}</h2>{told}{''.join(parts)}</section>"


def empty(sentence: str) -> str:
    """What stands where there is nothing to show."""
    return f'<p class="empty">{escape(sentence)}</p>'


def wide(content: str, *, first: Literal["start", "end"] = "end") -> str:
    """On a narrow screen it is moved sideways, not shrunk; `first`: the end seen then, of charts the newest."""
    return f'<div class="scroll {first}">{content}</div>'


def cards(items: Iterable[Card]) -> str:
    """Key numbers, as many in a line as there is room for."""
    shown = (
        f'<div class="card {card.tone}"><b>{escape(card.value)}</b><span>{escape(card.text)}</span></div>'
        for card in items
    )
    return f'<div class="cards">{"".join(shown)}</div>'


def table(columns: Sequence[tuple[str, bool]], rows: Iterable[Sequence[str]], *, marked: Sequence[str] = ()) -> str:
    """A table of texts; `columns` are names and whether they hold numbers; `marked`: a class for each row."""
    head = "".join(f'<th scope="col"{_number(right)}>{escape(name)}</th>' for name, right in columns)
    numbers = [right for _, right in columns]
    body = []
    for index, row in enumerate(rows):
        cells = "".join(f"<td{_number(right)}>{escape(cell)}</td>" for cell, right in zip(row, numbers, strict=True))
        body.append(f'<tr class="{marked[index]}">{cells}</tr>' if marked and marked[index] else f"<tr>{cells}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def _number(right: bool) -> str:  # noqa: FBT001 - of a column
    return ' class="n"' if right else ""
