"""The table as a self-contained HTML page: numbers, and for each target a dot for every seed."""
from __future__ import annotations

import math
from typing import Iterator, List, Optional, Sequence, Tuple

from job.printable import as_html
from job.reports.page.colours import GRID, INK, MUTED, colours_of_methods
from job.reports.page.document import document, heading, paragraph
from job.reports.table.build import AVERAGE, OURS, PAPER, Row, Table
from job.reports.table.cells import Cell
from job.reports.table.formats import caption, cell_text, missing_lines, paired_line, titles

WIDTH, MARGIN, ROW = 480, 20, 38  # pixels, as all numbers below; a telephone shows them a little smaller
TOP, BOTTOM = 4, 34
NAME, DOTS = 12, 26  # below the upper edge of a row: the line of its name, and the middle of its dots
LONGEST = 60  # characters of a name
KEY = ("A dot is the accuracy of one seed, a stroke the mean of a variant, and a dashed line the published mean. Each "
       "figure has a scale of its own.")
TABLE_STYLE = f"""
.table td, .table th {{ white-space: nowrap; }} .published td {{ font-style: italic; color: {MUTED}; }}
h3 {{ font-size: 1em; margin: 0.4em 0; }} .difference td {{ color: {MUTED}; }} .table .incomplete {{ color: #b3541e; }}
"""


def as_page(table: Table) -> str:
    """The page as text."""
    parts = [paragraph(caption(table))]
    parts += _table(table)
    parts += _list("Not in the means", missing_lines(table))
    parts += _list("Paired differences over target and seed", [paired_line(each) for each in table.paired])
    parts += _list("Notes", table.notes)
    parts += [heading("Seeds"), paragraph(KEY, "muted"), '<div class="figures">']
    for column, title in enumerate(list(table.targets) + [AVERAGE]):
        chart = dot_chart([(row, row.cells[column]) for row in table.rows])
        parts.append(f"<figure><h3>{as_html(title)}</h3>{chart}</figure>")
    parts.append("</div>")
    return document("Accuracy by variant", parts, TABLE_STYLE)


def _table(table: Table) -> Iterator[str]:
    head = "".join(f"<th>{as_html(title)}</th>" for title in titles(table))
    yield f'<div class="wide"><table class="table first"><tr>{head}</tr>'
    for row in table.rows:
        cells = "".join(f"<td>{as_html(each)}</td>" for each in (row.name, row.selection, row.seeds))
        cells += "".join(f'<td{_class(cell, row)}>{as_html(cell_text(cell))}</td>' for cell in row.cells)
        yield f'<tr class="{row.kind}">{cells}</tr>'
    yield "</table></div>"


def _class(cell: Cell, row: Row) -> str:
    return ' class="incomplete"' if row.kind == OURS and cell.incomplete else ""


def _list(title: str, told: Sequence[str]) -> List[str]:
    if not told:
        return []
    return [heading(title) + "<ul>" + "".join(f"<li>{as_html(each)}</li>" for each in told) + "</ul>"]


def dot_chart(cells: Sequence[Tuple[Row, Cell]]) -> str:
    """An SVG: for each of our rows its name, a dot for each seed, a stroke at the mean, and the published mean.

    Args:
        cells: (row, its cell of one target). A published row belongs to the variant before it.
    """
    ours = [(row, cell, _published_after(cells, number)) for number, (row, cell) in enumerate(cells)
            if row.kind == OURS]
    values = [value for _, cell, _ in ours for _, value in cell.values]
    values += [mean for _, _, mean in ours if mean is not None]
    if not values:
        return "<p>No run is done.</p>"
    low, high = padded(min(values), max(values))
    height = TOP + ROW * len(ours) + BOTTOM
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
             f'height="{height}" font-family="sans-serif" font-size="12">']
    parts += _axis(low, high, height)
    colours = colours_of_methods(row.name for row, _, _ in ours)
    for number, (row, cell, mean) in enumerate(ours):
        parts += _line(row, cell, mean, TOP + ROW * number, colours[row.name], (low, high))
    return "\n".join(parts) + "</svg>"


def padded(low: float, high: float) -> Tuple[float, float]:
    """A range a little wider than the values, so that no dot lies on the frame."""
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin


def ticks(low: float, high: float) -> List[float]:
    """Three to seven round numbers from ``low`` to ``high``, which differ."""
    power = 10.0 ** math.floor(math.log10((high - low) / 3))
    step = max(each * power for each in (1, 2, 5) if each * power <= (high - low) / 3)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [round(number * step, 10) for number in range(first, last + 1)]


def _published_after(cells: Sequence[Tuple[Row, Cell]], number: int) -> Optional[float]:
    for row, cell in cells[number + 1:]:
        if row.kind == PAPER:
            return cell.mean
        if row.kind == OURS and row.name != cells[number][0].name:
            break
    return None


def _place(value: float, span: Tuple[float, float]) -> float:
    low, high = span
    return MARGIN + (value - low) / (high - low) * (WIDTH - 2 * MARGIN)


def _axis(low: float, high: float, height: int) -> Iterator[str]:
    for value in ticks(low, high):
        x = _place(value, (low, high))
        yield f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{height - BOTTOM}" stroke="{GRID}"/>'
        yield f'<text x="{x:.1f}" y="{height - BOTTOM + 15}" text-anchor="middle" fill="{INK}">{value:g}</text>'
    yield (f'<text x="{WIDTH / 2:.1f}" y="{height - 4}" text-anchor="middle" fill="{INK}">'
           "accuracy, %</text>")


def _line(row: Row, cell: Cell, published: Optional[float], top: float, colour: str,
          span: Tuple[float, float]) -> Iterator[str]:
    label = row.name if len(row.name) <= LONGEST else row.name[:LONGEST - 1] + "…"
    yield f'<text x="0" y="{top + NAME:.1f}" fill="{INK}">{as_html(f"{label}, {row.selection}")}</text>'
    y = top + DOTS
    if published is not None:
        x = _place(published, span)
        yield (f'<line x1="{x:.1f}" y1="{y - 10:.1f}" x2="{x:.1f}" y2="{y + 10:.1f}" stroke="{INK}" '
               f'stroke-dasharray="3 2"><title>published: {published:.2f} %</title></line>')
    if cell.mean is not None:
        x = _place(cell.mean, span)
        yield (f'<line x1="{x:.1f}" y1="{y - 8:.1f}" x2="{x:.1f}" y2="{y + 8:.1f}" stroke="{colour}" '
               f'stroke-width="2"><title>mean: {cell.mean:.2f} %</title></line>')
    for seed, value in cell.values:
        yield (f'<circle cx="{_place(value, span):.1f}" cy="{y:.1f}" r="4" fill="{colour}" fill-opacity="0.6">'
               f"<title>seed {seed}: {value:.2f} %</title></circle>")
