"""What torchvision's own ResNets compute, for weights and images that follow from a rule.

`torch_resnet.json` was written by this module where torch 1.12.1 and torchvision 0.13.1 are installed:
  python -m tests.masf_core.network.torch_resnet > tests/masf_core/network/torch_resnet.json
"""
from __future__ import annotations

import json
import os
import zlib

import numpy as np

CLASSES = 7
PATH = os.path.splitext(os.path.abspath(__file__))[0] + ".json"
# Our parts of a layer and torch's.
PARTS = {"weights": "weight", "biases": "bias", "scale": "weight", "shift": "bias", "mean": "running_mean",
         "variance": "running_var"}


def images():
    """uint8 [2, 224, 224, 3], BGR: large patches under noise."""
    random = np.random.RandomState(5)
    patches = random.randint(0, 150, (2, 7, 7, 3)).repeat(32, axis=1).repeat(32, axis=2)
    return (patches + random.randint(0, 100, (2, 224, 224, 3))).astype(np.uint8)


def values(shapes):
    """float32 arrays for variables of these names and shapes; each depends on its own name and shape alone."""
    found = {}
    for name, shape in shapes.items():
        random, part = np.random.RandomState(zlib.crc32(name.encode("ascii"))), name.rsplit("/", 1)[1]
        low, high = {"scale": (0.3, 1.0), "variance": (0.5, 1.5)}.get(part, (-0.2, 0.2))
        if part == "weights":
            high = (6.0 / np.prod(shape[:-1])) ** 0.5
            low = -high
        found[name] = (low + (high - low) * random.random_sample(shape)).astype(np.float32)
    return found


def of_torchvision(network, variables):
    """(features [2, F], logits [2, C]) of torchvision's ``network`` with our variables, computed in float64."""
    import torch  # is not needed to read what it once computed
    import torchvision

    model = getattr(torchvision.models, network)(num_classes=CLASSES).double().eval()
    state = {}
    for name, value in variables.items():
        layer, part = name.rsplit("/", 1)
        turned = value.transpose({4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[value.ndim])  # OIHW; outputs × inputs
        state[f"{layer}.{PARTS[part]}"] = torch.from_numpy(np.ascontiguousarray(turned, np.float64))
    counters = [name for name in model.state_dict() if name.endswith("num_batches_tracked")]
    state.update({name: torch.tensor(0) for name in counters})
    model.load_state_dict(state, strict=True)
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    x = ((images()[..., ::-1] / 255.0 - mean) / deviation).transpose(0, 3, 1, 2)
    seen = []
    model.avgpool.register_forward_hook(lambda module, taken, given: seen.append(given.flatten(1)))
    with torch.no_grad():
        logits = model(torch.from_numpy(np.ascontiguousarray(x)))
    return seen[0].numpy(), logits.numpy()


def recorded(network):
    """What ``of_torchvision`` once returned for ``network``: lists, of the features the first 32 only."""
    with open(PATH, encoding="utf-8") as stream:
        return json.load(stream)[network]


def main():
    from masf_core.network.resnet_shapes import ResNet18Shapes, ResNet50Shapes

    found = {}
    for network, architecture in (("resnet18", ResNet18Shapes), ("resnet50", ResNet50Shapes)):
        features, logits = of_torchvision(network, values(architecture(CLASSES).shapes()))
        found[network] = {"features": np.round(features[:, :32], 7).tolist(), "logits": np.round(logits, 7).tolist()}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
