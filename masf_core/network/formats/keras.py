"""Reading a `.h5` of Keras: weights alone or a whole model, of Keras 2 and 3."""
from __future__ import annotations

from typing import BinaryIO, Dict, Optional

from masf_core.network.budget import Budget
from masf_core.network.formats import hdf5
from masf_core.network.formats.content import KERAS, Content, Stored
from masf_core.network.plain_arrays import Unfit

_WHOLE_MODEL = "model_weights/"  # where a file of a whole model has its weights
_NUMBERED = {"0": "kernel", "1": "bias"}  # Keras 3 numbers the arrays of a layer
_ROOTS = ("layers/", "_layer_checkpoint_dependencies/")  # of Keras 3


def read(stream: BinaryIO, size: int, budget: Budget) -> Content:
    """The arrays as ``<layer>/kernel`` and ``<layer>/bias``. ``stream`` has to stay open. Raises Unfit, OverBudget."""
    found, names = hdf5.read(stream, size, budget)
    if any(path.startswith(_WHOLE_MODEL) for path in found):
        found = {path[len(_WHOLE_MODEL):]: array for path, array in found.items() if path.startswith(_WHOLE_MODEL)}
    arrays: Dict[str, Stored] = {}
    for path, array in found.items():
        name = _short_name(path, names)
        if name is not None:
            if name in arrays:
                raise Unfit(f"it has {name} twice")
            arrays[name] = array
    return Content(KERAS, arrays)


def _short_name(path: str, names: Dict[str, str]) -> Optional[str]:
    """``conv1/kernel`` of ``conv1/conv1/kernel:0``, ``conv1/model/conv1/kernel`` or ``layers/conv2d/vars/0``.

    names: of groups. Keras 3 names the group of a layer after its class, and says the layer's own name there.
    """
    parts = path.split("/")
    name = parts[-1].partition(":")[0]
    if path.startswith(_ROOTS) and parts[-2:-1] == ["vars"]:
        layer = names.get("/".join(parts[:-1]), "/".join(parts[1:-2]))
        return f"{layer}/{_NUMBERED.get(name, name)}"
    layer = parts[:-1]
    for length in range(1, len(layer) // 2 + 1):  # Keras 2 repeats the layer's name, which may have slashes
        if layer[:length] == layer[-length:]:
            layer = layer[:length]
            break
    return "/".join(layer + [name]) if layer else None
