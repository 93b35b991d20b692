"""The story of a submission: what is asked for, checked, uploaded and created, in this order.

Nothing is created or uploaded before every check has passed, and a dry run ends there.
"""

from __future__ import annotations

import contextlib
import logging
import re
import uuid
from functools import partial
from typing import Callable, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from job.config.settings import Config
from job.config.submit_options import SubmitOptions
from job.console import Console
from job.errors import ConfigError
from job.modelarts.choices import ENGINE_NAME, OTHER_ENGINE, choose_engine, choose_flavor, on_ascend
from job.modelarts.code import BOOT_FILE, Code, upload_code
from job.modelarts.creation import create_once
from job.modelarts.parameters import parameters_of
from job.modelarts.request import CODE, RUN, SUBMISSION, TARGET, JobRequest
from job.modelarts.service import Flavor, Job, JobService
from job.ranks.group import check_share
from job.stopping import Stopped
from masf_core.devices.ascend.options import mode_of
from obs_sync import AccessDenied, open_store

log = logging.getLogger(__name__)

CODE_FOLDER, LOG_FOLDER = "masf-code/", "masf-logs/"
CHECK_SECONDS = 60.0
CHECKED_FROM_HERE = ("configuration", "client", "data_url", "domains", "weights", "train_url", "clock", "lease",
                     "resume", "keep_every")


class Plan(NamedTuple):
    """A job that can be submitted. flavor: None where ModelArts does not list it, as of a dedicated pool.

    ranks: training processes, one a card.
    """

    request: JobRequest
    config: Config
    code: Code
    flavor: Optional[Flavor]
    ranks: int


def make_plan(config: Config, options: SubmitOptions, code: Code, service: JobService) -> Plan:
    """What ModelArts would be asked for. Asks it only for its flavors and images.

    Raises:
        ConfigError: the name is in use, there is no such flavor or image, or the cards cannot share the batch.
        ModelArtsError.
    """
    if options.name and not service.is_name_free(options.name):
        raise ConfigError(f"--name={options.name}: a job has this name already; choose another, or leave it out for a "
                          "fresh one")
    flavor = choose_flavor(service, options)
    engine = (ENGINE_NAME if on_ascend(flavor) else OTHER_ENGINE) if options.image else choose_engine(
        service, options.engine, flavor)
    cards = max(1, flavor.cards) if flavor is not None and on_ascend(flavor) else 1
    ranks = cards * options.nodes
    check_settings(config, flavor, ranks)
    return Plan(request_of(config, options, code, engine), config, code, flavor, ranks)


def check_settings(config: Config, flavor: Optional[Flavor], ranks: int) -> None:
    """Raise ConfigError for what a run would refuse at once on so many cards, or on an Ascend.

    flavor: None where ModelArts does not list it; then its device is not checked.
    """
    check_share(config.training.meta_batch_size, ranks)
    if flavor is not None and on_ascend(flavor):
        if config.platform.device in ("cpu", "gpu"):
            raise ConfigError(f"--device={config.platform.device}: the flavor has Ascend cards, which the job "
                              "would not use; leave --device out, or choose another flavor")
        try:
            mode_of(config.platform.precision, config.platform.precision_mode)
        except ValueError as error:
            raise ConfigError(str(error)) from error


def request_of(config: Config, options: SubmitOptions, code: Code, engine: str) -> JobRequest:
    """The request of a new submission.

    engine: ``name:version`` or an id; with ``options.image`` the name of an engine that starts boot files the same way.
    """
    train_url = config.platform.train_url or ""
    code_url = options.code_url or beside(train_url, CODE_FOLDER)
    log_url = options.log_url or beside(train_url, LOG_FOLDER)
    run = f"{train_url.rstrip('/')}/{config.run_name}/"
    inside = [f"--{name}={place} is inside the folder of the run, {run}, which holds only what a run publishes; give "
              "a folder beside it" for name, place in (("code_url", code_url), ("log_url", log_url))
              if f"{place.rstrip('/')}/".startswith(run)]
    if inside:
        raise ConfigError(inside)
    by_platform = options.copied_by == "platform"
    if by_platform and options.retries:
        log.warning("copied_by=platform: the folder of the results is empty on a new node, so a job that ModelArts "
                    "restarts there begins again at iteration 0; with copied_by=job it resumes")
    submission = uuid.uuid4().hex
    return JobRequest(
        name=options.name or fresh_name(config.run_name),
        code_dir=f"{code_url}{code.folder}/", boot_file=BOOT_FILE, flavor=options.flavor or "",
        engine=engine, image=options.image or "",
        parameters=parameters_of(config, ["data_url", "train_url"] if by_platform else []),
        inputs=(("data_url", config.data.data_url or ""),) if by_platform else (),
        outputs=(("train_url", train_url),) if by_platform else (),
        annotations=((SUBMISSION, submission), (RUN, config.run_name), (TARGET, config.data.target_domain),
                     (CODE, code.folder)),
        description=f"MASF, submission {submission}, run {config.run_name}",
        nodes=options.nodes, pool=options.pool or "", log_url=log_url,
        max_hours=options.max_hours, retries=options.retries, notify=options.notify or "")


