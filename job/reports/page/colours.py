"""One colour for each domain, class and method, the same in every figure and on every page."""
from __future__ import annotations

from typing import Dict, Iterable, List, Sequence

PALETTE = ("#1f6fb4", "#d9662c", "#3a9150", "#7d5ba6", "#b8872b", "#c2457a", "#2a9d9d", "#8c5a3c", "#5b6770",
           "#7a9a01")
INK, MUTED, GRID = "#333333", "#6b6b6b", "#e4e4e4"
# Where the name of a run or variant begins so, it has this colour, however many others stand beside it.
METHODS = {"masf": PALETTE[0], "deepall": PALETTE[8]}


def colours_of_domains(names: Iterable[str]) -> Dict[str, str]:
    """Domain → colour. The same domains have the same colours, whichever of them is the target."""
    return _in_order(sorted(set(names)))


def colours_of_classes(names: Sequence[str]) -> List[str]:
    """The colour of each class, in label order. More classes than colours share them."""
    return [PALETTE[number % len(PALETTE)] for number in range(len(names))]


def colours_of_methods(names: Iterable[str]) -> Dict[str, str]:
    """Name of a run or variant → colour. The first of a known method has the colour of this method."""
    distinct = list(dict.fromkeys(names))
    found: Dict[str, str] = {}
    for name in distinct:
        colour = next((each for method, each in METHODS.items() if name.lower().startswith(method)), None)
        if colour is not None and colour not in found.values():
            found[name] = colour
    free = [each for each in PALETTE if each not in METHODS.values()]
    others = [name for name in distinct if name not in found]
    found.update((name, free[number % len(free)]) for number, name in enumerate(others))
    return found


def _in_order(names: Sequence[str]) -> Dict[str, str]:
    return {name: PALETTE[number % len(PALETTE)] for number, name in enumerate(names)}
