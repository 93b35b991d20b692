"""The table as text, Markdown, CSV and JSON."""
from __future__ import annotations

import csv
import io
import re
import unicodedata
from typing import Any, Dict, List

from job.printable import printable
from job.reports.image_results import is_formula
from job.reports.table.build import AVERAGE, OURS, Row, Table
from job.reports.table.cells import ERROR_NAMES, Cell, Paired
from job.standard_output import json_text
from masf_core.words import plural

_MARKDOWN = re.compile(r"([\\`*\[\]<>|])")


def as_text(table: Table) -> str:
    """Aligned columns for a terminal, without control characters other than line feeds."""
    rows = [titles(table)] + [_texts(row) for row in table.rows]
    rows = [[printable(each) for each in row] for row in rows]
    widths = [max(width_of(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [caption(table), ""]
    for number, row in enumerate(rows):
        lines.append("  ".join(padded(each, width, column < 3) for column, (each, width) in enumerate(
            zip(row, widths))).rstrip())
        if number == 0:
            lines.append("  ".join("-" * width for width in widths))
    return "\n".join(lines + _below(table, "  ")) + "\n"


def as_markdown(table: Table) -> str:
    """A Markdown table, and lists of what is missing and of the paired differences."""
    rows = [[_in_markdown(each) for each in row] for row in [titles(table)] + [_texts(row) for row in table.rows]]
    rule = ["-", "-", "-:"] + ["-:"] * (len(rows[0]) - 3)
    lines = [_in_markdown(caption(table)), ""] + [f"| {' | '.join(row)} |" for row in rows[:1] + [rule] + rows[1:]]
    below = [("- " + _in_markdown(line[2:]) if line.startswith("- ") else _in_markdown(line))
             for line in _below(table, "- ")]
    return "\n".join(lines + below) + "\n"


def as_csv(table: Table) -> str:
    """One line for each row of the table: for each target its mean, error and number of seeds. Numbers are exact."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    columns = list(table.targets) + [AVERAGE]
    writer.writerow([in_csv(title) for title in ["row", "selection", "kind"] + [
        f"{column} {what}" for column in columns for what in ("mean", table.error, "seeds", "expected")]])
    for row in table.rows:
        line: List[Any] = [in_csv(row.name), in_csv(row.selection), in_csv(row.kind)]
        for cell in row.cells:
            counts = [len(cell.values), cell.expected] if row.kind == OURS else ["", ""]
            line += ["" if cell.mean is None else repr(cell.mean), "" if cell.error is None else repr(cell.error)]
            line += counts
        writer.writerow(line)
    return stream.getvalue()


def as_json(table: Table) -> str:
    """Everything, with the value of each seed."""
    columns = list(table.targets) + [AVERAGE]
    content = {
        "targets": list(table.targets), "error": table.error,
        "rows": [{"name": row.name, "selection": row.selection or None, "kind": row.kind,
                  "cells": {column: _cell_content(cell) for column, cell in zip(columns, row.cells)}}
                 for row in table.rows],
        "missing": [each._asdict() for each in table.missing],
        "paired": [{"variant": each.variant, "baseline": each.baseline, "selection": each.selection,
                    "mean": each.mean, "low": each.low, "high": each.high, "unpaired": each.unpaired,
                    "pairs": [{"target": target, "seed": seed, "difference": value}
                              for target, seed, value in each.pairs]} for each in table.paired],
        "notes": table.notes,
    }
    return json_text(content) + "\n"


def caption(table: Table) -> str:
    """One sentence: what the numbers are."""
    return f"Accuracy on the target domain in per cent: mean ± {ERROR_NAMES[table.error]}, over seeds."


def titles(table: Table) -> List[str]:
    """The titles of the columns."""
    return ["variant", "selection", "seeds"] + list(table.targets) + [AVERAGE]


def cell_text(cell: Cell) -> str:
    """``45.20 ± 1.23 (2 of 3)``, ``+3.10``, or the state of the runs where there is no value."""
    if cell.mean is None:
        return cell.state
    told = f"{cell.mean:+.2f}" if cell.signed else f"{cell.mean:.2f}"
    if cell.error is not None:
        told += f" ± {cell.error:.2f}"
    return told + (f" ({len(cell.values)} of {cell.expected})" if cell.incomplete else "")


def missing_lines(table: Table) -> List[str]:
    """A sentence for each run that is not in the means."""
    return [f"{each.variant} on {each.target}, seed {each.seed}: {each.told or each.state}" for each in table.missing]


def paired_line(each: Paired) -> str:
    """A sentence about one comparison."""
    told = f"{each.variant} minus {each.baseline} ({each.selection}): "
    if each.mean is None:
        return told + "no pair of runs with the same target and seed"
    told += f"{each.mean:+.2f}"
    if each.low is not None:
        told += f", 95 % confidence interval {each.low:+.2f} to {each.high:+.2f}"
    told += f", {plural(len(each.pairs), 'pair')}"
    return told + (f", {plural(each.unpaired, 'run')} without a partner" if each.unpaired else "")


def _below(table: Table, mark: str) -> List[str]:
    lines: List[str] = []
    for title, told in (("Not in the means:", missing_lines(table)),
                        ("Paired differences over target and seed:", [paired_line(each) for each in table.paired]),
                        ("Notes:", table.notes)):
        if told:
            lines += ["", title, ""] if mark == "- " else ["", title]
            lines += [mark + printable(each) for each in told]
    return lines


def _titles(table: Table) -> List[str]:
    return ["variant", "selection", "seeds"] + list(table.targets) + [AVERAGE]


def _texts(row: Row) -> List[str]:
    name = row.name if row.kind == OURS else "  " + row.name
    return [name, row.selection, row.seeds] + [cell_text(cell) for cell in row.cells]


def _cell_content(cell: Cell) -> Dict[str, Any]:
    return {"mean": cell.mean, "error": cell.error, "values": {str(seed): value for seed, value in cell.values},
            "expected": cell.expected, "state": cell.state or None}


def _in_markdown(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", printable(text.strip()))


def in_csv(text: str) -> str:
    """A text that no spreadsheet takes for a formula, and without control characters."""
    plain = printable(text)
    return "'" + plain if is_formula(plain.lstrip()) else plain


def width_of(text: str) -> int:
    """Columns of a terminal: characters of East Asian scripts take two."""
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 0 if unicodedata.combining(each) else 1
               for each in text)


def padded(text: str, width: int, left: bool) -> str:
    """``text`` with blanks up to so many columns of a terminal. left: they follow it, otherwise they precede it."""
    blanks = " " * (width - width_of(text))
    return text + blanks if left else blanks + text
