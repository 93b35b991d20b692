"""The images of a data set when a run began. The run keeps them to say later what has changed."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from typing import Dict, List, Optional, Sequence, Tuple

from masf_core.data.index import DatasetIndex
from masf_core.words import plural, some

NAME = "images.json.gz"
LARGEST = 256 << 20  # bytes that it unpacks to; 600,000 images take about 50 MB

Images = Dict[str, Dict[str, Tuple[int, str]]]  # {domain: {path: (bytes, class)}}


def to_bytes(index: DatasetIndex) -> bytes:
    """Every image of `index` with its size and class, compressed; equal for equal fingerprints."""
    content = {"fingerprint": index.fingerprint, "classes": list(index.classes),
               "domains": {name: {path: list(told) for path, told in images.items()}
                           for name, images in _images(index).items()}}
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as stream:
        stream.write(json.dumps(content).encode("ascii"))
    return buffer.getvalue()


def changes(before: Optional[bytes], fingerprint: str, counts: Dict[str, int], classes: Sequence[str],
            index: DatasetIndex) -> str:
    """What changed between the data when the run began and `index`, in a sentence such as
    "photo has 1,672 images instead of 1,670 (2 added, 1 changed)".

    Args:
        before: what `to_bytes` returned when the run began, None where it was not kept.
        fingerprint, counts, classes: of the data when the run began; counts is {domain: number of images}.
    """
    told = _classes_changed(classes, index.classes)
    old, new = _parsed(before, fingerprint), _images(index)
    told += [f"{name} is not a domain any more" for name in counts if name not in new]
    for name, images in new.items():
        if name not in counts:
            told.append(f"{name} is a new domain with {len(images):,} images")
            continue
        details = _differences(old[name], images) if old is not None and name in old else ""
        if counts[name] != len(images):
            told.append(f"{name} has {plural(len(images), 'image')} instead of {counts[name]:,}" + (
                f" ({details})" if details else ""))
        elif details:
            told.append(f"{name} has {plural(len(images), 'image')} as before ({details})")
    if told:
        return "; ".join(told)
    if old is not None:
        return ("the images are the same, but their split into training, validation and test changed; check the lists, "
                "the seed and validation_fraction")
    return "there are as many images as before, but their names, sizes, classes or lists are different"


def _images(index: DatasetIndex) -> Images:
    return {domain.name: {domain.paths[row]: (int(domain.sizes[row]), index.classes[domain.labels[row]])
                          for row in domain.used} for domain in index.domains}


def _parsed(before: Optional[bytes], fingerprint: str) -> Optional[Images]:
    """The images when the run began; None where they are not known, or belong to other data."""
    if before is None:
        return None
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(before)) as stream:
            data = stream.read(LARGEST + 1)
        if len(data) > LARGEST:
            return None
        content = json.loads(data.decode("ascii"))
        if content["fingerprint"] != fingerprint:
            return None
        return {name: {path: (told[0], told[1]) for path, told in images.items()}
                for name, images in content["domains"].items()}
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, zlib.error):
        return None


def _differences(old: Dict[str, Tuple[int, str]], new: Dict[str, Tuple[int, str]]) -> str:
    added, removed = new.keys() - old.keys(), old.keys() - new.keys()
    changed = [path for path in new.keys() & old.keys() if new[path] != old[path]]
    counts = [(len(added), "added"), (len(removed), "removed"), (len(changed), "changed")]
    told = ", ".join(f"{count:,} {what}" for count, what in counts if count)
    paths = sorted(added | removed | set(changed))
    return f"{told}: {some(paths, 1)}" if paths else told


def _classes_changed(old: Sequence[str], new: Sequence[str]) -> List[str]:
    added, removed = [name for name in new if name not in old], [name for name in old if name not in new]
    told = [f"{'class' if len(names) == 1 else 'classes'} {', '.join(names)} {what}"
            for names, what in ((added, "added"), (removed, "removed")) if names]
    if not told and list(old) != list(new):
        told = [f"the classes are in another order: {', '.join(new)} instead of {', '.join(old)}"]
    return told
