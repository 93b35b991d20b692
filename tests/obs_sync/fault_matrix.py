"""What a caller sees of each fault in each operation: measured, as a table.

    python -m tests.obs_sync.fault_matrix     prints it; obs_sync/FAULTS.md holds it, and a test compares the two

A cell is found by doing the operation against the mocked OBS twice: with the fault once, on the first request that it
can hit, and with the fault on every such request. Whatever comes of it, what is in the store and on the disk afterwards
is compared with what may be there; a cell that ends in wrong bytes is an AssertionError, not an entry of the table.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile

from benchmarks.soak import small_parts
from obs_sync import (
    IntegrityError, StoreError, fetch_checkpoint, list_markers, open_store, publish_checkpoint, pull,
)
from obs_sync.mock import Credentials, Faults, mock_obs
from obs_sync.retry import Retry
from tests.obs_sync.trees import read_tree, write_tree

SMALL, LARGE = os.urandom(20_000), os.urandom(450_000)
PART = 100 * 1024
TREE = {f"tree/{number}.jpg": os.urandom(2000) for number in range(3)}
CHECKPOINT = {"network.npz": LARGE, "progress.json": b"{}"}
AS_THEN = "as it was then"
WITH_TOKEN = Credentials("access-key", "secret-key", "token")
RETRY = Retry(attempts=3, sleep=lambda seconds: None)

FAULTS = [
    ("503, the server is busy", "status=503 code=SlowDown"),
    ("503 with Retry-After", "status=503 code=SlowDown retry-after=1"),
    ("429", "status=429"),
    ("500", "status=500"),
    ("403, no permission", "status=403 code=AccessDenied"),
    ("403, the token has expired", "expired-token"),
    ("the clock is 1000 s off", "skew=1000"),
    ("reset before the request is carried out", "reset=before"),
    ("reset after it, the reply lost", "reset=after"),
    ("the body of the reply cut short", "cut=0.5"),
    ("the same, by a reset", "cut=0.5 ending=reset"),
    ("a bit of the reply flipped", "GetObject flip=0.5"),
    ("a bit of the upload flipped", "flip=0.5 of=upload"),
    ("a stall of 0.2 s in mid-body", "stall=0.2 at=0.5"),
    ("a listing that is 60 s old", "stale=60"),
    ("a wrong ETag", "etag=wrong"),
    ("no ETag", "etag=missing"),
    ("Range ignored", "ignored-range"),
    ("200 with an error in it, nothing done", "error-body=InternalError"),
    ("200 with an error in it, and yet done", "error-body=InternalError applied=yes"),
    ("some of a batch not deleted", "partial-delete=0.5"),
]


class Scene:
    """A store with something in it, a place on the disk, and the operations."""

    def __init__(self, obs, store, directory):
        self.obs, self.store, self.directory = obs, store, directory
        obs.put("bucket", "base/small", SMALL)
        obs.put("bucket", "base/large", LARGE)
        for key, data in TREE.items():
            obs.put("bucket", "base/" + key, data)
        self.small_info, self.large_info = store.head("small"), store.head("large")
        store.unfinished_uploads()  # by the SDK: now neither it nor we have to ask for the dialect any more

    def stored(self, key):
        try:
            return self.obs.get("bucket", "base/" + key)
        except Exception:
            return None

    def local(self, name):
        return os.path.join(self.directory, name)

    # Each does its operation, and asserts what must be so if it says that it succeeded.

    def list(self):
        keys = {info.key for info in self.store.list("tree/")}
        if keys == set() and self.obs.injected["stale"]:
            return AS_THEN  # there is nothing to tell it by
        assert keys == set(TREE)

    def head(self):
        assert self.store.head("small").size == len(SMALL)

    def read(self):
        assert self.store.read("small") == SMALL

    def download(self):
        self.store.download(self.small_info, self.local("file"))
        with open(self.local("file"), "rb") as stream:
            assert stream.read() == SMALL

    def ranges(self):
        """A large object."""
        self.store.download(self.large_info, self.local("file"))
        with open(self.local("file"), "rb") as stream:
            assert stream.read() == LARGE

    def write(self):
        self.store.write("new", SMALL)
        assert self.stored("new") == SMALL

    def upload(self):
        """A large file, in parts."""
        write_tree(self.directory, {"upload": LARGE})
        self.store.upload(self.local("upload"), "new")
        assert self.stored("new") == LARGE

    def delete(self):
        self.store.delete(TREE)
        assert all(self.stored(key) is None for key in TREE)

    def pull(self):
        pull(self.store, self.local("destination"), prefix="tree/", workers=2)
        assert read_tree(self.local("destination")) == TREE

    def publish(self):
        publish_checkpoint(self.store, write_tree(self.local("source"), CHECKPOINT), "name", {})
        assert self.published() == {"name": CHECKPOINT}

    def fetch(self):
        def told(key, reason):  # a reader goes on with the checkpoint before; here there is none
            raise IntegrityError(reason, key)

        markers = list_markers(self.store, on_corrupt=told)
        if not markers and self.obs.injected["stale"]:
            return AS_THEN
        marker, = markers
        assert read_tree(fetch_checkpoint(self.store, marker, self.local("fetched"))) == CHECKPOINT
        return None

    # What must be so whatever it says.

    def published(self):
        with self.quiet():
            return {marker.name: read_tree(fetch_checkpoint(self.store, marker, self.local("looked")))
                    for marker in list_markers(self.store)}

    @contextlib.contextmanager
    def quiet(self):
        plan, self.obs.faults = self.obs.faults, Faults()
        try:
            yield
        finally:
            self.obs.faults = plan

    def check(self):
        for key, old, news in [("small", SMALL, ()), ("large", LARGE, ()), ("new", None, (SMALL, LARGE))]:
            assert self.stored(key) in (old,) + news, key
        assert all(self.stored(key) in (data, None) for key, data in TREE.items())
        assert self.published() in ({}, {"name": CHECKPOINT})
        for place, whole in (("destination", TREE), ("fetched/name", CHECKPOINT)):
            there = read_tree(self.local(place)) if os.path.isdir(self.local(place)) else {}
            assert all(whole[name] == data for name, data in there.items()), place


OPERATIONS = ["list", "head", "read", "download", "ranges", "write", "upload", "delete", "pull", "publish", "fetch"]


class _Once(Faults):
    """Until the first request to which it has done something."""

    def __init__(self, fault):
        super().__init__([fault])
        self._over = False

    def before_handling(self, request):
        return None if self._over else self._noted(request, super().before_handling(request))

    def before_reply(self, request, response):
        return self._noted(request, super().before_reply(request, response))

    def _noted(self, request, result):
        self._over = self._over or bool(request.faults)
        return result


def outcome(fault, operation, once):
    """``done``, the name of the error, or ``–`` where the fault finds nothing to spoil."""
    with mock_obs(buckets=["bucket"], credentials=WITH_TOKEN) as obs, tempfile.TemporaryDirectory() as directory:
        with open_store("obs://bucket/base/", obs.environment(), backend="esdk", retry=RETRY) as store:
            scene = Scene(obs, store, directory)
            if operation == "fetch":
                publish_checkpoint(store, write_tree(scene.local("source"), CHECKPOINT), "name", {})
            obs.faults = _Once(fault) if once else Faults([fault])
            try:
                seen = getattr(scene, operation)() or "done"
            except StoreError as error:
                seen = type(error).__name__
            injected = sum(obs.injected.values())
            obs.faults = Faults()
            scene.check()
    return seen if injected else "–"


def row(fault):
    """The cells of a fault: `once` alone where that is what always comes of it, else `once / always`."""
    cells = []
    for operation in OPERATIONS:
        once, always = outcome(fault, operation, True), outcome(fault, operation, False)
        cells.append(once if once == always else f"{once} / {always}")
    return cells


def line(title, fault):
    return f"| {title} | " + " | ".join(row(fault)) + " |"


def table():
    lines = ["| | " + " | ".join(OPERATIONS) + " |", "|-|" + "-|" * len(OPERATIONS)]
    with small_parts(PART):
        return lines + [line(title, fault) for title, fault in FAULTS]


if __name__ == "__main__":
    sys.stdout.write("\n".join(table()) + "\n")
