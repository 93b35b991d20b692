"""What the real adapter does not have: a view of what was asked of it, and ways to make something happen.

In a child process the same is asked for by environment variables:

    FAKE_NPU_VERSION   r1.5 to r1.15, or master; r1.9 by default
    ASCEND_OPP_PATH    as for the real one: the folder of CANN's operator list. Without it everything stays on the host
    FAKE_NPU_RECORD    file that gets every ``record`` as a line of JSON
    FAKE_NPU_OVERFLOW  numbers, separated by commas, of the readings of the float status that find an overflow; from 0.
                       5@1 is the reading 5 of rank 1 alone
    FAKE_NPU_ENGINE    module:function that makes the ``Engine``, where RANK_SIZE is above 1
"""
from npu_bridge.fake.collectives import Engine, engine, use_engine
from npu_bridge.fake.float_status import overflow_in
from npu_bridge.fake.recording import record, records
from npu_bridge.fake.session import aside, install, uninstall

__all__ = ["Engine", "aside", "engine", "install", "overflow_in", "record", "records", "uninstall", "use_engine"]
