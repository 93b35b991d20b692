"""Damaged and hostile files of other programs: each is read or refused with one ``WeightsError``, soon.

None of them runs."""
from __future__ import annotations

import io
import json
import random
import struct
import time
import zipfile

import numpy as np
import pytest

from masf_core.errors import WeightsError
from masf_core.network.formats.content import CAFFE, KERAS, SAFETENSORS, TENSORFLOW, TORCH
from masf_core.network.pretrained import read_weights
from tests.masf_core.network.formats import writers

MUTANTS = 200  # of each kind
SECONDS = 2.0  # of processor time for one file, many times what it needs
TOLD = "AlexNet with Caffe's names"


def small(kind, told=TOLD):
    """Arrays under the names of a whole network, each of a few numbers: the names are known, the shapes come later."""
    values = {name: np.ones((2, 3) if name.endswith("weights") else 3, np.float32)
              for name in writers.network_values("alexnet", width=0.02)}
    return writers.named(values, told, kind)


def resealed(archive, program):
    """An archive of PyTorch with another pickle, whose checksum is right."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            new.writestr(name, program if name.endswith(".pkl") else old.read(name))
    return stream.getvalue()


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """{kind: (content of a file that is read, name that the file has)}; a checkpoint's data lie beside it."""
    folder = tmp_path_factory.mktemp("sound")
    writers.keras_file(str(folder / "a.h5"), small(KERAS))
    writers.keras3_file(str(folder / "b.h5"), small(KERAS))
    index = writers.checkpoint(str(folder / "net"), small(TENSORFLOW, "AlexNet with the reference's names"))
    with open(index, "rb") as stream:
        checkpoint = stream.read()
    archive = writers.torch_archive(small(TORCH))
    return folder, {
        "caffemodel": writers.caffemodel(small(CAFFE)),
        "caffemodel of the old generation": writers.caffemodel(small(CAFFE), legacy=True),
        "torch archive": archive,
        "pickle of a torch archive": b"\x80\x02" + writers.state_dict(small(TORCH)) + b".",
        "older torch file": writers.torch_sequence(small(TORCH)),
        "safetensors": writers.safetensors(small(SAFETENSORS)),
        "keras": (folder / "a.h5").read_bytes(),
        "keras 3": (folder / "b.h5").read_bytes(),
        "checkpoint": checkpoint,
    }


def mutant(sound, filled, chance):
    """``sound`` with one to four changes, mostly at the places ``filled``, where it has something else than zeros."""
    data = bytearray(sound)
    for _ in range(chance.randint(1, 4)):
        place = chance.choice(filled) if chance.random() < 0.7 else chance.randrange(len(sound))
        place = min(place, len(data) - 1)
        kind = chance.random()
        if kind < 0.45:
            data[place] = chance.randrange(256)
        elif kind < 0.6:
            data[place] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif kind < 0.7:
            data[place:place + 8] = chance.choice((b"\xff" * 8, b"\0" * 8, b"\0" * 7 + b"\x80"))
        elif kind < 0.8:
            data[place:place] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 5)))
        elif kind < 0.9:
            del data[place:place + chance.randint(1, 5)]
        elif kind < 0.95:
            del data[max(place, 1):]
        else:
            data[place:place] = data[:chance.randint(1, 60)]
        if len(data) < 8:
            break
    return bytes(data)


@pytest.mark.parametrize("kind", ["caffemodel", "caffemodel of the old generation", "torch archive", "older torch file",
                                  "pickle of a torch archive", "safetensors", "keras", "keras 3", "checkpoint"])
def test_damaged_files_are_read_or_refused_and_never_end_otherwise(sound, kind):
    folder, contents = sound
    chance, path, refused = random.Random("damage of " + kind), folder / "net.index", 0

    def write(content):
        path.write_bytes(resealed(contents["torch archive"], content) if kind.startswith("pickle") else content)

    write(contents[kind])
    assert sorted(read_weights(str(path)).layers)[:2] == ["conv1", "conv2"]
    filled = [place for place, byte in enumerate(contents[kind]) if byte]
    began = time.process_time()
    for _ in range(MUTANTS):
        write(mutant(contents[kind], filled, chance))
        try:
            read_weights(str(path))
        except WeightsError as error:
            refused += 1
            assert len(str(error)) < 1500 and str(error).isprintable()
    assert refused > MUTANTS // 3
    assert time.process_time() - began < MUTANTS * 0.1


