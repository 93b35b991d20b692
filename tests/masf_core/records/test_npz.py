"""Archives of arrays as NumPy reads them, written in one pass."""
from __future__ import annotations

import contextlib
import hashlib
import io
import random
import zipfile

import numpy as np
import pytest

from masf_core.memory import ALIGNMENT
from masf_core.records import npz

ARRAYS = {
    "plain": np.arange(12, dtype=np.float32).reshape(3, 4),
    "layer/scalar": np.float32(0.9),
    "empty": np.zeros((0, 5), np.float32),
    "transposed": np.arange(6, dtype=np.int64).reshape(2, 3).T,
    "wide": np.arange(1000, dtype=np.float64),
}


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(npz, "PIECE", 1000)


@pytest.mark.parametrize("wrap", [lambda stream: stream, npz.Hashing], ids=["plain", "hashing"])
def test_numpy_reads_what_was_written(wrap):
    stream = io.BytesIO()
    npz.write_npz(wrap(stream), ARRAYS)
    with np.load(io.BytesIO(stream.getvalue()), allow_pickle=False) as stored:
        assert sorted(stored.files) == sorted(ARRAYS)
        for name, array in ARRAYS.items():
            assert stored[name].dtype == array.dtype and stored[name].shape == array.shape
            np.testing.assert_array_equal(stored[name], array)


@pytest.mark.parametrize("write", [npz.write_npz, lambda stream, arrays: np.savez(stream, **arrays),
                                   lambda stream, arrays: np.savez_compressed(stream, **arrays)],
                         ids=["ours", "numpy", "compressed"])
def test_what_numpy_wrote_or_we_is_read(write, tmp_path):
    with open(str(tmp_path / "a.npz"), "wb") as stream:
        write(stream, ARRAYS)
    read = npz.read_npz(str(tmp_path / "a.npz"))
    assert list(read) == list(ARRAYS)
    assert all(array.ctypes.data % ALIGNMENT == 0 for array in read.values() if array.size)
    for name, array in ARRAYS.items():
        assert read[name].dtype == array.dtype and read[name].shape == array.shape
        np.testing.assert_array_equal(read[name], array)


@pytest.mark.parametrize("write", [npz.write_npz, lambda stream, arrays: np.savez(stream, **arrays)],
                         ids=["ours", "numpy"])
def test_a_file_is_read_and_hashed_in_one_pass(write, tmp_path):
    path = tmp_path / "a.npz"
    with open(str(path), "wb") as stream:
        write(stream, ARRAYS)
    read = npz.read_npz(str(path), hashlib.sha256(path.read_bytes()).hexdigest())
    assert all(array.ctypes.data % ALIGNMENT == 0 for array in read.values() if array.size)
    for name, array in ARRAYS.items():
        assert read[name].dtype == array.dtype and read[name].shape == array.shape
        np.testing.assert_array_equal(read[name], array)


def test_a_file_of_another_digest_is_refused_wherever_it_differs(tmp_path):
    path = tmp_path / "a.npz"
    with open(str(path), "wb") as stream:
        npz.write_npz(stream, {"a": np.arange(3000, dtype=np.float32)})
    whole = path.read_bytes()
    digest = hashlib.sha256(whole).hexdigest()
    for place in list(range(250)) + list(range(250, len(whole), 97)):
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        path.write_bytes(bytes(damaged))
        with pytest.raises((ValueError, OSError, zipfile.BadZipFile)):
            npz.read_npz(str(path), digest)


def test_no_damage_is_read_over(tmp_path):
    path = tmp_path / "a.npz"
    with open(str(path), "wb") as stream:
        npz.write_npz(stream, {"a": np.arange(3000, dtype=np.float32)})
    whole = path.read_bytes()
    for place in (40, 200, 5000, len(whole) - 30, len(whole) - 5):
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises((ValueError, zipfile.BadZipFile, OSError)):
            if np.array_equal(npz.read_npz(str(path))["a"], np.arange(3000)):
                raise ValueError("harmless")
    path.write_bytes(whole[:-100])
    with pytest.raises(zipfile.BadZipFile):
        npz.read_npz(str(path))


