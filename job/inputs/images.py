"""The images that a command line names, one by one, in folders, in lists or in a bucket, on the local disk.

An image belongs to a class if the folder in which it lies has the name of one. In a list a line may also have the
number of the class behind the path. What a list names and is not there stays in the result, with a reason.
"""
from __future__ import annotations

import collections
import logging
import os
import posixpath
import re
from typing import Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from job.config.given_values import console_path
from job.config.loading import replace_settings
from job.config.settings import Config
from job.console import Console
from job.errors import NoSuchFolder
from job.inputs.fetch import fetch_data
from job.inputs.trained import OpenAt
from job.inputs.weights import object_of
from job.workspace import WRITTEN, Workspace
from masf_core.data.folders import Folder
from masf_core.data.image_kind import is_image_file, told_by_name
from masf_core.data.naming import canonical
from masf_core.errors import DataError
from masf_core.words import plural, some
from obs_sync import ObjectNotFound, is_remote, pull, pull_file
from obs_sync.packs.index import INDEX_NAME

log = logging.getLogger(__name__)

LISTS = (".txt", ".lst", ".list")
LEVELS = 64  # of folders below one that is named
LARGEST_LIST = 1 << 28  # bytes
_LABELLED = re.compile(r"(.*\S)\s+(\d{1,9})\Z")


class Image(NamedTuple):
    """path: of the file on the local disk. shown: as the user would name it. label: class number, None where it is not
    known. problem: why there is no such file; "" where there may be one."""

    path: str
    shown: str
    label: Optional[int]
    problem: str = ""


