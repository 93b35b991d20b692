"""The names that a pickle of PyTorch may use: tensors, their storages and ordered dicts, and nothing else.

None of them is called; see `unpickler.py`. A tensor tells in which storage it lies, from where and with which steps.
The pickle does not hold the numbers themselves: a "persistent id" names their storage.
"""
from __future__ import annotations

import pickle
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from masf_core.network.budget import Budget
from masf_core.network.formats.content import is_shape
from masf_core.network.unpickler import Note, Refused, Unpickler, text_of, within_budget
from masf_core.words import shown

# Type of a storage → (its words, NumPy's type). A bfloat16 is read as uint16.
STORAGES = {
    "FloatStorage": ("float32", "<f4"), "DoubleStorage": ("float64", "<f8"), "HalfStorage": ("float16", "<f2"),
    "BFloat16Storage": ("bfloat16", "<u2"), "LongStorage": ("int64", "<i8"), "IntStorage": ("int32", "<i4"),
    "ShortStorage": ("int16", "<i2"), "CharStorage": ("int8", "<i1"), "ByteStorage": ("uint8", "<u1"),
    "BoolStorage": ("bool", "?"),
}


class Storage(NamedTuple):
    """A storage as the pickle names it: its key, the words for its type, NumPy's type, and how many numbers it has."""

    key: str
    kind: str
    dtype: np.dtype
    count: int


class Tensor(Note):
    """A tensor: ``storage[offset + Σ index · step]``, all counted in numbers and not in bytes."""

    __slots__ = ("storage", "offset", "shape", "steps")

    def __init__(self, storage: Storage, offset: int, shape: Tuple[int, ...], steps: Tuple[int, ...]) -> None:
        self.storage, self.offset, self.shape, self.steps = storage, offset, shape, steps


class _StorageType(Note):
    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class _RebuildTensor(Note):
    """torch._utils._rebuild_tensor_v2(storage, offset, shape, steps, requires_grad, hooks), or the older one without
    the last two."""

    __slots__ = ()

    def __call__(self, storage: Any, offset: Any, shape: Any, steps: Any, *_: Any) -> Tensor:
        if not isinstance(storage, Storage):
            raise Refused("a tensor has no storage")
        sizes_fit = (isinstance(shape, tuple) and isinstance(steps, tuple) and len(shape) == len(steps)
                     and all(type(number) is int for number in shape + steps + (offset,))
                     and is_shape(shape) and is_shape(steps) and offset >= 0)
        if not sizes_fit:
            raise Refused("the shape of a tensor is not a list of sizes")
        count, last = 1, offset
        for side, step in zip(shape, steps):
            count *= side
            last += (side - 1) * step
        if count and last >= storage.count or count > storage.count:
            raise Refused(f"a tensor of shape {shown(shape)} does not fit into its storage, which has "
                          f"{storage.count:,} numbers")
        return Tensor(storage, offset, shape, steps)


class _RebuildParameter(Note):
    """torch._utils._rebuild_parameter(tensor, requires_grad, hooks)."""

    __slots__ = ()

    def __call__(self, tensor: Any, *_: Any) -> Tensor:
        if not isinstance(tensor, Tensor):
            raise Refused("a parameter is no tensor")
        return tensor


class _Mapping(dict):
    """An ordered dict. Its state, the versions of the modules, is not needed."""

    def __setstate__(self, state):
        pass


class _MakeMapping(Note):
    """collections.OrderedDict(), or, from Python 2, of a list of pairs."""

    __slots__ = ()

    def __call__(self, pairs: Any = ()) -> _Mapping:
        made = _Mapping()
        for pair in pairs:
            if not isinstance(pair, (list, tuple)) or len(pair) != 2 or not isinstance(pair[0], (str, bytes)):
                raise Refused("an ordered dict has something else than names with values")
            made[pair[0]] = pair[1]
        return made


class TorchUnpickler(Unpickler):
    """For pickles of PyTorch. ``storages``: those that the pickle has named, by their keys."""

    dispatch = dict(Unpickler.dispatch)
    dispatch[pickle.BINPERSID[0]] = within_budget("BINPERSID", pickle._Unpickler.dispatch[pickle.BINPERSID[0]])
    holds = "tensors in dicts and lists (in PyTorch, torch.save(model.state_dict(), path) writes such a file)"
    largest_key = 1 << 16  # the state of an optimiser has numbers as names

    def __init__(self, stream: Any, budget: Budget) -> None:
        super().__init__(stream, budget)
        self.storages: Dict[str, Storage] = {}

    def note_of(self, module: str, name: str) -> Optional[Note]:
        """See ``Unpickler.note_of``."""
        if (module, name) == ("collections", "OrderedDict"):
            return _MakeMapping()
        if module == "torch._utils" and name in ("_rebuild_tensor_v2", "_rebuild_tensor"):
            return _RebuildTensor()
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _RebuildParameter()
        if module == "torch" and name in STORAGES:
            return _StorageType(name)
        return None

    def persistent_load(self, pid: Any) -> Storage:
        """The storage that the pickle names by ("storage", type, key, device, count), in old files with a view."""
        if not isinstance(pid, tuple) or len(pid) not in (5, 6) or text_of(pid[0]) != "storage":
            raise Refused("the pickle names something else than a storage")
        kind, key, count = pid[1], text_of(pid[2]), pid[4]
        if not isinstance(kind, _StorageType) or type(count) is not int or not is_shape((count,)):
            raise Refused("a storage has no type or no size")
        if len(pid) == 6 and pid[5] is not None:
            raise Refused("a storage is part of another one, as PyTorch before 0.2 wrote them; save the file again")
        words, code = STORAGES[kind.name]
        storage = Storage(key, words, np.dtype(code), count)
        if self.storages.setdefault(key, storage) != storage:
            raise Refused(f"storage {shown(key)} has two types or sizes")
        return storage


def tensors_of(value: Any) -> Dict[str, Tensor]:
    """The tensors of a state dict, also of one inside a checkpoint of a training program, by their names.

    Raises Refused where there are none.
    """
    candidates: List[Any] = [value]
    if isinstance(value, dict):
        candidates += [value.get(name) for name in ("state_dict", "model_state_dict", "model", "net", "network")]
    for candidate in candidates:
        if isinstance(candidate, dict):
            found = {_name(key): item for key, item in candidate.items() if isinstance(item, Tensor)}
            if found:
                return found
    raise Refused("it holds no state dict: a dict of tensors by their names, or one below the name 'state_dict'")


def _name(key: Any) -> str:
    return key.decode("latin-1") if isinstance(key, bytes) else str(key)
