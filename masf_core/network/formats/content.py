"""What a reader of a file returns: named arrays that are not read yet."""
from __future__ import annotations

from typing import Callable, Dict, NamedTuple, Optional, Sequence, Tuple

import numpy as np

# Kinds of files. The first three have channels first: convolutions are OIHW, dense layers (outputs, inputs).
CAFFE, TORCH, SAFETENSORS = "a Caffe model", "a PyTorch file", "a safetensors file"
KERAS, TENSORFLOW = "a Keras file", "a TensorFlow checkpoint"
CHANNELS_FIRST = (CAFFE, TORCH, SAFETENSORS)

LARGEST_SIDE = 1 << 48  # of an array
MOST_SIDES = 32  # of an array; NumPy 1 has no more


class Stored(NamedTuple):
    """An array in a file.

    shape: as in the file. kind: its type in the file's words, for messages. read: returns the array, of floating-point
    numbers; raises Unfit or OverBudget. It is None where the array has another type, or is stored in a way that is not
    read.
    """

    shape: Tuple[int, ...]
    kind: str
    read: Optional[Callable[[], np.ndarray]]


class Content(NamedTuple):
    """The arrays of a file by the names that they have in it.

    kind: one of the constants above. layers: the names of all layers in the order of the network, where the file tells.
    """

    kind: str
    arrays: Dict[str, Stored]
    layers: Sequence[str] = ()


def elements(shape: Sequence[int]) -> int:
    """How many numbers an array of this shape has."""
    count = 1
    for side in shape:
        count *= side
    return count


def is_shape(sides: Sequence[int]) -> bool:
    """Whether an array can have these sides."""
    return len(sides) <= MOST_SIDES and all(0 <= side <= LARGEST_SIDE for side in sides)


def from_bfloat16(bits: np.ndarray) -> np.ndarray:
    """float32 of uint16: a bfloat16 is the upper half of a float32."""
    widened = bits.astype(np.uint32)
    widened <<= 16
    return widened.view(np.float32)
