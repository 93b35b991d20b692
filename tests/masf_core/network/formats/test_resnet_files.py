"""ResNets from files as torchvision saves them, through a converted file and a checkpoint, to the same variables."""
from __future__ import annotations

import numpy as np
import pytest

from masf_core.errors import WeightsError
from masf_core.export import formats
from masf_core.network import converted
from masf_core.network.architecture import make_architecture
from masf_core.network.backbone import make_backbone
from masf_core.network.formats.content import TORCH
from masf_core.network.pretrained import is_network_file, read_pretrained, read_weights
from tests.masf_core.network import torch_resnet
from tests.masf_core.network.formats import writers

NARROW = 0.04
# torchvision's names of a block, in its order of axes; counters of batches are there, too.
SHORTCUT = {"layer2.0.downsample.0.weight": (5, 3, 1, 1), "layer2.0.downsample.1.running_var": (5,),
            "layer2.0.bn2.bias": (5,), "bn1.num_batches_tracked": (), "fc.weight": (1000, 20)}


def state_of(network, classes=1000):
    """(variables, arrays as torchvision's state dict of a narrow network has them)."""
    values = torch_resnet.values(make_architecture(network, classes, NARROW).shapes())
    arrays = writers.named(writers.channels_first(values), f"torchvision's {network}", TORCH)
    return values, dict(arrays, **{"bn1.num_batches_tracked": np.array(7, np.int64)})


def assert_same(found, values):
    assert set(found) == {name for name in values if not name.startswith("fc/")}
    for name, value in found.items():
        np.testing.assert_array_equal(value, values[name], err_msg=name)


@pytest.mark.parametrize("network", ["resnet18", "resnet50"])
@pytest.mark.parametrize("write", [writers.torch_archive, writers.safetensors])
def test_a_file_of_torchvision_becomes_the_variables_also_by_way_of_a_converted_file(tmp_path, network, write):
    values, arrays = state_of(network)
    if network == "resnet18":
        assert {name: arrays[name].shape for name in SHORTCUT} == SHORTCUT
    path = str(tmp_path / "file")
    with open(path, "wb") as stream:
        stream.write(write(arrays))
    weights, architecture = read_weights(path), make_architecture(network, 7, NARROW)
    assert (weights.network, weights.rest) == (network, ["bn1.num_batches_tracked"])
    assert "normalised as torchvision does" in weights.preprocessing
    assert_same(architecture.from_pretrained(weights.layers, path), values)
    fitted = converted.fit(weights, path, None, NARROW)
    npz = str(tmp_path / "converted.npz")
    converted.write_converted(npz, fitted.arrays, {})
    assert_same(architecture.from_pretrained(read_pretrained(npz), npz), values)
    assert not is_network_file(npz)
    assert converted.fit(read_weights(npz), npz, None, NARROW).network == network


def test_the_network_of_a_checkpoint_is_read_with_its_classifier(tmp_path):
    values, _ = state_of("resnet18", 7)
    path = str(tmp_path / "network.npz")
    np.savez(path, **values)
    found = make_architecture("resnet18", 7, NARROW).from_pretrained(read_pretrained(path), path, with_classifier=True)
    assert is_network_file(path) and set(found) == set(values)
    del values["bn1/variance"]
    np.savez(path, **values)
    with pytest.raises(WeightsError, match="missing arrays: .*bn1/variance"):
        read_pretrained(path)


@pytest.mark.parametrize("network", ["resnet18", "resnet50"])
def test_an_exported_checkpoint_is_read_as_the_network_that_it_is_of(tmp_path, network):
    backbone = make_backbone(network, 7, NARROW)
    values = torch_resnet.values(backbone.shapes())
    formats.write(formats.Export(backbone, values, {}, "raw", 30), "ckpt", str(tmp_path))
    path = str(tmp_path / "model30.index")
    weights = read_weights(path)
    assert (weights.network, weights.rest) == (network, [])
    found = backbone.from_pretrained(weights.layers, path, with_classifier=True)
    assert set(found) == set(values)
    for name, value in values.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.mark.parametrize("network, more", [
    ("resnet50", "layer3.6.conv1.weight"), ("resnet18", "layer1.2.conv1.weight")])
def test_a_deeper_resnet_is_refused_though_it_has_all_the_names(tmp_path, network, more):
    _, arrays = state_of(network)
    path = str(tmp_path / "file")
    with open(path, "wb") as stream:
        stream.write(writers.torch_archive(dict(arrays, **{more: arrays["layer3.1.conv1.weight"]})))
    with pytest.raises(WeightsError, match=f"deeper network than torchvision's {network}: it has .*{more}"):
        read_weights(path, network)
