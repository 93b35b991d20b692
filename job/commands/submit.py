"""Submit this job to ModelArts.

The command checks settings, data and permissions from here. It uploads the code of this package, unless the same code
is in OBS already, and creates the job. Then it prints the job's id and how to follow it.
Places in OBS are written obs://bucket/folder/ or, as the console does, /bucket/folder/. The options may also stand in
a part `submit:` of the file of --config; flags take precedence.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from typing import Any, Callable, Dict, List, Mapping, Tuple

from job.commands.bench import refuse_misspelt
from job.commands.check_graph import refuse_platforms
from job.config.given_values import secret_in_url
from job.config.submit_options import SubmitOptions, options, resolve_options
from job.console import Console
from job.errors import ConfigError
from job.exits import DONE, FOUND
from job.printable import printable, printable_lines
from job.standard_output import encodable, json_text, telling
from job.stopping import ended_by_sigterm

log = logging.getLogger(__name__)

TAKES_SETTINGS = True
USAGE = "%(prog)s --flavor=ID --data_url=URL --train_url=URL [--config=FILE] [--dry-run] [--follow] " \
        "[--SETTING=VALUE ...]"
SWITCHES = ("dry-run", "skip-checks", "json", "platform", "root")
LOCAL_ROOT = "dry-run"
EXAMPLES = """
  python -m job submit --data_url=obs://bucket/pacs/ --train_url=obs://bucket/out/ --flavor=modelarts.kat1.xlarge
  python -m job submit --config=configs/pacs_sketch.yaml --data_url=/bucket/pacs/ --train_url=/bucket/out/ --flavor=ID
  python -m job submit --data_url=/bucket/pacs/ --train_url=/bucket/out/ --flavor=ID --max_hours=4 --dry-run
  python -m job submit --data_url=/bucket/pacs/ --train_url=/bucket/out/ --flavor=ID --meta_batch_size=128 --follow
  python -m job submit --platform=local --config=configs/dry_run.yaml --data_url=/data/pacs --weights_path=none
Exit code 0: submitted (with --follow: the job is done); 2: wrong settings or options; 4: OBS failed, or there is
nothing at a place; 6: a check found something to correct, and nothing was submitted; 8: ModelArts refused the request,
or could not be reached.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    for each in options().values():
        if each.metavar is None:
            parser.add_argument("--" + each.name, action="store_true", default=None, help=each.help)
        else:
            default = "" if each.default in (None, 0) else f" (default: {each.default})"
            parser.add_argument("--" + each.name, metavar=each.metavar, help=each.help + default)
    parser.add_argument("--platform", choices=("modelarts", "local"), default="modelarts",
                        help="where to submit: local starts a mocked ModelArts and a mocked OBS in this process, which "
                             "run the job on this machine; data and weights may then be local, and no option is "
                             "needed (default: %(default)s)")
    parser.add_argument("--root", metavar="DIR",
                        help=f"with --platform=local: folder of its buckets and jobs (default: {LOCAL_ROOT})")
    parser.add_argument("--dry-run", action="store_true",
                        help="print the request that would create the job, and what is known of its cost; upload no "
                             "code and create no job")
    parser.add_argument("--skip-checks", action="store_true",
                        help="do not check data and permissions from here, as where only the platform may read them")
    parser.add_argument("--json", action="store_true",
                        help="print one JSON document about the job; with --follow it is one line, and one line for "
                             "each event of the job follows")


def main(args: argparse.Namespace, console: Console) -> int:
    """Print the job to standard output; what is done meanwhile is logged."""
    refuse_misspelt(args.settings, list(options()) + list(SWITCHES))
    refuse_platforms(args.settings)
    chosen = chosen_options(args)
    if args.platform == "local":
        return submit_locally(args, chosen, console)
    if args.root is not None:
        raise ConfigError(f"--root={args.root} is the folder of a local platform; give it with --platform=local, or "
                          "leave it out")
    if args.dry_run and args.follow:  # a file's follow is for the submission that comes later
        raise ConfigError("--dry-run creates no job, so there is none to follow; leave out --follow or --dry-run")
    from job.modelarts.parameters import resolve_settings

    config = resolve_settings(args.settings)
    console.set_log_level(config.platform.log_level)
    tell_local_folders(args)
    from job.modelarts.access import obs_environment, read_access, secrets_of
    from job.modelarts.sdk_service import connect

    with ended_by_sigterm():
        service = connect(os.environ, chosen.region or "")
        access = read_access(os.environ)
        environ = obs_environment(os.environ, access, service.region)
        secrets = secrets_of(access, environ)
        return submit(args, chosen, config, service, environ, secrets, console, lambda job: follow_job(
            service, job, environ, args.json) if chosen.follow else DONE)


