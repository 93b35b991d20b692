"""What the platform says in environment variables. No other module reads them.

ModelArts sets ``DLS_…`` for a v1 job, and ``MA_…`` and ``VC_…`` for a v2 job. On Ascend it starts the boot file once
for each card, and ``RANK_ID`` holds the rank; ``python -m job launch`` does the same elsewhere. Without ``RANK_ID`` the
job has one rank. Credentials are not read here, so that no message about the environment can show one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Tuple

from job.errors import ConfigError

CACHE = "/cache"  # the fast local disk of a ModelArts node
CACHE_VARIABLE = "DLS_LOCAL_CACHE_PATH"  # in which the platform may name another place of it
PLATFORM_MARKS = ("MA_JOB_DIR", "MA_VJ_NAME", "MA_TASK_NAME", "DLS_TASK_NUMBER", "DLS_APP_URL")
CONTROL_PORT = 29777  # of rank 0, unless RANK_CONTROL names another
URL_SETTINGS = ("data_url", "train_url")


@dataclass(frozen=True)
class Environment:
    """The rank of this process in the job, and what it may use.

    rank_id, rank_size: number of this rank, and number of all ranks of the job. rank_table: path of HCCL's table of
    cards, or None. control: (host, port) where rank 0 listens to the others, or None. job_id: HCCL's name of the job,
    or None.
    device_id: the card on this node, or None. host_index, host_count: this node among the nodes of the job.
    job_name, task_name, instance_name: how the platform calls them, or None. work_dir: where large files may go.
    urls: data_url and train_url where the platform passes them as variables, as (value, variable).
    """

    on_modelarts: bool
    rank_id: int
    rank_size: int
    rank_table: Optional[str]
    control: Optional[Tuple[str, int]]
    job_id: Optional[str]
    device_id: Optional[int]
    host_index: int
    host_count: int
    job_name: Optional[str]
    task_name: Optional[str]
    instance_name: Optional[str]
    work_dir: str
    urls: Dict[str, Tuple[str, str]]


def read_environment(environ: Mapping[str, str], cache: str = CACHE) -> Environment:
    """Read the platform's variables.

    Args:
        environ: environment variables. cache: the node's local disk unless DLS_LOCAL_CACHE_PATH names it; used where
            it can be written.

    Raises:
        ConfigError: names every variable that the platform would not set so.
    """
    problems: List[str] = []

    def count(names: Tuple[str, ...], default: Optional[int], least: int = 0) -> Optional[int]:
        """The first of the variables that is set, as a number."""
        for name in names:
            if environ.get(name):
                try:
                    number = int(environ[name])
                    if number < least:
                        raise ValueError
                    return number
                except ValueError:
                    problems.append(f"environment variable {name}={environ[name]}: expected a whole number, at "
                                    f"least {least}")
        return default

    on_modelarts = any(environ.get(name) for name in PLATFORM_MARKS)
    rank_id, rank_size = count(("RANK_ID",), 0), count(("RANK_SIZE", "CM_WORKER_SIZE"), 1, least=1)
    if environ.get("RANK_SIZE") and environ.get("CM_WORKER_SIZE"):
        problems.append(f"environment variables RANK_SIZE={environ['RANK_SIZE']} and "
                        f"CM_WORKER_SIZE={environ['CM_WORKER_SIZE']}: HCCL takes one of them, unset the other")
    device_id = count(("ASCEND_DEVICE_ID",), None)
    host_index = count(("VC_TASK_INDEX", "DLS_TASK_INDEX"), 0)
    host_count = count(("MA_NUM_HOSTS", "DLS_TASK_NUMBER"), 1, least=1)
    if not problems and rank_id >= rank_size:
        problems.append(f"environment variable RANK_ID={rank_id}: expected less than RANK_SIZE={rank_size}")
    control = _control(environ, host_count, problems)
    if problems:
        raise ConfigError(problems)
    return Environment(
        on_modelarts, rank_id, rank_size, environ.get("RANK_TABLE_FILE") or None, control,
        environ.get("JOB_ID") or None, device_id, host_index, host_count,
        job_name=environ.get("MA_VJ_NAME"), task_name=environ.get("MA_TASK_NAME"),
        instance_name=environ.get("MA_CURRENT_INSTANCE_NAME"), work_dir=default_work_dir(environ, cache),
        urls=_urls(environ) if on_modelarts else {})


def default_work_dir(environ: Optional[Mapping[str, str]] = None, cache: str = CACHE) -> str:
    """Where large files go unless work_dir is set. environ: variables, by default those of this process."""
    cache = (os.environ if environ is None else environ).get(CACHE_VARIABLE) or cache
    if os.path.isdir(cache) and os.access(cache, os.W_OK | os.X_OK):
        return os.path.join(cache, "masf")
    return os.path.join(os.curdir, "masf-work")


def _control(environ: Mapping[str, str], host_count: int, problems: List[str]) -> Optional[Tuple[str, int]]:
    """RANK_CONTROL, or the first of the job's hosts as ModelArts names them."""
    given = environ.get("RANK_CONTROL")
    if given:
        host, _, port = given.rpartition(":")
        if host and port.isdigit() and 0 < int(port) < 65536:
            return host, int(port)
        problems.append(f"environment variable RANK_CONTROL={given}: expected host:port of rank 0")
        return None
    named = environ.get("VC_WORKER_HOSTS") or environ.get("BATCH_CUSTOM0_HOSTS") or ""  # of a v2 and a v1 job
    hosts = [host.strip() for host in named.split(",") if host.strip()]
    return (hosts[0].rpartition(":")[0] or hosts[0], CONTROL_PORT) if hosts and host_count > 1 else None


def _urls(environ: Mapping[str, str]) -> Dict[str, Tuple[str, str]]:
    """The URLs of a job, as (value, variable).

    A v2 job may get them in data_url and train_url, a v1 job with its own image in DLS_DATA_URL and DLS_TRAIN_URL.
    """
    found = {}
    for setting in URL_SETTINGS:
        for variable in (setting, "DLS_" + setting.upper()):
            if environ.get(variable):
                found.setdefault(setting, (environ[variable], "environment variable " + variable))
    return found
