"""What the adapter reads of its surroundings."""
import os

_values = None


def get_ranksize():
    """The number of ranks, a text."""
    by_rank, by_worker = os.environ.get("RANK_SIZE"), os.environ.get("CM_WORKER_SIZE")
    if by_rank and by_worker:
        raise ValueError("RANK_SIZE and CM_WORKER_SIZE cannot be set at the same time")
    return by_rank or by_worker or "1"


def global_dict_init():
    global _values
    _values = {}


def set_value(key, value):
    _values[key] = value


def get_value(key, def_value=None):
    if _values is None:
        raise RuntimeError("init_resource has not been called")
    return _values.get(key, def_value)
