"""One operation of obs_sync as a process, to be killed in the middle of it.

    python -m tests.obs_sync.storage_client publish DIRECTORY NAME
    python -m tests.obs_sync.storage_client pull DESTINATION
    python -m tests.obs_sync.storage_client push DIRECTORY

The store is obs://bucket/base/, wherever the environment says that is. Parts and groups are small, so that small
files have some.
"""

from __future__ import annotations

import sys

from obs_sync import AlreadyPublished, esdk_store, esdk_upload, open_store, publish_checkpoint, pull, push

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
    esdk_upload.PART_SIZE = esdk_upload.LARGEST_PUT = PART
    esdk_store._AHEAD = 4
    with open_store(URL) as store:
        if operation == "publish":
            publish(store, *arguments)
        elif operation == "pull":
            pull(store, arguments[0], prefix="data/", workers=2)
        else:
            push(store, arguments[0], prefix="data/", workers=2)


if __name__ == "__main__":
    main(*sys.argv[1:])