# ---- crafted files

def refused(tmp_path, content, *told):
    path = tmp_path / "weights"
    path.write_bytes(content)
    began = time.process_time()
    with pytest.raises(WeightsError) as caught:
        read_weights(str(path))
    assert time.process_time() - began < SECONDS
    assert all(words in str(caught.value) for words in told), str(caught.value)
    assert len(str(caught.value)) < 1500 and str(caught.value).isprintable()


@pytest.mark.parametrize("module, name", [("posix", "system"), ("builtins", "eval"), ("torch", "load"),
                                          ("torch.nn.modules.conv", "Conv2d"), ("collections", "Counter"),
                                          ("torch._utils", "_import_dotted_name"), ("numpy", "ndarray")])
def test_names_that_are_no_tensors_are_refused_and_not_called(tmp_path, module, name):
    marker = tmp_path / "executed"
    call = f"c{module}\n{name}\n(".encode() + writers.text(f"touch {marker}") + b"tR"
    for write in (writers.torch_archive, writers.torch_sequence):
        arrays = small(TORCH)
        refused(tmp_path, write(arrays, call), f"refuses to load '{module}.{name}'", "torch.save(model.state_dict()")
        refused(tmp_path, write(arrays, writers.state_dict(arrays)[:-1] + call + b"b"), f"'{module}.{name}'")
    assert not marker.exists()


def one_tensor(storage=b"ctorch\nFloatStorage\n", key="0", count=b"K\x06", offset=b"K\x00", shape=b"(K\x02K\x03t",
               steps=b"(K\x03K\x01t", word="storage"):
    made = (b"ctorch._utils\n_rebuild_tensor_v2\n((" + writers.text(word) + storage + writers.text(key)
            + writers.text("cpu") + count + b"tQ" + offset + shape + steps + b"\x89Nt" + b"R")
    return b"}" + writers.text("conv1.weight") + made + b"s"


@pytest.mark.parametrize("change, told", [
    (dict(shape=b"(J\xff\xff\xff\x7fJ\xff\xff\xff\x7ft"), "does not fit into its storage"),
    (dict(shape=b"(K\x64K\x64t", steps=b"(K\x00K\x00t"), "does not fit"),  # one number, named ten thousand times
    (dict(offset=b"K\x05"), "does not fit"),
    (dict(offset=b"J\xff\xff\xff\xff"), "not a list of sizes"),
    (dict(steps=b"(J\xff\xff\xff\xffK\x01t"), "not a list of sizes"),
    (dict(steps=b"(K\x01t"), "not a list of sizes"),
    (dict(shape=b"(G\x3f\xf0\0\0\0\0\0\0K\x03t"), "not a list of sizes"),
    (dict(count=b"J\xff\xff\xff\xff"), "no type or no size"),
    (dict(storage=b"K\x01"), "no type or no size"),
    (dict(word="module"), "something else than a storage"),
])
def test_tensors_that_their_storage_does_not_hold_are_refused(tmp_path, change, told):
    refused(tmp_path, writers.torch_archive({}, one_tensor(**change)), told)


def test_a_storage_that_is_not_in_the_file_is_refused_before_there_is_room_for_it(tmp_path):
    huge = dict(count=b"\x8a\x06" + (1 << 40).to_bytes(6, "little"))
    arrays = small(TORCH)
    for key, told in (("99", "has no member net/data/99"), ("0", "bytes")):
        program = writers.state_dict(arrays).replace(
            writers.tensor(arrays["conv1.weight"], "0", False), one_tensor(key=key, **huge)[1 + 17:-1])
        refused(tmp_path, writers.torch_archive(arrays, program), told)


