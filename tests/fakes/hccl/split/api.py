"""Stand-in for HCCL's interface that says how gradients are cut for averaging, which is the device's own affair."""
from npu_bridge.fake.not_run import not_run


@not_run
def set_split_strategy_by_idx(idxList, group="hccl_world_group"):
    pass


@not_run
def set_split_strategy_by_size(dataSizeList, group="hccl_world_group"):
    pass
