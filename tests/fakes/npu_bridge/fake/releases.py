"""Which release of the adapter this is, and what differs between them."""
import os

RELEASES = ("r1.5", "r1.9", "master")

# What npu_init exports since when; everything else does from r1.5 on.
SINCE = {"npu_distributed_optimizer_wrapper": "r1.9", "npu_allreduce": "r1.9", "MemoryConfig": "r1.9",
         "decorator_tf_session": "r1.9", "SetIterationsVarHook": "master", "TellMeStepOrLossHook": "master",
         "npu_plugin": "master", "npu_embedding": "master"}


def release():
    found = os.environ.get("FAKE_NPU_VERSION", "r1.9")
    if found not in RELEASES:
        raise ValueError("FAKE_NPU_VERSION={}: expected one of {}".format(found, ", ".join(RELEASES)))
    return found


def at_least(first):
    """Is this release ``first`` or a later one?"""
    return RELEASES.index(release()) >= RELEASES.index(first)