@pytest.mark.parametrize("content, told", [
    (b"\x0a" + b"\xff" * 9 + b"\x01", "may be cut short"),
    (b"\x0a\x00" * 200000, "more operations"),
    (writers.field(100, b"".join(writers.field(7, b"") for _ in range(3))), "has 0 lists of numbers"),
    (writers.field(100, writers.field(7, writers.field(7, writers.field(1, b"\xff" * 8 + b"\x7f" + b"\x02"))
                                      + writers.field(5, b"\0" * 8))), "shape"),
    (writers.field(100, b"\x0b"), "way 3 of protobuf"),
    (writers.field(2, writers.field(1, b"")), "upgrade_net_proto_binary"),
    (writers.field(1, b"name: 'net'"), "no layers with weights"),
    (writers.caffemodel({"a.weight": np.zeros(2, "f4")}) * 2, "the layer a twice"),
])
def test_crafted_protobuf_messages_are_refused(tmp_path, content, told):
    refused(tmp_path, content, told)


def header(described, length=None):
    return struct.pack("<Q", len(described) if length is None else length) + described


@pytest.mark.parametrize("content, told", [
    (header(b"{" + b" " * (2 << 20) + b"}"), "its header has 2,097,154 bytes"),
    (header(b'{"a":' + b"[" * 300000), "no JSON"),
    (header(b'{"a":' + b"1" * 900000 + b"}"), "more than 16 digits"),
    (header(b'{"a":1e400}'), "not whole"),
    (header(b'{"a":{},"a":{}}'), "a name twice"),
    (header(b'{"\xff":1}'), "no JSON"),
    (header(json.dumps({"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}).encode()), "outside"),
    (header(json.dumps({"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [4, 0]}}).encode()), "outside"),
    (header(json.dumps({"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 0]}}).encode()), "has the shape (9,)"),
    (header(json.dumps({"a": {"dtype": [], "shape": 1, "data_offsets": {}}}).encode()), "does not tell"),
    (header(json.dumps({str(number): {"dtype": "I8", "shape": [], "data_offsets": [0, 0]} for number in range(6000)}
                       ).encode()), "other names: 0, 1, 2, 3, 4 and 5995 more"),
])
def test_crafted_safetensors_are_refused(tmp_path, content, told):
    refused(tmp_path, content, told)


def test_arrays_that_share_their_bytes_cost_memory_each(tmp_path):
    names = list(small(SAFETENSORS))
    entry = {"dtype": "F32", "shape": [1 << 20], "data_offsets": [0, 4 << 20]}
    refused(tmp_path, header(json.dumps(dict.fromkeys(names, entry)).encode()) + bytes(4 << 20), "more bytes of memory")


def test_a_group_that_holds_itself_is_refused_soon(tmp_path, sound):
    content = sound[1]["keras"]
    root = struct.unpack_from("<Q", content, 64)[0]  # of the header of the root group
    node = content.index(b"SNOD")
    count, = struct.unpack_from("<H", content, node + 6)
    for entry in range(count):
        content = content[:node + 16 + 40 * entry] + struct.pack("<Q", root) + content[node + 24 + 40 * entry:]
    refused(tmp_path, content, "nested more than 16 deep")


def test_a_checkpoint_whose_names_grow_is_refused(tmp_path, sound):
    entry = b"\x00\xe8\x07\x00" + b"a" * 1000
    block = b"\x00\x00\x02\x08\x01" + entry + b"\xe8\x07\x01\x00b" + struct.pack("<I", 0)
    index = b"\x00\x01\x03b\x00" + writers.varint(len(block)) + struct.pack("<I", 0)
    handles = b"\x00\x00" + writers.varint(len(block) + 5) + writers.varint(len(index))
    end = sound[1]["checkpoint"][-8:]
    refused(tmp_path, block + b"\0" * 5 + index + b"\0" * 5 + handles.ljust(40, b"\0") + end, "the name of an array")


def test_tables_of_the_old_format_and_other_tables_are_told(tmp_path, sound):
    content = sound[1]["checkpoint"]
    assert content[3:5] == b"\x08\x01"
    refused(tmp_path, content[:3] + b"\x08\x00" + content[5:], "it says that it has 0 data files")
    refused(tmp_path, content[:-1], "none of the formats")
