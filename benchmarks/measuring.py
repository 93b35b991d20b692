"""Shared by all benchmarks: times measured in turn, figures with their spread, the machine, the table and the JSON.

Machines are shared and their speed varies, so no figure rests on a single time. What is compared runs in turn,
A B A B …, and is compared pair by pair, so that a change of the machine's speed affects both.
"""
from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import sys
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

SIGNS = {">=": "≥", "<=": "≤"}
RESULTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "out")


class Figure(NamedTuple):
    """One measured quantity.

    Attributes:
        what: title of the row.
        values: one number for each round; the median is given with the smallest and the largest.
        unit: of the values, ``""`` for a ratio.
        target: (``">="`` or ``"<="``, number), or None.
        limit: what limits the figure, in a few words.
    """

    what: str
    values: Sequence[float]
    unit: str
    target: Optional[Tuple[str, float]] = None
    limit: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def met(self) -> Optional[bool]:
        """Whether the median reaches the target; None without one."""
        if self.target is None:
            return None
        sign, wanted = self.target
        return self.median >= wanted if sign == ">=" else self.median <= wanted


def alternate(
    actions: Dict[str, Callable[[], object]], rounds: int, warm_up: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> Dict[str, List[float]]:
    """Seconds of every action in every round. The actions run in turn; ``warm_up`` more rounds are not counted.

    With ``clock=time.process_time`` it is the processor time of all threads of this process instead of wall time. Other
    work on the machine hardly changes it.
    """
    seconds: Dict[str, List[float]] = {name: [] for name in actions}
    for number in range(-warm_up, rounds):
        for name, action in actions.items():
            started = clock()
            action()
            if number >= 0:
                seconds[name].append(clock() - started)
    return seconds


def ratios(above: Sequence[float], below: Sequence[float]) -> List[float]:
    """The ratios of two sequences, pair by pair."""
    return [a / b for a, b in zip(above, below)]


def parser(module: str, doc: str, rounds: int) -> argparse.ArgumentParser:
    """A parser with the arguments of every benchmark: ``--rounds`` and ``--out``."""
    # SIGTERM ends with the usual clean-up: of servers, and of gigabytes in memory that no process holds.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    result = argparse.ArgumentParser(
        "python -m " + module, description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--rounds", type=int, default=rounds, help="counted rounds (default %(default)s)")
    result.add_argument("--out", default=RESULTS, help="directory of the JSON files (default benchmarks/out)")
    return result


def pacs_root() -> Optional[str]:
    """The directory of real images that ``PACS_ROOT`` names (domain/class/image). Without it: None, and a message."""
    root = os.environ.get("PACS_ROOT")
    if root and not os.path.isdir(root):
        sys.exit(f"PACS_ROOT={root} does not exist; expected a directory with domain/class/image")
    if not root:
        print("PACS_ROOT is not set: the miniature that the package draws is used instead of real images")
    return root


def lane() -> str:
    return "tf1" if sys.version_info[:2] == (3, 7) else "tf2"


def machine() -> Dict[str, Any]:
    """The machine of the figures. The load average shows other work on it."""
    processor, flags, memory = platform.machine(), "", 0
    try:
        with open("/proc/cpuinfo") as stream:
            for line in stream:
                key, _, value = line.partition(":")
                if key.strip() == "model name":
                    processor = value.strip()
                elif key.strip() == "flags":
                    flags = value
                    break
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        pass
    return {
        "processor": processor, "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else
        os.cpu_count(), "memory_gb": round(memory / 1e9, 1),
        "features": [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in flags.split()],
        "load_average": round(os.getloadavg()[0], 2)}


def versions() -> Dict[str, str]:
    found = {"python": platform.python_version()}
    for module, name in (("tensorflow", "tensorflow"), ("numpy", "numpy"), ("PIL", "Pillow"), ("torch", "torch")):
        if module in sys.modules:
            found[name] = getattr(sys.modules[module], "__version__", "?")
    return found


def number(value: float) -> str:
    """Text with three significant digits; whole numbers from 1,000 on."""
    magnitude = abs(value)
    if magnitude >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def table(figures: Sequence[Figure]) -> List[str]:
    """The lines of a Markdown table."""
    lines = ["| figure | median | smallest – largest | target | |", "|-|-|-|-|-|"]
    for figure in figures:
        unit = " " + figure.unit if figure.unit else ""
        target = "" if figure.target is None else f"{SIGNS[figure.target[0]]} {number(figure.target[1])}{unit}"
        mark = {None: "", True: "reached", False: "**missed**"}[figure.met]
        what = figure.what + (f" ({figure.limit})" if figure.limit else "")
        spread = f"{number(min(figure.values))} – {number(max(figure.values))}"
        lines.append(f"| {what} | {number(figure.median)}{unit} | {spread} | {target} | {mark} |")
    return lines


def report(name: str, title: str, figures: Sequence[Figure], out: str, notes: Sequence[str] = ()) -> None:
    """Prints the table and writes ``<out>/<lane>-<name>.json``.

    Args:
        name: of the benchmark's module.
        title: one line.
        figures: the rows of the table.
        out: directory; it is created if it does not exist.
        notes: sentences about the figures.
    """
    about = machine()
    print(f"\n{title} · lane {lane()} · {about['processor']} · {about['cores']} cores · load {about['load_average']}")
    print("\n".join(table(figures)))
    for note in notes:
        print("- " + note)
    os.makedirs(out, exist_ok=True)
    command = ["python", "-m", "benchmarks." + name] + [
        "PATH" if os.path.isabs(item) else item for item in sys.argv[1:]
        if not item.startswith("--out") and item != out]
    with open(os.path.join(out, f"{lane()}-{name}.json"), "w", encoding="utf-8") as stream:
        json.dump({
            "name": name, "title": title, "lane": lane(), "command": " ".join(command), "machine": about,
            "versions": versions(), "when": time.strftime("%Y-%m-%d %H:%M"), "notes": list(notes),
            "figures": [dict(figure._asdict(), values=list(figure.values), median=figure.median, met=figure.met)
                        for figure in figures]}, stream, indent=1, ensure_ascii=False)
        stream.write("\n")


def resident_mb() -> float:
    """Resident memory of this process in MB (10^6 bytes), including shared pages of mapped files."""
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
