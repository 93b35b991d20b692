"""Run a mocked ModelArts, with a mocked OBS and IAM's look-up of the project, for other programs.

It prints the environment variables that point a program at it. Any program that uses Huawei's SDK of ModelArts, or the
client of OBS, then works without a change. A submitted job runs on this machine, in a folder below --root.
"""

from __future__ import annotations

import argparse
import errno
import re

from job.config.given_values import refuse_url
from job.console import Console
from job.errors import ConfigError

EXAMPLES = """
  python -m job mock serve --root platform --bucket data
  python -m job mock serve --root platform --platform_faults "CreateTrainingJob nth=1 reset=after"
  python -m job mock serve --root platform --platform_faults storm --faults storm --fault_seed 7
Folders below platform/obs are buckets. `python -m pydoc job.modelarts.mocked.faults.language` lists the faults of
ModelArts, `python -m pydoc obs_sync.mock.faults.plan` those of OBS.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=["serve"], help="run until Ctrl-C or SIGTERM")
    parser.add_argument("--root", required=True, metavar="DIR", help="folder of the buckets (obs/) and of the jobs "
                                                                     "(modelarts/)")
    parser.add_argument("--bucket", action="append", default=[], metavar="NAME",
                        help="create this bucket unless it exists; may be repeated")
    parser.add_argument("--port", default="0", metavar="N", help="port of ModelArts (default: any free one)")
    parser.add_argument("--obs_port", default="0", metavar="N", help="port of OBS (default: any free one)")
    parser.add_argument("--region", default="cn-north-4", help="region of the account (default: %(default)s)")
    parser.add_argument("--platform_faults", action="append", default=[], metavar="FAULTS",
                        help="faults of ModelArts and of its jobs: storm, node-loss, preemption, or one fault such as "
                             "\"RunJob nth=1 kill=5\"; may be repeated")
    parser.add_argument("--faults", action="append", default=[], metavar="FAULTS",
                        help="faults of OBS: storm, slow, flaky, or one fault such as \"GetObject nth=3 cut=0.5\"; may "
                             "be repeated")
    parser.add_argument("--fault_seed", "--fault-seed", type=int, default=0, metavar="N",
                        help="seed of the faults that have a probability (default: %(default)s)")


def main(args: argparse.Namespace, console: Console) -> int:
    """Returns 0 after a signal to stop."""
    refuse_url("--root", args.root)
    if re.fullmatch(r"[a-z]+(-[a-z0-9]+)+", args.region) is None:
        raise ConfigError(f"--region={args.region}: expected a region such as cn-north-4")
    ports = [port_of(flag, getattr(args, flag)) for flag in ("port", "obs_port")]
    from job.modelarts.mocked import MockModelArts, platform_faults, serve
    from obs_sync import LocalStorageError
    from obs_sync.mock import FaultError, Faults, RootInUse
    from obs_sync.mock.shelf.objects import is_bucket_name

    for name in args.bucket:
        if not is_bucket_name(name):
            raise ConfigError(f"--bucket={name}: expected 3 to 63 characters out of a-z, 0-9, '-' and '.'")
    try:
        platform = platform_faults(args.platform_faults, args.fault_seed)
    except FaultError as error:
        raise ConfigError(f"--platform_faults: {error}") from error
    try:
        obs = Faults(args.faults, args.fault_seed)
    except FaultError as error:
        raise ConfigError(f"--faults: {error}") from error
    try:
        mock = MockModelArts(args.root, args.bucket, port=ports[0], obs_port=ports[1], region=args.region)
        serve(mock, platform, obs)
    except RootInUse as error:
        raise ConfigError(f"--root={args.root}: {error}") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(f"--port={ports[0]} or --obs_port={ports[1]} is in use; choose another one, or leave it "
                              "out to get any free one") from error
        if error.errno in (errno.ENOTDIR, errno.EEXIST):
            raise ConfigError(f"--root={args.root}: expected a folder, which need not exist; a file is in the way "
                              f"({error.filename})") from error
        if isinstance(error.filename, str):
            raise LocalStorageError(f"--root={args.root}: cannot be written ({error.strerror})", error.filename,
                                    "Choose a folder of this user with --root") from error
        if error.errno == errno.EACCES:  # of a port below 1024
            raise ConfigError(f"--port={ports[0]} or --obs_port={ports[1]}: this user may not listen there; choose a "
                              "port from 1024 on") from error
        raise
    return 0


def port_of(flag: str, text: str) -> int:
    """Raises ConfigError unless the text is the number of a port."""
    if not text.isdecimal() or int(text) > 65535:
        raise ConfigError(f"--{flag}={text}: expected a whole number from 0 to 65535")
    return int(text)
