"""Sync: obs_sync compared with rclone, s5cmd, aws and the bare SDK: the same objects, the same server, in turn.

The clients pull 2,000 objects of 18 KB, the real images of PACS_ROOT, the small objects packed, one object of 256 MB
and one of 1 GB, from nginx with a listing that is written beforehand, and store a file of 1 GB in a mocked OBS. Every
client is a process of its own, and its result is compared byte by byte. Objects are in memory if possible, so no disk
is measured.

    python -m benchmarks.sync [--only small images distant packed large up repeat]
"""
from __future__ import annotations

import contextlib
import filecmp
import math
import os
import re
import shutil
import tempfile
from typing import Callable, Dict, Iterator, List, Optional, Set

from benchmarks import canned, clients, mocked
from benchmarks.measuring import Figure, pacs_root, parser, ratios, report
from obs_sync import LocalStore, open_store
from obs_sync.packs.publish import pack

SMALL, SMALL_SIZE = 2000, 18000
LARGE, LARGEST = 256 << 20, 1 << 30  # bytes
DISTANCE = 0.02                      # s, delay of each reply
AHEAD = 192                          # requests that obs_sync sends ahead, and others' transfers from a distance
SLOW = ("aws", clients.SDK)          # run only in every third round
Costs = Dict[str, List[clients.Cost]]  # client to one cost a round
PARTS = ("small", "images", "distant", "packed", "repeat", "large", "up")


def main() -> None:
    arguments = parser("benchmarks.sync", __doc__, rounds=5)
    arguments.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="only these parts of the table")
    arguments = arguments.parse_args()
    names, missing = clients.installed()
    notes = [f"{name} is not installed and left out (pip install {clients.PACKAGES[name]})" for name in missing]
    wanted = [part for part in PARTS if part in arguments.only]
    if canned.missing():
        notes.append(f"{canned.missing()} is not installed, so nothing is pulled")
        wanted = [part for part in wanted if part == "up"]
    elif not canned.can_wait():
        notes.append("nginx has no echo module, so nothing is pulled from a distance")
        wanted = [part for part in wanted if part != "distant"]
    figures = []
    with mocked.bucket_directory() as directory:
        for part in wanted:
            figures += _PARTS[part](os.path.join(directory, part), names, arguments.rounds)
    if figures:
        report("sync", "Sync: obs_sync beside other clients", figures, arguments.out, notes + [
            f"{clients.TRANSFERS} transfers at once; from a distance {AHEAD} for rclone and s5cmd. aws and the SDK run "
            "only in every third round. A figure is of a whole process, with its start, unless it says \"the call\"."])
    else:
        print("\n".join(notes))


def small(directory: str, names: List[str], rounds: int) -> List[Figure]:
    _write_small(os.path.join(directory, "source"))
    return _pulls("2,000 objects of 18 KB", directory, names, rounds, target=1.0)


def images(directory: str, names: List[str], rounds: int) -> List[Figure]:
    root = pacs_root()
    if root is None:
        return []
    shutil.copytree(root, os.path.join(directory, "source"))
    count = sum(len(files) for _, _, files in os.walk(root))
    return _pulls(f"{count:,} real images", directory, names, rounds, target=1.0)


def distant(directory: str, names: List[str], rounds: int) -> List[Figure]:
    _write_small(os.path.join(directory, "source"))
    return _pulls("2,000 objects, 20 ms away", directory, names, rounds, target=1.0, delay=DISTANCE)


def packed(directory: str, names: List[str], rounds: int) -> List[Figure]:
    """The small objects: packed for obs_sync, file by file for the other clients."""
    source = os.path.join(directory, "source")
    _write_small(source)
    with LocalStore(os.path.join(directory, "bucket", canned.BUCKET)) as store:
        pack(store, source)
    shutil.rmtree(os.path.join(directory, "bucket", canned.BUCKET, ".obs_sync"), ignore_errors=True)
    packs = _Source(os.path.join(directory, "bucket"), source, directory)
    os.makedirs(os.path.join(directory, "files"))
    os.symlink(source, os.path.join(directory, "files", canned.BUCKET))
    files = _Source(os.path.join(directory, "files"), source, directory)
    fast = [name for name in names if name not in SLOW]
    with packs.served() as pack_url, files.served() as file_url:
        costs = _in_turn(fast, rounds, lambda name: packs.pull(name, pack_url) if name == clients.OURS
                         else files.pull(name, file_url))
    return _figures("2,000 objects of 18 KB, packed for obs_sync", costs, None, 0.2, per=SMALL)


