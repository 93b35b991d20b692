"""One user of a store in a soak. It knows what its part of the store must hold, and notes every difference."""
from __future__ import annotations

import collections
import hashlib
import os
import random
import shutil
import time
from typing import Dict

from obs_sync import (
    AlreadyPublished,
    StoreError,
    delete_checkpoint,
    fetch_checkpoint,
    list_markers,
    pack,
    publish_checkpoint,
    pull,
    push,
)
from obs_sync.store import Store

SIZES = (0, 1, 1000, 18_000, 150_000, 1_500_000)  # bytes


class SoakWorker:
    """One user of the store, which no other user's keys overlap.

    Attributes:
        operations, refused: as in `soak.Outcome`.
        verified: bytes that were compared with the expected ones.
        wrong: one sentence for each wrong result.
    """

    def __init__(self, number: int, seed: int, store: Store, directory: str):
        self._random = random.Random(f"{seed}/{number}")
        self._store, self._directory = store, directory
        self._prefix = f"worker{number}/"
        self._objects: Dict[str, bytes] = {}
        self._checkpoints: Dict[str, Dict[str, bytes]] = {}
        self._counter = 0
        self.operations, self.refused = collections.Counter(), collections.Counter()
        self.verified, self.wrong = 0, []
        os.makedirs(directory)

    def run(self, end: float) -> None:
        """Does random operations until `end`, in time.monotonic()."""
        doings = [self._write] * 4 + [self._upload] * 3 + [self._read] * 6 + [self._download] * 4 + [
            self._range] * 3 + [self._list, self._delete, self._publish, self._fetch, self._trees]
        while time.monotonic() < end:
            doing = self._random.choice(doings)
            name = doing.__name__.lstrip("_")
            try:
                doing()
                self.operations[name] += 1
            except StoreError as error:
                self.refused[type(error).__name__] += 1
            except Exception as error:
                self.wrong.append(f"{name}: {error!r} is no StoreError")

    def compare_all(self) -> None:
        """Compares everything. Called at the end, without faults."""
        self._operate_list()
        for key in list(self._objects):
            self._compare("at the end, " + key, self._store.read(key), self._objects[key])
        self._fetch_all()

    # Operations. An object whose change failed is read again: it must have the old content or the new one.

    def _write(self):
        key, data = self._key(), self._data()
        self._change(key, data, lambda: self._store.write(key, data))

    def _upload(self):
        key, data = self._key(), self._data()
        path = self._file(data)
        self._change(key, data, lambda: self._store.upload(path, key, with_md5=self._random.random() < 0.5))

    def _delete(self):
        keys = self._random.sample(sorted(self._objects), min(3, len(self._objects)))
        befores = {key: self._objects[key] for key in keys}
        try:
            self._store.delete(keys)
            for key in keys:
                self._objects.pop(key)
        except StoreError:
            for key in keys:
                self._settle(key, befores[key], None)
            raise

    def _read(self):
        key = self._known()
        if key:
            self._compare("read " + key, self._store.read(key), self._objects[key])

    def _download(self):
        key = self._known()
        if key:
            info, path = self._store.head(key), os.path.join(self._directory, "download")
            self._store.download(info, path)
            with open(path, "rb") as stream:
                self._compare("download " + key, stream.read(), self._objects[key])

    def _range(self):
        """Reads an object in three ranges. A range has no digest, so the caller compares that of the whole object."""
        key = self._known()
        if key:
            info, data = self._store.head(key), self._objects[key]
            cuts = sorted([0, self._random.randint(0, info.size), self._random.randint(0, info.size), info.size])
            for _ in range(10):
                found = b"".join(self._store.read_range(info, begin, end - begin) for begin, end in zip(cuts, cuts[1:]))
                if info.md5 in (None, hashlib.md5(found).hexdigest()):
                    break
            if info.md5 is not None:
                self._compare("ranges of " + key, found, data)

    def _list(self):
        self._operate_list()

    def _operate_list(self):
        listed = {info.key: info.size for info in self._store.list(self._prefix + "objects/")}
        expected = {key: len(data) for key, data in self._objects.items()}
        if listed != expected:
            self.wrong.append(f"listing of {self._prefix}: {len(listed)} instead of {len(expected)} objects")

    def _publish(self):
        self._counter += 1
        name = f"c{self._counter}"
        files = {"network.npz": self._data(), "progress.json": self._data()}
        directory = self._tree(files)
        try:
            publish_checkpoint(self._store, directory, name, {}, self._prefix + "checkpoints/")
            self._checkpoints[name] = files
        except AlreadyPublished:
            self.wrong.append(f"checkpoint {name} was there before it was published")
        except StoreError:
            self._settle_checkpoint(name, files)
            raise
        if len(self._checkpoints) > 3:
            oldest = min(self._checkpoints, key=lambda other: int(other[1:]))
            gone = self._checkpoints.pop(oldest)
            try:
                delete_checkpoint(self._store, oldest, self._prefix + "checkpoints/")
            except StoreError:
                self._settle_checkpoint(oldest, gone)
                raise

    def _fetch(self):
        self._fetch_all()

    def _fetch_all(self):
        markers = {marker.name: marker for marker in list_markers(
            self._store, self._prefix + "checkpoints/", on_corrupt=lambda key, reason: self.wrong.append(
                f"marker {key}: {reason}"))}
        if set(markers) != set(self._checkpoints):
            self.wrong.append(f"checkpoints {sorted(markers)} instead of {sorted(self._checkpoints)}")
        for name, marker in markers.items():
            path = fetch_checkpoint(self._store, marker, self._new("fetched"), self._prefix + "checkpoints/")
            self._compare_tree("checkpoint " + name, path, self._checkpoints.get(name, {}))
            shutil.rmtree(os.path.dirname(path))

    def _trees(self):
        """Pushes or packs a tree and pulls it again."""
        self._counter += 1
        files = {f"a/{number}": self._data(SIZES[:4]) for number in range(12)}
        prefix = f"{self._prefix}tree{self._counter}/"
        store = self._random.choice((push, pack))
        store(self._store, self._tree(files), prefix)
        destination = self._new("pulled")
        pull(self._store, destination, prefix, workers=4)
        self._compare_tree("tree " + prefix, os.path.join(destination, *prefix.split("/")), files)
        shutil.rmtree(destination)

    # Parts of the operations.

    def _change(self, key, data, change):
        before = self._objects.get(key)
        try:
            info = change()
            self._objects[key] = data
            if info.size != len(data):
                self.wrong.append(f"{key}: stored {len(data)} bytes, told {info.size}")
        except StoreError:
            self._settle(key, before, data)
            raise

    def _settle(self, key, before, after):
        """After a change that failed: notes which of the two contents is there. Retries until it knows."""
        found = self._insist(lambda: self._store.read(key) if self._store.exists(key) else None)
        if found is None:
            self._objects.pop(key, None)
        else:
            self._objects[key] = found
        if found not in (before, after):
            self.wrong.append(f"{key}: neither the old content nor the new one after a change that failed")

    def _settle_checkpoint(self, name, files):
        key = f"{self._prefix}checkpoints/{name}.json"
        if self._insist(lambda: self._store.exists(key)):
            self._checkpoints[name] = files
        else:
            self._checkpoints.pop(name, None)

    def _insist(self, question):
        for _ in range(100):
            try:
                return question()
            except StoreError:
                continue
        raise RuntimeError("a hundred attempts failed")

    def _compare(self, what, found, expected):
        self.verified += len(expected)
        if found != expected:
            self.wrong.append(f"{what}: {len(found)} bytes found, {len(expected)} expected, and they differ")

    def _compare_tree(self, what, directory, files):
        for name, data in files.items():
            with open(os.path.join(directory, *name.split("/")), "rb") as stream:
                self._compare(f"{what} {name}", stream.read(), data)
        there = sum(len(names) for parent, _, names in os.walk(directory) if ".obs_sync" not in parent)
        if there != len(files):
            self.wrong.append(f"{what}: {there} files instead of {len(files)}")

    def _key(self):
        return f"{self._prefix}objects/{self._random.randint(0, 15)}"

    def _known(self):
        return self._random.choice(sorted(self._objects)) if self._objects else None

    def _data(self, sizes=SIZES):
        size = self._random.choice(sizes)
        return self._random.getrandbits(8 * size).to_bytes(size, "little") if size else b""

    def _file(self, data):
        path = os.path.join(self._directory, "upload")
        with open(path, "wb") as stream:
            stream.write(data)
        return path

    def _tree(self, files):
        directory = self._new("tree")
        for name, data in files.items():
            path = os.path.join(directory, *name.split("/"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as stream:
                stream.write(data)
        return directory

    def _new(self, kind):
        path = os.path.join(self._directory, kind)
        shutil.rmtree(path, ignore_errors=True)
        return path
