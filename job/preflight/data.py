"""Preflight of data, weights and disk: what a run would find, from names and sizes alone. Needs no TensorFlow.

The folders are built again in a temporary place, of files that have their sizes and no content, but for the list files,
which are fetched. So the very code that indexes a run's data judges them, and finds the same fingerprint.
"""
from __future__ import annotations

import os
import posixpath
import shutil
import tempfile
from typing import Collection, List, NamedTuple, Optional, Sequence, Set

from job.config.contradictions import why_unused_meta_lr
from job.config.settings import Config
from job.console import amount
from job.errors import ConfigError
from job.inputs.check import archive_error, archives_alone
from job.inputs.fetch import locate_data
from job.inputs.fetch_weights import companions
from job.inputs.indexing import index_data, summary, use_of
from job.inputs.weights import find_weights, local_file
from job.preflight.rows import BAD, GOOD, NONE, NOTE, Row, Unknown
from job.preflight.storage import Listing
from job.publication.retention import kept_count
from masf_core.data.decode_cache import directory_of
from masf_core.data.image_kind import HEAD, odd_name
from masf_core.data.index import DatasetIndex
from masf_core.data.known_sets import compare, known_set
from masf_core.data.list_names import looks_like_list
from masf_core.errors import DataError
from masf_core.network import metric_net_shapes
from masf_core.network.architecture import Architecture, Shapes
from masf_core.network.formats import recognise
from masf_core.network.formats.tensorflow_checkpoint import SUFFIX as INDEX
from masf_core.network.pretrained import read_pretrained
from masf_core.words import plural
from obs_sync import ObjectInfo, Store, open_store
from obs_sync.keys import check_key
from obs_sync.local.files import digest_of

MOST_HEADS = 200  # objects whose first bytes are fetched, as their names do not tell whether they are images
MOST_FILES = 300_000  # that are built again; making them takes time
LARGEST_LIST = 16 << 20  # bytes
WHOLE_WEIGHTS = 64 << 20  # bytes up to which a remote weights file is fetched and read
SNAPSHOTS = 3  # checkpoints in the spool: two on their way, and one that is read
LOGS = 100 << 20  # bytes


class Found(NamedTuple):
    """What the data turn out to be. dataroot: relative to the root."""

    index: DatasetIndex
    dataroot: str


def find_structure(config: Config, listing: Optional[Listing], root: Optional[str], to_train: bool = True) -> Found:
    """``Found`` in what was listed, or in the local folder ``root`` where ``listing`` is None.

    to_train: False leaves out the checks that only training needs.

    Raises:
        DataError, ConfigError: as a run would. Unknown: there are too many files.
    """
    if listing is None:
        return _found(config, root, to_train)
    odd = _odd_keys(listing.infos)
    archives = archives_alone([info.key for info in listing.infos])
    if archives and not listing.packed:
        raise archive_error(archives, listing.store.url)
    directory = tempfile.mkdtemp(prefix="masf-doctor-")
    try:
        _build_again(config, listing, odd, directory)
        return _found(config, directory, to_train)
    except (ConfigError, DataError) as error:  # nobody can use its temporary paths
        raise type(error)(str(error).replace(directory, listing.store.url.rstrip("/"))) from error
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _odd_keys(infos: Sequence[ObjectInfo]) -> Set[str]:
    """The keys whose names do not tell whether they are images. Raises Unknown where there are too many files."""
    if len(infos) > MOST_FILES:
        raise Unknown(f"not checked, because there are more than {MOST_FILES:,} files")
    odd = {info.key for info in infos if info.size and odd_name(info.key)}
    if len(odd) > MOST_HEADS:
        raise Unknown(f"not checked, because the names of {len(odd):,} objects, such as {min(odd)}, do not tell "
                      "whether they are images; the run checks them after it has fetched them")
    return odd


