"""The devices that compute: everything that differs between a processor, a GPU and an Ascend 910. Read `device` first.

    device     what all devices have in common
    cpu        a processor
    gpu        a GPU
    choice     which device and which collectives a run takes
    ascend     a folder: the Ascend 910 through npu_bridge
    bfloat16   whether this processor computes in bfloat16, found out by trying
"""
