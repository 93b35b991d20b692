"""The code of a job: which files it needs, and their upload.

The folder is named by a digest of its content. So two submissions of different code never disturb each other, and the
same code is uploaded once. A marker that is written last says that the folder is whole; without it, or where a file is
missing, the upload is done again.
"""

from __future__ import annotations

import glob
import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
from typing import Iterable, Iterator, Mapping, NamedTuple, Optional, Tuple

from job.errors import ConfigError, NoSuchFolder
from job.modelarts.requirements import wrong_lines
from job.printable import printable
from job.shipped import CODE_FOLDER, CONFIG_HOME
from masf_core.words import plural, some
from obs_sync import ObjectNotFound, Store, push
from obs_sync.json_document import DocumentError, mapping_of, members, one_of, read_json, text, whole
from obs_sync.local.files import digest_of
from obs_sync.parallel import OnProgress
from obs_sync.store import read_at_most

log = logging.getLogger(__name__)

BOOT_FILE = "boot_modelarts.py"
PACKAGES = ("job", "masf_core", "obs_sync")
# Folders that only serve the machine from which jobs are submitted.
NOT_SENT = ("job/modelarts/", "job/dry_run/", "obs_sync/mock/")
DATA_FILES = ("masf_core/devices/ascend/*.json",)
CONFIGS = "configs"
REQUIREMENTS = "pip-requirements.txt"  # beside the boot file: ModelArts installs what it lists
MOST_FILES = 1000  # that ModelArts takes in a code folder
MARKER = "whole.json"
SHORTEST_SECRET = 8  # characters; a shorter one is no key, and is part of many a word
_FORMAT = "masf-code/1"
_SHAPE = members({"format": one_of(_FORMAT), "files": mapping_of(members({"size": whole(), "sha256": text()}))})
_LARGEST_MARKER = 1 << 20
_PASSWORD_IN_URL = re.compile(rb"://[^/\s]*:[^/\s]*@")


class CodeFile(NamedTuple):
    """A file of the code. key: its name below the code's folder. path: where it lies here."""

    key: str
    path: str
    size: int
    sha256: str


class Code(NamedTuple):
    """The files of a job, in the order of their keys."""

    files: Tuple[CodeFile, ...]

    @property
    def digest(self) -> str:
        """32 hexadecimal digits that only the same files with the same content have."""
        told = "".join(f"{each.sha256} {each.key}\n" for each in self.files)
        return hashlib.sha256(told.encode("utf-8")).hexdigest()[:32]

    @property
    def folder(self) -> str:
        """The name of the code's folder. ModelArts calls the folder in the container the same."""
        return f"masf-{self.digest}"

    @property
    def size(self) -> int:
        return sum(each.size for each in self.files)


def collect_code(requirements: Optional[str] = None, secrets: Iterable[str] = ()) -> Code:
    """What a job needs, from the checkout or the installed package that is running: no tests, no .git.

    Args:
        requirements: file of pip requirements for the job, or None. secrets: keys that must be in no file.

    Raises:
        ConfigError: a file holds one of the ``secrets``, there are too many files, or the requirements are no list
            of packages. NoSuchFolder: no such file.
    """
    found = dict(_sources())
    if requirements is not None:
        found[REQUIREMENTS] = _requirements(requirements)
    if len(found) >= MOST_FILES:  # the marker is one more
        raise ConfigError(f"the code has {len(found):,} files; ModelArts takes at most {MOST_FILES:,}. Remove what "
                          f"does not belong to it from {CODE_FOLDER}")
    hidden = [secret.encode("utf-8") for secret in secrets if len(secret) >= SHORTEST_SECRET]
    files = []
    for key, path in sorted(found.items()):
        with open(path, "rb") as stream:
            content = stream.read()
        if any(secret in content for secret in hidden):
            raise ConfigError(f"{path} holds a secret of the access key, and would be uploaded; remove it from there")
        files.append(CodeFile(key, path, len(content), hashlib.sha256(content).hexdigest()))
    return Code(tuple(files))


def _sources() -> Iterator[Tuple[str, str]]:
    """(key, path) of the boot file, the packages and the configurations."""
    yield BOOT_FILE, os.path.join(CODE_FOLDER, BOOT_FILE)
    for package in PACKAGES:
        for key in _below(CODE_FOLDER, package, ".py"):
            if not key.startswith(NOT_SENT):
                yield key, os.path.join(CODE_FOLDER, *key.split("/"))
    for pattern in DATA_FILES:
        for path in glob.glob(os.path.join(glob.escape(CODE_FOLDER), *pattern.split("/"))):
            yield os.path.relpath(path, CODE_FOLDER).replace(os.sep, "/"), path
    for key in _below(CONFIG_HOME, CONFIGS, ".yaml"):
        yield key, os.path.join(CONFIG_HOME, *key.split("/"))


