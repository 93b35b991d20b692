"""An Ascend 910 through its adapter npu_bridge. Read `device` first.

    device        session configuration, kernels and loss scale of a card
    adapter       imports the adapter and gives access to what it exports
    releases      the adapter's releases, and how the installed one is dated
    options       the adapter's options, by release
    operators     CANN's list of the operations that the adapter compiles for the card
    kernels       operations as the adapter takes them, dropout among them
    collectives   collectives through HCCL
    graph         a run's graphs as an Ascend would get them, on any machine
"""
