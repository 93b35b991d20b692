"""Pack a folder into a few large objects (shards), which a job pulls many times faster than many small files.

pack writes shards to DEST, called pack-*.tar, each an ordinary tar file. At the end it writes their index,
masf-pack.json. Use DEST as data_url: the job finds the index and unpacks the shards while it pulls them. A second pack
to the same DEST stores only the shards that changed. Symbolic links are followed.
The folder for temporary files (TMPDIR) needs space for one shard, or for all of SRC if SRC is a URL. The next pack
deletes temporary files that a killed pack left.
Exit code 0: done; 2: wrong usage; 4: storage or the local disk failed, or the folder SRC does not exist.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

from job.console import Console, amount
from job.errors import ConfigError, NoSuchFolder
from job.exits import DONE
from job.stopping import ended_by_sigterm
from job.standard_output import shown, telling
from masf_core.words import plural

_MOST_SHARD_MB = 1 << 20  # before a shard is stored, it is one file in the folder for temporary files

EXAMPLES = """
  python -m job pack /data/pacs obs://bucket/pacs-packed/
  python -m job pack /data/pacs obs://bucket/pacs-packed/ --dry-run
  python -m job pack obs://bucket/pacs/ obs://bucket/pacs-packed/ --shard-mb 64
  python -m job run --data_url=obs://bucket/pacs-packed/ --config=configs/pacs_cartoon.yaml
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SRC",
                        help="the folder to pack: a local folder, or a URL, which pack pulls first")
    parser.add_argument("url", metavar="DEST", help="where pack stores the shards: a URL or a local folder")
    parser.add_argument("--shard-mb", type=int, default=256, metavar="N",
                        help="largest size of a shard, in MB of 2^20 bytes (default: %(default)s)")
    parser.add_argument("--prune", action="store_true",
                        help="delete unused shards at once, not with the first pack that runs at least a day later; "
                             "use it only while no job pulls and no other pack runs")
    parser.add_argument("--dry-run", action="store_true", help="only print what pack would store and delete")


def main(args: argparse.Namespace, console: Console) -> None:
    """Print the summary to standard output."""
    from obs_sync import is_remote, open_store, parse_url, pull
    from obs_sync.local.scratch import scratch_directory

    if not 1 <= args.shard_mb <= _MOST_SHARD_MB:
        raise ConfigError(f"--shard-mb={str(args.shard_mb)[:20]}: expected at least 1 and at most {_MOST_SHARD_MB:,}")
    with ended_by_sigterm():
        if not is_remote(args.source):
            source = parse_url(args.source).path
            if not os.path.isdir(source):
                raise NoSuchFolder(f"there is no folder {source} to pack; check the path")
            if not is_remote(args.url):
                _check_apart(source, parse_url(args.url).path)
            _pack(args, source, console)
            return
        with scratch_directory("masf-pack-source-") as folder:
            with open_store(args.source) as store:
                pull(store, folder, on_progress=console.task("pull", "B"))
            _pack(args, folder, console)


def _pack(args: argparse.Namespace, folder: str, console: Console) -> None:
    from obs_sync import open_store, plan_pack, publish_pack

    with open_store(args.url) as store:
        plan = plan_pack(folder, args.shard_mb << 20, console.task("read", "B"))
        report = publish_pack(store, plan, on_progress=console.task("store", "B"), prune=args.prune,
                              dry_run=args.dry_run)
        with telling(DONE):
            _tell(args, store.url, report)


def _tell(args: argparse.Namespace, url: str, report: Any) -> None:
    """Print a pack's summary. report: ``PackReport``."""
    print(f"{shown(url)}: {plural(report.files, 'file')} in {plural(report.shards, 'shard')}, "
          f"{amount(report.bytes, 'B')}")
    stored, removed = ("to be stored", "to be removed") if args.dry_run else ("stored", "removed")
    print(f"shards: {report.new_shards} {stored} ({amount(report.new_bytes, 'B')}), "
          f"{report.shards - report.new_shards} there already, {report.removed_shards} {removed}")
    if not report.changed:
        print("the pack has not changed (if a pull reports a damaged shard, delete that object and pack again)")


def _check_apart(source: str, folder: str) -> None:
    """Refuse a folder inside the source: the next pack would contain this one. Raises ConfigError."""
    inside, outside = os.path.realpath(folder), os.path.realpath(source)
    if os.path.commonpath([inside, outside]) == outside:
        raise ConfigError(f"{folder} lies in {source}, so the next pack would contain this one; choose a "
                          "folder outside it")
