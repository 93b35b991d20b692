from __future__ import annotations

import codecs
import io
import os
import pickle
import struct
import subprocess
import zipfile

import numpy as np
import pytest

from masf_core.errors import MasfError, WeightsError
from masf_core.network.pretrained import read_pretrained


def layers(seed=0):
    random = np.random.RandomState(seed)
    return {
        "conv1": [random.normal(size=(3, 3, 3, 5)).astype(np.float32), np.zeros(5, np.float32)],
        "fc/6": [random.normal(size=(7, 4)).astype(np.float32), np.arange(4, dtype=np.float32)]}


def assert_same(found, expected):
    assert sorted(found) == sorted(expected)
    for name, values in expected.items():
        assert len(found[name]) == 2
        for one, other in zip(found[name], values):
            assert one.dtype == np.float32 and one.flags.c_contiguous
            np.testing.assert_array_equal(one, other)


def npy(tmp_path, payload, name="weights.npy"):
    """A .npy file of objects whose pickle is `payload`, whatever that is."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": ()})
    path = tmp_path / name
    path.write_bytes(header.getvalue() + payload)
    return str(path)


def wrapped(value, protocol=2):
    """The pickle that numpy.save makes of `value`."""
    array = np.empty((), object)
    array[()] = value
    return pickle.dumps(array, protocol)


def refusal(path):
    with pytest.raises(WeightsError) as caught:
        read_pretrained(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


# ---- what is read

@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_a_pickled_dict_is_read_in_every_protocol_that_numpy_has_used(tmp_path, protocol):
    assert_same(read_pretrained(npy(tmp_path, wrapped(layers(), protocol))), layers())


def test_what_numpy_saves_is_read(tmp_path):
    path = str(tmp_path / "a.npy")
    np.save(path, layers())
    assert_same(read_pretrained(path), layers())


def text(value):
    """A string as Python 2 pickles it in protocol 2."""
    data = value if isinstance(value, bytes) else value.encode("latin-1")
    return b"U" + struct.pack("<B", len(data)) + data if len(data) < 256 else b"T" + struct.pack("<i", len(data)) + data


def python2_array(array):
    """A NumPy array as Python 2 pickles it in protocol 2: byte strings without a mark that they are bytes."""
    shape = b"(" + b"".join(b"K" + struct.pack("<B", n) for n in array.shape) + b"t"
    dtype = (b"cnumpy\ndtype\n(" + text(array.dtype.str[1:]) + b"K\0K\1tR(K\3" + text("<")
             + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb")
    return (b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\0t" + text("b") + b"tR(K\1" + shape + dtype
            + b"\x89" + text(array.tobytes()) + b"tb")


def test_what_python_2_wrote_is_read(tmp_path):
    content = b"".join(text(name) + b"(" + b"".join(map(python2_array, pair)) + b"l" for name, pair in
                       sorted(layers().items()))
    outer = (b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\0t" + text("b") + b"tR(K\1)"
             b"cnumpy\ndtype\n(" + text("O8") + b"K\0K\1tR(K\3" + text("|")
             + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb\x89](}(" + content + b"uetb.")
    assert_same(read_pretrained(npy(tmp_path, outer)), layers())


def test_names_are_those_of_either_numpy(tmp_path):
    payload = wrapped(layers(), 2)
    for old, new in ((b"numpy._core.multiarray", b"numpy.core.multiarray"),
                     (b"numpy.core.multiarray", b"numpy._core.multiarray")):
        assert_same(read_pretrained(npy(tmp_path, payload.replace(old, new))), layers())


def test_names_may_be_bytes_and_pairs_tuples_or_named(tmp_path):
    weights, biases = layers()["conv1"]
    value = {b"a": (weights, biases), "b": {"biases": biases, "weights": weights}}
    assert_same(read_pretrained(npy(tmp_path, wrapped(value))), {"a": [weights, biases], "b": [weights, biases]})


def test_other_orders_and_precisions_become_float32_in_c_order(tmp_path):
    weights = layers()["conv1"][0]
    value = {"a": [np.asfortranarray(weights), weights[0, 0, 0].astype(">f8")]}
    found = read_pretrained(npy(tmp_path, wrapped(value)))
    assert_same(found, {"a": [weights, weights[0, 0, 0]]})


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_plain_archives_are_read(tmp_path, save):
    path = str(tmp_path / "a.npz")
    save(path, **{name.replace("/", "__") + suffix: value for name, pair in layers().items()
                  for suffix, value in zip(("_W", "_b"), pair)})
    assert_same(read_pretrained(path), layers())


def test_the_content_decides_and_not_the_name(tmp_path):
    np.savez(str(tmp_path / "a.npz"), conv1_W=layers()["conv1"][0], conv1_b=layers()["conv1"][1])
    os.rename(str(tmp_path / "a.npz"), str(tmp_path / "a.npy"))
    assert list(read_pretrained(str(tmp_path / "a.npy"))) == ["conv1"]


# ---- what is refused, by name and without having run

class Calls:
    """Pickles as a call of a function with arguments."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


