"""The variables of a network: names, shapes, values before training; and its images. Needs no TensorFlow.

A ``Backbone`` inherits from its ``Architecture``. So the network that is trained has the very variables that weights
files are compared with.
"""
from __future__ import annotations

import abc
import collections
import fnmatch
import logging
import re
from typing import Any, Collection, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from masf_core.errors import WeightsError
from masf_core.network.registry import BACKBONES, find
from masf_core.randomness import generator

log = logging.getLogger(__name__)

Shapes = Dict[str, Tuple[int, ...]]
Values = Dict[str, np.ndarray]
Layers = Mapping[str, Sequence[np.ndarray]]

# The variables of a layer of batch normalisation, in the order in which a weights file's arrays are read.
NORMALISATION = ("scale", "shift", "mean", "variance")
STATISTICS = NORMALISATION[2:]  # of the images that the network was pretrained with


class Architecture(abc.ABC):
    """The variables of a feature extractor with a linear classifier on top.

    Attributes:
        image_size: side of the square input, pixels.
        num_classes: C.
        width: factor of every hidden channel count; 1.0 is the published network.
        feature_width: F, width of the features that the local loss sees.
        new_layers: layers that are never taken from pretrained weights (the classifier of another label set).
        mean_bgr: the colour that is subtracted from pixels 0 to 255: blue, green, red, as images and weights have them.
        deviation_bgr: what they are then divided by.
    """

    image_size = 227
    feature_width = 0
    new_layers: Tuple[str, ...] = ()
    mean_bgr: Tuple[float, float, float]
    deviation_bgr: Tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __init__(self, num_classes: int, width: float = 1.0) -> None:
        if not 0.0 < width <= 4.0:
            raise ValueError(f"width must be in (0, 4], got {width}")
        self.num_classes = num_classes
        self.width = width

    @abc.abstractmethod
    def shapes(self) -> Shapes:
        """Ordered mapping of variable name (``layer/weights``, ``layer/biases``, or ``layer/`` and each of
        ``NORMALISATION``) to shape."""

    def layers(self) -> List[str]:
        """The names of the layers, in the order of ``shapes``."""
        return list(dict.fromkeys(map(layer_of, self.shapes())))

    def trained(self, frozen: Sequence[str] = (), batch_norm: bool = True) -> List[str]:
        """The names of the variables that training changes, in the order of ``shapes``: no ``STATISTICS``.

        Args:
            frozen: patterns of layers that stay as they are. batch_norm: whether the scale and the shift of batch
                normalisation are trained.

        Raises:
            ValueError: see ``frozen_layers``.
        """
        still, fixed = self.frozen_layers(frozen), STATISTICS if batch_norm else NORMALISATION
        return [name for name in self.shapes() if layer_of(name) not in still and _part(name) not in fixed]

    def frozen_layers(self, patterns: Sequence[str]) -> List[str]:
        """The layers that one of the patterns matches; with a convolution its normalisation.

        Args:
            patterns: of the names of layers, where * stands for any characters and ? for one.

        Raises:
            ValueError: a pattern matches no layer, or the classifier.
        """
        layers, frozen = self.layers(), set()
        for pattern in patterns:
            matched = {layer for layer in layers if fnmatch.fnmatchcase(layer, pattern)}
            if not matched:
                names = dict.fromkeys(re.sub(r"([./]).*", r"\1*", layer) for layer in layers)
                raise ValueError(f"pattern {pattern!r} matches no layer of {self.describe()}. Layers: "
                                 f"{', '.join(name for name in names if name not in self.new_layers)}")
            for layer in self.new_layers:
                if layer in matched:
                    raise ValueError(f"pattern {pattern!r} matches {layer}, the classifier, which has to be trained")
            frozen |= matched
        return [layer for layer in layers if layer in frozen or self.convolution_of(layer) in frozen]

    def convolution_of(self, layer: str) -> str:
        """The convolution before a layer of batch normalisation; any other layer itself."""
        return layer

    def initial_values(self, seed: int, but: Collection[str] = ()) -> Values:
        """New float32 arrays for every variable: Glorot-uniform weights, zero biases (as fc8 in the reference).

        Each variable draws from its own generator, so that its values do not depend on the other variables. The names
        in ``but`` are left out: AlexNet's weights take a second to draw.
        """
        return collections.OrderedDict(
            (name, glorot_uniform(shape, generator(seed, "initial", name)))
            for name, shape in self.shapes().items() if name not in but)

    def from_pretrained(self, layers: Layers, source: str, with_classifier: bool = False,
                        otherwise: str = " (`--weights_path=none` trains from scratch)") -> Values:
        """Initial values for the variables that a weights file covers.

        Args:
            layers: mapping layer name → [weights, biases], or the arrays of ``NORMALISATION``, as
                ``pretrained.read_pretrained`` returns it.
            source: the file's name, for messages.
            with_classifier: a job of this project wrote the file. The layers in ``new_layers`` are then taken as well,
                where they have the shapes of this network.
            otherwise: what an error names as the alternative to other weights.

        Returns:
            Variable name → float32 array; without those of ``new_layers`` that are not taken.

        Raises:
            WeightsError: a layer is missing or has another shape.
        """
        values = {name: _array_of(layers, name) for name in self.pretrained_shapes()}
        problems = self._problems(layers, values)
        if problems:
            other = recognised(layers)
            mend = "settings `backbone` and `width` must match the file" if other is None else f"the file is of {other}"
            raise WeightsError(
                f"{source}: these weights do not fit the network: {_few(problems, '; ')}. Expected {self.describe()}; "
                f"{mend}{otherwise}.")
        for layer in self.new_layers if with_classifier else ():
            values.update(self._classifier(layer, layers, source))
        return {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in values.items()}

    def pretrained_shapes(self) -> Shapes:
        """``shapes`` of the variables that a weights file has to cover: all but those of ``new_layers``."""
        return collections.OrderedDict(
            (name, shape) for name, shape in self.shapes().items() if layer_of(name) not in self.new_layers)

    def _problems(self, layers: Layers, found: Mapping[str, Optional[np.ndarray]]) -> List[str]:
        """What is wrong with the arrays of a weights file, which ``found`` has by the names of variables."""
        missing = list(dict.fromkeys(repr(layer_of(name)) for name in found if layer_of(name) not in layers))
        problems = [f"missing layer{'s' * (len(missing) > 1)} {_few(missing, ', ')}"] if missing else []
        for name, shape in self.pretrained_shapes().items():
            array = found[name]
            if layer_of(name) in layers and (array is None or array.shape != shape):
                problems.append(f"{name}: expected shape {shape}, found {'nothing' if array is None else array.shape}")
            elif array is not None and _part(name) == "variance" and np.any(array < 0.0):
                problems.append(f"{name}: expected no values below 0, found {array.min():g}")
        return problems

    def _classifier(self, layer: str, layers: Layers, source: str) -> Values:
        """The classifier ``layer`` of a weights file; empty where it has another number of classes. Logs which."""
        values = {name: _array_of(layers, name) for name in self.shapes() if layer_of(name) == layer}
        if all(array is not None and array.shape == self.shapes()[name] for name, array in values.items()):
            log.info("classifier %s: taken from %s", layer, source)
            return values
        biases = values[layer + "/biases"]
        log.warning("classifier %s starts from random values: %s has %s classes, the data have %d", layer, source,
                    "no" if biases is None else biases.shape[-1], self.num_classes)
        return {}

    def describe(self) -> str:
        """One line that says what this network is, for messages."""
        return f"{type(self).__name__} with {self.num_classes} classes"


