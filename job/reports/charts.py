"""The charts and the table of a report, as plain SVG and HTML text: no plotting library, no scripts."""
from __future__ import annotations

import math
from typing import List, NamedTuple, Optional, Sequence, Tuple

from job.printable import as_html

COLOURS = ("#1f6fb4", "#d9662c", "#3a9150", "#7d5ba6", "#b8872b", "#5b6770")
INK, GRID = "#333", "#e4e4e4"
WIDTH, HEIGHT = 640, 280  # pixels, as all numbers below
LEFT, RIGHT, TOP, BOTTOM = 60, 150, 16, 40  # margins of a line chart
BAR_ROW, LONGEST_BAR = 22, 400

Points = Sequence[Tuple[float, float]]  # (x, y)
Series = Tuple[str, Sequence[Tuple[float, Optional[float]]]]  # (label, its points)


class Frame(NamedTuple):
    """The ranges of a line chart's axes."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float

    def place(self, x: float, y: float) -> Tuple[float, float]:
        """Pixels from the left and from the top."""
        x_span, y_span = (self.x_high - self.x_low) or 1, (self.y_high - self.y_low) or 1
        return (LEFT + (x - self.x_low) / x_span * (WIDTH - LEFT - RIGHT),
                HEIGHT - BOTTOM - (y - self.y_low) / y_span * (HEIGHT - TOP - BOTTOM))


def line_chart(series: Sequence[Series], x_label: str, y_label: str,
               y_range: Optional[Tuple[float, float]] = None) -> str:
    """An SVG line chart, or a paragraph where there is no point to draw.

    Args:
        series: the lines. Points whose y is None or not finite are left out.
        x_label, y_label: names of the axes.
        y_range: (lowest, highest), or None to fit the points.
    """
    lines = [(label, [(x, y) for x, y in points if y is not None and math.isfinite(y)]) for label, points in series]
    every = [point for _, points in lines for point in points]
    if not every:
        return "<p>No interval has been completed.</p>"
    y_low, y_high = y_range or padded(min(y for _, y in every), max(y for _, y in every))
    frame = Frame(min(x for x, _ in every), max(x for x, _ in every), y_low, y_high)
    parts = [_open(HEIGHT)] + _axes(frame, x_label, y_label)
    for number, (label, points) in enumerate(lines):
        parts += _line(frame, number, label, points)
    return "\n".join(parts) + "</svg>"


def _axes(frame: Frame, x_label: str, y_label: str) -> List[str]:
    """Grid lines, numbers and names of both axes."""
    parts = []
    for step in range(5):
        y = frame.y_low + ((frame.y_high - frame.y_low) or 1) * step / 4
        _, down = frame.place(frame.x_low, y)
        parts.append(f'<line x1="{LEFT}" y1="{down:.1f}" x2="{WIDTH - RIGHT}" y2="{down:.1f}" stroke="{GRID}"/>')
        parts.append(_text(LEFT - 6, down + 4, f"{y:.3g}", anchor="end"))
    for x in sorted({frame.x_low, (frame.x_low + frame.x_high) // 2, frame.x_high}):
        along, _ = frame.place(x, frame.y_low)
        parts.append(_text(along, HEIGHT - BOTTOM + 16, f"{x:g}", anchor="middle"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, x_label, anchor="middle"))
    parts.append(_text(LEFT, TOP - 4, y_label))
    return parts


def _line(frame: Frame, number: int, label: str, points: Points) -> List[str]:
    """One line with a dot for each point, and its entry in the legend."""
    colour = COLOURS[number % len(COLOURS)]
    placed = [frame.place(x, y) for x, y in points]
    course = " ".join(f"{along:.1f},{down:.1f}" for along, down in placed)
    parts = [f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{course}"/>']
    parts += [f'<circle cx="{along:.1f}" cy="{down:.1f}" r="2.5" fill="{colour}"/>' for along, down in placed]
    parts.append(f'<rect x="{WIDTH - RIGHT + 12}" y="{TOP + 14 + 18 * number}" width="12" height="4" fill="{colour}"/>')
    parts.append(_text(WIDTH - RIGHT + 30, TOP + 20 + 18 * number, label))
    return parts


def bar_chart(values: Sequence[Tuple[str, Optional[float]]], unit: str = "%", highest: float = 100.0) -> str:
    """Horizontal bars as SVG.

    Args:
        values: (label, number); None is a class without an image.
        unit: stands behind each number. highest: the number of the longest bar.
    """
    height = BAR_ROW * len(values) + 8
    parts = [_open(height)]
    for number, (label, value) in enumerate(values):
        y = 4 + BAR_ROW * number
        parts.append(_text(110, y + 14, label, anchor="end"))
        length = 0 if value is None else max(0.0, min(value, highest)) / highest * LONGEST_BAR
        parts.append(f'<rect x="118" y="{y + 3}" width="{length:.1f}" height="14" fill="{COLOURS[0]}"/>')
        parts.append(_text(124 + length, y + 14, "no image" if value is None else f"{value:.1f} {unit}"))
    return "\n".join(parts) + "</svg>"


def confusion_table(matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> str:
    """An HTML table: rows are true classes, columns predictions, shaded by the share of the row.

    Args:
        matrix: [class, class], counts of images. classes: names in label order.
    """
    titles = "".join(f"<th>{as_html(name)}</th>" for name in classes)
    lines = [f'<table class="confusion"><tr><th>true \\ predicted</th>{titles}</tr>']
    for name, row in zip(classes, matrix):
        total = sum(row) or 1
        cells = "".join(f'<td style="background:rgba(31,111,180,{0.75 * count / total:.2f})">{count:d}</td>'
                        for count in row)
        lines.append(f"<tr><th>{as_html(name)}</th>{cells}</tr>")
    return "\n".join(lines) + "</table>"


def padded(low: float, high: float) -> Tuple[float, float]:
    """A range a little wider than the points, so that no line runs along the frame."""
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin


def _open(height: int) -> str:
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
            'font-family="sans-serif" font-size="12">')


def _text(x: float, y: float, content: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{INK}">{as_html(content)}</text>'
