"""Writers of small weights files as other programs write them: byte by byte, without these programs.

``states`` makes the arrays of one network under the names, and in the order of axes, of the file's own program.
"""
from __future__ import annotations

import io
import json
import struct
import zipfile

import numpy as np

from masf_core.network.architecture import make_architecture
from masf_core.network.formats import naming

WIDTH = 0.06


def network_values(network, classes=5, width=WIDTH, seed=0):
    """Variable → float32 array of a network with random values, biases too."""
    random = np.random.RandomState(seed)
    return {name: (random.normal(size=shape) * (2.0 / max(1, int(np.prod(shape[:-1])))) ** 0.5).astype(np.float32)
            for name, shape in make_architecture(network, classes, width).shapes().items()}


def channels_first(values, positions=None):
    """The values in the order of axes of Caffe and PyTorch. positions: {dense layer behind a flatten: H·W}."""
    turned = {}
    for name, value in values.items():
        side = int(round((positions or {}).get(name.rsplit("/", 1)[0], 1) ** 0.5))
        if value.ndim == 4:
            value = value.transpose(3, 2, 0, 1)
        elif value.ndim == 2 and side > 1:
            value = value.reshape(side, side, -1, value.shape[1]).transpose(3, 2, 0, 1).reshape(value.shape[1], -1)
        elif value.ndim == 2:
            value = value.T
        turned[name] = np.ascontiguousarray(value)
    return turned


def named(values, told, kind):
    """Values under the names that a line of ``NAMINGS`` gives them in files of this kind."""
    line = next(line for line in naming.NAMINGS if line.told == told and kind in line.kinds)
    return {line.array(variable, kind): value for variable, value in values.items()}


# ---- protobuf

def varint(number):
    made = b""
    while number > 0x7F:
        made, number = made + bytes([number & 0x7F | 0x80]), number >> 7
    return made + bytes([number])


def field(number, value):
    """A field: a number, or bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def blob(array, legacy):
    if legacy:
        shape = (1,) * (4 - array.ndim) + array.shape
        described = b"".join(field(number + 1, side) for number, side in enumerate(shape))
    else:
        described = field(7, field(1, b"".join(map(varint, array.shape))))
    code = 8 if array.dtype == np.float64 else 5
    return described + field(code, array.tobytes())


def caffemodel(arrays, legacy=False, layers=()):
    """A .caffemodel of arrays ``<layer>.weight`` and ``<layer>.bias``; legacy: of Caffe before 2014's end.

    layers: names of further layers without weights, which come first.
    """
    made = field(1, b"net")
    pairs = {}
    for name, array in arrays.items():
        pairs.setdefault(name.rsplit(".", 1)[0], []).append(array)
    for name in list(layers) + list(pairs):
        blobs = pairs.get(name, [])
        dense = blobs and blobs[0].ndim == 2
        if legacy:
            kind = field(4, name.encode()) + field(5, 14 if dense else 4)
        else:
            kind = field(1, name.encode()) + field(2, b"InnerProduct" if dense else b"Convolution")
        made += field(2 if legacy else 100, kind + b"".join(
            field(6 if legacy else 7, blob(array, legacy)) for array in blobs))
    return made


# ---- PyTorch

def text(words):
    return b"X" + struct.pack("<I", len(words)) + words.encode()


def number(value):
    return b"K" + bytes([value]) if value < 256 else b"J" + struct.pack("<i", value)


def numbers(values):
    return b"(" + b"".join(map(number, values)) + b"t"


ORDERED = b"ccollections\nOrderedDict\n)R"
STORAGE_NAMES = {"float32": "FloatStorage", "float64": "DoubleStorage", "float16": "HalfStorage",
                 "int64": "LongStorage", "uint16": "BFloat16Storage"}


def tensor(array, key, old, rebuild="_rebuild_tensor_v2"):
    strides = [step // array.itemsize for step in array.strides]
    storage = (b"(" + text("storage") + b"ctorch\n" + STORAGE_NAMES[str(array.dtype)].encode() + b"\n" + text(key)
               + text("cpu") + number(array.size) + (b"N" if old else b"") + b"tQ")
    return (b"ctorch._utils\n" + rebuild.encode() + b"\n(" + storage + number(0) + numbers(array.shape)
            + numbers(strides) + b"\x89" + ORDERED + b"tR")


def state_dict(arrays, old=False):
    """The pickle of a state dict; the storages have the keys 0, 1, …"""
    items = b"".join(text(name) + tensor(array, str(index), old)
                     for index, (name, array) in enumerate(arrays.items()))
    return ORDERED + b"(" + items + b"u}" + text("_metadata") + ORDERED + b"sb"


def flat(array):
    """The bytes of a storage: of an array in another order of axes, those of the memory."""
    return array.tobytes(order="A")


def torch_archive(arrays, program=None):
    """What torch.save has written since PyTorch 1.6."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("net/data.pkl", b"\x80\x02" + (program or state_dict(arrays)) + b".")
        archive.writestr("net/byteorder", b"little")
        for index, array in enumerate(arrays.values()):
            archive.writestr(f"net/data/{index}", flat(array))
        archive.writestr("net/version", b"3\n")
    return stream.getvalue()


