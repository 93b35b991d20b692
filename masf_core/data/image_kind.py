"""Whether a file is an image: its name decides, or its first bytes where the name says nothing."""

from __future__ import annotations

import os
from typing import Optional

# Names that are enough. A file with such a name that is not an image is found when it is decoded.
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm",
                  ".jfif", ".jpe", ".jif", ".jfi", ".pjpeg", ".pjp", ".dib", ".pnm", ".pbm", ".apng")

# Files with these names often lie beside images by the thousand. They are not images, and are not opened.
OTHER_SUFFIXES = (".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".md", ".html", ".log", ".lst",
                  ".list", ".py", ".ipynb", ".ini", ".cfg", ".db", ".pdf", ".npy", ".npz", ".mat", ".h5", ".hdf5",
                  ".pkl", ".pickle", ".tfrecord", ".pb", ".ckpt", ".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z",
                  ".rar", ".mp4", ".avi", ".mov", ".md5", ".sha256", ".part", ".tmp")

HEAD = 16  # bytes that say which format a file has

_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_OTHER_PICTURES = ((b"\0\0\0\x0cjP  ", "JPEG 2000"), (b"\xff\x4f\xff\x51", "JPEG 2000"), (b"8BPS", "Photoshop"),
                   (b"\0\0\0\x0cJXL ", "JPEG XL"))
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIF", b"msf1": "HEIF",
           b"hevc": "HEIC"}


def told_by_name(name: str) -> Optional[bool]:
    """True or False where the file's name tells whether it is an image, None where its first bytes have to."""
    name = name.strip().lower()
    if name.endswith(IMAGE_SUFFIXES):
        return True
    return False if name.endswith(OTHER_SUFFIXES) else None


def is_image_head(head: bytes) -> bool:
    """Whether a file that begins with these `HEAD` bytes has a format that can be decoded."""
    if head.startswith(_SIGNATURES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return True
    if head[:2] == b"BM":  # a text may begin with these two letters, too; in an image four reserved bytes are zeros
        return head[6:10] == b"\0\0\0\0"
    return head[:1] == b"P" and head[1:2] in b"123456" and head[2:3] in (b"\n", b" ", b"\t", b"\r") and len(head) > 3


def other_picture(path: str) -> str:
    """The name of a file's picture format if that cannot be decoded, such as "AVIF"; "" for other files."""
    head = read_head(path)
    for signature, kind in _OTHER_PICTURES:
        if head.startswith(signature):
            return kind
    return _BRANDS.get(head[8:12], "") if head[4:8] == b"ftyp" else ""


def is_image_file(path: str) -> bool:
    """Whether the regular file at `path` begins as an image does; False for a file that cannot be read."""
    return is_image_head(read_head(path))


def read_head(path: str) -> bytes:
    """The first `HEAD` bytes of a file, fewer where it is shorter or cannot be read."""
    try:
        with open(path, "rb", buffering=0) as stream:
            return stream.read(HEAD)
    except OSError:
        return b""


def odd_name(path: str) -> bool:
    """Whether only its content says if the file at a '/'-separated path is an image. Hidden files are not images."""
    name = os.path.basename(path)
    return not name.startswith(".") and told_by_name(name) is None
