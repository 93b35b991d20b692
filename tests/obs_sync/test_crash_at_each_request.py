"""Kill the client at each of its requests, or lose each of its replies: what does a reader see, does a rerun finish?

Real processes, SIGKILL, real HTTP. Requests of several threads race each other, so that the n-th need not be the same
one each time: what must hold must hold wherever it hits.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import Future

import pytest

from obs_sync import fetch_checkpoint, list_markers, open_store, orphans, publish_checkpoint, push
from obs_sync.mock import Call, Faults, Reset, Rule, mock_obs
from tests.obs_sync.storage_client import PART, URL
from tests.obs_sync.trees import read_tree, write_tree

CHECKPOINT = {"network.npz": os.urandom(2 * PART + 1234), "progress.json": b'{"iteration": 1}', "empty": b""}
DATA = {f"data/class{number % 3}/{number}.jpg": os.urandom(1000 + number) for number in range(12)}
WRITES = "PutObject,UploadPart,InitiateMultipartUpload,CompleteMultipartUpload,AbortMultipartUpload,DeleteObjects"
REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Bench:
    """A mocked OBS with one checkpoint and some data in it, and a client that is a process of its own."""

    def __init__(self, obs, tmp_path):
        self.obs = obs
        self.source = write_tree(tmp_path / "source", CHECKPOINT)
        self.data = write_tree(tmp_path / "tree", {key[len("data/"):]: value for key, value in DATA.items()})
        self.destination = str(tmp_path / "destination")
        self.scratch = str(tmp_path / "fetched")
        self._fetched = 0
        self._clients = subprocess.Popen(
            [sys.executable, "-m", "tests.obs_sync.storage_client"], env=self.obs.environment(), cwd=REPOSITORY,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, universal_newlines=True)
        with self.store() as store:
            publish_checkpoint(store, write_tree(tmp_path / "first", {"network.npz": b"first"}), "first", {})

    def close(self):
        self._clients.communicate()

    def store(self):
        return open_store(URL, self.obs.environment())

    def run(self, operation, *arguments, faults=()):
        """The exit code of the client; negative for a signal."""
        process = Future()

        def kill(_):
            os.kill(process.result(30), signal.SIGKILL)

        self.obs.faults = Faults([rule(kill) if callable(rule) else rule for rule in faults])
        self._clients.stdin.write(json.dumps([operation] + list(arguments)) + "\n")
        self._clients.stdin.flush()
        process.set_result(int(self._clients.stdout.readline()))
        try:
            return int(self._clients.stdout.readline())
        finally:
            self.obs.faults = Faults()

    def requests(self, operation, *arguments):
        """How many requests the operation makes, undisturbed."""
        before = len(self.obs.requests)
        assert self.run(operation, *arguments) == 0
        return len(self.obs.requests) - before

    def published(self):
        """What a reader finds: name → files, of every checkpoint that it is told of. All of them must be whole."""
        found = {}
        with self.store() as store:
            for marker in list_markers(store):
                self._fetched += 1
                found[marker.name] = read_tree(fetch_checkpoint(store, marker, f"{self.scratch}{self._fetched}"))
        assert found.pop("first") == {"network.npz": b"first"}
        return found

    def forget(self, name):
        """Back to before it was published."""
        for key in self.obs.keys("bucket", "base/checkpoints/" + name):
            self.obs.delete("bucket", key)


@pytest.fixture
def bench(tmp_path):
    with mock_obs(buckets=["bucket"]) as obs:
        bench = Bench(obs, tmp_path)
        yield bench
        bench.close()


def killed_before(number):
    """Rules by which the client is dead before its request does anything."""
    return [lambda kill: Rule(Call(kill), nth=number), Rule(Reset("before"), nth=number)]


def killed_after(number):
    """By which it dies when a change is made and before it hears of that."""
    return [lambda kill: Rule(Call(kill, "after"), operation=WRITES, nth=number)]


def deaths(bench, *operation):
    """Every way to die in an operation: rules, by name."""
    count = bench.requests(*operation)
    assert count > 5
    ways = {f"before request {number}": killed_before(number) for number in range(1, count + 1)}
    ways.update({f"after write {number}": killed_after(number) for number in range(1, count + 1)})
    return ways


@pytest.mark.slow
def test_a_publication_killed_at_any_request_is_whole_or_unseen_and_is_published_by_the_next_attempt(bench):
    ways, seen = deaths(bench, "publish", bench.source, "undisturbed"), set()
    for number, (way, rules) in enumerate(ways.items()):
        name = f"second{number}"
        code = bench.run("publish", bench.source, name, faults=rules)
        assert code in (0, -signal.SIGKILL), way  # 0: there was no such request
        found = {other: files for other, files in bench.published().items() if other.startswith(name)}
        assert found in ({}, {name: CHECKPOINT}), way
        seen.add((code, bool(found)))
        assert bench.run("publish", bench.source, name) == 0, way
        again = {other: files for other, files in bench.published().items() if other.startswith(name)}
        assert len(again) == 1 and list(again.values()) == [CHECKPOINT], way
        bench.forget(name)
    # It did die without and with the marker written, or nothing was tested.
    assert {(-signal.SIGKILL, False), (-signal.SIGKILL, True)} <= seen


@pytest.mark.slow
def test_what_a_killed_publication_leaves_is_found_as_an_orphan_or_an_unfinished_upload(bench):
    count = bench.requests("publish", bench.source, "undisturbed")
    for number in range(1, count + 1):
        bench.run("publish", bench.source, f"second{number}", faults=killed_before(number))
    with bench.store() as store:
        names = {orphan.name for orphan in orphans(store)}
        uploads = store.unfinished_uploads("checkpoints/")
    left = {key.split("/")[2] for key in bench.obs.keys("bucket", "base/checkpoints/") if key.count("/") > 2}
    whole = set(bench.published()) | {"first"}
    assert names == left - whole and names
    assert len(uploads) == len(bench.obs.uploads("bucket")) and uploads


@pytest.mark.slow
def test_a_pull_killed_at_any_request_leaves_whole_files_and_the_next_one_fetches_only_the_rest(bench, tmp_path):
    with bench.store() as store:
        push(store, bench.data, prefix="data/")
    ways, halfway = deaths(bench, "pull", str(tmp_path / "undisturbed")), 0
    for number, (way, rules) in enumerate(ways.items()):
        if way.startswith("after"):
            continue  # a pull writes nothing
        destination = f"{bench.destination}{number}"
        assert bench.run("pull", destination, faults=rules) == -signal.SIGKILL, way
        there = read_tree(destination) if os.path.isdir(destination) else {}
        assert all(DATA[key] == content for key, content in there.items()), way
        halfway += 0 < len(there) < len(DATA)
        before = len(bench.obs.requests)
        assert bench.run("pull", destination) == 0, way
        assert read_tree(destination) == DATA, way
        # The server may handle requests of the dead only now; what they wanted is not there either.
        fetched = {request.key for request in bench.obs.requests[before:] if request.operation == "GetObject"}
        assert fetched == {"base/" + key for key in DATA if key not in there}, way
    assert halfway


@pytest.mark.slow
def test_a_push_killed_at_any_request_leaves_whole_objects_and_the_next_one_completes_it(bench):
    ways = deaths(bench, "push", bench.data)
    for way, rules in ways.items():
        for key in bench.obs.keys("bucket", "base/data/"):
            bench.obs.delete("bucket", key)
        assert bench.run("push", bench.data, faults=rules) in (0, -signal.SIGKILL), way
        stored = {key[len("base/"):]: bench.obs.get("bucket", key) for key in bench.obs.keys("bucket", "base/data/")}
        assert all(DATA[key] == content for key, content in stored.items()), way
        assert bench.run("push", bench.data) == 0, way
        assert {key[len("base/"):] for key in bench.obs.keys("bucket", "base/data/")} == set(DATA), way


@pytest.mark.slow
def test_a_lost_reply_changes_no_result(bench, tmp_path):
    with bench.store() as store:
        push(store, bench.data, prefix="data/")
    for operation in (("publish", bench.source, "undisturbed"), ("pull", str(tmp_path / "undisturbed"))):
        for number in range(1, bench.requests(*operation) + 1):
            target = f"{operation[0]}{number}" if operation[0] == "publish" else f"{bench.destination}{number}"
            arguments = operation[1:-1] + (target,)
            assert bench.run(operation[0], *arguments, faults=[Rule(Reset("after"), nth=number)]) == 0, number
            if operation[0] == "publish":
                assert bench.published()[target] == CHECKPOINT, number
                assert f"{target}-2" not in bench.published(), number
                bench.forget(target)
            else:
                assert read_tree(target) == DATA, number
    # Whose name a lost reply told, if it was one of these: nobody can end it, and it is found by its age.
    lost = [record for record in bench.obs.requests
            if record.operation == "InitiateMultipartUpload" and "reset=after" in record.faults]
    assert len(bench.obs.uploads("bucket")) == len(lost)


def test_a_reader_in_another_process_falls_back_to_the_checkpoint_before_a_damaged_one(bench):
    """The marker is whole, a file of it is not: the one before is what there is."""
    with bench.store() as store:
        publish_checkpoint(store, bench.source, "second", {})
    data = bytearray(bench.obs.get("bucket", "base/checkpoints/second/network.npz"))
    data[1000] ^= 1
    bench.obs.put("bucket", "base/checkpoints/second/network.npz", bytes(data))
    with bench.store() as store:
        whole = []
        for marker in list_markers(store):
            try:
                fetch_checkpoint(store, marker, bench.scratch)
                whole.append(marker.name)
            except IOError:
                continue
    assert whole == ["first"]