def torch_sequence(arrays, program=None):
    """What torch.save wrote before."""
    keys = [str(index) for index in range(len(arrays))]
    return (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."
            b"\x80\x02}(" + text("protocol_version") + b"M\xe9\x03" + text("little_endian") + b"\x88"
            + text("type_sizes") + b"}u.\x80\x02" + (program or state_dict(arrays, old=True)) + b".\x80\x02]("
            + b"".join(map(text, keys)) + b"e."
            + b"".join(struct.pack("<q", array.size) + flat(array) for array in arrays.values()))


# ---- safetensors

def safetensors(arrays, metadata=None):
    kinds = {"float32": "F32", "float64": "F64", "float16": "F16", "uint16": "BF16", "int64": "I64"}
    header, at = {} if metadata is None else {"__metadata__": metadata}, 0
    for name, array in arrays.items():
        header[name] = {"dtype": kinds[str(array.dtype)], "shape": list(array.shape),
                        "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    described = json.dumps(header).encode()
    return struct.pack("<Q", len(described)) + described + b"".join(array.tobytes() for array in arrays.values())


# ---- Keras and TensorFlow, by their own libraries

def keras_file(path, arrays, whole_model=False):
    """A .h5 of arrays ``<layer>/kernel`` and ``<layer>/bias``, as Keras 2 writes it."""
    import h5py

    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if whole_model else file
        root.attrs["layer_names"] = [name.rsplit("/", 1)[0].encode() for name in arrays]
        for name, array in arrays.items():
            layer, part = name.rsplit("/", 1)
            group = root.require_group(layer)
            group.attrs["weight_names"] = [f"{layer}/{part}:0".encode()]
            group.create_dataset(f"{layer}/{part}:0", data=array)


def keras3_file(path, arrays):
    """The same arrays as Keras 3 writes them: in groups of other names, which have the layer's name as an attribute."""
    import h5py

    with h5py.File(path, "w") as file:
        layers = list(dict.fromkeys(name.rsplit("/", 1)[0] for name in arrays))
        for number, layer in enumerate(layers):
            group = file.create_group(f"layers/conv2d_{number}/vars")
            group.attrs["name"] = layer
            for index, part in enumerate(("kernel", "bias")):
                group.create_dataset(str(index), data=arrays[f"{layer}/{part}"])
        file.create_group("layers/flatten/vars").attrs["name"] = "flatten"
        file.create_group("optimizer/vars").create_dataset("0", data=np.int64(7))


def checkpoint(prefix, arrays, sharded=False):
    """A checkpoint of variables, as tf.train.Saver writes it; returns the path of its index."""
    from masf_core.tf1 import tf

    with tf.Graph().as_default(), tf.Session() as session:
        for name, array in arrays.items():
            tf.get_variable(name, initializer=array)
        session.run(tf.global_variables_initializer())
        return tf.train.Saver(sharded=sharded).save(session, prefix, write_meta_graph=False) + ".index"
