"""Pushes a tree and pulls it again, in several versions, by processes that are killed, over a network that breaks."""
from __future__ import annotations

import os
import random
from typing import Dict, Sequence

from benchmarks.chaos.process import JOB, draw_doom, insist
from benchmarks.chaos.proxy import ChaosProxy
from benchmarks.chaos.tally import Tally
from obs_sync.mock import MockObs, mock_obs

BUCKET, PREFIX = "chaos", "a tree/"
FILES = 30
SIZES = (0, 1, 1000, 1000, 18_000, 18_000, 18_000, 160_000, 500_000)  # bytes; in parts from 150,000 on
FOLDERS = ("", "photo/dog/", "photo/cat/", "art & sketch/", "Übersicht/一/")
VERSIONS = 2
KILLS = 2       # of each push and each pull
PRIVATE = ".obs_sync"  # what a pull notes in its destination

Tree = Dict[str, bytes]


def transfers(seed: int, directory: str, tally: Tally, program: Sequence[str] = JOB) -> None:
    """Adds what came of one seed to the tally.

    Args:
        directory: an empty one, for the trees.
        program: what pushes and pulls; a test has one that is wrong.
    """
    rng = random.Random(f"transfers {seed}")
    source, destination = os.path.join(directory, "source"), os.path.join(directory, "destination")
    os.makedirs(source)
    old: Tree = {}
    with mock_obs(buckets=[BUCKET]) as obs, ChaosProxy(obs.port, f"transfers {seed}") as proxy:
        environ = dict(obs.environment(), OBS_SERVER=f"http://{obs.host_name}:{proxy.port}")
        url = f"obs://{BUCKET}/{PREFIX}"
        for version in range(VERSIONS):
            new = changed(rng, old)
            write_tree(source, old, new)
            total = sum(map(len, new.values()))
            for what, arguments, look in (
                    ("pushed", ["sync", "push", source, url, "--delete"], lambda: stored(obs)),
                    ("pulled", ["sync", "pull", url, destination, "--delete"], lambda: read_tree(destination))):
                about = f"transfers of seed {seed}, version {version}, {what}"

                def check(about: str = about, look=look, new: Tree = new, old: Tree = old) -> None:
                    for name, data in look().items():
                        tally.compare(f"{about}, on the way: {name}", data, old.get(name), new.get(name))

                dooms = [draw_doom(rng, total, 0.1) for _ in range(rng.randint(0, KILLS))]
                if insist(arguments, environ, proxy, tally, dooms, check, program):
                    tally.compare_trees(about, look(), new)
            old = new
    tally.add_proxy(proxy)
    tally.runs += 1


def changed(rng: random.Random, old: Tree) -> Tree:
    """The next version of a tree: a fifth of the files is gone, a fifth has other content, and there are new ones."""
    tree = {name: data for name, data in old.items() if rng.random() < 0.8}
    for name in tree:
        if rng.random() < 0.2:
            tree[name] = _content(rng)
    while len(tree) < FILES:
        tree[f"{rng.choice(FOLDERS)}{rng.randrange(1000)}.bin"] = _content(rng)
    return tree


def _content(rng: random.Random) -> bytes:
    size = rng.choice(SIZES)
    return rng.getrandbits(8 * size).to_bytes(size, "little") if size else b""


def write_tree(directory: str, old: Tree, new: Tree) -> None:
    """Turns the tree below a directory from the old version into the new one."""
    for name in set(old) - set(new):
        os.unlink(os.path.join(directory, name))
    for name, data in new.items():
        if old.get(name) != data:
            path = os.path.join(directory, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as stream:
                stream.write(data)


def read_tree(directory: str) -> Tree:
    """Every file below a directory, by its relative path."""
    tree = {}
    for parent, folders, names in os.walk(directory):
        folders[:] = [name for name in folders if name != PRIVATE]
        for name in names:
            path = os.path.join(parent, name)
            with open(path, "rb") as stream:
                tree[os.path.relpath(path, directory).replace(os.sep, "/")] = stream.read()
    return tree


def stored(obs: MockObs) -> Tree:
    """Every object below the prefix, without it; read without a request."""
    return {key[len(PREFIX):]: obs.get(BUCKET, key) for key in obs.keys(BUCKET, PREFIX)}
