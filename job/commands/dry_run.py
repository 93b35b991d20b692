"""Do the whole job on this machine, against a mocked OBS."""

from __future__ import annotations

from job.errors import ConfigError

EXAMPLES = """
  python -m job dry-run
  python -m job dry-run --set train_iterations=20 target_domain=sketch
  python -m job dry-run --faults storm
  python -m job dry-run --pacs_root /data/pacs/images --weights bvlc_alexnet.npy --config configs/pacs_cartoon.yaml
`make dry-run` does the same and installs what it needs; there these are PACS_ROOT=, WEIGHTS=, CONFIG=, SET=, FAULTS=
and FAULT_SEED=.
"""


def add_arguments(parser):
    parser.add_argument("--root", default="dry-run", metavar="DIR",
                        help="everything lies below it, and is used again (default: %(default)s)")
    parser.add_argument("--pacs_root", metavar="DIR",
                        help="real images, domain/class/image (default: a miniature is drawn)")
    parser.add_argument("--weights", metavar="FILE",
                        help="pretrained weights (default: made up for alexnet, none for other networks)")
    parser.add_argument("--config", metavar="FILE", help="YAML file of settings (default: configs/dry_run.yaml)")
    parser.add_argument("--set", nargs="+", action="append", default=[], metavar="NAME=VALUE", dest="settings",
                        help="settings that differ from the file")
    parser.add_argument("--faults", metavar="FAULTS",
                        help="have the mocked OBS fail on purpose while the job runs: storm, slow, flaky, or one fault "
                             "such as \"GetObject key=*.jpg nth=3 cut=0.5\" (obs_sync/mock/faults.py lists them)")
    parser.add_argument("--fault_seed", type=int, default=0, metavar="N",
                        help="of the faults that have a probability (default: %(default)s)")
    parser.add_argument("--lane", metavar="LANE", help="what `make dry-run` runs in; hints then speak of make")


def main(args, console):
    """The exit code is the job's."""
    overrides = [item for group in args.settings for item in group]
    for item in overrides:
        if "=" not in item:
            raise ConfigError("--set {}: expected name=value".format(item))
    from job.dry_run import dry_run
    from job.dry_run_hints import Request
    from obs_sync.mock import FaultError

    try:
        return dry_run(Request(args.root, args.pacs_root, args.weights, args.config, overrides, args.lane, args.faults,
                               args.fault_seed), console)
    except FaultError as error:
        raise ConfigError("--faults: {}".format(error)) from error
