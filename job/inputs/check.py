"""Which inputs are missing, found out from names alone, before TensorFlow is loaded and before anything is fetched."""
from __future__ import annotations

import itertools
import os
from typing import List, Mapping, Optional, Sequence

from job.config.given_values import console_path
from job.config.settings import Config, Data
from job.errors import NoSuchData, NoSuchWeights
from job.inputs.weights import local_place, object_of
from masf_core.data.image_kind import told_by_name
from masf_core.errors import DataError, WeightsError
from masf_core.network.formats.tensorflow_checkpoint import SUFFIX as INDEX
from masf_core.words import some
from obs_sync import ObjectNotFound, Store, is_remote, open_store, split_object_url
from obs_sync.errors import CHECK_PATH
from obs_sync.packs.index import INDEX_NAME

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".7z", ".rar")
LOOKED_AT = 1000  # objects: one answer of the storage
_FILES_OF_WEIGHTS = (".npy", ".npz", ".caffemodel", ".pth", ".pt", ".safetensors", ".h5", INDEX)
LEVELS = 3  # of folders that are looked through for archives

_UNPACK = ("A job reads folders <domain>/<class>/<image>, or a pack of them. Unpack the archive and give the folder; "
           "or pack the unpacked folder, which is fetched as fast as an archive: python -m job pack FOLDER "
           "obs://bucket/pacs-packed/, then --data_url=obs://bucket/pacs-packed/")


def check_inputs(config: Config, environ: Mapping[str, str]) -> None:
    """Raise the error that ``fetch.fetch_inputs`` would raise for missing inputs, as far as one or two requests tell.

    Raises:
        DataError, WeightsError: nothing there, or an archive. StoreError: no credentials, or the storage refuses.
    """
    data, backend = config.data, config.platform.storage
    path = data.weights_path
    if path is None:
        raise no_weights()
    check_data(data, backend, environ)
    # A run or a checkpoint takes more requests; ``early_weights`` looks for it.
    if is_remote(path) and path.endswith(_FILES_OF_WEIGHTS):
        folder, name = split_object_url(path)
        with open_store(folder, environ, backend=backend) as store:
            store.head(name)
    elif os.path.isabs(path) and local_place(path) is None:
        raise NoSuchWeights(f"weights_path: no such file: {path}")


def no_data() -> DataError:
    """The error about settings that name no data."""
    return DataError("no data: give --data_url (obs://bucket/folder/ or a local directory), or --dataroot with an "
                     "absolute path")


def no_weights() -> WeightsError:
    """The error about settings that do not name any weights."""
    return WeightsError("no weights: give --weights_path (a path below data_url, an obs:// URL or a local path), or "
                        "--weights_path=none to train from scratch")


def archive_error(archives: Sequence[str], where: str) -> DataError:
    """The error about a folder that holds archives instead of images. archives: their names."""
    kind = "an archive" if len(archives) == 1 else "archives"
    return DataError(f"data_url: {where} holds no images but {kind}: {some(archives, 3)}. {_UNPACK}")


def is_archive(name: str) -> bool:
    """Whether a file of this name is an archive, going by its suffix."""
    return name.strip().lower().endswith(ARCHIVES)


def no_directory(url: str) -> NoSuchData:
    """The error about a data_url that is a local path where no directory exists."""
    meant = console_path(url)
    expected = "a local directory or an obs:// URL" if meant is None else f"{meant} if it is in OBS"
    return NoSuchData(f"data_url: there is no directory {url}; expected {expected}")


def refuse_archive(url: str) -> None:
    """Raise DataError if ``url``, which names a file or object where a folder is expected, has an archive's suffix."""
    if is_archive(url.rstrip("/")):
        raise DataError(f"data_url: {url.rstrip('/')} is an archive, not a folder of images. {_UNPACK}")


def archives_below(root: str) -> List[str]:
    """Relative paths of the archives in a local folder, without the shards of packs."""
    found = []
    for parent, directories, names in os.walk(root):
        relative = os.path.relpath(parent, root)
        if relative != "." and relative.count(os.sep) >= LEVELS - 1:
            directories[:] = []
        if INDEX_NAME not in names:
            found += [os.path.normpath(os.path.join(relative, name)) for name in names if is_archive(name)]
    return sorted(found)


def archives_alone(keys: Sequence[str]) -> List[str]:
    """The archives among ``keys``; none where one of the keys can be an image, or where the keys are those of a pack.

    keys: all keys of a folder.
    """
    if INDEX_NAME in keys or any(told_by_name(key.rpartition("/")[2]) is not False for key in keys):
        return []
    return [key for key in keys if is_archive(key)]


def check_data(data: Data, backend: str, environ: Mapping[str, str]) -> None:
    """The part of ``check_inputs`` that is about the data. backend: as the setting ``storage``."""
    url = data.data_url
    if url is None:
        if not os.path.isabs(data.dataroot):
            raise no_data()
        if not os.path.isdir(data.dataroot):
            raise NoSuchData(f"dataroot: there is no directory {data.dataroot}")
    elif is_remote(url):
        with open_store(url, environ, backend=backend) as store:
            _check_stored(store, url, backend, environ)
    elif not os.path.isdir(url):
        if os.path.isfile(url):
            refuse_archive(url)
            raise DataError(f"data_url: {url} is a file; expected a local directory or an obs:// URL of a folder")
        raise no_directory(url)


def _check_stored(store: Store, url: str, backend: str, environ: Mapping[str, str]) -> None:
    from obs_sync.esdk.store import EsdkStore

    if not isinstance(store, EsdkStore):  # moxing makes a request for each object; the pull makes them once
        return
    infos = list(itertools.islice(store.list(), LOOKED_AT))
    keys = [info.key for info in infos if info.key and not info.key.endswith("/")]
    if keys:
        archives = archives_alone(keys) if len(infos) < LOOKED_AT else []
        if archives:
            raise archive_error(archives, url)
        return
    if _object_at(url, backend, environ):
        refuse_archive(url)
        raise DataError(f"data_url: {url} is an object, not a folder; expected the folder above "
                        "<domain>/<class>/<image>")
    raise ObjectNotFound("there is nothing to fetch below", store.locate(), CHECK_PATH)


def _object_at(url: str, backend: str, environ: Mapping[str, str]) -> Optional[str]:
    """The name of the object at ``url``, which was given as the URL of a folder; None where there is none."""
    named = object_of(url.rstrip("/"))
    if named is None:
        return None
    folder, name = named
    with open_store(folder, environ, backend=backend) as store:
        return name if store.exists(name) else None
