"""Small data sets on disk for the tests: a few images of a few pixels, and list files."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from masf_core.data.index import build_index
from masf_core.errors import DataError

SIDE = 7
CLASSES = ("ant", "bee", "cat")
DOMAINS = ("clip", "photo", "sketch")


def refused(*args, **kwargs):
    """The DataError with which `build_index` refuses these arguments."""
    with pytest.raises(DataError) as caught:
        build_index(*args, **kwargs)
    return caught.value


def save_image(path, number=0, size=(SIDE, SIDE), **options):
    """An image whose pixels depend on `number`; the format follows from the name."""
    os.makedirs(os.path.dirname(str(path)), exist_ok=True)
    pixels = np.random.RandomState(number).randint(0, 256, (size[1], size[0], 3)).astype(np.uint8)
    Image.fromarray(pixels).save(str(path), **options)
    return pixels


def write_folders(root, domains=DOMAINS, classes=CLASSES, count=4):
    """`<root>/<domain>/<class>/<i>.png`, `count` images each; returns the relative paths."""
    paths = []
    for domain in domains:
        for name in classes:
            for i in range(count):
                paths.append(f"{domain}/{name}/{i}.png")
                save_image(os.path.join(str(root), paths[-1]), number=len(paths))
    return paths


def write_lists(root, base=1, domains=DOMAINS, classes=CLASSES, count=4, with_test=True):
    """Lists for `write_folders`: the last image of each class is crossval; the others are train."""
    os.makedirs(str(root), exist_ok=True)
    for domain in domains:
        rows = {"train": [], "crossval": [], "test": []}
        for index, name in enumerate(classes):
            for i in range(count):
                row = f"{domain}/{name}/{i}.png {index + base}"
                rows["crossval" if i == count - 1 else "train"].append(row)
                rows["test"].append(row)
        for part in rows:
            if part != "test" or with_test:
                write_list(root, domain, part, rows[part])


def list_path(root, domain, part):
    return os.path.join(str(root), f"{domain}_{part}_kfold.txt")


def write_list(root, domain, part, rows):
    with open(list_path(root, domain, part), "w") as stream:
        stream.writelines(row + "\n" for row in rows)


def add_line(root, domain, part, row):
    with open(list_path(root, domain, part), "a") as stream:
        stream.write(row + "\n")
