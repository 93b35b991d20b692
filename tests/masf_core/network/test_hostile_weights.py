"""Hostile files and damaged files: each is refused soon, in little memory and with one error."""
from __future__ import annotations

import io
import json
import os
import pickle
import pickletools
import random
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from masf_core.errors import WeightsError
from masf_core.network.budget import Budget, OverBudget
from masf_core.network.pretrained import read_pretrained
from tests.masf_core.network.test_pretrained import npy, python2_array, text, wrapped

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
MUTANTS = 300  # of each kind
MEMORY = 256 << 20  # bytes that a reader may take beside what NumPy has taken
PROCESSOR = 20  # seconds for all the files together, many times what they need; a bomb that works needs hours

READ_THEM = """
import json, resource, sys
from masf_core.errors import WeightsError
from masf_core.network.pretrained import read_pretrained
with open("/proc/self/statm") as stream:
    taken = int(stream.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + %d,) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (%d,) * 2)
for path in sys.argv[1:]:
    try:
        said = "read " + ",".join(sorted(read_pretrained(path)))
    except WeightsError as error:
        said = str(error)
    print(json.dumps(said), flush=True)
""" % (MEMORY, PROCESSOR)


LARGE = np.zeros((200, 100, 100), "<f8")


def key(name):
    return b"X" + struct.pack("<I", len(name)) + name


def tuple_bomb(depth=60):
    """A tuple of a tuple of … named twice each time: hashing or printing it takes 2 to the power of ``depth`` steps."""
    made = b"\x80\x02K\x01\x85q\x00"
    for level in range(1, depth):
        made += b"h" + bytes([level - 1]) + b"h" + bytes([level - 1]) + b"\x86q" + bytes([level])
    return made


def named_again_and_again(array, times):
    """Layers that all have this array, which the file holds once."""
    first = b"\x80\x03}" + key(b"a") + b"](" + array + b"q\x01h\x01es"
    return first + b"".join(key(b"%03d" % number) + b"](h\x01h\x01es" for number in range(times)) + b"."


def same_bytes_in_many_arrays(times):
    """Layers of arrays that are objects of their own and share the one long text of bytes in the file."""
    array, data = python2_array(LARGE), text(LARGE.tobytes())
    assert data in array
    first, again = array.replace(data, data + b"q\x02"), array.replace(data, b"h\x02")
    return b"\x80\x02}" + b"".join(
        key(b"%03d" % number) + b"(" + (again if number else first) + again + b"ls" for number in range(times)) + b"."


def encoded_again_and_again(times, side=4 << 20):
    """One long text of the file, made into bytes by ever more calls, all of which are kept."""
    return (b"\x80\x02" + key(b"x" * side) + b"q\x01c_codecs\nencode\nq\x02](" + key(b"latin1") + b"q\x03"
            + b"h\x02h\x01h\x03\x86R" * times + b"e.")


def colliding_integers(count):
    """Keys of a dict that all have the same hash, so that each is compared with all before it."""
    return b"\x80\x02}" + b"".join(
        b"\x8a\x0b" + (number * (2 ** 61 - 1)).to_bytes(11, "little") + b"Ns" for number in range(1, count)) + b"."