@pytest.mark.parametrize("function, name", [
    (os.system, "posix.system"), (eval, "eval"), (subprocess.Popen, "Popen"), (getattr, "getattr"),
    (np.load, "load"), (np.fromfile, "fromfile"), (codecs.decode, "_codecs.decode")])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_functions_are_refused_by_name(tmp_path, function, name, protocol):
    marker = tmp_path / "executed"
    value = dict(layers(), evil=Calls(function, f"touch {marker}"))
    message = refusal(npy(tmp_path, wrapped(value, protocol)))
    assert "refuses to load" in message and name in message
    assert not marker.exists()


def test_an_attack_in_place_of_the_whole_file_is_refused(tmp_path):
    payload = b"cposix\nsystem\n(S'touch " + str(tmp_path).encode() + b"/executed'\ntR."
    assert "posix.system" in refusal(npy(tmp_path, payload))
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("payload, what", [
    (b"(S'true'\niposix\nsystem\n.", "posix.system"),  # INST: name and call in one instruction
    (b"\x80\x02cnumpy\nndarray\n)\x81.", "instruction NEWOBJ"),
    (b"\x80\x02cnumpy\nndarray\n(K\x05tR.", "damaged"),  # calling what may only be named
    (b"\x80\x02cnumpy\ndtype\n}X\x04\x00\x00\x00codeK\x01sb.", "state"),  # BUILD on a function
    (b"\x80\x02cnumpy\ndtype\nN}X\x08\x00\x00\x00__call__K\x01s\x86b.", "state"),
    (b"\x80\x02\x82\x01.", "instruction"),  # a name by number
    (b"\x80\x04\x96\xff\xff\xff\xff\xff\x00\x00\x00.", ""),  # room for a terabyte
    (b"\x80\x04\x8e\xff\xff\xff\xff\xff\x00\x00\x00.", "too early"),  # bytes that are not there
    (b"\x80\x02N\x72\xff\xff\xff\x7f.", "not a dict"),  # memo entry two thousand million
    (b"P1\n.", "instruction PERSID"),
    (b"c_codecs\nencode\n(X\x01\x00\x00\x00aX\x03\x00\x00\x00zip\x86R.", "damaged"),
    (b"c_codecs\nencode\n(X\x01\x00\x00\x00aX\x03\x00\x00\x00ziptR.", "encodes"),
    (b"\x80\x02}X\x01\x00\x00\x00acnumpy\nndarray\ns.", "has a Name where data are expected"),
    (b"I" + b"1" * 70000 + b"\n.", ""),  # a number that takes ages to read
    (b"", "too early"), (b"\x80\x02}", "too early"), (b"\xff\xff", "damaged"), (b".", "damaged"),
])
def test_crafted_pickles_are_refused(tmp_path, payload, what):
    assert what in refusal(npy(tmp_path, payload))


def test_containers_that_multiply_are_refused_soon(tmp_path):
    value = [1.0] * 1000
    for _ in range(6):
        value = [value] * 1000
    assert "more operations than" in refusal(npy(tmp_path, wrapped({"a": value})))


def test_containers_that_hold_themselves_are_refused(tmp_path):
    value = []
    value.append(value)
    assert "nested" in refusal(npy(tmp_path, wrapped({"a": value})))


def test_arrays_of_objects_are_refused_at_every_level(tmp_path):
    inner = np.array([layers(), None], object)
    assert "objects" in refusal(npy(tmp_path, wrapped({"a": [inner, inner]})))
    assert "objects" in refusal(npy(tmp_path, wrapped({"a": [wrapped_array({}), wrapped_array({})]})))
    np.savez(str(tmp_path / "a.npz"), a_W=inner, a_b=inner)
    assert "objects" in refusal(str(tmp_path / "a.npz"))


def wrapped_array(value):
    array = np.empty((), object)
    array[()] = value
    return array


