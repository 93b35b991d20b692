"""Which release of the adapter this is, and what differs between them."""
import os

RELEASES = ("r1.5", "r1.6", "r1.7", "r1.8", "r1.9", "r1.10", "r1.11", "r1.12", "r1.13", "r1.14", "r1.15", "master")

# What npu_init exports since when; everything else does from r1.5 on.
_NEW = {
    "r1.6": "NPUBroadcastGlobalVariablesCallback npu_allreduce npu_callbacks_append npu_clear_session "
            "npu_distributed_optimizer_wrapper",
    "r1.8": "get_npu_local_rank_size",
    "r1.9": "MemoryConfig decorator_tf_session",
    "r1.10": "SetIterationsVarHook",
    "r1.13": "npu_embedding npu_plugin",
    "r1.15": "TellMeStepOrLossHook",
}
SINCE = {name: since for since, names in _NEW.items() for name in names.split()}


def release():
    found = os.environ.get("FAKE_NPU_VERSION", "r1.9")
    if found not in RELEASES:
        raise ValueError(f"FAKE_NPU_VERSION={found}: expected one of {', '.join(RELEASES)}")
    return found


def at_least(first):
    """Is this release ``first`` or a later one?"""
    return RELEASES.index(release()) >= RELEASES.index(first)
