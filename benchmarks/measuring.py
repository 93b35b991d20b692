"""What every benchmark shares: taking times in turn, figures with their spread, the machine, the table and the JSON.

Machines are shared and noisy, so nothing here rests on a single time: what is compared is run in turn, A B A B …, and
compared pair by pair, so that a drift of the machine's speed hits both alike.
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
        what: a few words, the row's title.
        values: one number a round; the median is quoted, and the smallest and largest beside it.
        unit: of the values, ``""`` for a ratio.
        target: (``">="`` or ``"<="``, number), or None where there is nothing to reach.
        limit: what bounds it, in a few words.
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
    """Seconds of every action in every round, the actions taken in turn; ``warm_up`` rounds are not counted.

    They are wall seconds; with ``clock=time.process_time`` they are those that all threads of this process had a core,
    which others on the machine hardly change.
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
    """Pair by pair."""
    return [a / b for a, b in zip(above, below)]


def parser(module: str, doc: str, rounds: int) -> argparse.ArgumentParser:
    """The arguments that every benchmark has: ``--rounds`` and ``--out``."""
    # Asked to end, it cleans up: servers, and gigabytes in memory that no process holds.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    result = argparse.ArgumentParser(
        "python -m " + module, description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--rounds", type=int, default=rounds, help="counted rounds (default %(default)s)")
    result.add_argument("--out", default=RESULTS, help="directory of the JSON files (default benchmarks/out)")
    return result


def pacs_root() -> Optional[str]:
    """The directory of real images that ``PACS_ROOT`` names (domain/class/image), or None, which is said."""
    root = os.environ.get("PACS_ROOT")
    if root and not os.path.isdir(root):
        sys.exit(f"PACS_ROOT={root}: there is no such directory; expected domain/class/image below it")
    if not root:
        print("PACS_ROOT is not set: the miniature that the package draws takes the place of real images")
    return root


def lane() -> str:
    return "tf1" if sys.version_info[:2] == (3, 7) else "tf2"


def machine() -> Dict[str, Any]:
    """What the figures were taken on; the load says whether others were there too."""
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
    """Three digits that count."""
    magnitude = abs(value)
    if magnitude >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def table(figures: Sequence[Figure]) -> List[str]:
    """Lines of a Markdown table."""
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
    """Print the table and write ``<out>/<lane>-<name>.json``.

    Args:
        name: of the benchmark, its module's. title: a line. figures: what was found.
        out: directory, made if need be. notes: sentences that belong to the figures.
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
    """Resident memory of this process in MB (10^6 bytes), shared pages of mapped files included."""
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
