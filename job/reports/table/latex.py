"""The table as LaTeX, for the package booktabs."""
from __future__ import annotations

from typing import List

from job.printable import printable
from job.reports.table.build import AVERAGE, OURS, PAPER, Row, Table
from job.reports.table.cells import Cell
from job.reports.table.formats import caption, missing_lines, paired_line

ESCAPES = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
           "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
           ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}", "±": r"$\pm$", "[": "{[}", "]": "{]}"}


def as_latex(table: Table) -> str:
    r"""A ``table`` environment. What is missing, and all notes, stand in it as comments."""
    columns = "l l r" + " r" * (len(table.targets) + 1)
    titles = ["Variant", "Selection", "Seeds"] + [in_latex(each) for each in table.targets] + [AVERAGE.title()]
    lines = [r"% \usepackage{booktabs}"]
    lines += [f"% {printable(each)}" for each in ["not in the means: " + told for told in missing_lines(table)]
              + [paired_line(each) for each in table.paired] + table.notes]
    lines += [r"\begin{table}", r"\centering", rf"\caption{{{in_latex(caption(table))}}}",
              rf"\begin{{tabular}}{{{columns}}}", r"\toprule", " & ".join(titles) + r" \\", r"\midrule"]
    lines += [_row(row) for row in table.rows]
    return "\n".join(lines + [r"\bottomrule", r"\end{tabular}", r"\end{table}"]) + "\n"


def _row(row: Row) -> str:
    name = in_latex(row.name)
    if row.kind == PAPER:
        name = rf"\quad \emph{{{name}}}"
    elif row.kind != OURS:
        name = rf"\quad {name}"
    return " & ".join([name, in_latex(row.selection), in_latex(row.seeds)] + _cells(row)) + r" \\"


def _cells(row: Row) -> List[str]:
    return [_cell(cell) for cell in row.cells]


def _cell(cell: Cell) -> str:
    if cell.mean is None:
        return in_latex(cell.state)
    told = f"${cell.mean:+.2f}$" if cell.signed else f"{cell.mean:.2f}"
    if cell.error is not None:
        told += rf" {{\footnotesize$\pm${cell.error:.2f}}}"
    return told + (rf" ({len(cell.values)}/{cell.expected})" if cell.incomplete else "")


def in_latex(text: str) -> str:
    """``text`` as it is, in LaTeX: no command, no comment, no control character."""
    return "".join(ESCAPES.get(each, each) for each in printable(text))
