"""A limit on the work and memory that reading one file may cost, for files that are not trusted.

A file of a few hundred bytes can make its reader work for hours or take all memory: by instructions that name one
object many times, by deep nesting, or by arrays that are copied again and again. A reader spends from a ``Budget``
before each such step. It then ends within a second, and its memory stays within a small multiple of the file's size.
"""
from __future__ import annotations

OPERATIONS = 100 * 1000  # instructions, items and members; a network of 2,000 arrays needs two thirds of them
REFERENCES = 50 * 1000  # uses of an object that the file has defined before
NESTING = 16  # containers inside one another
EXPANSION = 4  # bytes in memory for each byte of the file: float16 becomes float32, and may be copied once
SPARE = 1 << 20  # bytes in addition, for small files


class OverBudget(Exception):
    """The file costs more to read than any file of its kind should. The message says which limit it reached."""


class Budget:
    """The work and memory that reading one file may still cost.

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
        """Spend on uses of objects that the file has defined before. Raises OverBudget."""
        self._spend("references to earlier objects", count)

    def memory(self, nbytes: int) -> None:
        """Spend bytes that are about to be allocated. Raises OverBudget."""
        self._spend("bytes of memory", nbytes)

    def unpacked(self, nbytes: int) -> None:
        """Count bytes that an archive unpacks to like bytes of the file. The caller has checked that they are few."""
        self._left["bytes of memory"] += self._expansion * nbytes

    def nested(self, depth: int) -> None:
        """Raise OverBudget if containers must not be nested ``depth`` deep."""
        if depth > self.nesting:
            raise OverBudget(f"its containers are nested more than {self.nesting} deep")

    def _spend(self, what: str, count: int) -> None:
        self._left[what] -= count
        if self._left[what] < 0:
            raise OverBudget(f"reading it takes more {what} than a file of its size should need")