def beside(place: str, name: str) -> str:
    """The folder ``name`` beside the folder ``place``, or in it if that is a whole bucket."""
    bucket, _, key = place[len("obs://"):].rstrip("/").partition("/")
    parent = key.rpartition("/")[0]
    return f"obs://{bucket}/{parent + '/' if parent else ''}{name}"


def fresh_name(run_name: str) -> str:
    """A name that no other job has, so that commands find the job by it, of the characters that ModelArts takes."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", run_name).strip("-") or "masf"
    return f"{plain[:55]}-{uuid.uuid4().hex[:8]}"


def check_from_here(config: Config, environ: Mapping[str, str], check_stop: Callable[[], None],
                    request: Optional[JobRequest] = None) -> List[Tuple]:
    """The checks of doctor that need no card: settings, data, weights, permissions, and whether the run name is free.

    Args:
        request: the folders of its code and its log are checked, too.

    Returns:
        ``Row``s of ``preflight.rows``.
    """
    from job.config.loading import replace_settings
    from job.preflight.checks import Preflight  # imports the OBS SDK
    from job.preflight.rows import Limit, run_checks

    limit = Limit(CHECK_SECONDS)
    here = replace_settings(config, storage="esdk")  # the job may take moxing, which exists only on ModelArts
    with Preflight(here, None, environ, limit) as preflight:
        checks = [(name, check) for name, check in preflight.checks() if name in CHECKED_FROM_HERE]
        if request is not None:
            for name, place in (("code_url", request.code_dir), ("log_url", request.log_url)):
                checks.append((name, partial(_bucket_row, name, place, environ)))
        return list(run_checks(checks, limit, check_stop))


def _bucket_row(name: str, place: str, environ: Mapping[str, str]) -> Tuple:
    """The ``Row`` of a folder whose bucket must exist. The folder itself may be new."""
    from job.preflight.rows import GOOD, NOTE, Row

    with open_store(place, environ, backend="esdk") as store:
        try:
            next(iter(store.list()), None)
        except AccessDenied:  # perhaps only the platform may list it
            return Row(name, NOTE, f"{place}: the access key may not list it, so it is not checked")
    return Row(name, GOOD, f"{place}: the bucket exists")


def not_checked(options: SubmitOptions) -> List[str]:
    """What only ModelArts can check, in words: each is an option and why."""
    return [f"--{name}={value} ({why})" for name, value, why in (
        ("pool", options.pool, "the API lists no pools to this command"),
        ("image", options.image, "SWR is not asked"),
        ("notify", options.notify, "SMN is not asked")) if value]


def submit(plan: Plan, service: JobService, environ: Mapping[str, str], console: Console) -> Job:
    """Upload the code of a plan, unless it is there, and create its job, once.

    Args:
        environ: with the access key and the address of OBS.

    Raises:
        StoreError: the code could not be uploaded, and nothing was created. ModelArtsError.
    """
    with told_if_stopped(f"the code may be incomplete in {plan.request.code_dir}, and no job was created; the same "
                         "command uploads what is missing"), \
            open_store(plan.request.code_dir, environ, backend="esdk") as store, \
            console.task("uploading the code", "B") as progress:
        upload_code(store, plan.code, progress)
    with told_if_stopped(f"the job {plan.request.name} was being created and may exist; look for it with "
                         "`python -m job jobs`"):
        return create_once(service, plan.request)


@contextlib.contextmanager
def told_if_stopped(what: str) -> Iterator[None]:
    """Log a warning if Ctrl-C or SIGTERM ends the block. what: what is done then, and what is not."""
    try:
        yield
    except (KeyboardInterrupt, Stopped):
        log.warning("interrupted: %s", what)
        raise


def console_link(service: JobService, job: Job) -> Optional[str]:
    """The page of the console that lists the job; None where ModelArts is not Huawei's, as a mocked one."""
    if not service.endpoint.endswith((".myhuaweicloud.com", ".myhuaweicloud.cn")):
        return None
    return f"https://console.huaweicloud.com/modelarts/?region={service.region}#/trainingJobs?id={job.id}"
