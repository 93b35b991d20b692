"""Reading pretrained weights. The file may come from a bucket and is not trusted.

`formats/` reads the files of other programs. Three layouts are of NumPy and read here: a `.npy` with a pickled dict
{layer: [weights, biases]}, as `bvlc_alexnet.npy` is (of Python 2); a `.npz` of plain arrays `<layer>_W` and
`<layer>_b`, where `__` stands for the "/" of a layer's name, as `job convert-weights` writes it; and the `network.npz`
of a checkpoint, of plain arrays `<layer>/weights` and `<layer>/biases`.
"""

from __future__ import annotations

import logging
import os
import zipfile
import zlib
from typing import Any, BinaryIO, Dict, Iterable, List, NamedTuple, Optional, Tuple

import numpy as np

from masf_core.errors import WeightsError
from masf_core.network import plain_arrays, restricted_pickle
from masf_core.network.architecture import NORMALISATION, layer_of
from masf_core.network.budget import Budget, OverBudget
from masf_core.network.formats import matching, recognise
from masf_core.network.formats.content import Content
from masf_core.network.formats.naming import AS_HERE
from masf_core.network.plain_arrays import Unfit
from masf_core.network.unpickler import Refused
from masf_core.words import plural, shown, some

log = logging.getLogger(__name__)

Layers = Dict[str, List[np.ndarray]]

_DAMAGED = plain_arrays.DAMAGED + (zlib.error,)
_EXPECTED = ("Expected the weights of a network: a .npy with a pickled dict {layer: [weights, biases]} as "
             "bvlc_alexnet.npy, a .npz with <layer>_W and <layer>_b, the network.npz of a checkpoint, a .caffemodel, "
             "a .pth, .safetensors or Keras .h5 file, or the .index of a TensorFlow checkpoint.")
# How the two arrays of a layer are called in a .npz: in converted files, and in checkpoints. Then those of a layer of
# batch normalisation.
CONVERTED, _CHECKPOINT = ("_W", "_b"), ("/weights", "/biases")
CONVERTED_NORMALISATION = tuple("_" + part for part in NORMALISATION)
_CHECKPOINT_NORMALISATION = tuple("/" + part for part in NORMALISATION)


class Weights(NamedTuple):
    """The content of a weights file.

    layers: {layer: [weights, biases]}, read-only float32 arrays in our order of axes and channels. told: what the file
    is. network: our backbone, None where the layers alone tell it. preprocessing: what the file's network expects of
    images. rest: names of arrays that are not used.
    """

    layers: Layers
    told: str
    network: Optional[str]
    preprocessing: str
    rest: List[str]


def read_pretrained(path: str) -> Layers:
    """The layers of ``read_weights``. Logs what the file is if another program wrote it."""
    weights = read_weights(path)
    if weights.network is not None:
        log.info("weights file %s: %s; images: %s; %s not used", path, weights.told, weights.preprocessing,
                 plural(len(weights.rest), "array"))
    return weights.layers


def read_weights(path: str, network: Optional[str] = None) -> Weights:
    """Read a weights file. Its content decides which format it has, not its name.

    Args:
        network: the backbone that it is said to be of; None to find out by the names of its arrays.

    Raises:
        WeightsError: the file does not exist, is damaged, has another format, has values that are not finite, holds
        something else than arrays, is of another network, or costs more to read than any weights.
    """
    try:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            budget = Budget(size)
            content = recognise.read(stream, path, size, budget)
            if content is not None:
                return _of_another_program(path, content, network, budget)
            stream.seek(0)
            is_npy = stream.read(len(plain_arrays.MAGIC)) == plain_arrays.MAGIC
            stream.seek(0)
            layers = _read_npy(stream, size, budget) if is_npy else _read_npz(stream, size, budget)
        return Weights(_checked(layers, budget), f"a {'.npy' if is_npy else '.npz'} of NumPy", None, AS_HERE, [])
    except WeightsError:  # is a ValueError, as damaged files raise
        raise
    except (Unfit, OverBudget, Refused) as problem:
        raise WeightsError(f"weights file {path}: {problem}. {_EXPECTED}") from problem
    except _DAMAGED as problem:
        raise WeightsError(f"weights file {path} cannot be read, it may be cut short: {shown(problem)}. "
                           f"{_EXPECTED}") from problem


def _of_another_program(path: str, content: Content, network: Optional[str], budget: Budget) -> Weights:
    try:
        named = matching.find(content, network)
    except Unfit as problem:  # says what is expected instead
        raise WeightsError(f"weights file {path}: {problem}") from problem

    def as_float32(name: str, value: np.ndarray) -> np.ndarray:
        budget.memory(4 * value.size)
        return _as_float32(name, value)

    layers: Layers = {}
    for variable, value in matching.variables_of(content, named, as_float32).items():
        layers.setdefault(layer_of(variable), []).append(value)
    return Weights(layers, f"{content.kind}, {named.naming.told}", named.naming.network, named.naming.preprocessing,
                   named.rest)


