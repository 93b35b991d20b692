"""How far rounding alone moves a case on this machine, so that a difference is judged by the case's own conditioning.

Some cases amplify a rounding: after a strong inner step a ReLU flips, and with a small margin a triplet takes another
negative. Two correct programs then differ by more than the tolerances that the recorded cases were given. So where a
difference is near its tolerance, the iterations run again with inputs and weights moved by about one unit in the last
place, in several draws, and the largest change of each quantity is its spread. A wrong formula stays visible, since
rounding does not reproduce it; a case whose spread is large cannot judge, and is called ill-conditioned.
"""
from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from masf_core.parity.iterations import Iterations
from masf_core.parity.measures import Difference
from masf_core.words import some

DRAWS = 8  # at most
FEWEST = 3  # draws, even where the first one explains every difference
NEAR = 0.5  # part of its tolerance from which on a difference makes the spread of the case worth its time

Compare = Callable[[int, Dict[str, Any], Dict[str, Any]], Sequence[Difference]]


def with_spread(differences: List[Difference], own: Sequence[Dict[str, Any]], iterations: Iterations, compare: Compare,
                draws: int = DRAWS) -> List[Difference]:
    """The differences with their spreads, where one of them is near its tolerance; else as they are.

    Args:
        own: what was found here in each iteration, in the form of records. compare: of step, record and found.
        draws: at most so many; 0 measures nothing.
    """
    last = max((item.step for item in differences if not item.value <= NEAR * item.tolerance), default=0)
    spreads: Dict[Tuple[int, str], float] = {}
    for draw in range(draws if last else 0):
        if draw >= FEWEST and not any(item.exceeded for item in _spread_out(differences, spreads)):
            break
        for step, found in enumerate(iterations.run(last, draw), 1):
            for item in compare(step, own[step - 1], found):
                if np.isfinite(item.value):
                    spreads[step, item.quantity] = max(item.value, spreads.get((step, item.quantity), 0.0))
    return _spread_out(differences, spreads)


def _spread_out(differences: List[Difference], spreads: Dict[Tuple[int, str], float]) -> List[Difference]:
    return [item._replace(spread=spreads.get((item.step, item.quantity))) for item in differences]


def remark(differences: Sequence[Difference]) -> Optional[str]:
    """Why a case cannot judge some quantities, in a sentence or two; None where it can judge all of them."""
    accepted = [item for item in differences if item.is_ill_conditioned]
    if not accepted:
        return None
    named = some([f"{item.quantity} in iteration {item.step} by {item.spread:.1e}" for item in accepted], 4)
    return (f"ill-conditioned: rounding alone moves {named} here. This case cannot judge "
            f"{'this quantity' if len(accepted) == 1 else 'these quantities'} more closely than five times that: "
            "judge with another case, of a weaker inner step or a larger margin")
