"""Reads a directory when a mocked OBS starts: the objects that it has stored there, and files copied there by hand.

Symbolic links, and everything else that is not a plain file, are ignored.
"""
from __future__ import annotations

import json
import os
import stat
from typing import Any, Dict, Iterator, Tuple

from obs_sync.mock.errors import ObsError
from obs_sync.mock.shelf.bodies import FileBlob
from obs_sync.mock.shelf.objects import Bucket, Part, Properties, StoredObject, Upload, is_bucket_name
from obs_sync.mock.wire.fields import check_key


def read_buckets(shelf: Any) -> Iterator[Bucket]:
    """The buckets of a `disk.DiskShelf`: every directory in its root whose name is a bucket name."""
    for name in sorted(os.listdir(shelf.root)):
        directory = shelf.directory(name)
        if is_bucket_name(name) and os.path.isdir(directory) and not os.path.islink(directory):
            shelf.add_bucket(name)
            bucket = Bucket(name, os.stat(shelf.hidden(name)).st_mtime)
            _read_objects(shelf, bucket)
            _read_uploads(shelf, bucket)
            yield bucket


def _read_objects(shelf, bucket: Bucket) -> None:
    notes = dict(_read_notes(shelf.hidden(bucket.name, "about")))
    for key, path in _plain_files(shelf.directory(bucket.name)):
        bucket.objects[key] = _read_object(shelf, bucket.name, key, path, notes.pop(key, ("", {}))[1])
    for key, (note_path, note) in notes.items():  # no plain file has this key: it is an odd one, or the file is gone
        path = shelf.odd_path(bucket.name, key)
        if os.path.isfile(path):
            bucket.objects[key] = _read_object(shelf, bucket.name, key, path, note)
        else:
            os.unlink(note_path)
    bucket.keys = sorted(bucket.objects)


def _read_notes(directory: str) -> Iterator[Tuple[str, Tuple[str, Dict[str, Any]]]]:
    """(key, (path of the note, note)) for each note."""
    for entry in os.scandir(directory):
        with open(entry.path, encoding="utf-8") as file:
            note = json.load(file)
        yield note["key"], (entry.path, note)


def _plain_files(directory: str) -> Iterator[Tuple[str, str]]:
    """(key, path) of every plain file below a bucket's directory."""
    for parent, directories, names in os.walk(directory):
        directories.sort()
        for name in names:
            path = os.path.join(parent, name)
            key = os.path.relpath(path, directory).replace(os.sep, "/")
            if stat.S_ISREG(os.lstat(path).st_mode) and _can_be_key(key):
                yield key, path


def _can_be_key(text: str) -> bool:
    try:
        check_key(text)
    except ObsError:  # the file's name is not UTF-8, or its path is too long
        return False
    return True


def _read_object(shelf, bucket: str, key: str, path: str, note: Dict[str, Any]) -> StoredObject:
    found = os.stat(path)
    if (note.get("size"), note.get("mtime_ns")) != (found.st_size, found.st_mtime_ns):
        return shelf.adopt(bucket, key, path)
    return StoredObject(key, note["size"], note["etag"], note["modified"], Properties(**note["properties"]),
                        note["crc64"], FileBlob(path, note["size"], note["mtime_ns"]))


def _read_uploads(shelf, bucket: Bucket) -> None:
    for entry in os.scandir(shelf.hidden(bucket.name, "uploads")):
        try:
            with open(os.path.join(entry.path, "upload.json"), encoding="utf-8") as file:
                note = json.load(file)
        except FileNotFoundError:  # the server was killed before it wrote the note
            os.rmdir(entry.path)
            continue
        upload = Upload(entry.name, note["key"], note["initiated"], Properties(**note["properties"]))
        for part in sorted(_read_parts(entry.path), key=lambda part: part.modified):
            upload.parts[part.number] = part  # of two parts with the same number, the later one
        bucket.uploads[upload.id] = upload


def _read_parts(directory: str) -> Iterator[Part]:
    for entry in os.scandir(directory):
        number, _, etag = entry.name.partition(".")
        if number.isdigit():
            found = entry.stat()
            blob = FileBlob(entry.path, found.st_size, found.st_mtime_ns)
            yield Part(int(number), found.st_size, etag, found.st_mtime, blob)
