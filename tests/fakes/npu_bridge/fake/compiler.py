"""What CANN's compiler does around a compilation: the files that it leaves, its log, and ways to fail.

Its files go to the current directory, as the real ones do, and only where FAKE_NPU_FILES is set: tests that run in
the folder of the code want none. Of FAKE_NPU_COMPILE=WHAT@FEED see ``fake``.
"""
import os
import sys
import time

import tensorflow.compat.v1 as tf

REASON = "[GE][Compile]Op[conv1/Conv2D] is not supported by the engine"


def compile_graph(feeds):
    """feeds: names of what is fed to the graph."""
    if os.environ.get("FAKE_NPU_FILES"):
        os.makedirs("kernel_meta", exist_ok=True)
        with open("fusion_result.json", "a") as stream:
            stream.write("[]\n")
    what, _, feed = os.environ.get("FAKE_NPU_COMPILE", "").partition("@")
    if what and feed in feeds:
        if what == "hangs":
            print("the stand-in compiles without end", file=sys.stderr, flush=True)
            time.sleep(600.0)
        write_log()
        if what == "aborts":
            os.abort()
        raise tf.errors.InternalError(None, None, "GeOp1_0GEOP::::DoRunAsync Failed")
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "0") == "0":
        print("The model has been compiled on the Ascend AI processor", file=sys.stderr, flush=True)


def write_log():
    """A process log as CANN writes it."""
    root = os.environ.get("ASCEND_PROCESS_LOG_PATH") or os.path.join(os.environ["HOME"], "ascend", "log")
    folder = os.path.join(root, "debug", "plog")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, f"plog-{os.getpid()}_20261129120000000.log"), "a") as stream:
        stream.write(f"[INFO] GE({os.getpid()},python):2026-11-29-12:00:00.000.000 [graph_manager.cc:1]begin\n"
                     f"[ERROR] GE({os.getpid()},python):2026-11-29-12:00:01.000.000 [graph_manager.cc:2]{REASON}\n")
