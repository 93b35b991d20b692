"""Reading `.pth` and `.pt` without PyTorch.

Since PyTorch 1.6 such a file is a zip archive with a pickle, `data.pkl`, and a member `data/<key>` for each storage.
Before, it was a sequence: four pickles (a magic number, a version, the machine, the object), the list of the storages'
keys, and the storages, each behind its count of numbers. Archives are not compressed.
"""
from __future__ import annotations

import io
import struct
import zipfile
from typing import Any, BinaryIO, Callable, Dict, List

import numpy as np

from masf_core.network.budget import Budget
from masf_core.network.formats.content import TORCH, Content, Stored, from_bfloat16
from masf_core.network.formats.torch_pickle import Storage, Tensor, TorchUnpickler, tensors_of
from masf_core.network.plain_arrays import Unfit, archive_directory
from masf_core.network.unpickler import Bounded, carried_out
from masf_core.words import shown

FIRST_BYTES = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # the magic number as a pickle of its own
_VERSION = 1001
_PICKLE = "/data.pkl"
_LARGEST_PICKLE = 16 << 20  # bytes

ReadStorage = Callable[[Storage], bytes]


def is_archive_of_torch(names: List[str]) -> bool:
    """Whether an archive with these members is one of PyTorch's."""
    return any(name.endswith(_PICKLE) for name in names)


def read_archive(stream: BinaryIO, budget: Budget) -> Content:
    """The tensors of an archive, by the names in its state dict. ``stream`` has to stay open while they are read.

    Raises Unfit, OverBudget, Refused; one of ``plain_arrays.DAMAGED``.
    """
    archive = archive_directory(stream, budget)
    members: Dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        if info.filename in members:
            raise Unfit(f"it holds {shown(info.filename)} twice")
        members[info.filename] = info
    pickles = [name for name in members if name.endswith(_PICKLE)]
    if len(pickles) != 1:
        raise Unfit(f"it holds {len(pickles)} pickles of PyTorch")
    folder = pickles[0][:-len(_PICKLE)]

    def member(name: str, most: int) -> bytes:
        info = members.get(name)
        if info is None:
            raise Unfit(f"it has no member {shown(name)}")
        if info.compress_type != zipfile.ZIP_STORED or info.file_size > most:
            raise Unfit(f"{shown(name)} is compressed or has {info.file_size:,} bytes instead of at most {most:,}")
        budget.memory(info.file_size)
        return archive.read(info)

    if folder + "/byteorder" in members and member(folder + "/byteorder", 16) != b"little":
        raise Unfit("it was written on a machine with another byte order")
    program = member(pickles[0], _LARGEST_PICKLE)
    unpickler = TorchUnpickler(Bounded(io.BytesIO(program), len(program)), budget)

    def read_storage(storage: Storage) -> bytes:
        return member(f"{folder}/data/{storage.key}", storage.count * storage.dtype.itemsize)

    return _content(carried_out(lambda: tensors_of(unpickler.load())), read_storage)


def read_sequence(stream: BinaryIO, size: int, budget: Budget) -> Content:
    """As ``read_archive``, of the older form."""
    bounded = Bounded(stream, size)

    def load(unpickler: Any = None) -> Any:
        return carried_out((unpickler or TorchUnpickler(bounded, budget)).load)

    load()  # the magic number
    if load() != _VERSION:
        raise Unfit("it is a PyTorch file of another version")
    machine = load()
    if isinstance(machine, dict) and machine.get("little_endian", machine.get(b"little_endian")) is not True:
        raise Unfit("it was written on a machine with another byte order")
    unpickler = TorchUnpickler(bounded, budget)
    tensors = carried_out(lambda: tensors_of(unpickler.load()))
    places = _places(stream, load(), unpickler.storages, size, budget)

    def read_storage(storage: Storage) -> bytes:
        if storage.key not in places:
            raise Unfit(f"it has no storage {shown(storage.key)}")
        count = storage.count * storage.dtype.itemsize
        budget.memory(count)
        stream.seek(places[storage.key])
        return stream.read(count)

    return _content(tensors, read_storage)


def _places(stream: BinaryIO, keys: Any, storages: Dict[str, Storage], size: int, budget: Budget) -> Dict[str, int]:
    """Where the numbers of each storage begin. The stream is behind the list of their ``keys``."""
    if not isinstance(keys, list):
        raise Unfit("it has no list of storages")
    places: Dict[str, int] = {}
    at = stream.tell()
    for key in keys:
        budget.operations()
        name = key.decode("latin-1") if isinstance(key, bytes) else key
        storage = storages.get(name) if isinstance(name, str) else None
        if storage is None or name in places:
            raise Unfit(f"its list of storages has {shown(name)}, which is unknown or repeated")
        stream.seek(at)
        head = stream.read(8)
        length = storage.count * storage.dtype.itemsize
        if len(head) < 8 or at + 8 + length > size:
            raise EOFError("it ends too early")
        if struct.unpack("<q", head) != (storage.count,):
            raise Unfit(f"storage {shown(name)} has another size than its tensors say")
        places[name] = at + 8
        at += 8 + length
    return places


def _content(tensors: Dict[str, Tensor], read_storage: ReadStorage) -> Content:
    read: Dict[str, bytes] = {}  # storages that several tensors share are read once

    def reader(tensor: Tensor) -> Callable[[], np.ndarray]:
        def array() -> np.ndarray:
            storage = tensor.storage
            if storage.key not in read:
                data = read_storage(storage)
                if len(data) != storage.count * storage.dtype.itemsize:
                    raise Unfit(f"storage {shown(storage.key)} has {len(data):,} bytes, and {storage.count:,} numbers")
                read[storage.key] = data
            flat = np.frombuffer(read[storage.key], storage.dtype)[tensor.offset:]
            view = np.lib.stride_tricks.as_strided(
                flat, tensor.shape, [step * storage.dtype.itemsize for step in tensor.steps], writeable=False)
            return from_bfloat16(view) if storage.kind == "bfloat16" else view

        return array

    return Content(TORCH, {name: Stored(tensor.shape, tensor.storage.kind,
                                        reader(tensor) if "float" in tensor.storage.kind else None)
                           for name, tensor in tensors.items()})
