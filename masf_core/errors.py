"""The errors of the method. Each is also the builtin that it resembles, so that plain `except` clauses work."""

from __future__ import annotations

from typing import Iterable, List, Tuple


class MasfError(Exception):
    """Base of every error that this package raises for a reason outside its own code."""


class DataError(MasfError, ValueError):
    """The images or their lists cannot be used as they are.

    offenders: every item at fault as (where, what): where is a list's file:line or an image's path.
    """

    def __init__(self, message: str, offenders: Iterable[Tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.offenders: List[Tuple[str, str]] = list(offenders)


class CacheError(MasfError, OSError):
    """The decode cache cannot be written or read: disk full, directory not writable."""


class WeightsError(MasfError, ValueError):
    """A file of pretrained weights is damaged, of another kind than expected, or not to be trusted."""


class TrainingDiverged(MasfError, ArithmeticError):
    """A loss is no longer finite."""


class ParityError(MasfError, ArithmeticError):
    """A quantity is further from the reference than kernel libraries are from one another."""


class ExportError(MasfError, RuntimeError):
    """The converter to another format does not work."""


class TensorFlowError(MasfError, ImportError):
    """TensorFlow is installed, and cannot be imported. told: why. mend: what to do about it."""

    def __init__(self, told: str, mend: str) -> None:
        super().__init__(f"{told}. {mend}")
        self.told, self.mend = told, mend


class CheckpointError(MasfError, IOError):
    """A local checkpoint is incomplete, damaged, or belongs to another network."""