def layer_of(variable: str) -> str:
    """The layer of a variable, such as ``fire2/conv1x1_1`` of ``fire2/conv1x1_1/weights``."""
    return variable.rsplit("/", 1)[0]


def make_architecture(name: str, num_classes: int, width: float = 1.0) -> Architecture:
    """The architecture of the backbone called ``name``.

    Raises:
        ValueError: no such backbone; the message lists those there are.
    """
    return find(name, "architecture")(num_classes, width=width)


def backbone_of(layers: Collection[str]) -> Optional[str]:
    """The backbone that has layers of these names, whether or not its classifier is among them; None where none has."""
    fitting = {}
    for name in BACKBONES:
        architecture = make_architecture(name, 2)
        needed = set(architecture.layers()) - set(architecture.new_layers)
        if needed <= set(layers):
            fitting[name] = len(needed)
    return max(fitting, key=lambda name: fitting[name], default=None)  # ResNet-50 has all layers of ResNet-18, and more


def recognised(layers: Layers) -> Optional[str]:
    """The settings of the network to which these layers belong, as a text for messages; None where none is known."""
    name = backbone_of(layers)
    if name is None:
        return None
    shapes = make_architecture(name, 2).pretrained_shapes()
    vectors = {variable: shape[0] for variable, shape in shapes.items() if len(shape) == 1}
    widest = max(vectors, key=lambda variable: vectors[variable])
    found = _array_of(layers, widest)
    if found is None:
        return None
    # Channel counts are rounded, so the width of a narrow network follows from them in a few digits only.
    return f"another network: --backbone={name} --width={float(found.shape[-1]) / vectors[widest]:.3g}"


def glorot_uniform(shape: Tuple[int, ...], random: np.random.RandomState) -> np.ndarray:
    """float32 array of U(−l, l), l = √(6 / (fan_in + fan_out)); zeros for a vector. (Glorot & Bengio 2010, eq. 16)"""
    if len(shape) == 1:
        return np.zeros(shape, np.float32)
    receptive = int(np.prod(shape[:-2]))
    limit = np.sqrt(6.0 / (receptive * (shape[-2] + shape[-1])))
    return random.uniform(-limit, limit, size=shape).astype(np.float32)


def _part(variable: str) -> str:
    return variable.rsplit("/", 1)[1]


def _array_of(layers: Layers, variable: str) -> Optional[np.ndarray]:
    """The array of a variable, None where the file has none.

    Of a normalisation it is found by its place. Otherwise it is a layer's weights (rank > 1) or biases (rank 1);
    published files differ in the order.
    """
    layer, part = variable.rsplit("/", 1)
    arrays = layers.get(layer, ())
    if part in NORMALISATION:
        return np.asarray(arrays[NORMALISATION.index(part)]) if len(arrays) == len(NORMALISATION) else None
    for array in arrays:
        if (np.ndim(array) == 1) == (part == "biases"):
            return np.asarray(array)
    return None


def _few(texts: Sequence[Any], between: str) -> str:
    return between.join(texts[:4]) + (f"{between}and {len(texts) - 4} more" if len(texts) > 4 else "")
