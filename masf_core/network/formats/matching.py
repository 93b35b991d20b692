"""Finds the naming that a file's arrays have, and brings them into the form of our variables."""
from __future__ import annotations

import re
from typing import Callable, Dict, List, NamedTuple, Optional

import numpy as np

from masf_core.network.architecture import Architecture, layer_of, make_architecture
from masf_core.network.formats import layout
from masf_core.network.formats.content import CAFFE, CHANNELS_FIRST, Content
from masf_core.network.formats.naming import CAFFENET, NAMINGS, OTHERS, Naming, weights_name
from masf_core.network.plain_arrays import Unfit
from masf_core.words import shown, some

_SEPARATORS = ("/", ".")  # before the name of a layer, as in module.conv1.weight
_MOST_PREFIXES = 100


class Named(NamedTuple):
    """A file in which a naming was found. arrays: our variable → name of the file's array. rest: unused names."""

    naming: Naming
    arrays: Dict[str, str]
    rest: List[str]


def find(content: Content, network: Optional[str] = None) -> Named:
    """The naming that most arrays of a file fit.

    Args:
        network: the backbone that the file is said to be of; None to find out.

    Raises:
        Unfit: the file is of another network, or lacks arrays; tells which.
    """
    _refuse_others(content)
    namings = [naming for naming in NAMINGS
               if content.kind in naming.kinds and network in (None, naming.network)]
    named = max((_named(naming, content) for naming in namings), key=lambda each: len(each.arrays), default=None)
    required = [] if named is None else list(_architecture(named.naming).pretrained_shapes())
    if named is None or 2 * len(named.arrays) < len(required):
        known = "; ".join(dict.fromkeys(f"{each.told} ({_examples(each, content.kind)})" for each in namings))
        raise Unfit(f"it is {content.kind} with arrays of other names: "
                    f"{some([shown(name) for name in content.arrays]) or 'none'}. Expected {known or 'another format'}")
    missing = [named.naming.array(variable, content.kind) for variable in required if variable not in named.arrays]
    if missing:
        raise Unfit(f"it is {content.kind} with the names of {named.naming.told}, but has no {some(missing)}")
    beyond = [shown(name) for name in named.rest if named.naming.blocks and re.search(named.naming.blocks, name)]
    if beyond:
        raise Unfit(f"it is {content.kind} of a deeper network than {named.naming.told}: it has {some(beyond)} as well")
    return named


def variables_of(content: Content, named: Named,
                 as_float32: Callable[[str, np.ndarray], np.ndarray]) -> Dict[str, np.ndarray]:
    """Our variables, float32, in our order of axes and of channels.

    Args:
        as_float32: converts an array, and refuses values that are not finite; is called with a name for messages.

    Raises:
        Unfit, OverBudget.
    """
    naming, architecture = named.naming, _architecture(named.naming)
    shapes = architecture.shapes()
    found: Dict[str, np.ndarray] = {}
    for variable, name in named.arrays.items():
        stored = content.arrays[name]
        if stored.read is None:
            raise Unfit(f"{shown(name)} has {shown(stored.kind)}, expected floating-point numbers in one piece")
        array = stored.read()
        if content.kind in CHANNELS_FIRST:
            array = layout.channels_last(array, naming.flattened.get(layer_of(variable), 1))
        if array.ndim == 4 and array.shape[:2] == (1, 1) and len(shapes[variable]) == 2:
            array = array[0, 0]  # a 1×1 convolution where ours is a dense layer
        found[variable] = as_float32(name, array)
    if naming.normalised is not None:
        weights, biases = found["conv1/weights"], found["conv1/biases"]
        if weights.ndim != 4 or weights.shape[2] != 3 or biases.shape != weights.shape[3:]:
            name = named.arrays["conv1/weights"]
            raise Unfit(f"{shown(name)} has the shape {content.arrays[name].shape}, expected filters of three colours")
        found["conv1/weights"], found["conv1/biases"] = layout.folded(
            weights, biases, naming.normalised, architecture.mean_bgr)
    return found


def _refuse_others(content: Content) -> None:
    order = list(content.layers)
    if content.kind == CAFFE and "norm1" in order and "pool1" in order and order.index("pool1") < order.index("norm1"):
        raise Unfit(CAFFENET)
    for other in OTHERS:
        if content.kind in other.kinds and any(
                all(weights_name(prefix + name, content.kind) in content.arrays for name in other.names)
                for prefix in ("", "module.")):
            raise Unfit(f"these are the weights of {other.told}. {other.why}")


def _named(naming: Naming, content: Content) -> Named:
    """The file's arrays under this naming, which may all have the same words in front, such as ``module.``."""
    names = {variable: naming.array(variable, content.kind) for variable in _architecture(naming).shapes()}
    prefixes = [""]
    for sought in list(names.values())[:4]:
        for name in content.arrays:
            if name.endswith(sought) and name[:-len(sought)].endswith(_SEPARATORS) and len(prefixes) < _MOST_PREFIXES:
                prefixes.append(name[:-len(sought)])
    best: Dict[str, str] = {}
    for prefix in dict.fromkeys(prefixes):
        found = {variable: prefix + name for variable, name in names.items() if prefix + name in content.arrays}
        if len(found) > len(best):
            best = found
    used = set(best.values())
    return Named(naming, best, [name for name in content.arrays if name not in used])


def _examples(naming: Naming, kind: str) -> str:
    variables = list(_architecture(naming).shapes())
    return ", ".join([naming.array(variable, kind) for variable in variables[:3:2]] + ["…"])


def _architecture(naming: Naming) -> Architecture:
    return make_architecture(naming.network, 2)