def _build_again(config: Config, listing: Listing, odd: Collection[str], directory: str) -> None:
    """Make a file for each listed object below ``directory``: lists with their content, others with their size."""
    folders = {os.path.dirname(info.key) for info in listing.infos}
    names = {part for folder in folders for part in folder.split("/") if part}
    for info in listing.infos:
        path = os.path.join(directory, *check_key(info.key, listing.store.locate(info.key)).split("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        is_list = info.size <= LARGEST_LIST and looks_like_list(
            os.path.basename(info.key), names, config.data.list_pattern)
        with open(path, "wb") as stream:
            if is_list:
                stream.write(listing.store.read(info.key))
            elif info.key in odd:  # only its first bytes tell whether it is an image
                stream.write(listing.store.read_range(info, 0, min(info.size, HEAD)))
            if not is_list:
                stream.truncate(info.size)


def _found(config: Config, root: str, to_train: bool) -> Found:
    dataroot, filelist_root = locate_data(config, root)
    return Found(index_data(config, dataroot, filelist_root, to_train=to_train), os.path.relpath(dataroot, root))


def structure_rows(config: Config, found: Found) -> List[Row]:
    """The row about domains, classes and images, and a row about a published data set that has these domains."""
    target = config.data.target_domain
    domains = Row("domains", GOOD, f"{summary(found.index, target)}; {use_of(found.index, target)}; fingerprint "
                                   f"{found.index.fingerprint[:12]}; only names and sizes were checked: the run "
                                   "decodes the images")
    images = {domain.name: len(domain.used) for domain in found.index.domains}
    known = known_set(images)
    if known is None:
        return [domains]
    comparison = compare(known, images, len(found.index.classes))
    return [domains, Row("data set", GOOD, comparison.told) if comparison.same else Row(
        "data set", NOTE, comparison.told, f"If these should be all images of {known.name}, look for what was not "
        "downloaded and for images that no list names. Otherwise accuracies do not compare with published ones")]


def weights_row(path: Optional[str], listing: Optional[Listing], root: Optional[str], network: Architecture) -> Row:
    """Whether the pretrained weights are there and fit the network.

    Args:
        path: the setting, no URL. listing: of data_url, None if it is local. root: the local folder.
    """
    if path is None:
        return Row("weights", BAD, "weights_path is not set",
                   "Give --weights_path (below data_url, a URL or a local file), or --weights_path=none")
    if path == "none":
        return Row("weights", NONE, "none: trained from scratch")
    keys = listing.keys() if listing is not None else {}
    info = keys.get(path) or keys.get(path + INDEX)
    if info is not None:
        return stored_weights_row(listing.store, info, path, network)
    candidates = [os.path.abspath(path)] if os.path.isabs(path) or root is None else [
        os.path.join(root, path), os.path.abspath(path)]
    for candidate in candidates:
        file = local_file(candidate)
        if file is not None:
            return _whole_weights_row(file, path, network)
        if os.path.isdir(candidate):
            found = find_weights(candidate, open_store)
            return _whole_weights_row(os.path.join(found.folder, found.key), path, network)
    return Row("weights", BAD, f"weights_path: there is no {path} below data_url, and none here",
               "Put it there, or correct --weights_path; keys are case-sensitive")


def stored_weights_row(store: Store, info: ObjectInfo, path: str, network: Architecture) -> Row:
    """As ``weights_row``, of an object: only a small one is fetched, of a larger one the beginning and the size.

    The data files of a TensorFlow checkpoint count as parts of its index.
    """
    infos = [info] + [store.head(key) for key in companions(store, info.key)]
    size = sum(each.size for each in infos)
    if size <= WHOLE_WEIGHTS:
        directory = tempfile.mkdtemp(prefix="masf-doctor-")
        try:
            for each in infos:
                with open(os.path.join(directory, posixpath.basename(each.key)), "wb") as stream:
                    stream.write(store.read(each.key))
            return _whole_weights_row(os.path.join(directory, posixpath.basename(info.key)), path, network)
        finally:
            shutil.rmtree(directory, ignore_errors=True)
    head = bytes(store.read_range(info, 0, min(recognise.HEAD, info.size)))
    if recognise.format_of(head, info.size) is None:
        return Row("weights", BAD, f"{path} has none of the formats that are read", "Give the weights of a network")
    least = 2 * _elements(network.pretrained_shapes())  # of float16, which some files have
    if size < least:
        return Row("weights", BAD, f"{path}: {amount(size, 'B')}, and {network.describe()} has "
                                   f"{amount(least, 'B')} besides the classifier even with two bytes a number",
                   "Is it the file of this backbone and width?")
    known_by = "" if info.etag is None else f", {'MD5' if info.md5 else 'ETag'} {info.md5 or info.etag:.12}"
    return Row("weights", GOOD, f"{path}: {amount(size, 'B')}{known_by}, readable, large enough; the run compares "
                                "its layers")


def _whole_weights_row(local: str, path: str, network: Architecture) -> Row:
    values = network.from_pretrained(read_pretrained(local), path)
    return Row("weights", GOOD, f"{path}: {amount(os.path.getsize(local), 'B')}, SHA-256 "
                                f"{digest_of(local, 'sha256'):.12}, {len(values)} variables fit")


def _elements(shapes: Shapes) -> int:
    """How many numbers the variables of these shapes hold."""
    total = 0
    for shape in shapes.values():
        count = 1
        for side in shape:
            count *= side
        total += count
    return total


def checkpoint_bytes(config: Config, network: Architecture) -> int:
    """Bytes of a checkpoint: weights, and two moments of each Adam that moves them."""
    training, settings = config.training, config.network
    shapes = network.shapes()
    theta = _elements(shapes)
    trained = _elements({name: shapes[name] for name in network.trained(
        settings.frozen_layers, settings.train_batch_norm)})
    phi = _elements(metric_net_shapes.shapes(
        network.feature_width, settings.metric_hidden, settings.metric_embedding)) \
        if training.method == "masf" and training.beta2 > 0.0 else 0
    meta = why_unused_meta_lr(training) is None
    return 4 * (theta + phi + (trained + phi) * (2 + (2 if meta else 0)))


def disk_row(config: Config, work_dir: str, data_bytes: int, destination: Optional[str], found: Found,
             weights_bytes: int, network: Architecture, run: Optional[str]) -> Row:
    """Free space against what the run needs.

    Args:
        data_bytes: to be pulled, 0 if nothing. destination: to where, or None. weights_bytes: of a file that is fetched
            by itself. run: folder of the run, None in a bucket.
    """
    existing = _existing(work_dir)
    if not os.access(existing, os.W_OK | os.X_OK):
        return Row("disk", BAD, f"{existing} cannot be written", "Choose another --work_dir")
    present = _size_of(destination) if destination else 0
    images = sum(len(domain.paths) for domain in found.index.domains)
    cache = images * network.image_size ** 2 * 3
    root = os.path.join(destination, found.dataroot) if destination else found.index.dataroot
    cached = _size_of(directory_of(root, os.path.join(work_dir, "decoded")))
    interval, size = config.interval, checkpoint_bytes(config, network)
    kept = kept_count(interval.keep_every, config.training.train_iterations)
    published = min(interval.keep_checkpoints + 1 + kept,  # 1: the best
                    -(-config.training.train_iterations // interval.test_print_interval))
    needs = [("data", max(0, data_bytes - present)), ("decoded images", max(0, cache - cached)),
             ("weights", weights_bytes), ("checkpoints", SNAPSHOTS * size), ("logs", LOGS)]
    local = run is not None and os.stat(_existing(run)).st_dev == os.stat(existing).st_dev
    if local:
        held = 0 if config.platform.resume == "never" else _size_of(run)
        needs.append((f"{plural(published, 'checkpoint')} in train_url", max(0, published * size - held)))
    needed, free = sum(each for _, each in needs), shutil.disk_usage(existing).free
    parts = ", ".join(f"{name} {amount(each, 'B')}" for name, each in needs if each)
    told = f"{amount(free, 'B')} free in {existing}, at most {amount(needed, 'B')} needed: {parts}"
    if kept and run is None:  # the spool keeps each of them until it is delivered
        told += "; in an outage of the storage, one more checkpoint for each that keep_every keeps"
    if needed > free:
        return Row("disk", BAD, told, "Free some, or choose a larger disk with --work_dir" + (
            ", another one with --train_url, or a larger --keep_every" if local and kept else ""))
    return Row("disk", GOOD, told)


def _existing(path: str) -> str:
    """The folder at ``path``, or the nearest one above it that exists."""
    path = os.path.abspath(path)
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def _size_of(directory: str) -> int:
    """Bytes of the files below."""
    return sum(os.lstat(os.path.join(parent, name)).st_size
               for parent, _, names in os.walk(directory) for name in names
               if os.path.lexists(os.path.join(parent, name)))
