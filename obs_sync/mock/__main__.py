"""python -m obs_sync.mock serve: a mocked OBS for other processes."""
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
      serves the directories below bucket_directory as buckets; files that you copy there become objects
      at the next start
  python -m obs_sync.mock serve --bucket data --link-mb-per-second 50
      behaves like a bucket behind a network of 50 MB/s, which all connections share
  python -m obs_sync.mock serve --bucket data --faults storm --fault-seed 7
      injects faults of every kind that a client with sound retries survives
  python -m obs_sync.mock serve --bucket data --fault "GetObject key=*.jpg nth=3 cut=0.5" --latency-ms 20
      cuts the reply with the third image short, and delays every request by 20 ms;
      `python -m pydoc obs_sync.mock.faults.plan` lists all conditions and effects
"""


def _bucket_name(text: str) -> str:
    if not is_bucket_name(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a bucket name: expected 3 to 63 characters out of a-z, 0-9, '-' and '.'")
    return text


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: expected a whole number from 0 to 65535")
    return int(text)


def _megabytes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a rate: expected a number of MB per second, more than 0")
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
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a latency: expected a number of milliseconds, 0 or more") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m obs_sync.mock", description="A mocked OBS on 127.0.0.1.")
    commands = parser.add_subparsers(dest="command", metavar="serve")
    serve = commands.add_parser(
        "serve", help="run until SIGINT or SIGTERM", epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Serves a mocked OBS and prints the environment variables that point a client at it.")
    default = Credentials()
    serve.add_argument("--root", metavar="DIR", help="directory of the objects; without it they are kept in memory")
    serve.add_argument("--port", type=_port, default=0, help="port to listen on; without it any free one")
    serve.add_argument("--host-name", default=DEFAULT_HOST_NAME, help="host name of the service (default: %(default)s)")
    serve.add_argument("--access-key", default=default.access_key, help="clients' access key (default: %(default)s)")
    serve.add_argument("--secret-key", default=default.secret_key, help="clients' secret key (default: %(default)s)")
    serve.add_argument("--bucket", action="append", default=[], type=_bucket_name, metavar="NAME",
                       help="create this bucket if it does not exist; may be repeated")
    serve.add_argument("--link-mb-per-second", type=_megabytes, metavar="RATE",
                       help="limit of all connections together, in both directions, in MB (10^6 bytes) per second")
    serve.add_argument("--encryption", metavar="NAME",
                       help="behave like a bucket that encrypts its objects at rest (\"kms\"): no ETag is an MD5")
    serve.add_argument("--latency-ms", default=[], type=_milliseconds, metavar="MS",
                       help="delay of every request, in milliseconds")
    serve.add_argument("--fault", action="append", dest="rules", type=_fault_rules, metavar="TEXT",
                       help="inject one kind of fault, as in \"GetObject key=*.jpg nth=3 cut=0.5\"; may be repeated")
    serve.add_argument("--faults", action="append", dest="rules", type=_fault_rules, metavar="PRESET",
                       help=f"inject many kinds of faults: {', '.join(PRESETS)}; may be repeated")
    serve.add_argument("--fault-seed", "--fault_seed", type=int, default=0, metavar="N",
                       help="seed of the faults that have a probability (default: %(default)s)")
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
        reason = str(error)
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            reason = f"port {options.port} is in use; choose another one, or leave --port out to get any free one"
        print(f"the mocked OBS cannot start: {reason}", file=sys.stderr)
        return 1
    faults = Faults(sum(options.rules, options.latency_ms), options.fault_seed)  # refused requests wait, too
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
