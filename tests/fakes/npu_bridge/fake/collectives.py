"""What carries out the collectives: nothing for one rank, a registered engine for several."""
import importlib
import os


class Engine:
    """One rank alone; the base of others.

    Collectives are made in the graph, in the same order in every rank.
    """

    rank, size = 0, 1

    def all_reduce(self, tensor, reduction):
        """reduction: sum, max, min or prod. The same shape."""
        return tensor

    def all_gather(self, tensor):
        """All ranks' tensors, one after the other in the first dimension."""
        return tensor

    def broadcast(self, tensor, root):
        """``root``'s tensor."""
        return tensor


_engine = None
_initialised = False


def use_engine(new):
    """Have collectives carried out by this ``Engine``; None is one rank's."""
    global _engine
    _engine = new


def engine():
    """The ``Engine`` of this process.

    Raises:
        RuntimeError: there are several ranks, and no engine was registered.
    """
    if _engine is None:
        maker = os.environ.get("FAKE_NPU_ENGINE")
        if maker:
            module, _, function = maker.partition(":")
            use_engine(getattr(importlib.import_module(module), function)())
        elif int(os.environ.get("RANK_SIZE") or 1) > 1:
            raise RuntimeError("RANK_SIZE={}, but this stand-in has no engine for several ranks: call "
                               "npu_bridge.fake.use_engine, or name one in FAKE_NPU_ENGINE".format(
                                   os.environ["RANK_SIZE"]))
        else:
            use_engine(Engine())
    return _engine


def set_initialised(value):
    global _initialised
    _initialised = value


def checked(group):
    """The engine, of which ranks may be asked only once the collectives have been initialised."""
    if not _initialised:
        raise RuntimeError("hccl: ranks are not known before initialize_system has run in a session")
    if group != "hccl_world_group":
        raise ValueError(f"hccl: there is no group {group!r}")
    return engine()
