"""Writing weights as `job convert-weights` does: a `.npz` that every version of this project reads.

Beside the arrays `<layer>_W` and `<layer>_b` the archive has a member `masf-weights.json`, which says where they are
from. NumPy and ``pretrained`` pass over it.
"""
from __future__ import annotations

import contextlib
import json
import os
import zipfile
from typing import Any, Dict, List, Mapping, NamedTuple, Optional

import numpy as np

from masf_core.errors import WeightsError
from masf_core.network.architecture import backbone_of, make_architecture
from masf_core.network.pretrained import CONVERTED, CONVERTED_NORMALISATION, Weights
from masf_core.network.registry import BACKBONES
from masf_core.records.files import sync
from masf_core.records.npz import write_npz

RECORD = "masf-weights.json"


class Fitted(NamedTuple):
    """Weights that fit a backbone. arrays: by their names in the archive. rest: what the file has beside them."""

    network: str
    arrays: Dict[str, np.ndarray]
    rest: List[str]


def fit(weights: Weights, source: str, network: Optional[str], width: float) -> Fitted:
    """The layers of ``weights`` that the backbone has, its classifier too.

    Args:
        source: the file, for messages. network: the backbone; None to find out.

    Raises:
        WeightsError: they do not fit; tells which layer, and the shapes that were expected and found.
    """
    network = network or weights.network or backbone_of(weights.layers)
    if network is None:
        raise WeightsError(f"{source}: its layers are those of none of the networks {', '.join(BACKBONES)}. Give "
                           "--network to see which layers are missing")
    architecture = make_architecture(network, 2, width)
    architecture.from_pretrained(weights.layers, source, otherwise="")
    layers = architecture.layers()
    arrays: Dict[str, np.ndarray] = {}
    for layer in layers:
        found = weights.layers.get(layer, ())
        is_normalisation = len(found) == len(CONVERTED_NORMALISATION)
        for index, array in enumerate(found):
            suffix = CONVERTED_NORMALISATION[index] if is_normalisation else CONVERTED[array.ndim == 1]
            arrays[layer.replace("/", "__") + suffix] = array
    return Fitted(network, arrays, weights.rest + [layer for layer in weights.layers if layer not in layers])


def write_converted(path: str, arrays: Mapping[str, np.ndarray], record: Mapping[str, Any]) -> None:
    """Write ``arrays`` and ``record`` to ``path``, whole or not at all.

    Raises:
        OSError: the file cannot be written. Nothing is left then.
    """
    partial = path + ".partial"
    try:
        with open(partial, "wb") as stream:
            write_npz(stream, arrays)
        with open(partial, "r+b") as stream:
            with zipfile.ZipFile(stream, "a") as archive:
                archive.writestr(zipfile.ZipInfo(RECORD), json.dumps(record, indent=1, ensure_ascii=False).encode())
            sync(stream)
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.remove(partial)
        raise
