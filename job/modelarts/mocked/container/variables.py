"""The environment variables that the platform gives to each process, and the rank table."""
from __future__ import annotations

import json
import os
from typing import Any, Dict, List, Mapping

from job.modelarts.mocked.container.disk import Disk
from job.modelarts.mocked.container.spec import ContainerSpec, code_folder
from obs_sync.mock.activation import RESOLVER_PATH
from obs_sync.mock.resolver import VARIABLE as RESOLVE

HCCL_CONNECT_TIMEOUT = "1800"  # seconds; ModelArts' launcher sets it unless the request does
WORKER_PORT = 6666
# Without these, an interpreter that is not in one of the system's folders may not find its libraries.
OF_THE_HOST = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
LISTS = ("PYTHONPATH", "NO_PROXY", RESOLVE)  # values of several sources are joined


def container_variables(spec: ContainerSpec, disk: Disk, python: str, environ: Mapping[str, str],
                        host: Mapping[str, str]) -> Dict[str, str]:
    """The variables of every process of the container.

    Args:
        environ: what the platform adds, such as the address of OBS and credentials for it. host: variables of the
            host, of which only those that Python may need to start are taken.
    """
    job = "ma-job-" + spec.job_id
    hosts = [f"{job}-worker-{node}.{job}" for node in range(spec.nodes)]
    variables = {name: host[name] for name in OF_THE_HOST if host.get(name)}
    variables.update({
        "HOME": disk.home, "USER": "ma-user", "TMPDIR": disk.temporary,
        "PATH": os.pathsep.join([os.path.dirname(os.path.abspath(python)), "/usr/local/bin", "/usr/bin", "/bin"]),
        "HOSTNAME": f"modelarts-job-{spec.job_id}-worker-{spec.node}",
        "MA_HOME": disk.home, "MA_MOUNT_PATH": disk.mount, "MA_JOB_DIR": disk.code, "MA_LOG_DIR": disk.log,
        "WORKSPACE": os.path.join(disk.code, code_folder(spec)), "MA_SCRIPT_INTERPRETER": python,
        "MA_VJ_NAME": job, "MA_TASK_NAME": "worker", "MA_NUM_HOSTS": str(spec.nodes), "MA_NUM_GPUS": str(spec.cards),
        "MA_CURRENT_INSTANCE_NAME": f"modelarts-job-{spec.job_id}-worker-{spec.node}",
        "MA_CURRENT_IP": address_of(spec.node), "MA_CURRENT_HOST_IP": address_of(spec.node),
        "VC_TASK_INDEX": str(spec.node), "VC_WORKER_NUM": str(spec.nodes),
        "VC_WORKER_HOSTS": ",".join(f"{each}:{WORKER_PORT}" if spec.nodes > 1 else each for each in hosts),
        "DLS_LOCAL_CACHE_PATH": disk.cache,
    })
    for variable, kind, channels, folder in (("MA_INPUTS", "inputs", spec.inputs, disk.input),
                                             ("MA_OUTPUTS", "outputs", spec.outputs, disk.output)):
        if channels:
            variables[variable] = json.dumps({kind: [
                {"name": name, "local_dir": folder(name), "remote": {"obs": {"obs_url": place}}}
                for name, place in channels]})
    added = dict(environ)
    if spec.nodes > 1:  # the hosts of the job have to be found: all of them are this machine
        added = _with(added, {RESOLVE: f"{job}=127.0.0.1", "PYTHONPATH": RESOLVER_PATH})
    return _with(_with(variables, added), spec.environments)


def card_variables(spec: ContainerSpec, disk: Disk, card: int, variables: Mapping[str, str]) -> Dict[str, str]:
    """What the process of a card has besides: its rank, and where the rank table is."""
    return {
        "RANK_TABLE_FILE": disk.rank_table, "RANK_ID": str(spec.node * spec.cards + card),
        "RANK_SIZE": str(spec.nodes * spec.cards), "ASCEND_DEVICE_ID": str(card), "DEVICE_ID": str(card),
        "JOB_ID": "modelarts-job-" + spec.job_id,
        "HCCL_CONNECT_TIMEOUT": variables.get("HCCL_CONNECT_TIMEOUT", HCCL_CONNECT_TIMEOUT),
    }


def rank_table(spec: ContainerSpec) -> Dict[str, Any]:
    """The table of all cards of the job in HCCL's version 1.0, in which all values are texts."""
    servers: List[Dict[str, Any]] = []
    for node in range(spec.nodes):
        servers.append({"server_id": address_of(node), "device": [
            {"device_id": str(card), "device_ip": f"192.168.{100 + card}.{101 + node}",
             "rank_id": str(node * spec.cards + card)} for card in range(spec.cards)]})
    return {"version": "1.0", "status": "completed", "server_count": str(len(servers)), "server_list": servers}


def address_of(node: int) -> str:
    """The address of a node. All of them are this machine, and still they differ."""
    return f"127.0.0.{1 + node}"


def _with(variables: Mapping[str, str], more: Mapping[str, str]) -> Dict[str, str]:
    """Both together. Where both have a list, the entries of ``more`` come first."""
    found = dict(variables)
    for name, value in more.items():
        if name in LISTS and found.get(name) and value:
            value += ("," if name != "PYTHONPATH" else os.pathsep) + found[name]
        found[name] = value
    return found
