"""The charts and the table of a report, as plain SVG and HTML text: no plotting library, no scripts."""
from __future__ import annotations

import html
import math

COLOURS = ("#1f6fb4", "#d9662c", "#3a9150", "#7d5ba6", "#b8872b", "#5b6770")
INK, GRID = "#333", "#e4e4e4"
WIDTH, HEIGHT = 640, 280
LEFT, RIGHT, TOP, BOTTOM = 60, 150, 16, 40


def line_chart(series, x_label, y_label, y_range=None):
    """An SVG line chart.

    Args:
        series: list of (label, list of (x, y)); points whose y is None or not finite are left out.
        y_range: (lowest, highest), or None to fit the points.

    Returns:
        str, an ``<svg>`` element.
    """
    series = [(label, [(x, y) for x, y in points if y is not None and math.isfinite(y)]) for label, points in series]
    every = [point for _, points in series for point in points]
    if not every:
        return "<p>No interval has been completed.</p>"
    x_low, x_high = min(x for x, _ in every), max(x for x, _ in every)
    y_low, y_high = y_range or padded(min(y for _, y in every), max(y for _, y in every))
    x_span, y_span = (x_high - x_low) or 1, (y_high - y_low) or 1

    def place(x, y):
        return (LEFT + (x - x_low) / x_span * (WIDTH - LEFT - RIGHT),
                HEIGHT - BOTTOM - (y - y_low) / y_span * (HEIGHT - TOP - BOTTOM))

    parts = [_open(HEIGHT)]
    for step in range(5):
        y = y_low + y_span * step / 4
        _, py = place(x_low, y)
        parts.append(f'<line x1="{LEFT}" y1="{py:.1f}" x2="{WIDTH - RIGHT}" y2="{py:.1f}" stroke="{GRID}"/>')
        parts.append(_text(LEFT - 6, py + 4, f"{y:.3g}", anchor="end"))
    for x in sorted({x_low, (x_low + x_high) // 2, x_high}):
        px, _ = place(x, y_low)
        parts.append(_text(px, HEIGHT - BOTTOM + 16, f"{x:g}", anchor="middle"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, x_label, anchor="middle"))
    parts.append(_text(LEFT, TOP - 4, y_label))
    for number, (label, points) in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        placed = [place(x, y) for x, y in points]
        parts.append('<polyline fill="none" stroke="{}" stroke-width="2" points="{}"/>'.format(
            colour, " ".join("{:.1f},{:.1f}".format(*point) for point in placed)))
        parts.extend(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in placed)
        parts.append(f'<rect x="{WIDTH - RIGHT + 12}" y="{TOP + 14 + 18 * number}" width="12" height="4" '
                     f'fill="{colour}"/>')
        parts.append(_text(WIDTH - RIGHT + 30, TOP + 20 + 18 * number, label))
    return "\n".join(parts) + "</svg>"


def bar_chart(values, unit="%", highest=100.0):
    """Horizontal bars as SVG: ``values`` is a list of (label, number or None)."""
    row = 22
    height = row * len(values) + 8
    parts = [_open(height)]
    for number, (label, value) in enumerate(values):
        y = 4 + row * number
        parts.append(_text(110, y + 14, label, anchor="end"))
        length = 0 if value is None else max(0.0, min(value, highest)) / highest * 400
        parts.append(f'<rect x="118" y="{y + 3}" width="{length:.1f}" height="14" fill="{COLOURS[0]}"/>')
        shown = "no image" if value is None else f"{value:.1f} {unit}"
        parts.append(_text(124 + length, y + 14, shown))
    return "\n".join(parts) + "</svg>"


def confusion_table(matrix, classes):
    """An HTML table: rows are true classes, columns predictions, shaded by the share of the row."""
    lines = ['<table class="confusion"><tr><th>true \\ predicted</th>' + "".join(
        f"<th>{html.escape(name)}</th>" for name in classes) + "</tr>"]
    for name, row in zip(classes, matrix):
        total = sum(row) or 1
        cells = "".join(f'<td style="background:rgba(31,111,180,{0.75 * count / total:.2f})">{count}</td>'
                        for count in row)
        lines.append(f"<tr><th>{html.escape(name)}</th>{cells}</tr>")
    return "\n".join(lines) + "</table>"


def padded(low, high):
    """A range a little wider than the points, so that no line runs along the frame."""
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin


def _open(height):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
            'font-family="sans-serif" font-size="12">')


def _text(x, y, content, anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{INK}">{html.escape(str(content))}</text>'