def submit_locally(args: argparse.Namespace, chosen: SubmitOptions, console: Console) -> int:
    """Submit to a mocked platform in this process, and follow the job, which cannot outlive it."""
    if args.json or args.dry_run:
        raise ConfigError("--platform=local runs the job on this machine; it takes neither --json nor --dry-run")
    from job.dry_run.local_platform import local_platform
    from job.dry_run.submitted import attend

    root = LOCAL_ROOT if args.root is None else args.root
    refuse_local_folders(args, root)

    def attended(job: Any) -> int:
        code = attend(local.service, job, patient=False)
        with telling(code):
            print(encodable(f"results: {os.path.join(root, 'bucket', *local.results)}"))
        return code

    with ended_by_sigterm(), local_platform(args.settings, chosen, root, console) as local:
        return submit(args, local.options, local.config, local.service, local.environ, [], console,
                      attended)


def tell_local_folders(args: argparse.Namespace) -> None:
    """Warn where /name/… is read as a folder in a bucket, as the console writes it, but exists on this machine."""
    from job.config.submit_options import obs_url

    for name, place in places_given(args).items():
        if place.startswith("/") and os.path.exists(place):
            log.warning("%s=%s is read as %s, the way in which the console writes places in OBS; the local %s is not "
                        "used", name, printable(place), printable(obs_url(place, name != "weights_path")),
                        "folder" if os.path.isdir(place) else "file")


def refuse_local_folders(args: argparse.Namespace, root: str) -> None:
    """Refuse a local path where a job can only write to a bucket: the local platform would make a bucket of its name.

    Args:
        root: folder of the platform. /name/… is a place in the bucket "name" if the platform has that bucket.

    Raises:
        ConfigError: names every such path.
    """
    problems = []
    for name, place in places_given(args).items():
        first = place.strip("/").partition("/")[0]
        if (name in ("train_url", "code_url", "log_url") and place.startswith("/") and first
                and os.path.isdir("/" + first) and not os.path.isdir(os.path.join(root, "bucket", first))):
            problems.append(f"--{name}={place}: /{first} is a folder of this machine, but a job writes only to OBS. "
                            f"Write obs://{place.strip('/')}/ if you mean a bucket {first!r}, or leave --{name} out")
    if problems:
        raise ConfigError(problems)


def places_given(args: argparse.Namespace) -> Dict[str, str]:
    """Option or setting → the place in OBS that a flag or the file gives for it, as it is written."""
    from job.modelarts.parameters import given_in_file, given_places

    given: Dict[str, Any] = {name: each.value for name, each in given_in_file(args.settings).items()}
    given.update((name, value) for name, value in vars(args).items() if value is not None)
    return dict({name: given[name] for name in ("code_url", "log_url") if given.get(name)},
                **given_places(args.settings))


def chosen_options(args: argparse.Namespace) -> SubmitOptions:
    """The options of the file and of the flags. Raises ConfigError, which shows no secret."""
    from job.modelarts.parameters import given_in_file

    given: Dict[str, Tuple[Any, str]] = {
        name: (value, f"--{name}={value}") for name, value in vars(args).items()
        if name in options() and value is not None}
    in_file = given_in_file(args.settings)
    told = [secret_in_url(name, value) for source in (in_file, given) for name, (value, _) in source.items()]
    if any(told):
        raise ConfigError([each for each in told if each])
    return resolve_options([in_file, given])


