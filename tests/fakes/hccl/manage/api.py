"""Stand-in for HCCL's own Python interface: who is who, once the collectives have been initialised."""
from npu_bridge.fake.collectives import checked
from npu_bridge.fake.not_run import not_run


def get_rank_size(group="hccl_world_group"):
    return checked(group).size


def get_rank_id(group="hccl_world_group"):
    return checked(group).rank


def get_local_rank_size(group="hccl_world_group"):
    return checked(group).size


def get_local_rank_id(group="hccl_world_group"):
    return checked(group).rank


def get_world_rank_from_group_rank(group, group_rank_id):
    checked(group)  # the world is the only group
    return group_rank_id


def get_group_rank_from_world_rank(world_rank_id, group):
    checked(group)
    return world_rank_id


@not_run
def create_group(group, rank_num, rank_ids):
    pass


@not_run
def destroy_group(group):
    pass
