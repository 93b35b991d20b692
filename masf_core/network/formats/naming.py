"""Which array of which published file is which variable of our networks.

To add a network or another way of naming its arrays: a line in ``NAMINGS``, and a column in ``_PARTS`` if its layers
have other parts than weights and biases. A network that is often taken for one of ours has a line in ``OTHERS``, so
that the error can say what it is.
"""
from __future__ import annotations

from typing import Callable, Dict, NamedTuple, Optional, Tuple

from masf_core.network.formats import layout
from masf_core.network.formats.content import CAFFE, CHANNELS_FIRST, KERAS, SAFETENSORS, TENSORFLOW, TORCH

# How a file of each kind names the parts of a layer.
_CHANNELS_FIRST_PARTS = {"weights": ".weight", "biases": ".bias"}
_TORCH_PARTS = dict(_CHANNELS_FIRST_PARTS, scale=".weight", shift=".bias", mean=".running_mean",
                    variance=".running_var")
_PARTS: Dict[str, Dict[str, str]] = {
    CAFFE: _CHANNELS_FIRST_PARTS, TORCH: _TORCH_PARTS, SAFETENSORS: _TORCH_PARTS,
    KERAS: {"weights": "/kernel", "biases": "/bias"},
    TENSORFLOW: {part: "/" + part for part in ("weights", "biases", "scale", "shift", "mean", "variance")},
}
_ALL = CHANNELS_FIRST + (KERAS, TENSORFLOW)
_TORCH_LIKE = (TORCH, SAFETENSORS)

AS_CAFFE = "BGR, 0–255, minus a mean colour (the file does not say so; models of Caffe expect it)"
AS_CAFFE_ALEXNET = AS_CAFFE + "; conv1 has padding here, as in the authors' code, and none in Caffe"
AS_HERE = "as this project prepares images: BGR, 0–255, minus a mean colour"
AS_TORCHVISION = "RGB, 0–1, normalised as torchvision does; the backbone does so"
FOLDED = "RGB, 0–1, normalised as torchvision does; folded into conv1, which has no padding"


class Naming(NamedTuple):
    """How files of some kinds name the arrays of a network.

    told: the model, for messages. network: our backbone. kinds: of files. layer: the file's name of one of our layers.
    preprocessing: what the file's network expects, for messages. flattened: our dense layers behind a flatten, and how
    many positions the map has there. normalised: given where the file's images are prepared in that way; conv1 then
    takes it up, see ``layout.folded``. blocks: a pattern of names; the file has no other arrays of such names than
    ours. A deeper network has all names of a shallower one, and more.
    """

    told: str
    network: str
    kinds: Tuple[str, ...]
    layer: Callable[[str], str]
    preprocessing: str
    flattened: Dict[str, int] = {}
    normalised: Optional[layout.Normalisation] = None
    blocks: Optional[str] = None

    def array(self, variable: str, kind: str) -> str:
        """The name of a variable's array in a file of this kind."""
        layer, part = variable.rsplit("/", 1)
        return self.layer(layer) + _PARTS[kind][part]


def weights_name(layer: str, kind: str) -> str:
    """The name of the weights of a file's layer."""
    return layer + _PARTS[kind]["weights"]


class Other(NamedTuple):
    """A network that is none of ours. names: its layers that have weights, and that no network of ours has together.
    why: what differs, and what to do."""

    told: str
    kinds: Tuple[str, ...]
    names: Tuple[str, ...]
    why: str


def _same(layer: str) -> str:
    return layer


_CAFFE_PARTS = {"conv1x1_1": "squeeze1x1", "conv1x1_2": "expand1x1", "conv3x3_2": "expand3x3"}
_TORCHVISION_PARTS = {"conv1x1_1": "squeeze", "conv1x1_2": "expand1x1", "conv3x3_2": "expand3x3"}


def _caffe_squeezenet(layer: str) -> str:
    fire, _, part = layer.partition("/")
    if not part:
        return "conv10" if layer == "conv_final" else layer
    return f"{fire}/{_CAFFE_PARTS[part]}"


