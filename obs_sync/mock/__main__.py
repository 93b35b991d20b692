"""python -m obs_sync.mock serve: a mocked OBS to be used from other processes."""
from __future__ import annotations

import argparse
import errno
import shlex
import signal
import sys
import threading
from typing import List, Optional

from obs_sync.mock import (
    DEFAULT_HOST_NAME, PRESETS, Credentials, FaultError, Faults, Latency, MockObs, RootInUse, Rule, describe_injected,
)
from obs_sync.mock.faults.text import parse_rules
from obs_sync.mock.shelf.objects import is_bucket_name

_EXAMPLES = """\
examples:
  python -m obs_sync.mock serve --root bucket_directory --bucket data
      serves the directories below bucket_directory as buckets; files copied there are objects
      from the next start on
  python -m obs_sync.mock serve --bucket data --link-mb-per-second 50
      behaves like a bucket at the far end of a network of 50 MB/s, shared by all connections
  python -m obs_sync.mock serve --bucket data --faults storm --fault-seed 7
      fails now and then in every way that a client with sound retries gets over
  python -m obs_sync.mock serve --bucket data --fault "GetObject key=*.jpg nth=3 cut=0.5" --latency-ms 20
      cuts the third image short, and has every request wait; `python -m pydoc obs_sync.mock.faults.plan` lists all
      conditions and effects
"""


def _bucket_name(text: str) -> str:
    if not is_bucket_name(text):
        raise argparse.ArgumentTypeError(f"{text!r} cannot name a bucket: 3 to 63 of a-z, 0-9, '-' and '.'")
    return text


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: a whole number from 0 to 65535")
    return int(text)


def _megabytes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no rate: a number of MB per second above 0")
    return value


def _fault_rules(text: str) -> List[Rule]:
    try:
        return parse_rules(text)
    except FaultError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _milliseconds(text: str) -> List[Rule]:
    try:
        return [Rule(Latency(float(text) / 1000))]
    except ValueError:  # of which FaultError is one
        raise argparse.ArgumentTypeError(f"{text!r} is no latency: a number of milliseconds, 0 or more") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m obs_sync.mock", description="A mocked OBS on 127.0.0.1.")
    commands = parser.add_subparsers(dest="command", metavar="serve")
    serve = commands.add_parser(
        "serve", help="run until SIGINT or SIGTERM", epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Serves a mocked OBS and prints the environment variables that point a client at it.")
    default = Credentials()
    serve.add_argument("--root", metavar="DIR", help="directory for the objects; in memory without it")
    serve.add_argument("--port", type=_port, default=0, help="any free one without it")
    serve.add_argument("--host-name", default=DEFAULT_HOST_NAME, help="default: %(default)s")
    serve.add_argument("--access-key", default=default.access_key, help="default: %(default)s")
    serve.add_argument("--secret-key", default=default.secret_key, help="default: %(default)s")
    serve.add_argument("--bucket", action="append", default=[], type=_bucket_name, metavar="NAME",
                       help="create this bucket if it does not exist; may be repeated")
    serve.add_argument("--link-mb-per-second", type=_megabytes, metavar="RATE",
                       help="slow down to this many MB (10^6 bytes) per second, all connections and both directions "
                            "together")
    serve.add_argument("--encryption", metavar="NAME",
                       help="encrypt at rest all that is stored, as a bucket that is set to \"kms\": ETags are no MD5s")
    serve.add_argument("--latency-ms", default=[], type=_milliseconds, metavar="MS",
                       help="every request waits so long before it is handled")
    serve.add_argument("--fault", action="append", dest="rules", type=_fault_rules, metavar="TEXT",
                       help="fail on purpose, as in \"GetObject key=*.jpg nth=3 cut=0.5\"; may be repeated")
    serve.add_argument("--faults", action="append", dest="rules", type=_fault_rules, metavar="PRESET",
                       help=f"fail on purpose in many ways: {', '.join(PRESETS)}")
    serve.add_argument("--fault-seed", type=int, default=0, metavar="N",
                       help="of the faults that have a probability; default: %(default)s")
    serve.set_defaults(rules=[])
    return parser


def main(arguments: Optional[List[str]] = None) -> int:
    """Exit status: 0 after a signal to stop, 1 when the server cannot start, 2 for wrong arguments."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 2
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    rate = options.link_mb_per_second
    mock = MockObs(options.root, options.bucket, Credentials(options.access_key, options.secret_key),
                   options.host_name, options.port, link_bytes_per_second=None if rate is None else 1e6 * rate,
                   encryption=options.encryption)
    try:
        mock.start()
    except (OSError, RootInUse) as error:
        told = f"port {options.port} is in use; choose another, or none for any free one" if (
            getattr(error, "errno", None) == errno.EADDRINUSE) else str(error)
        print(f"the mocked OBS cannot start: {told}", file=sys.stderr)
        return 1
    faults = Faults(sum(options.rules, options.latency_ms), options.fault_seed)  # what is refused waits, too
    if faults.rules:
        mock.faults = faults
    try:
        _announce(mock)
        stopped.wait()
    finally:
        mock.stop()
    if faults.rules:
        print("# " + describe_injected(mock.injected))
    print(f"# stopped after {sum(mock.counts.values())} requests", flush=True)
    return 0


def _announce(mock: MockObs) -> None:
    """Lines that a person can read and a shell can evaluate."""
    where = "in memory" if mock.root is None else "in " + mock.root
    buckets = mock.buckets()
    objects = sum(len(mock.keys(bucket)) for bucket in buckets)
    print(f"# mocked OBS on {mock.endpoint}, objects {where}: {objects} in {len(buckets)} buckets")
    print(f"# by address (path style, v2 or v4 signatures): {mock.path_style_endpoint}")
    print("# point a client at it with:")
    for name, value in sorted(mock.variables({}).items()):
        rest = '"${PYTHONPATH:+:$PYTHONPATH}"' if name == "PYTHONPATH" else ""
        print(f"export {name}={shlex.quote(value)}{rest}")
    print("# stop with Ctrl-C or SIGTERM", flush=True)


if __name__ == "__main__":
    sys.exit(main())
