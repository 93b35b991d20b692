"""What a container is asked to run."""
from __future__ import annotations

import posixpath
from typing import Mapping, NamedTuple, Tuple


class ContainerError(Exception):
    """The container cannot start, for a reason that lies in the request or in the bucket."""


class ContainerSpec(NamedTuple):
    """One task of a training job, as the platform's scheduler sees it.

    OBS places are written ``/bucket/key/``, as in the request that creates a job.
    """

    job_id: str
    job_name: str
    code_dir: str             # "/bucket/code/"
    boot_file: str            # "/bucket/code/boot_modelarts.py"
    parameters: Tuple[Tuple[str, str], ...]  # (name, value): --name=value
    inputs: Tuple[Tuple[str, str], ...]      # (name, "/bucket/prefix/"): downloaded before the start; --name=<local>
    outputs: Tuple[Tuple[str, str], ...]     # (name, "/bucket/prefix/"): uploaded during and after; --name=<local>
    environments: Mapping[str, str]          # variables of the request
    cards: int                # Ascend cards of each node; 0 for a flavor without any, where the boot file starts once
    nodes: int
    node: int                 # number of this node, from 0


def code_folder(spec: ContainerSpec) -> str:
    """Name of the folder that holds the code in the container: the last one of ``code_dir``."""
    return posixpath.basename(spec.code_dir.rstrip("/"))


def boot_path(spec: ContainerSpec) -> str:
    """Path of the boot file, relative to the code. Raises ContainerError if it is not part of the code."""
    prefix = spec.code_dir.rstrip("/") + "/"
    if not spec.boot_file.startswith(prefix) or not spec.boot_file.endswith(".py"):
        raise ContainerError(f"boot_file {spec.boot_file}: expected a .py file below code_dir {spec.code_dir}")
    return spec.boot_file[len(prefix):]


def bucket_and_prefix(place: str) -> Tuple[str, str]:
    """The bucket and the prefix, which is empty or ends with a slash, of ``/bucket/key/``. Raises ContainerError."""
    bucket, _, key = place.lstrip("/").partition("/")
    if not place.startswith("/") or not bucket:
        raise ContainerError(f"{place}: expected an OBS path as in /bucket/folder/")
    return bucket, key if not key or key.endswith("/") else key + "/"