class Images:
    """Finds images.

    Args:
        classes: names, in the classifier's order. root: where the paths in lists begin, a folder or a URL; None is the
            folder of the list. open_at: opens a store.
    """

    def __init__(self, classes: Sequence[str], root: Optional[str], config: Config, workspace: Workspace,
                 console: Console, environ: Mapping[str, str], open_at: OpenAt) -> None:
        self._number = {canonical(name): number for number, name in enumerate(classes)}
        self._root, self._config, self._workspace, self._console = root, config, workspace, console
        self._environ, self._open_at = environ, open_at

    def find(self, places: Sequence[str]) -> List[Image]:
        """The images at all places, in their order; a file that several places name counts once.

        Raises:
            NoSuchFolder: a place does not exist. DataError: it is neither image nor list nor folder, or there is no
            image at all, or a list cannot be read. StoreError: storage.
        """
        found: Dict[str, Image] = collections.OrderedDict()
        count = 0
        for place in places:
            for image in self._remote(place) if is_remote(place) else self._local(place):
                count += 1
                found.setdefault(image.path, image)
        if not found:
            raise DataError(f"there is no image at {some(list(places))}. Expected image files, folders of them, or "
                            f"lists ({', '.join(LISTS)}) with a path in each line")
        if len(found) < count:
            log.info("%s named more than once, and counted once", plural(count - len(found), "image"))
        images = list(found.values())
        unknown = collections.Counter(_folder_of(image.shown) for image in images if image.label is None)
        if 0 < sum(unknown.values()) < len(images):
            log.warning("%d of %d images have no label, because their folders are no class of the network: %s",
                        sum(unknown.values()), len(images), some(
                            [f"{name} ({number})" for name, number in sorted(unknown.items())]))
        return images

    def _local(self, place: str) -> Iterable[Image]:
        path = os.path.abspath(place)
        if os.path.isdir(path):
            return self._folder(self._unpacked(path), place)
        if not os.path.exists(path):
            meant = console_path(place)
            raise NoSuchFolder(f"there is no file or folder {place}"
                               + ("" if meant is None else f". If it is in OBS, write {meant}"))
        if _is_list(path):
            return self._listed(path, place, self._root or os.path.dirname(place) or os.curdir)
        if told_by_name(path) is False or not (told_by_name(path) or is_image_file(path)):
            raise DataError(f"{place} is neither an image nor a list. Expected an image file, a folder of them, or a "
                            f"list ({', '.join(LISTS)}) with a path in each line")
        return [self._image(path, place)]

    def _remote(self, place: str) -> Iterable[Image]:
        named = object_of(place)
        path = None if named is None else self._object(*named)
        if path is None:
            url = place.rstrip("/") + "/"
            return self._folder(self._pulled(url), url)
        if _is_list(path):
            return self._listed(path, place, self._root or named[0])
        return [self._image(path, place)]

    def _object(self, folder: str, name: str) -> Optional[str]:
        """The local copy of an object; None where there is no such object."""
        path = os.path.join(self._workspace.inputs(folder), name)
        with self._open_at(folder) as store:
            if not store.exists(name):
                return None
            pull_file(store, name, path, on_progress=self._console.task("pull", "B"))
        return path

    def _pulled(self, url: str) -> str:
        """The local folder with the content of a folder that is remote or holds a pack."""
        config = replace_settings(self._config, data_url=url, exclude=())
        return fetch_data(config, self._workspace, self._console, self._environ)

    def _unpacked(self, path: str) -> str:
        return self._pulled(path) if os.path.isfile(os.path.join(path, INDEX_NAME)) else path

    def _folder(self, path: str, place: str) -> Iterable[Image]:
        """The images in a folder and below it, in the order of their names."""
        top = Folder(path, skip=[os.path.join(self._workspace.root, name) for name in WRITTEN])
        links, others = [], []
        for folder in [top, *top.below(LEVELS)]:
            links += folder.links
            others += [folder.path_of(name) for name in folder.other_files if not name.startswith(".")]
            for image in folder.images:
                yield self._image(os.path.join(path, image), _joined(place, image))
        for told, names in (("other files, which are no images", others),
                            ("symbolic links to folders or to nothing, which are not followed", links)):
            if names:
                log.info("%s holds %d %s: %s", place, len(names), told, some(names))

    def _image(self, path: str, shown: str) -> Image:
        return Image(path, shown, self._number.get(_folder_of(shown)))

    def _listed(self, path: str, place: str, root: str) -> Iterable[Image]:
        """The images that a list names, in its order."""
        lines = _read_list(path, place)
        if is_remote(root):
            local, exists = self._fetch_listed(root.rstrip("/") + "/", lines)
        else:
            local, exists = os.path.abspath(root), os.path.isfile
            if not os.path.isdir(local):
                raise NoSuchFolder(f"--root: there is no folder {root}")
            local = self._unpacked(local)
        # A path may end in a blank and a number: the whole line counts as a path if there is such a file.
        parsed = [(line, None) if exists(os.path.join(local, line)) else _split(line) for line in lines]
        images = [self._image(os.path.join(local, name), _joined(root, name)) for name, _ in parsed]
        base = self._label_base(place, [(image.label, number) for image, (_, number) in zip(images, parsed)])
        disagreeing = missing = 0
        for image, (_, number) in zip(images, parsed):
            label = image.label
            if number is not None and base is not None:
                disagreeing += label not in (None, number - base)
                label = number - base if label is None else label
            problem = "" if exists(image.path) else "there is no such file"
            missing += problem != ""
            yield image._replace(label=label, problem=problem)
        if missing:
            log.warning("%s: %d of %d paths lead to no file below %s. --root says where the paths begin", place,
                        missing, len(lines), root)
        if disagreeing:
            log.warning("%s: %s another label than the folder of the image says; the folder counts", place,
                        "1 line has" if disagreeing == 1 else f"{disagreeing} lines have")

    def _fetch_listed(self, root: str, lines: Sequence[str]) -> Tuple[str, Callable[[str], bool]]:
        """Pull the objects that a list names. Returns (their local folder, whether a path in it was pulled)."""
        wanted = {posixpath.normpath(name) for line in lines for name in (line, _split(line)[0])}
        local = self._workspace.inputs(root)
        try:
            with self._open_at(root) as store:
                pull(store, local, on_progress=self._console.task("pull", "B"), selects=wanted.__contains__)
        except ObjectNotFound:
            return local, lambda path: False
        return local, os.path.isfile

    def _label_base(self, place: str, pairs: Sequence[Tuple[Optional[int], Optional[int]]]) -> Optional[int]:
        """Whether the numbers of a list count from 0 or from 1; None where it has no numbers.

        Args:
            pairs: class by the folder and number in the list, of each line.

        Raises:
            DataError: the numbers do not tell, or fit neither.
        """
        numbers = {number for _, number in pairs if number is not None}
        if not numbers:
            return None
        count = len(self._number)
        chosen = self._config.data.label_base
        possible = [base for base in (0, 1) if min(numbers) >= base and max(numbers) < base + count
                    and chosen in ("auto", str(base))]
        if len(possible) > 1:
            votes = [sum(label is not None and number == label + base for label, number in pairs) for base in possible]
            possible = [base for base, vote in zip(possible, votes) if vote == max(votes)] if any(votes) else possible
        if len(possible) == 1:
            return possible[0]
        mend = ("Say whether they count from 0 or from 1 with --label_base=0 or --label_base=1" if possible else
                f"Expected numbers of {count} classes that count from 0 or from 1")
        raise DataError(f"{place}: its numbers are {min(numbers)} to {max(numbers)}. {mend}")


def _folder_of(shown: str) -> str:
    """The name of the folder in which an image lies. The folder of a fetched copy has another name."""
    return canonical(os.path.basename(os.path.dirname(shown if is_remote(shown) else os.path.abspath(shown))))


def _is_list(path: str) -> bool:
    return path.lower().endswith(LISTS)


def _joined(place: str, name: str) -> str:
    return posixpath.join(place, name) if is_remote(place) else os.path.join(place, name)


def _read_list(path: str, place: str) -> List[str]:
    """The lines of a list that are not blank. Raises DataError where it is no text, or a path leaves the folder."""
    try:
        if os.path.getsize(path) > LARGEST_LIST:
            raise DataError(f"{place} is larger than any list of images")
        with open(path, encoding="utf-8-sig") as stream:
            lines = [line.strip() for line in stream.read().split("\n")]
    except (OSError, UnicodeDecodeError) as problem:
        raise DataError(f"{place} cannot be read as a list in UTF-8: {problem}") from problem
    lines = [line for line in lines if line]
    for line in lines:
        if "\0" in line or os.path.isabs(line) or ".." in line.split("/"):
            raise DataError(f"{place}: expected a path below the folder of the list, or below --root, in each line; "
                            f"found {line[:200]!r}")
    return lines


def _split(line: str) -> Tuple[str, Optional[int]]:
    match = _LABELLED.match(line)
    return (match.group(1), int(match.group(2))) if match else (line, None)
