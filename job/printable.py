"""Text that others wrote, such as file names, made safe to show on a terminal and on a page.

A control character moves the cursor, recolours the terminal or retitles its window; a line feed in a file name looks
like a line of our own. Such characters are shown as their escape sequences, as in ``\\x1b``.
"""

from __future__ import annotations

import html

LINE_INDENT = "  "


def printable(text: str) -> str:
    """``text`` in one line: each character that is not printable becomes its escape sequence."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape", "surrogatepass").decode() for each in text)


def printable_lines(text: str) -> str:
    """``text`` with its line feeds and tabs, and without other control characters.

    Each line but the first is indented, so that no part of a file's name can look like a log line of its own. Where
    one of these lines has no indent, all get the same one: a YAML file or a nested list keeps its structure.
    """
    first, *others = ["\t".join(map(printable, line.split("\t"))) for line in text.split("\n")]
    flush = any(line and line[0] not in " \t" for line in others)
    return "\n".join([first] + [LINE_INDENT + line if line and flush else line for line in others])


def as_html(text: object) -> str:
    """``text`` as the content or an attribute of an HTML or SVG element: no markup, no control characters."""
    return html.escape(printable(str(text)))
