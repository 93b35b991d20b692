"""Collectives; ``npu_bridge.fake.collectives`` has what carries them out."""
import os

import tensorflow.compat.v1 as tf

from npu_bridge.fake.collectives import engine as registered_engine
from npu_bridge.fake.recording import record
from npu_bridge.fake.releases import at_least
from npu_bridge.fake.standing_for import standing_for

REDUCTIONS = ("sum", "max", "min", "prod")
TYPES = (tf.int8, tf.int32, tf.float16, tf.float32)


def engine():
    """What carries them out. For several ranks without JOB_ID the adapter warns and goes on, here as there; only its
    averaging optimisers fail then, on an object that does not exist."""
    found = registered_engine()
    if found.size > 1 and not os.environ.get("JOB_ID"):
        record("warning", text="JOB_ID is not set")
    return found


def allreduce(tensor, reduction, fusion=1, fusion_id=-1, group="hccl_world_group"):
    one = tensor[0] if isinstance(tensor, list) else tensor
    _check(one, reduction)
    with standing_for("HcomAllReduce"):
        return engine().all_reduce(one, reduction)


def broadcast(tensor, root_rank, fusion=2, fusion_id=0, group="hccl_world_group"):
    if not isinstance(tensor, list):
        raise TypeError(f"Expected list for 'input' argument to 'HcomBroadcast' Op, not {tensor}.")
    tensors = [tf.convert_to_tensor(each) for each in tensor]
    with standing_for("HcomBroadcast"):
        return [engine().broadcast(each, root_rank) for each in tensors]


def reduce(tensor, reduction, root_rank, fusion=0, fusion_id=-1, group="hccl_world_group"):
    _check(tensor, reduction)
    # Only the root's result means anything.
    reduced = engine().all_reduce(tensor, reduction)
    return reduced if engine().rank == root_rank else tf.zeros_like(reduced)


def _allgather(tensor, rank_size):
    if rank_size != engine().size:
        raise ValueError(f"allgather: rank_size {rank_size}, but there are {engine().size} ranks")
    return engine().all_gather(tensor)


def _reduce_scatter(tensor, reduction, rank_size):
    _check(tensor, reduction)
    part = tensor.shape.as_list()[0] // rank_size
    return engine().all_reduce(tensor, reduction)[engine().rank * part:(engine().rank + 1) * part]


if at_least("r1.10"):
    def allgather(tensor, rank_size, fusion=0, fusion_id=-1, group="hccl_world_group"):
        return _allgather(tensor, rank_size)

    def reduce_scatter(tensor, reduction, rank_size, fusion=0, fusion_id=-1, group="hccl_world_group"):
        return _reduce_scatter(tensor, reduction, rank_size)
else:
    def allgather(tensor, rank_size, group="hccl_world_group"):
        return _allgather(tensor, rank_size)

    def reduce_scatter(tensor, reduction, rank_size, group="hccl_world_group"):
        return _reduce_scatter(tensor, reduction, rank_size)


def _check(tensor, reduction):
    if reduction not in REDUCTIONS:
        raise ValueError("reduction {!r}: expected one of {}".format(reduction, ", ".join(REDUCTIONS)))
    if tensor.dtype.base_dtype not in TYPES:
        raise TypeError(f"HcomAllReduce takes int8, int32, float16 and float32, not {tensor.dtype.name}")
