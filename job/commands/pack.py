"""Pack a folder into a few large objects, which a job's pull fetches many times faster than small files.

DEST gets pack-*.tar (each an ordinary tar) and their index, masf-pack.json, written last. Let data_url be DEST: the job
finds the index and unpacks while it pulls. Packing again stores the shards that changed. Symbolic links are followed.
Needed besides: space for one shard in the folder for temporary files (TMPDIR); for all of SRC if that is a URL.
Of a pack that was killed the next one removes what is left there.
Exit code 0: done; 2: usage; 4: storage, the local disk, or there is no folder SRC.
"""

from __future__ import annotations

import os

from job.console import amount
from job.errors import ConfigError, NoSuchFolder
from job.exits import DONE
from job.stopping import ended_by_sigterm
from job.standard_output import shown, telling

_MOST_SHARD_MB = 1 << 20  # a shard is one file in the folder for temporary files before it is an object

EXAMPLES = """
  python -m job pack /data/pacs obs://bucket/pacs-packed/
  python -m job pack /data/pacs obs://bucket/pacs-packed/ --dry-run
  python -m job pack obs://bucket/pacs/ obs://bucket/pacs-packed/ --shard-mb 64
  python -m job run --data_url=obs://bucket/pacs-packed/ --config=configs/pacs_cartoon.yaml
"""


def add_arguments(parser):
    parser.add_argument("source", metavar="SRC", help="a local folder, or a URL, which is pulled first")
    parser.add_argument("url", metavar="DEST", help="where the pack goes: a URL or a local folder")
    parser.add_argument("--shard-mb", type=int, default=256, metavar="N",
                        help="the most that a shard holds, in MB of 2^20 bytes (default: %(default)s)")
    parser.add_argument("--prune", action="store_true",
                        help="remove shards that are out of use at once, not a pack and a day later; "
                             "nobody may be pulling or packing")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be stored and removed")


def main(args, console):
    """The summary goes to standard output."""
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


def _pack(args, folder, console):
    from obs_sync import open_store, plan_pack, publish_pack

    with open_store(args.url) as store:
        plan = plan_pack(folder, args.shard_mb << 20, console.task("read", "B"))
        report = publish_pack(store, plan, on_progress=console.task("store", "B"), prune=args.prune,
                              dry_run=args.dry_run)
        with telling(DONE):
            _tell(args, store.url, report)


def _tell(args, url, report):
    print("{}: {} in {}, {}".format(shown(url), _count(report.files, "file"), _count(report.shards, "shard"),
                                    amount(report.bytes, "B")))
    print("shards: {} {} ({}), {} there already, {} removed{}".format(
        report.new_shards, "to be stored" if args.dry_run else "stored", amount(report.new_bytes, "B"),
        report.shards - report.new_shards, report.removed_shards, " (dry run: nothing was)" if args.dry_run else ""))
    if not report.changed:
        print("the pack is as it was (should a pull call a shard damaged: remove that object, and pack again)")


def _check_apart(source, folder):
    """The next pack would hold this one."""
    inside, outside = os.path.realpath(folder), os.path.realpath(source)
    if os.path.commonpath([inside, outside]) == outside:
        raise ConfigError(f"{folder} lies in {source}, and the pack would be packed too; choose a folder elsewhere")


def _count(number, noun):
    return "{:,} {}{}".format(number, noun, "" if number == 1 else "s")
