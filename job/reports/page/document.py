"""The frame of every page: one self-contained HTML file for any browser, also on a telephone. No scripts."""
from __future__ import annotations

from typing import Iterable, Sequence, Tuple

from job.printable import as_html
from job.reports.page.colours import GRID, INK, MUTED

STYLE = f"""
* {{ box-sizing: border-box; }}
body {{ font-family: system-ui, sans-serif; max-width: 1080px; margin: 0 auto; padding: 1.2em 1em 3em; color: {INK};
  line-height: 1.45; overflow-wrap: anywhere; }}
h1 {{ font-size: 1.5em; margin: 0.2em 0; }}
h2 {{ font-size: 1.15em; margin: 2em 0 0.6em; border-bottom: 1px solid {GRID}; padding-bottom: 0.2em; }}
p {{ margin: 0.5em 0; max-width: 75ch; }} .muted, figcaption {{ color: {MUTED}; font-size: 0.9em; }}
.figures {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 1.2em; }}
figure {{ margin: 0; min-width: 0; }} figcaption {{ margin-top: 0.3em; }}
svg {{ width: 100%; max-width: 640px; height: auto; display: block; }}
.wide {{ overflow-x: auto; }} .tall {{ max-height: 32em; overflow: auto; }}
table {{ border-collapse: collapse; font-size: 0.9em; font-variant-numeric: tabular-nums; overflow-wrap: normal; }}
td, th {{ padding: 0.25em 0.7em; text-align: right; vertical-align: top; }} th {{ font-weight: 600; }}
tr:nth-child(even) {{ background: #f7f7f7; }} .chosen td {{ font-weight: 600; background: #fdf3e1; }}
.facts {{ width: 100%; }} .facts th {{ width: 11em; color: {MUTED}; font-weight: 400; }}
.facts td, .facts th {{ text-align: left; overflow-wrap: anywhere; }}
.names td, .names th {{ text-align: left; white-space: nowrap; }}
.first td:first-child, .first th:first-child {{ text-align: left; }}
.bar {{ min-width: 9em; padding-right: 0; text-align: left; }}
.bar i {{ display: block; height: 0.9em; margin-top: 0.25em; }}
.confusion td {{ min-width: 3.2em; text-align: center; }}
.tiles {{ display: flex; flex-wrap: wrap; gap: 0.8em; margin: 1em 0; }}
.tile {{ border: 1px solid {GRID}; border-radius: 6px; padding: 0.6em 1em; min-width: 9em; flex: 1 1 9em; }}
.tile b {{ display: block; font-size: 1.5em; line-height: 1.2; }}
.shots {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(130px, 1fr)); gap: 1em; }}
.shots img {{ width: 100%; max-width: 170px; display: block; border: 1px solid {GRID}; }}
.shots figcaption {{ line-height: 1.3; }}
pre {{ background: #f7f7f7; padding: 1em; overflow-x: auto; font-size: 0.85em; user-select: all; }}
@media (max-width: 600px) {{ .facts th {{ width: 7.5em; }}
  td, th {{ padding: 0.25em 0.45em; }} .bar {{ min-width: 4em; }} }}
@media print {{ .tall {{ max-height: none; }} }}
"""


def document(title: str, parts: Iterable[str], more_style: str = "") -> str:
    """The page.

    Args:
        title: plain text, also the heading. parts: HTML. more_style: rules after those of ``STYLE``.
    """
    name = as_html(title)
    head = ('<!DOCTYPE html><html lang=en><head><meta charset=utf-8>'
            '<meta name=viewport content="width=device-width, initial-scale=1">'
            f"<title>{name}</title><style>{STYLE}{more_style}</style></head><body><h1>{name}</h1>")
    return "\n".join([head, *parts]) + "</body></html>\n"


def path_html(path: str) -> str:
    """A path, whose line is broken behind a slash where it is too long. path: plain text."""
    return as_html(path).replace("/", "/<wbr>")


def heading(text: str) -> str:
    """The heading of a part. text: plain."""
    return f"<h2>{as_html(text)}</h2>"


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph. text: plain. kind: "muted", or "" for the usual one."""
    return f'<p class="{kind}">{as_html(text)}</p>' if kind else f"<p>{as_html(text)}</p>"


def facts(rows: Iterable[Tuple[str, object]]) -> str:
    """A table of two columns: name and value, as plain text."""
    lines = "".join(f"<tr><th>{as_html(name)}</th><td>{as_html(value)}</td></tr>" for name, value in rows)
    return f'<table class="facts">{lines}</table>'


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    """A table that scrolls sideways where it is too wide. titles and cells: plain text. kind: a class of ``STYLE``."""
    head = "".join(f"<th>{as_html(title)}</th>" for title in titles)
    lines = ["<tr>" + "".join(f"<td>{as_html(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    return f'<div class="wide"><table class="{kind}"><tr>{head}</tr>' + "\n".join(lines) + "</table></div>"


def tiles(values: Iterable[Tuple[str, str]]) -> str:
    """Boxes with a number and what it is: (number, words), plain text."""
    boxes = "".join(f'<div class="tile"><b>{as_html(number)}</b>{as_html(words)}</div>' for number, words in values)
    return f'<div class="tiles">{boxes}</div>'