def repeat(directory: str, names: List[str], rounds: int) -> List[Figure]:
    """A second pull, after which nothing has changed."""
    _write_small(os.path.join(directory, "source"))
    fast = [name for name in names if name not in SLOW + ("s5cmd",)]  # s5cmd's cp always fetches everything
    source = _source(directory)
    with source.served() as url:
        for name in fast:
            source.pull(name, url, keep=True)
        costs = _in_turn(fast, rounds, lambda name: source.pull(name, url, keep=True))
        asked = source.requests()
        source.pull(clients.OURS, url, keep=True)
        asked = source.requests() - asked
    return _figures("2,000 objects, once more", costs, "rclone", 1.0) + [
        Figure("2,000 objects, once more: requests of obs_sync", [asked], "", ("<=", 1))]


def large(directory: str, names: List[str], rounds: int) -> List[Figure]:
    """One object: stored at once (its ETag is its MD5), and stored in parts (there is no digest)."""
    figures = []
    for what, size, parts in (("256 MB, ETag an MD5", LARGE, False), ("256 MB, stored in parts", LARGE, True),
                              ("1 GB, stored in parts", LARGEST, True)):
        _write_file(os.path.join(directory, "source", "large.bin"), size)
        source = _source(directory, parts)
        with source.served() as url:
            costs = _in_turn(names, rounds, lambda name: source.pull(name, url))  # noqa: B023  (called at once)
        figures += _figures(what, costs, "s5cmd", 1.1,
                            limit="" if parts else "MD5: 0.4 s, which s5cmd does not compute")
        shutil.rmtree(directory)
    return figures


def up(directory: str, names: List[str], rounds: int) -> List[Figure]:
    """One file of 1 GB to a mocked OBS, as nginx cannot store it."""
    path = os.path.join(directory, "large.bin")
    _write_file(path, LARGEST)
    bucket = os.path.join(directory, "bucket")
    os.makedirs(bucket)
    with mocked.served(bucket) as served:
        port = re.search(r":(\d+)$", served.environ["OBS_SERVER"]).group(1)
        url = "http://127.0.0.1:" + port
        environ = clients.environment(url, served.environ["OBS_ACCESS_KEY_ID"], served.environ["OBS_SECRET_ACCESS_KEY"])
        store = open_store(f"obs://{mocked.BUCKET}/", served.environ)

        def send(name):
            cost = clients.run(name, url, mocked.BUCKET, "up", path, environ)
            found, = store.list()
            if found.size != LARGEST:
                raise RuntimeError(f"{name} stored {found.size} bytes")
            store.delete([found.key])
            return cost

        with store:
            before = served.cpu_seconds()
            costs = _in_turn(names, rounds, send)
            taken = served.cpu_seconds() - before
    runs = sum(len(of_client) for of_client in costs.values())
    return _figures("1 GB up, as of a checkpoint", costs, "s5cmd", 1.1) + [
        Figure("1 GB up: the mocked OBS's processor time", [taken / (runs + len(costs))], "s")]


_PARTS = {"small": small, "images": images, "distant": distant, "packed": packed, "repeat": repeat, "large": large,
          "up": up}


class _Source:
    """A bucket, and the files that a pull must produce."""

    def __init__(self, root: str, expected: str, directory: str, parts: bool = False, delay: float = 0.0):
        self._root = root
        self._expected = expected
        self._directory = directory
        self._parts = parts
        self._delay = delay
        self._server = None

    @contextlib.contextmanager
    def served(self) -> Iterator[str]:
        with tempfile.TemporaryDirectory(prefix="masf-nginx-") as work:
            with canned.serving(self._root, work, self._delay, self._parts) as self._server:
                yield self._server.url

    def requests(self) -> int:
        return self._server.requests()

    def pull(self, name: str, url: str, keep: bool = False) -> clients.Cost:
        """The cost of one pull, whose result is compared. keep: into the folder of the pull before, not a new one."""
        out = os.path.join(self._directory, "out-" + name.replace(" ", "-"))
        if not keep:
            shutil.rmtree(out, ignore_errors=True)
        os.makedirs(out, exist_ok=True)
        cost = clients.run(name, url, canned.BUCKET, "down", out, clients.environment(url),
                           AHEAD if self._delay else clients.TRANSFERS)
        _compare(self._expected, out, name)
        if not keep:
            shutil.rmtree(out)
        return cost


def _source(directory: str, parts: bool = False, delay: float = 0.0) -> _Source:
    os.makedirs(os.path.join(directory, "bucket"), exist_ok=True)
    source = os.path.join(directory, "source")
    if not os.path.lexists(os.path.join(directory, "bucket", canned.BUCKET)):
        os.symlink(source, os.path.join(directory, "bucket", canned.BUCKET))
    return _Source(os.path.join(directory, "bucket"), source, directory, parts, delay)


