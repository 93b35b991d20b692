"""One operation of obs_sync as a process, to be killed in the middle of it.

    publish DIRECTORY NAME
    pull DESTINATION
    push DIRECTORY

A parent reads such lines, as JSON, and forks a process for each, which has imported everything already: it writes the
process's id when it begins and its exit code, or minus its signal, when it has ended.

The store is obs://bucket/base/, wherever the environment says that is. Parts and groups are small, so that small
files have some.
"""

from __future__ import annotations

import json
import os
import sys
import traceback

from obs_sync import AlreadyPublished, open_store, publish_checkpoint, pull, push
from obs_sync.esdk import store as esdk_store, upload

PART = 100 * 1024  # bytes; OBS takes no smaller parts
URL = "obs://bucket/base/"


def publish(store, directory, name):
    """As a job does: what an earlier attempt began is not touched, a fresh name is taken."""
    attempt = 1
    while True:
        fresh = name if attempt == 1 else f"{name}-{attempt}"
        try:
            return publish_checkpoint(store, directory, fresh, {"iteration": 1})
        except AlreadyPublished:
            if store.exists(f"checkpoints/{fresh}.json"):
                return None  # it had arrived, only the word of it had not
            attempt += 1


def main(operation, *arguments):
    upload.PART_SIZE = upload.LARGEST_PUT = PART
    esdk_store._AHEAD = 4
    with open_store(URL) as store:
        if operation == "publish":
            publish(store, *arguments)
        elif operation == "pull":
            pull(store, arguments[0], prefix="data/", workers=2)
        else:
            push(store, arguments[0], prefix="data/", workers=2)


def fork(arguments):
    """The exit code of a process that does `main(*arguments)`, or minus the signal that killed it."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            main(*arguments)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    say(child)
    _, status = os.waitpid(child, 0)
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def say(number):
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    import obs  # noqa: F401  (what takes longest)
    for line in sys.stdin:
        say(fork(json.loads(line)))
