"""The Ascend adapter npu_bridge: found, loaded, and dated by what it exports.

Its wheel calls itself 1.15.0, after TensorFlow, in every release.
"""
from __future__ import annotations

import contextlib
import importlib
from types import ModuleType
from typing import Any, Callable, ContextManager, List, Mapping, NamedTuple, Tuple

from masf_core.devices.ascend.options import OPTIONS, PRECISION_MODES, RELEASES


class Adapter(NamedTuple):
    """certain: the newest of ``RELEASES`` whose options it surely knows. possible: the newest that it may be."""

    certain: str
    possible: str

    @property
    def about(self) -> str:
        """For people: ``r1.9``, or ``r1.5 to r1.9``."""
        return self.certain if self.certain == self.possible else f"{self.certain} to {self.possible}"

    def lacks(self, since: str) -> bool:
        """Surely does not know what came with that release."""
        return RELEASES.index(since) > RELEASES.index(self.possible)

    def may_lack(self, since: str) -> bool:
        return RELEASES.index(since) > RELEASES.index(self.certain)


# What npu_init exports since when, the newest first.
MARKS = (
    # From r1.10 on. Nothing that it exports tells one that knows all options from those that came before it.
    ("npu_plugin", Adapter("r1.9", "master")),
    ("MemoryConfig", Adapter("r1.9", "r1.9")),
    # Up to r1.8; some options came in between.
    ("npu_config_proto", Adapter("r1.5", "r1.9")),
)


def load_adapter() -> Adapter:
    """Import the adapter, which registers it with TensorFlow: ``Adapter``.

    Raises:
        ImportError: it is there and does not load.
    """
    exported = vars(importlib.import_module("npu_bridge.npu_init"))
    for mark, adapter in MARKS:
        if mark in exported:
            return adapter
    return Adapter("r1.5", "master")


def exports() -> ModuleType:
    """The module that exports the adapter's optimisers and operations."""
    return importlib.import_module("npu_bridge.npu_init")


def keep_dtype_scope() -> ContextManager:
    """The context manager in which operations keep their data type in mixed precision; releases without it have none.
    """
    return getattr(getattr(exports(), "npu_scope", None), "keep_dtype_scope", contextlib.nullcontext)()


def unknown_to(adapter: Adapter, parameters: Mapping[str, Any]) -> Tuple[List[str], List[str]]:
    """What an adapter makes nothing of.

    Args:
        parameters: as ``ascend_options.parameters_of`` gives them.

    Returns:
        (problems, doubts): one sentence for each option that it surely passes over, and that it may pass over.
    """
    problems, doubts = [], []
    for name in parameters:
        since = OPTIONS[name].since
        if adapter.lacks(since):
            problems.append(f"option {name} came later than the adapter npu_bridge here, which is of about "
                            f"{adapter.about} and would "
                            "pass over it without a word; leave it out")
        elif adapter.may_lack(since):
            doubts.append(f"option {name} came with {since} of the adapter npu_bridge, and the one here may be of "
                          f"{adapter.certain}: then it "
                          "passes over it without a word")
    mode, since = parameters["precision_mode"], PRECISION_MODES[parameters["precision_mode"]]
    if adapter.lacks(since) or (adapter.may_lack(since) and adapter.certain == RELEASES[0]):
        known = [name for name, since in PRECISION_MODES.items() if not adapter.may_lack(since)]
        problems.append("precision_mode={} is not known to the adapter npu_bridge here, of about {}; it takes "
                        "{}".format(mode, adapter.about, ", ".join(known)))
    elif adapter.may_lack(since):
        doubts.append(f"precision_mode={mode} came after {adapter.certain} of the adapter npu_bridge, and the one "
                      "here may be of any "
                      "release since: one that does not know it hands it on unchecked; its log says what the compiler "
                      "took")
    return problems, doubts


def dropout_operation() -> Callable[..., Any]:
    """The adapter's ``dropout(x, keep_prob, noise_shape, seed, name)``."""
    return importlib.import_module("npu_bridge.estimator.npu_ops").dropout
