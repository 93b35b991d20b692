"""The table of differences, and what they mean, in words."""
from __future__ import annotations

from typing import List, Optional, Sequence

from masf_core.parity.measures import Difference
from masf_core.words import some

MIXED = ("rounding to 16 bits explains less. Run it again with --precision=float32, on a processor or a GPU: if that "
         "is within tolerance, the products here are coarser than bfloat16; if not, its differences show more closely "
         "what is wrong")
FIRST = ("this computes something else than the reference (only rounding can differ in the first iteration, and it "
         "explains less)")
LATER = ("the first iteration equals the reference, so this need not be an error. A single triplet that takes another "
         "negative has such effects in later iterations, larger ones with higher rates, and ")
THREADS = ("another number of threads is enough for that. Run it again with --intra_op_threads=2, and with 1: if one "
           "of them is within tolerance, that was the reason; if neither is, check the updates")
NO_THREADS = "another order of sums is enough for that. If it happens in every case, check the updates"


def verdict(differences: Sequence[Difference], mixed: bool = False, threads: bool = True) -> Optional[str]:
    """What the exceeded differences mean, in a few sentences; None where none is exceeded.

    mixed: as for ``comparison.compare_step``. threads: whether the order of sums depends on a number of threads that
    can be set, as on a processor.
    """
    exceeded = [item for item in differences if item.exceeded]
    if not exceeded:
        return None
    named = some([f"{item.quantity} in iteration {item.step}" for item in exceeded], 4)
    if mixed:
        return f"{named}: {MIXED}"
    if any(item.step == 1 for item in exceeded):
        return f"{named}: {FIRST}"
    return f"{named}: {LATER}{THREADS if threads else NO_THREADS}"


def table(differences: Sequence[Difference]) -> List[str]:
    """Lines of text: one for each quantity and iteration, with a mark where more than accepted was found.

    Differences are relative, or have their unit behind the quantity. ``-`` stands for a spread that was not measured.
    """
    lines = [f"{'step':<5} {'quantity':<24} {'difference':>12} {'spread':>10} {'tolerance':>10}  largest at"]
    for item in differences:
        quantity = item.quantity + (f" ({item.unit})" if item.unit else "")
        spread = "-" if item.spread is None else f"{item.spread:.1e}"
        mark = "  EXCEEDED" if item.exceeded else "  ILL-CONDITIONED" if item.is_ill_conditioned else ""
        lines.append(f"{item.step:<5} {quantity:<24} {item.value:>12.2e} {spread:>10} {item.accepted:>10.1e}  "
                     f"{item.where}{mark}")
    return lines