def _read_npy(stream: BinaryIO, size: int, budget: Budget) -> Layers:
    header = plain_arrays.read_header(stream)
    if header.dtype != np.dtype(object) or header.shape != ():
        raise Unfit(f"it holds one array of shape {header.shape} and type {header.dtype}")
    content = restricted_pickle.load(stream, size - stream.tell(), budget)
    if not isinstance(content, dict):
        raise Unfit(f"it holds a {type(content).__name__}, not a dict")
    return {_layer_name(name): _pair(_layer_name(name), value) for name, value in content.items()}


def _pair(name: str, value: Any) -> List[Any]:
    """[weights, biases] from such a list or tuple, or from {"weights": …, "biases": …} as some converters write."""
    if isinstance(value, dict):
        named = {_layer_name(key): item for key, item in value.items()}
        value = [named.get("weights"), named.get("biases")]
    if (not isinstance(value, (list, tuple)) or len(value) != 2
            or not all(isinstance(item, np.ndarray) for item in value)):
        raise Unfit(f"layer {shown(name)} is not a pair of arrays")
    return list(value)


def _layer_name(key: Any) -> str:
    """Names are bytes where Python 2 wrote them."""
    return key.decode("latin-1") if isinstance(key, bytes) else key


def _read_npz(stream: BinaryIO, size: int, budget: Budget) -> Layers:
    arrays = plain_arrays.read_archive(stream, size, budget)
    if not arrays:
        raise Unfit("it holds no arrays")
    return _pairs(arrays)


def _pairs(arrays: Dict[str, np.ndarray]) -> Layers:
    """Arrays by name as layers. Raises Unfit where a layer lacks an array, or a name fits no layout.

    In a network with batch normalisation a layer may have no biases.
    """
    ours = _of_a_checkpoint(arrays)
    pair = _CHECKPOINT if ours else CONVERTED
    normalisation = _CHECKPOINT_NORMALISATION if ours else CONVERTED_NORMALISATION
    has_normalisation = any(name.endswith(normalisation) for name in arrays)

    def suffixes_of(layer: str) -> Tuple[str, ...]:
        if any(layer + suffix in arrays for suffix in normalisation):
            return normalisation
        return pair[:1] if has_normalisation and layer + pair[1] not in arrays else pair

    layers = sorted({name[:-len(suffix)] for name in arrays for suffix in pair + normalisation
                     if name.endswith(suffix)})
    unexpected = [name for name in arrays if not name.endswith(pair + normalisation)]
    missing = [layer + suffix for layer in layers for suffix in suffixes_of(layer) if layer + suffix not in arrays]
    if unexpected or missing:
        raise Unfit("; ".join(f"{what} arrays: {some(list(map(shown, names)))}" for what, names in (
            ("unexpected", unexpected), ("missing", missing)) if names))
    return {layer if ours else layer.replace("__", "/"): [arrays[layer + suffix] for suffix in suffixes_of(layer)]
            for layer in layers}


def is_network_file(path: str) -> bool:
    """Whether a file that ``read_pretrained`` has read is the network of a checkpoint, which has our classifier."""
    with open(path, "rb") as stream:
        if recognise.format_of(stream.read(recognise.HEAD), 0) != recognise.ARCHIVE:
            return False
    with zipfile.ZipFile(path) as archive:
        return _of_a_checkpoint(name[:-len(".npy")] for name in archive.namelist() if name.endswith(".npy"))


def _of_a_checkpoint(names: Iterable[str]) -> bool:
    return any(name.endswith(_CHECKPOINT) for name in names)


def _checked(layers: Layers, budget: Budget) -> Layers:
    """The layers with each array as float32, C-contiguous; an array that is named several times is converted once.

    Raises Unfit for other types than real numbers and for values that are not finite.
    """
    converted: Dict[int, np.ndarray] = {}
    for name, values in layers.items():
        for value in values:
            if id(value) not in converted:
                budget.memory(4 * value.size)
                converted[id(value)] = _as_float32(name, value)
    return {name: [converted[id(value)] for value in values] for name, values in layers.items()}


def _as_float32(name: str, value: np.ndarray) -> np.ndarray:
    if value.dtype.kind != "f":
        raise Unfit(f"layer {shown(name)} has an array of type {value.dtype}, expected floating-point numbers")
    with np.errstate(over="ignore"):  # a value that is too large becomes infinite, which is refused below
        value = np.ascontiguousarray(value, np.float32)
    if not np.all(np.isfinite(value)):
        raise Unfit(f"layer {shown(name)} has values that are not finite")
    return value