# Where torchvision has the modules of squeezenet1_0; those in between are ReLUs and pools.
_FIRES = {"fire2": 3, "fire3": 4, "fire4": 5, "fire5": 7, "fire6": 8, "fire7": 9, "fire8": 10, "fire9": 12}


def _torchvision_squeezenet(layer: str) -> str:
    fire, _, part = layer.partition("/")
    if not part:
        return {"conv1": "features.0", "conv_final": "classifier.1"}[layer]
    return f"features.{_FIRES[fire]}.{_TORCHVISION_PARTS[part]}"


_RESIDUAL = r"(^|\.)layer\d+\.\d+\..*\.weight$"
_OUR_RESIDUAL = r"(^|/)layer\d+\.\d+\..*/weights$"

NAMINGS: Tuple[Naming, ...] = (
    Naming("AlexNet with the reference's names", "alexnet", (TENSORFLOW,), _same, AS_HERE),
    Naming("AlexNet with Caffe's names", "alexnet", CHANNELS_FIRST, _same, AS_CAFFE_ALEXNET, flattened={"fc6": 36}),
    Naming("AlexNet with Caffe's names", "alexnet", (KERAS,), _same, AS_CAFFE_ALEXNET),
    Naming("SqueezeNet v1.0 with Caffe's names", "squeezenet", _ALL, _caffe_squeezenet, AS_CAFFE),
    Naming("SqueezeNet v1.0 with our names", "squeezenet", _ALL, _same, AS_HERE),
    Naming("torchvision's squeezenet1_0", "squeezenet", _TORCH_LIKE, _torchvision_squeezenet, FOLDED,
           normalised=layout.TORCHVISION),
    # ResNet-18 first: ResNet-50 has all its names, and of two namings that fit as many arrays the first is taken.
    Naming("torchvision's resnet18", "resnet18", _TORCH_LIKE, _same, AS_TORCHVISION, blocks=_RESIDUAL),
    Naming("torchvision's resnet50", "resnet50", _TORCH_LIKE, _same, AS_TORCHVISION, blocks=_RESIDUAL),
    Naming("ResNet-18 with our names", "resnet18", (TENSORFLOW,), _same, AS_TORCHVISION, blocks=_OUR_RESIDUAL),
    Naming("ResNet-50 with our names", "resnet50", (TENSORFLOW,), _same, AS_TORCHVISION, blocks=_OUR_RESIDUAL),
)

OTHERS: Tuple[Other, ...] = (
    Other("torchvision's AlexNet", _TORCH_LIKE, ("features.0", "features.3", "features.10", "classifier.1",
                                                 "classifier.6"),
          "It has 64 filters in conv1, no groups and no local response normalisation (Krizhevsky's \"one weird trick\" "
          "of 2014); the backbone alexnet is Caffe's bvlc_alexnet. Give bvlc_alexnet.npy or bvlc_alexnet.caffemodel"),
    Other("torchvision's squeezenet1_1", _TORCH_LIKE, ("features.0", "features.6.squeeze"),
          "It has 64 filters of 3×3 in conv1 and pools at other places; the backbone squeezenet is version 1.0. "
          "Give squeezenet1_0"),
    Other("CaffeNet in PyTorch, as JigenDG has it", _TORCH_LIKE, ("features.conv1", "classifier.fc6"),
          "CaffeNet pools before it normalises; the backbone alexnet, Caffe's bvlc_alexnet, normalises first"),
    Other("Caffe's ResNet-50 (He et al. 2016) or a deeper one", (CAFFE, KERAS), ("res2a_branch1", "res2a_branch2a"),
          "It has the stride in the first 1×1 convolution of a block; the backbone resnet50, torchvision's, has it in "
          "the 3×3 convolution, so the same weights would make another network. Give torchvision's resnet50"),
    Other("one of Keras's ResNets", (KERAS,), ("conv1_conv", "conv2_block1_1_conv"),
          "The backbone resnet50 is torchvision's, whose blocks differ, so the same weights would make another "
          "network. Give torchvision's resnet50"),
)
CAFFENET = ("these are the weights of CaffeNet: pool1 comes before norm1. The backbone alexnet, Caffe's bvlc_alexnet, "
             "normalises first, so the same weights would make another network. Give bvlc_alexnet.caffemodel")
