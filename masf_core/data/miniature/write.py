"""Writing the miniature PACS to disk."""

from __future__ import annotations

import concurrent.futures
import os

import numpy as np

from masf_core.data.lists import file_name
from masf_core.data.miniature import silhouettes, styles
from masf_core.data.progress import OnProgress, Progress
from masf_core.data.split import stratified_split
from masf_core.randomness import generator

CLASSES = silhouettes.CLASSES
DOMAINS = styles.STYLES

JPEG_QUALITY = 90


def write_miniature(root: str, images_per_class: int = 30, seed: int = 0, on_progress: OnProgress = None) -> None:
    """Write `images/<domain>/<class>/pic_001.jpg` … and `kfold/<domain>_{train,crossval,test}_kfold.txt` below `root`.

    There are four domains and seven classes with PACS's names. Images are 227 × 227 RGB, sketches as PNG and the others
    as JPEG. Labels count from 1, and a tenth of each class (at least one image) is in crossval. An image is a function
    of (seed, domain, class, number); the same version of Pillow writes the same bytes everywhere.

    images_per_class: per domain, at least 2. on_progress: called with (images written, images).
    """
    if images_per_class < 2:
        raise ValueError(f"images_per_class must be 2 or more, got {images_per_class}")
    jobs = []
    for domain in DOMAINS:
        for name in CLASSES:
            os.makedirs(os.path.join(root, "images", domain, name), exist_ok=True)
            jobs += [(domain, name, number) for number in range(1, images_per_class + 1)]
    progress = Progress(on_progress, len(jobs))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        running = [pool.submit(_write_image, root, seed, *job) for job in jobs]
        try:
            for done, future in enumerate(running):
                future.result()
                progress.at(done + 1)
        finally:
            for future in running:
                future.cancel()
    os.makedirs(os.path.join(root, "kfold"), exist_ok=True)
    for domain in DOMAINS:
        _write_lists(root, domain, images_per_class, seed)
    progress.finish()


def _path(domain: str, name: str, number: int) -> str:
    return f"{domain}/{name}/pic_{number:03d}.{'png' if domain == 'sketch' else 'jpg'}"


def _write_image(root: str, seed: int, domain: str, name: str, number: int) -> None:
    rng = generator(seed, "miniature", domain, name, number)
    image = styles.draw(domain, silhouettes.silhouette(name, rng), rng)
    image.save(os.path.join(root, "images", _path(domain, name, number)), quality=JPEG_QUALITY)


def _write_lists(root: str, domain: str, images_per_class: int, seed: int) -> None:
    paths = [_path(domain, name, number) for name in CLASSES for number in range(1, images_per_class + 1)]
    labels = np.repeat(np.arange(len(CLASSES)), images_per_class)
    train, validation = stratified_split(paths, labels, domain, 0.1, seed)
    for part, rows in (("train", train), ("crossval", validation), ("test", range(len(paths)))):
        with open(os.path.join(root, "kfold", file_name(domain, part)), "w", encoding="utf-8", newline="\n") as stream:
            stream.writelines(f"{paths[row]} {labels[row] + 1}\n" for row in rows)