def zipped(*members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return stream.getvalue()


def header(described, version=1):
    return (b"\x93NUMPY\x01\x00" + struct.pack("<H", len(described)) if version == 1 else
            b"\x93NUMPY\x02\x00" + struct.pack("<I", len(described))) + described


def pickles():
    """(name, payload, part of the expected message) of each."""
    return [
        ("tuples as a key", tuple_bomb() + b"}h\x3bK\x01s.", "a key of type tuple, expected a name"),
        ("tuples in a set", b"\x80\x04" + tuple_bomb()[2:] + b"(h\x3b\x91.", "the instruction FROZENSET"),
        ("tuples as an encoding", tuple_bomb() + b"c_codecs\nencode\nX\x01\x00\x00\x00ah\x3b\x86R.",
         "where a name is expected"),
        ("tuples as a shape", tuple_bomb() + b"cnumpy.core.multiarray\n_reconstruct\n)R(K\x01h\x3bcnumpy\ndtype\n"
         b"X\x02\x00\x00\x00f4\x85R\x89C\x00tb.", "not a list of sizes"),
        ("many marks", b"(" * 3000000 + b".", "nested more than 16 deep"),
        ("deep tuples", b"\x80\x02N" + b"\x85" * 3000000 + b".", "more operations"),
        ("one object named often", b"\x80\x02Nq\x00" + b"h\x000" * 60000 + b".", "more operations"),
        ("integers that collide", colliding_integers(20000), "has the key 2305843009213693951"),
        ("memory for each call", encoded_again_and_again(400), "more bytes of memory"),
        ("one array in 400 layers", named_again_and_again(python2_array(LARGE), 400), "read 000,001"),
        ("400 arrays of the same bytes", same_bytes_in_many_arrays(400), "more bytes of memory"),
        ("long numbers", (b"L" + b"9" * 60000 + b"L\n0") * 200 + b"N.", "more than 64 digits"),
        ("a name of megabytes", b"\x80\x04" + key(b"a" * (8 << 20)) + b"\x8c\x01b\x93.", "where a name is expected"),
    ]


def files():
    """As ``pickles``, of whole files."""
    return [
        ("nested header", header(b"(" * 60000 + b"\n"), "header has 60,001 bytes"),
        ("header of signs", header(b"-" * 9000 + b"1\n"), "header is damaged"),
        ("header of spaces", header(b"{'descr': 'f4', 'fortran_order': False, 'shape': (" + b" " * 4500 + b")"
                                    + b" " * 4500 + b"x"), "header is damaged"),
        ("header of brackets", header(b"{" + b"(" * 9000 + b"\n"), "header is damaged"),
        ("header of megabytes", header(b"[" * (8 << 20), version=2), "header has 8,388,608 bytes"),
        ("header longer than its file", header(b"", version=2)[:8] + b"\xff\xff\xff\x7f", "header has 2,147,483,647"),
        ("archive of zeros", zipped(("a_W.npy", b"\0" * (80 << 20))), "unpacks to 83,886,080"),
        ("archive of many members", zipped(*((f"m{number}_W.npy", b"") for number in range(30000))), "its directory"),
        ("archive with a member twice", zipped(("a_W.npy", b""), ("a_W.npy", b"")), "it holds a_W.npy 2 times"),
    ]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_asks_for_hours_or_for_all_memory_ends_soon_in_one_error(tmp_path):
    paths, expected = [], []
    for name, payload, told in pickles():
        paths.append(npy(tmp_path, payload, name + ".npy"))
        expected.append((name, told))
    for name, content, told in files():
        (tmp_path / name).write_bytes(content)
        paths.append(str(tmp_path / name))
        expected.append((name, told))
    done = subprocess.run([sys.executable, "-c", READ_THEM] + paths, cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=300)
    said = [json.loads(line) for line in done.stdout.decode().splitlines()]
    wrong = [(name, told, message[:200]) for (name, told), message in zip(expected, said) if told not in message]
    assert wrong == [] and len(said) == len(expected), (len(said), done.returncode, done.stderr.decode()[-500:])
    assert all(len(message) < 600 and message.isprintable() for message in said if not message.startswith("read"))


def test_words_of_the_file_are_shown_in_few_printable_characters(tmp_path):
    for name in ("\x1b[2J", "a" * 5000):
        with pytest.raises(WeightsError) as caught:
            read_pretrained(npy(tmp_path, wrapped({name: 1})))
        assert len(str(caught.value)) < 500 and str(caught.value).isprintable()


# ---- damaged files

def saved(save, **arrays):
    stream = io.BytesIO()
    save(stream, **arrays)
    return stream.getvalue()


def pickled(protocol):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|O", "fortran_order": False, "shape": ()})
    return stream.getvalue() + pickle.dumps({"conv1": [np.ones((2, 3), "f4"), np.zeros(3, "f4")]}, protocol)


SOUND = {
    "npy": pickled(2),
    "npy of protocol 0": pickled(0),
    "npy of protocol 4": pickled(4),
    "npz": saved(np.savez, conv1_W=np.ones((2, 3), "f4"), conv1_b=np.zeros(3, "f4")),
    "compressed npz": saved(np.savez_compressed, conv1_W=np.ones((2, 3), "f4"), conv1_b=np.zeros(3, "f4")),
}
INSTRUCTIONS = [opcode.code.encode("latin-1") for opcode in pickletools.opcodes]


def mutant(sound, chance, begin=0):
    """``sound`` with one to four bytes changed, left out or put in, instructions of pickles and pieces of itself."""
    data = bytearray(sound)
    for _ in range(chance.randint(1, 4)):
        place, kind = chance.randrange(begin, len(data)), chance.random()
        if kind < 0.4:
            data[place] = chance.randrange(256)
        elif kind < 0.7:
            data[place:place] = chance.choice(INSTRUCTIONS)
        elif kind < 0.85:
            del data[place:place + chance.randint(1, 5)]
        else:
            data[place:place] = data[begin:][:chance.randint(1, 60)]
        if len(data) <= begin:
            return bytes(data)
    return bytes(data)


@pytest.mark.parametrize("kind", sorted(SOUND))
def test_damaged_files_are_read_or_refused_and_never_end_otherwise(tmp_path, kind):
    chance, path, refused = random.Random("damage of " + kind), tmp_path / "weights", 0
    path.write_bytes(SOUND[kind])
    assert list(read_pretrained(str(path))) == ["conv1"]
    for _ in range(MUTANTS):
        path.write_bytes(mutant(SOUND[kind], chance))
        try:
            read_pretrained(str(path))
        except WeightsError as error:
            refused += 1
            assert len(str(error)) < 800
    assert refused > MUTANTS // 3


def test_damaged_headers_are_read_or_refused(tmp_path):
    """Where NumPy's own reader raises errors of the tokenizer."""
    chance, path = random.Random("damage of headers"), tmp_path / "weights.npy"
    sound = pickled(2)
    for _ in range(MUTANTS):
        path.write_bytes(mutant(sound[:80], chance, begin=8) + sound[80:])
        try:
            read_pretrained(str(path))
        except WeightsError:
            pass


# ---- the budget

def test_a_budget_is_spent_once():
    budget = Budget(size=1000, operations=3, references=2, nesting=4)
    for spend in (budget.operations, budget.references):
        spend(2)
    budget.operations()
    with pytest.raises(OverBudget, match="operations"):
        budget.operations()
    with pytest.raises(OverBudget, match="references"):
        budget.references()


def test_a_budget_of_memory_follows_the_size_of_the_file_and_of_what_an_archive_unpacks_to():
    budget = Budget(size=1 << 20, expansion=3)
    budget.memory(4 << 20)  # three times the file, and a spare megabyte
    with pytest.raises(OverBudget, match="bytes of memory"):
        budget.memory(1)
    budget = Budget(size=1 << 20, expansion=3)
    budget.unpacked(1 << 20)
    budget.memory(7 << 20)


def test_a_budget_of_nesting_is_the_same_at_each_place():
    budget = Budget(size=0, nesting=4)
    for _ in range(9):
        budget.nested(4)
    with pytest.raises(OverBudget, match="more than 4 deep"):
        budget.nested(5)