def submit(args: argparse.Namespace, chosen: SubmitOptions, config: Any, service: Any, environ: Mapping[str, str],
           secrets: List[str], console: Console, follow: Callable[[Any], int]) -> int:
    """The rest, once ModelArts can be asked.

    Args:
        environ: with what OBS needs. secrets: that must not be uploaded. follow: called with the job; its result is
            the exit code.
    """
    from job.modelarts import submission
    from job.modelarts.code import collect_code

    with submission.told_if_stopped("nothing was uploaded, and no job was created"):
        code = collect_code(chosen.requirements, secrets)
        plan = submission.make_plan(config, chosen, code, service)
        to_correct = 0 if args.skip_checks else told_checks(submission.check_from_here(
            config, environ, console.check_stop, plan.request))
    if to_correct:
        log.error("nothing was submitted; correct what is listed above, or give --skip-checks")
        return FOUND
    if args.dry_run:
        show_request(plan, environ)
        for each in submission.not_checked(chosen):
            log.info("not checked from here: %s", printable(each))
        return DONE
    job = submission.submit(plan, service, environ, console)
    with telling():
        if args.json:  # behind it, each event of the job is one line of JSON
            print(json_text(document(job, service), indent=None if chosen.follow else 1))
        else:
            print(encodable("\n".join(told(job, service, args.platform != "local"))))
    return follow(job)


def follow_job(service: Any, job: Any, environ: Mapping[str, str], as_json: bool) -> int:
    """Print the log of the job until it ends; return its exit code."""
    from job.modelarts.follow import follow
    from job.reports.events import print_events
    from obs_sync import open_store

    return follow(service, job.id, lambda url: open_store(url, environ, backend="esdk"),
                  lambda events: print_events(events, as_json))


def told_checks(rows: List[Any]) -> int:
    """Log what the checks found; return the number of rows to correct."""
    from job.preflight.rows import BAD, GOOD, NOTE, line_of

    width = max(len(row.name) for row in rows)
    for row in rows:
        if row.state in (BAD, NOTE):
            log.log(logging.ERROR if row.state == BAD else logging.WARNING, "%s",
                    printable_lines(line_of(row, width, getattr(sys.stderr, "encoding", None))))
        elif row.name in ("resume", "keep_every") and row.state == GOOD:
            log.info("the run: %s", printable_lines(row.told))
    bad, good = (sum(row.state == state for row in rows) for state in (BAD, GOOD))
    log.info("checked from here: %d to correct, %d in order, %d to note or not applicable", bad, good,
             len(rows) - bad - good)
    return bad


def show_request(plan: Any, environ: Mapping[str, str]) -> None:
    """Print the request as JSON; log where the code would go and what the job would cost."""
    from job.modelarts.choices import on_ascend
    from job.modelarts.cost import cost_lines, duration_of_graph, duration_of_run
    from obs_sync import open_store

    request, config = plan.request, plan.config
    log.info("dry run: no code is uploaded and no job is created. The code: %d files, %.1f MB, to %s",
             len(plan.code.files), plan.code.size / 1e6, request.code_dir)
    with open_store(config.platform.train_url.rstrip("/") + "/" + config.run_name, environ, backend="esdk") as store:
        duration = duration_of_run(config, store)
    if duration is None and on_ascend(plan.flavor):
        duration = duration_of_graph(config, plan.ranks)
    for line in cost_lines(duration, plan.flavor, request.nodes, request.max_hours):
        log.info("%s", line)
    with telling():
        print(json_text(request.body()))


def told(job: Any, service: Any, outlives: bool) -> List[str]:
    """What a person needs to know of the new job. outlives: whether other commands can reach its platform."""
    from job.modelarts.submission import console_link

    lines = [f"submitted {job.name} (id {job.id}), {job.phase}"]
    if not outlives:
        return lines
    link = console_link(service, job)
    lines += [] if link is None else [f"  console        {link}"]
    flag = f" --region={service.region}"
    return lines + [
        f"  follow         python -m job logs {job.name} -f{flag}",
        f"  state          python -m job status {job.name}{flag}",
        f"  stop           python -m job stop {job.name}{flag}"]


def document(job: Any, service: Any) -> Dict[str, Any]:
    """The same for programs."""
    from job.modelarts.submission import console_link

    return {"id": job.id, "name": job.name, "phase": job.phase, "region": service.region, "project": service.project,
            "console": console_link(service, job), "code_dir": job.code_dir, "log_url": job.log_url,
            "parameters": job.parameters}
