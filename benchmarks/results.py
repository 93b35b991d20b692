"""Results: writes RESULTS.md from the JSON files of both lanes' benchmarks, followed by remarks.md.

    python -m benchmarks.results [--out DIR]
"""
from __future__ import annotations

import glob
import json
import os
from typing import Any, Dict, List, Optional, Sequence

from benchmarks.measuring import SIGNS, number, parser

HERE = os.path.dirname(os.path.abspath(__file__))
ORDER = ("step", "networks", "kernels", "wheels", "input", "decoding", "evaluation", "interval", "start", "published",
         "host", "ranks", "sync", "soak", "chaos")


def main() -> None:
    arguments = parser("benchmarks.results", __doc__, rounds=1).parse_args()
    found = read(arguments.out)
    with open(os.path.join(HERE, "remarks.md"), encoding="utf-8") as stream:
        remarks = stream.read()
    with open(os.path.join(HERE, "RESULTS.md"), "w", encoding="utf-8") as stream:
        stream.write("\n".join(document(found)) + "\n\n" + remarks)
    print(f"wrote benchmarks/RESULTS.md from {sum(len(lanes) for lanes in found.values())} files")


def read(directory: str) -> Dict[str, Dict[str, Any]]:
    """Name of a benchmark to {lane: content of its file}."""
    found = {}
    for path in sorted(glob.glob(os.path.join(directory, "*.json"))):
        with open(path, encoding="utf-8") as stream:
            content = json.load(stream)
        found.setdefault(content["name"], {})[content["lane"]] = content
    return found


def document(found: Dict[str, Dict[str, Any]]) -> List[str]:
    """The lines of RESULTS.md, without the remarks."""
    lines = ["# Figures", "", "`make bench` writes this page. [README.md](README.md) says what each figure means and "
             "what limits it. A cell has the median of the rounds and, in brackets, the smallest and the largest.", ""]
    names = [name for name in ORDER if name in found] + sorted(set(found) - set(ORDER))
    for name in names:
        lines += section(found[name]) + [""]
    return lines[:-1]


def section(lanes: Dict[str, Any]) -> List[str]:
    """The lines about one benchmark: a table of both lanes' figures, notes, commands and machines."""
    first = next(iter(lanes.values()))
    columns = [lane for lane in ("tf1", "tf2") if lane in lanes]
    lines = ["## " + first["title"], "", f"| | {' | '.join(columns)} | target |", f"|-|{'-|' * len(columns)}-|"]
    figures = {lane: {figure["what"]: figure for figure in lanes[lane]["figures"]} for lane in columns}
    titles = list(dict.fromkeys(title for lane in columns for title in figures[lane]))
    for title in titles:
        of_lanes = [figures[lane].get(title) for lane in columns]
        cells = " | ".join(cell(figure) for figure in of_lanes)
        lines.append(f"| {title} | {cells} | {target([figure for figure in of_lanes if figure])} |")
    lines.append("")
    for note in dict.fromkeys(note for lane in columns for note in lanes[lane]["notes"]):
        lines.append("- " + note)
    for lane in columns:
        content = lanes[lane]
        about = content["machine"]
        versions = ", ".join(f"{name} {version}" for name, version in sorted(content["versions"].items()))
        lines.append(f"- {lane}: `{content['command']}`, {about['processor']}, {about['cores']} cores, "
                     f"{about['memory_gb']} GB, load {about['load_average']}, {content['when']}; {versions}")
    return lines


def cell(figure: Optional[Dict[str, Any]]) -> str:
    if figure is None:
        return ""
    unit = " " + figure["unit"] if figure["unit"] else ""
    mark = " **missed**" if figure["met"] is False else ""
    spread = f"{number(min(figure['values']))} – {number(max(figure['values']))}"
    return f"{number(figure['median'])}{unit} ({spread}){mark}"


def target(figures: Sequence[Dict[str, Any]]) -> str:
    """The targets of the lanes, once if they are the same, and what limits the figure."""
    wanted = list(dict.fromkeys(f"{SIGNS[figure['target'][0]]} {number(figure['target'][1])}"
                                for figure in figures if figure["target"]))
    limits = list(dict.fromkeys(figure["limit"] for figure in figures if figure["limit"]))
    return "; ".join(filter(None, [" / ".join(wanted), "limit: " + ", ".join(limits) if limits else ""]))


if __name__ == "__main__":
    main()
