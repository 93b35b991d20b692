"""Stand-in for HCCL's own Python interface: who is who, once the collectives have been initialised."""
from npu_bridge.fake.collectives import checked


def get_rank_size(group="hccl_world_group"):
    return checked(group).size


def get_rank_id(group="hccl_world_group"):
    return checked(group).rank


def get_local_rank_size(group="hccl_world_group"):
    return checked(group).size


def get_local_rank_id(group="hccl_world_group"):
    return checked(group).rank
