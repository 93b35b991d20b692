"""The container in which the mocked ModelArts runs a job: real processes on this machine, in a folder of their own.

    with Container(spec, obs, folder, environ=obs.variables({})) as container:
        container.start()
        while container.poll() is None:
            time.sleep(1)
        print(open(container.log_path).read())

A container has the platform's environment variables, its own HOME, /cache and current directory, and nothing else of
the host but the Python interpreter. Only root could mount a folder as /cache, so the variable DLS_LOCAL_CACHE_PATH, in
which ModelArts names the local disk, names ``<folder>/disk/cache`` instead. The mocked platform does not isolate
processes: they run as the user who started them, and can read the host's files.

Read `container` first:

    container       its life: pull, start, synchronise, stop, restart
    spec            what a container is asked to run
    disk            the folders on a container's disk
    variables       the environment variables of each process, and the rank table
    transfers       objects to files before the start, files to objects during and after
    init_process    a program of its own: starts the processes, writes the log, outlives nobody
"""
from __future__ import annotations

from job.modelarts.mocked.container.container import Container
from job.modelarts.mocked.container.spec import ContainerError, ContainerSpec

__all__ = ["Container", "ContainerError", "ContainerSpec"]