@pytest.mark.parametrize("compressed", [False, True])
def test_damage_in_any_place_is_a_documented_error(compressed, tmp_path):
    path, stream, chosen = tmp_path / "a.npz", io.BytesIO(), random.Random(5)
    (np.savez_compressed if compressed else np.savez)(stream, a=np.arange(50, dtype=np.float32), b=np.float32(1.0))
    whole = stream.getvalue()
    for _ in range(600):
        damaged = bytearray(whole)
        for _ in range(chosen.choice([1, 2, 8])):
            damaged[chosen.randrange(len(damaged))] = chosen.choice([0, 255, chosen.randrange(256)])
        path.write_bytes(damaged)
        for digest in (None, hashlib.sha256(damaged).hexdigest()):
            with contextlib.suppress(OSError, ValueError, zipfile.BadZipFile, KeyError):
                npz.read_npz(str(path), digest)


@pytest.mark.parametrize("header", [
    "{'descr': '<f4', 'fortran_order': False, 'shape': (2000000000000,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -1)}",
    "{'descr': None, 'fortran_order': False, 'shape': (1,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (1.5,)}",
    "{'descr': '|S0', 'fortran_order': False, 'shape': (1,)}",
    "{" * 3000, "1", "(",
])
def test_a_header_that_is_a_lie_is_a_documented_error(header, tmp_path):
    path, text = tmp_path / "a.npz", header.encode("ascii") + b"\n"
    with zipfile.ZipFile(str(path), "w") as archive:
        archive.writestr("a.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(4))
    for digest in (None, hashlib.sha256(path.read_bytes()).hexdigest()):
        with pytest.raises((OSError, ValueError)):
            npz.read_npz(str(path), digest)


def test_a_member_that_is_larger_than_its_file_takes_no_memory(tmp_path):
    path, stream = tmp_path / "a.npz", io.BytesIO()
    np.savez(stream, a=np.zeros(1000, np.float32))
    size, lie = (4128).to_bytes(4, "little"), (0xfffffff0).to_bytes(4, "little")
    assert stream.getvalue().count(size) >= 2  # in the directory of the archive, as stored and as it is
    path.write_bytes(stream.getvalue().replace(size, lie))
    with pytest.raises(ValueError, match="it has 4294967280 bytes, and the file has"):
        npz.read_npz(str(path), hashlib.sha256(path.read_bytes()).hexdigest())


def test_objects_are_not_read(tmp_path):
    np.savez(str(tmp_path / "a.npz"), a=np.array([{"a": 1}]))
    with pytest.raises(ValueError, match="objects"):
        npz.read_npz(str(tmp_path / "a.npz"))


def test_every_byte_is_covered_by_a_checksum():
    stream = io.BytesIO()
    npz.write_npz(npz.Hashing(stream), ARRAYS)
    assert zipfile.ZipFile(stream).testzip() is None
    content = bytearray(stream.getvalue())
    content[content.index(np.arange(12, dtype=np.float32).tobytes()) + 5] ^= 1
    assert zipfile.ZipFile(io.BytesIO(content)).testzip() == "plain.npy"


def test_the_digest_is_that_of_everything_written():
    stream = io.BytesIO()
    hashing = npz.Hashing(stream)
    npz.write_npz(hashing, ARRAYS)
    assert hashing.sha256() == hashlib.sha256(stream.getvalue()).hexdigest()


def test_a_stream_that_fails_is_the_error():
    class Full(io.BytesIO):
        def write(self, data):
            if self.tell() + len(data) > 3000:
                raise OSError(28, "No space left on device")
            return super().write(data)

    with pytest.raises(OSError, match="No space left"):
        npz.write_npz(npz.Hashing(Full()), ARRAYS)
