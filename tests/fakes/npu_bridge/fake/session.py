"""Sessions whose configuration names NpuOptimizer. TensorFlow knows none of that name, so it never sees it."""
import contextlib
import copy

from tensorflow.core.protobuf import config_pb2
from tensorflow.core.protobuf.rewriter_config_pb2 import RewriterConfig
from tensorflow.python.client import session as session_library

from npu_bridge.fake import options
from npu_bridge.fake.compiled import Compiled
from npu_bridge.fake.recording import record
from npu_bridge.fake.releases import at_least, release

OPTIMIZER = "NpuOptimizer"
_originals = {}
_aside = False


def install():
    """Have every session looked at from now on."""
    if _originals:
        return
    base = session_library.BaseSession
    _originals.update(__init__=base.__init__, run=base.run, make_callable=base.make_callable)

    def __init__(self, target="", graph=None, config=None):
        self._session = None  # what a session that fails to open is asked for when it goes
        told, plain = (None, config) if _aside else _taken_out(config)
        self._npu = None if told is None else Compiled(told)
        _originals["__init__"](self, target, graph, plain)

    def run(self, fetches, feed_dict=None, options=None, run_metadata=None):
        if self._npu is not None:
            self._npu.run(self.graph, fetches, feed_dict)
        return _originals["run"](self, fetches, feed_dict, options, run_metadata)

    def make_callable(self, *arguments, **keywords):
        if self._npu is not None:
            raise NotImplementedError("this stand-in looks at session.run alone, not at make_callable")
        return _originals["make_callable"](self, *arguments, **keywords)

    base.__init__, base.run, base.make_callable = __init__, run, make_callable


@contextlib.contextmanager
def aside():
    """Sessions that are opened meanwhile are no device's: they belong to what carries out its operations."""
    global _aside
    _aside = True
    try:
        yield
    finally:
        _aside = False


def uninstall():
    """Leave sessions as they were."""
    for name, function in _originals.items():
        setattr(session_library.BaseSession, name, function)
    _originals.clear()


def _taken_out(config):
    """(the adapter's options or None, the configuration without them)."""
    plain = config_pb2.ConfigProto() if config is None else copy.deepcopy(config)
    rewrite = plain.graph_options.rewrite_options
    given = [each for each in rewrite.custom_optimizers if each.name == OPTIMIZER]
    if not given:
        if not at_least("r1.9"):
            return None, plain
        # From r1.9 on the import alone gives every session to the adapter.
        record("session", options={}, release=release(), by_import=True)
        return {}, plain
    if len(given) > 1:
        raise ValueError(f"{OPTIMIZER} is given {len(given)} times")
    told = options.read(given[0].parameter_map)
    for name in ("remapping", "memory_optimization"):
        if getattr(rewrite, name) != RewriterConfig.OFF:
            raise ValueError(f"rewrite_options.{name} must be OFF: the adapter's compiler does not take what it "
                             "makes")
    del rewrite.custom_optimizers[:]
    record("session", options=told, release=release(), by_import=False)
    return told, plain