def test_structured_and_text_arrays_are_refused(tmp_path):
    records = np.zeros(3, [("a", "f4"), ("b", "i4")])
    for array in (records, np.array(["a", "b"]), np.zeros(2, "M8[s]"), np.zeros(3, "V4")):
        refusal(npy(tmp_path, wrapped({"a": [array, array]})))


@pytest.mark.parametrize("shape", [b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f", b"K\x02", b"J\xff\xff\xff\xff"])
def test_a_shape_that_its_bytes_do_not_fill_is_refused(tmp_path, shape):
    array = python2_array(np.zeros(4, np.float32)).replace(b"(K\x04t", b"(" + shape + b"t")
    payload = b"\x80\x02}(" + text("a") + b"(" + array + python2_array(np.zeros(4, np.float32)) + b"lu."
    message = refusal(npy(tmp_path, payload))
    assert "bytes" in message or "is no shape" in message


# ---- what is something else

@pytest.mark.parametrize("value, what", [
    ([1, 2], "a list, not a dict"), ("text", "not a dict"), ({"a": 1}, "layer a"), ({"a": [1, 2]}, "layer a"),
    ({1: layers()["conv1"]}, "1"), ({"a": layers()["conv1"] * 2}, "layer a"),
    ({"a": {"weights": np.zeros(2, np.float32)}}, "layer a"),
    ({"a": [np.zeros(2, np.int64)] * 2}, "int64"),
    ({"a": [np.array([1.0, np.nan]), np.zeros(2)]}, "not finite"),
    ({"a": [np.array([1e300]), np.zeros(1)]}, "not finite"),
])
def test_other_contents_are_named(tmp_path, value, what):
    message = refusal(npy(tmp_path, wrapped(value)))
    assert what in message and "{layer: [weights, biases]}" in message


def test_a_plain_array_is_no_network(tmp_path):
    np.save(str(tmp_path / "a.npy"), np.zeros((3, 4), np.float32))
    assert "one array of shape (3, 4)" in refusal(str(tmp_path / "a.npy"))


@pytest.mark.parametrize("keep", [3, 8, 60, 130, 300, -1])
def test_a_file_cut_short_is_told(tmp_path, keep):
    for name, save in (("a.npy", lambda path: np.save(path, layers())),
                       ("a.npz", lambda path: np.savez(path, a_W=layers()["conv1"][0], a_b=layers()["conv1"][1]))):
        path = tmp_path / name
        save(str(path))
        path.write_bytes(path.read_bytes()[:keep])
        refusal(str(path))


def test_files_of_other_kinds_and_none_at_all_are_told(tmp_path):
    for name, content in (
            ("a.npy", b"\x89HDF\r\n\x1a\n" + b"\0" * 99), ("b.npy", b""), ("c.npz", b"PK\x03\x04" + b"x" * 99)):
        (tmp_path / name).write_bytes(content)
        refusal(str(tmp_path / name))
    assert "No such file" in refusal(str(tmp_path / "nothing.npy"))
    refusal(str(tmp_path))


def test_archives_without_pairs_are_told(tmp_path):
    np.savez(str(tmp_path / "a.npz"), a_W=np.zeros(1, np.float32))
    assert "a_b" in refusal(str(tmp_path / "a.npz"))
    np.savez(str(tmp_path / "b.npz"), arr=np.zeros(1, np.float32))
    assert "arr" in refusal(str(tmp_path / "b.npz"))
    np.savez(str(tmp_path / "c.npz"))
    refusal(str(tmp_path / "c.npz"))


def test_an_archive_that_says_more_than_it_has_is_refused(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40,)})
    with zipfile.ZipFile(str(tmp_path / "a.npz"), "w") as archive:
        for name in ("a_W.npy", "a_b.npy"):
            archive.writestr(name, header.getvalue() + b"\0" * 100)
    assert "only" in refusal(str(tmp_path / "a.npz"))


def test_an_archive_that_unpacks_to_far_more_than_it_is_is_refused(tmp_path):
    with zipfile.ZipFile(str(tmp_path / "a.npz"), "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("a_W.npy", "w") as stream:
            for _ in range(110):
                stream.write(b"\0" * 1000000)
    assert "unpacks to" in refusal(str(tmp_path / "a.npz"))


def test_weights_errors_are_both_of_their_kinds():
    assert issubclass(WeightsError, MasfError) and issubclass(WeightsError, ValueError)