def _below(home: str, folder: str, ending: str) -> Iterator[str]:
    """Keys, relative to ``home``, of the files below its ``folder`` whose names end so. Links are not followed."""
    for directory, folders, names in os.walk(os.path.join(home, folder)):
        folders[:] = [name for name in folders if not name.startswith((".", "__pycache__"))]
        for name in names:
            path = os.path.join(directory, name)
            if name.endswith(ending) and not name.startswith(".") and os.path.isfile(path):
                yield os.path.relpath(path, home).replace(os.sep, "/")


def _requirements(path: str) -> str:
    """The path of the file ``--requirements``, which may be one that comes with the code."""
    tried = [path] if os.path.isabs(path) else [os.path.abspath(path), os.path.join(CONFIG_HOME, path)]
    for each in tried:
        if os.path.isfile(each):
            _refuse_wrong(path, each)
            return each
    if any(map(os.path.isdir, tried)):
        raise ConfigError(f"--requirements={path}: this is a folder; expected a file that lists packages for pip")
    places = " and ".join(sorted(set(map(os.path.normpath, tried))))
    raise NoSuchFolder(f"--requirements={path}: there is no such file; looked for {places}")


def _refuse_wrong(given: str, path: str) -> None:
    """Raise ConfigError if pip could not install what the file lists, or if it holds a password."""
    with open(path, "rb") as stream:
        content = stream.read()
    if _PASSWORD_IN_URL.search(content):
        raise ConfigError(f"--requirements={given}: it holds a URL with a password, which would be uploaded; remove it")
    expected = "expected a list for pip, one package a line such as Pillow>=6"
    try:
        wrong = wrong_lines(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise ConfigError(f"--requirements={given}: it is no text in UTF-8; {expected}") from None
    if wrong:
        number, line = wrong[0]
        more = f", and {plural(len(wrong) - 1, 'more line')}" if wrong[1:] else ""
        raise ConfigError(f"--requirements={given}: line {number} is no requirement: {printable(line)!r}{more}; "
                          f"{expected}")


def upload_code(store: Store, code: Code, on_progress: Optional[OnProgress] = None) -> bool:
    """Upload the code unless it is there, whole. Returns whether anything had to be uploaded.

    Args:
        store: at the code's own folder. on_progress: called with (bytes stored, bytes to store).

    Raises:
        StoreError: the store cannot be read or written; the folder then has no marker, or is whole. ConfigError: the
            folder holds other files, which would be part of the job's code, or a file changed since it was collected.
    """
    sizes = {info.key: info.size for info in store.list()}
    strange = sorted(set(sizes) - {each.key for each in code.files} - {MARKER})
    if strange:
        raise ConfigError(f"{store.url} holds {plural(len(strange), 'file')} that would become part of the job's code: "
                          f"{some(strange)}. Delete what is not needed there, or give another --code_url")
    if _is_whole(store, code, sizes):
        log.info("the code is in %s already", store.url)
        return False
    staged = tempfile.mkdtemp(prefix="masf-code-")
    try:
        for each in code.files:
            path = os.path.join(staged, *each.key.split("/"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            shutil.copyfile(each.path, path)
            if digest_of(path, "sha256") != each.sha256:
                raise ConfigError(f"{each.path} changed while the code was being collected; submit again")
        push(store, staged, on_progress=on_progress)
        store.write(MARKER, _marker(code))
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    log.info("uploaded the code to %s: %d files", store.url, len(code.files))
    return True


def _marker(code: Code) -> bytes:
    files = {each.key: {"size": each.size, "sha256": each.sha256} for each in code.files}
    return (json.dumps({"format": _FORMAT, "files": files}, indent=1, sort_keys=True) + "\n").encode("utf-8")


def _is_whole(store: Store, code: Code, sizes: Mapping[str, int]) -> bool:
    """Whether the marker is there and names these files, and each of them is there with its size.

    Args:
        sizes: key → size of what is stored.
    """
    try:
        marker = read_json(read_at_most(store, MARKER, _LARGEST_MARKER), _SHAPE)
    except (ObjectNotFound, DocumentError):
        return False
    return marker["files"] == read_json(_marker(code), _SHAPE)["files"] and all(
        sizes.get(each.key) == each.size for each in code.files)