def _pulls(what: str, directory: str, names: List[str], rounds: int, target: float,
           delay: float = 0.0) -> List[Figure]:
    source = _source(directory, delay=delay)
    count = sum(len(files) for _, _, files in os.walk(os.path.join(directory, "source")))
    with source.served() as url:
        before = source._server.cpu_seconds()
        costs = _in_turn(names, rounds, lambda name: source.pull(name, url))
        server = source._server.cpu_seconds() - before
    shutil.rmtree(directory)
    runs = sum(len(of_client) for of_client in costs.values()) + len(costs)
    return _figures(what, costs, None, target, per=count) + [
        Figure(f"{what}: nginx's processor time", [server / runs], "s")]


def _in_turn(names: List[str], rounds: int, run: Callable[[str], clients.Cost]) -> Costs:
    """Runs the clients in turn; the slow ones not in every round. One more round before is not counted."""
    costs = {name: [] for name in names}
    for number in range(-1, rounds):
        for name in names:
            if name in SLOW and number % 3:
                continue
            cost = run(name)
            if number >= 0:
                costs[name].append(cost)
    return costs


def _figures(what: str, costs: Costs, rival: Optional[str], target: Optional[float], per: Optional[int] = None,
             limit: str = "") -> List[Figure]:
    """Figures of one comparison.

    Args:
        what: was transferred, in a few words.
        rival: the client to compare with; None for the faster of rclone and s5cmd.
        target: the largest ratio that is wanted.
        per: number of objects, where there are many: processor time is then given for 1,000 of them.
    """
    ours = costs[clients.OURS]
    figures = _ratio_figures(what, costs, [rival] if rival else ["rclone", "s5cmd"], target, limit)
    for name, of_client in costs.items():
        if of_client:
            figures += _client_figures(f"{what}: {name}", of_client, per)
    return figures + [Figure(f"{what}: memory that obs_sync has grown by", [cost.grown_mb for cost in ours],
                             "MB", ("<=", 100.0))]


def _ratio_figures(what: str, costs: Costs, rivals: List[str], target: Optional[float], limit: str) -> List[Figure]:
    """obs_sync's time ÷ the fastest rival's, of whole processes and of the call alone; nothing without a rival."""
    rivals = [name for name in rivals if name in costs]
    if not rivals:
        return []
    ours = costs[clients.OURS]
    walls = [min(costs[name][number].wall for name in rivals) for number in range(len(ours))]
    title = f"{what}: obs_sync ÷ {rivals[0] if len(rivals) == 1 else 'the faster of rclone and s5cmd'}"
    wanted = None if target is None else ("<=", target)
    return [Figure(title, ratios([cost.wall for cost in ours], walls), "", wanted, limit),
            Figure(title + ", the call", ratios([cost.call for cost in ours], walls), "", wanted, limit)]


def _client_figures(title: str, costs: List[clients.Cost], per: Optional[int]) -> List[Figure]:
    """What one client costs."""
    figures = [Figure(title, [cost.wall for cost in costs], "s")]
    if not math.isnan(costs[0].call):
        figures.append(Figure(f"{title}, the call", [cost.call for cost in costs], "s"))
    if per:
        figures.append(Figure(f"{title}, processor time of 1,000", [1000 * cost.cpu / per for cost in costs], "s"))
    else:
        figures.append(Figure(f"{title}, processor time", [cost.cpu for cost in costs], "s"))
    return figures + [Figure(f"{title}, peak memory", [cost.peak_mb for cost in costs], "MB")]


def _compare(source: str, out: str, name: str) -> None:
    expected, found = _files(source), _files(out)
    if expected != found:
        raise RuntimeError(f"{name} brought {len(found)} files, of {len(expected)}")
    for key in expected:
        if not filecmp.cmp(os.path.join(source, key), os.path.join(out, key), shallow=False):
            raise RuntimeError(f"{name} brought other bytes of {key}")
    filecmp.clear_cache()


def _files(directory: str) -> Set[str]:
    return {os.path.relpath(os.path.join(parent, name), directory) for parent, _, names in os.walk(directory)
            for name in names if os.sep + ".obs_sync" not in parent}


def _write_small(directory: str) -> None:
    for number in range(SMALL):
        folder = os.path.join(directory, f"class-{number % 20:02d}")
        _write_file(os.path.join(folder, f"{number:04d}.jpg"), SMALL_SIZE)


def _write_file(path: str, size: int) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as stream:
        while size:
            size -= stream.write(os.urandom(min(size, 1 << 20)))


if __name__ == "__main__":
    main()
