"""The variables of ResNet-18 and ResNet-50 (He et al. 2016) in torchvision's layout and under its layers' names."""
from __future__ import annotations

import collections
from typing import Collection, List, NamedTuple, Tuple

import numpy as np

from masf_core.network.architecture import NORMALISATION, Architecture, Shapes, Values
from masf_core.randomness import generator

CLASSIFIER = "fc"
STEM, STAGES = 64, (64, 128, 256, 512)  # channels


class Convolution(NamedTuple):
    """A convolution without biases, and the batch normalisation after it.

    name, normalisation: their layers. side: of the filter. stride: 1 or 2. inputs, outputs: channels.
    """

    name: str
    normalisation: str
    side: int
    stride: int
    inputs: int
    outputs: int


class Block(NamedTuple):
    """A residual block. branch: its convolutions, one after the other. shortcut: a list of one, or of none where the
    block adds its input as it is."""

    branch: List[Convolution]
    shortcut: List[Convolution]


class ResNetShapes(Architecture):
    """A convolution, four stages of residual blocks, a dense classifier on the average over positions.

    ``width`` scales every hidden channel count; 1.0 is the published network, which published weights need.

    Attributes:
        depth: layers with weights, for messages. blocks: how many each stage has. bottleneck: whether a block has three
            convolutions, 1×1, 3×3 and 1×1 to four times as many channels, instead of two 3×3.
    """

    image_size = 224
    new_layers = (CLASSIFIER,)
    # torchvision's mean and standard deviation of ImageNet's colours, times 255.
    mean_bgr, deviation_bgr = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)
    depth = 0
    blocks: Tuple[int, ...] = ()
    bottleneck = False

    @property
    def feature_width(self) -> int:
        """F, the channels of the last stage."""
        return self._outputs(STAGES[-1])

    def _channels(self, full: int) -> int:
        return max(2, int(round(full * self.width)))

    def _outputs(self, full: int) -> int:
        return self._channels(full) * (4 if self.bottleneck else 1)

    def stem(self) -> Convolution:
        """The first convolution."""
        return Convolution("conv1", "bn1", 7, 2, 3, self._channels(STEM))

    def residual_blocks(self) -> List[Block]:
        """All blocks, in order. The first of the stages 2 to 4 halves the map."""
        found, inputs = [], self._channels(STEM)
        for stage, (full, count) in enumerate(zip(STAGES, self.blocks), 1):
            channels, outputs = self._channels(full), self._outputs(full)
            for number in range(count):
                name, stride = f"layer{stage}.{number}.", 2 if stage > 1 and number == 0 else 1
                # Version 1.5, as torchvision has it: the 3×3 convolution of a bottleneck has the stride, not the first.
                sizes = ([(1, 1, channels), (3, stride, channels), (1, 1, outputs)] if self.bottleneck
                         else [(3, stride, channels), (3, 1, outputs)])
                branch, before = [], inputs
                for index, (side, step, after) in enumerate(sizes, 1):
                    branch.append(Convolution(f"{name}conv{index}", f"{name}bn{index}", side, step, before, after))
                    before = after
                shortcut = [] if stride == 1 and inputs == outputs else [Convolution(
                    name + "downsample.0", name + "downsample.1", 1, stride, inputs, outputs)]
                found.append(Block(branch, shortcut))
                inputs = outputs
        return found

    def convolutions(self) -> List[Convolution]:
        """All convolutions, in torchvision's order."""
        return [self.stem()] + [each for block in self.residual_blocks() for each in block.branch + block.shortcut]

    def convolution_of(self, layer: str) -> str:
        """See ``Architecture.convolution_of``."""
        return next((each.name for each in self.convolutions() if each.normalisation == layer), layer)

    def shapes(self) -> Shapes:
        """See ``Architecture.shapes``."""
        shapes: Shapes = collections.OrderedDict()
        for each in self.convolutions():
            shapes[each.name + "/weights"] = (each.side, each.side, each.inputs, each.outputs)
            for part in NORMALISATION:
                shapes[f"{each.normalisation}/{part}"] = (each.outputs,)
        shapes[CLASSIFIER + "/weights"] = (self.feature_width, self.num_classes)
        shapes[CLASSIFIER + "/biases"] = (self.num_classes,)
        return shapes

    def initial_values(self, seed: int, but: Collection[str] = ()) -> Values:
        """New values for all variables but those in ``but``.

        Convolutions: N(0, 2 / fan_out); classifier: U(−1/√F, 1/√F), biases 0; both as torchvision has them.

        Normalisation: mean 0, variance 1, shift 0, scale 1, but 1/√(number of blocks) at the end of a branch. The
        statistics are held fixed, so nothing else would keep the sum of all branches from growing with each block.
        """
        blocks = self.residual_blocks()
        last = {block.branch[-1].normalisation + "/scale" for block in blocks}
        values: Values = collections.OrderedDict()
        for name, shape in self.shapes().items():
            if name in but:
                continue
            random, part = generator(seed, "initial", name), name.rsplit("/", 1)[1]
            if name == CLASSIFIER + "/weights":
                value = random.uniform(-1.0, 1.0, size=shape) / np.sqrt(shape[0])
            elif part == "weights":
                value = random.normal(0.0, np.sqrt(2.0 / (shape[0] * shape[1] * shape[3])), size=shape)
            elif part in ("scale", "variance"):
                value = np.full(shape, len(blocks) ** -0.5 if name in last else 1.0)
            else:
                value = np.zeros(shape)
            values[name] = value.astype(np.float32)
        return values

    def describe(self) -> str:
        """One line that says what this network is, for messages."""
        return (f"ResNet-{self.depth} of width {self.width:g}, conv1 {self.shapes()['conv1/weights']}, "
                f"{self.feature_width} features, no dropout")


class ResNet18Shapes(ResNetShapes):
    """ResNet-18: 11.18 M parameters below the classifier."""

    depth = 18
    blocks = (2, 2, 2, 2)


class ResNet50Shapes(ResNetShapes):
    """ResNet-50: 23.51 M parameters below the classifier."""

    depth = 50
    blocks = (3, 4, 6, 3)
    bottleneck = True
