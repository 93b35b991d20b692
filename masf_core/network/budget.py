"""How much work and memory the reading of one file may cost. Files that are not trusted are read within a budget.

A file of a few hundred bytes can ask its reader for hours of work or for all memory: by instructions that name one
object many times, by deep nesting, by arrays that are copied again and again. A reader spends from a ``Budget`` before
each such step, so that a hostile file ends within a second and within a small multiple of its own size.
"""
from __future__ import annotations

OPERATIONS = 100 * 1000  # instructions, items and members; a network of 3,000 arrays takes two thirds of them
REFERENCES = 50 * 1000  # to objects that the file has named before
NESTING = 16  # containers inside one another
EXPANSION = 4  # bytes that are made of one byte of the file; float16 becomes float32 and may be copied once
SPARE = 1 << 20  # bytes beside that, for small files


class OverBudget(Exception):
    """The file costs more to read than any file of its kind. The message says what of."""


class Budget:
    """What is left of the work and memory that one file may cost.

    Args:
        size: of the file, bytes. operations, references, nesting: the most of each. expansion: bytes in memory that
            one byte of the file may become.
    """

    def __init__(self, size: int, operations: int = OPERATIONS, references: int = REFERENCES, nesting: int = NESTING,
                 expansion: int = EXPANSION) -> None:
        self.nesting, self._expansion = nesting, expansion
        self._left = {"operations": operations, "references to earlier objects": references,
                      "bytes of memory": expansion * size + SPARE}

    def operations(self, count: int = 1) -> None:
        """Spend on instructions, items or members. Raises OverBudget."""
        self._spend("operations", count)

    def references(self, count: int = 1) -> None:
        """Spend on names of objects that the file has named before. Raises OverBudget."""
        self._spend("references to earlier objects", count)

    def memory(self, nbytes: int) -> None:
        """Spend bytes that are about to be allocated. Raises OverBudget."""
        self._spend("bytes of memory", nbytes)

    def unpacked(self, nbytes: int) -> None:
        """What an archive unpacks to, which the caller has found to be little enough, counts as if it were the file."""
        self._left["bytes of memory"] += self._expansion * nbytes

    def nested(self, depth: int) -> None:
        """Raise OverBudget where containers are ``depth`` deep in one another, if that is too deep."""
        if depth > self.nesting:
            raise OverBudget(f"its containers are nested more than {self.nesting} deep")

    def _spend(self, what: str, count: int) -> None:
        self._left[what] -= count
        if self._left[what] < 0:
            raise OverBudget(f"reading it takes more {what} than a file of weights of its size ever needs")
