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
    """The releases that an installed adapter may be.

    certain: the newest of ``RELEASES`` whose options it surely knows. possible: the newest release that it may be.
    """

    certain: str
    possible: str

    @property
    def about(self) -> str:
        """For messages: ``r1.9``, or ``r1.5 to r1.9``."""
        return self.certain if self.certain == self.possible else f"{self.certain} to {self.possible}"

    def lacks(self, since: str) -> bool:
        """Whether it surely does not know what that release introduced."""
        return RELEASES.index(since) > RELEASES.index(self.possible)

    def may_lack(self, since: str) -> bool:
        """Whether it may not know what that release introduced."""
        return RELEASES.index(since) > RELEASES.index(self.certain)


# What npu_init exports since when, the newest first.
MARKS = (
    # From r1.10 on. Its exports do not tell whether it knows all options of master.
    ("npu_plugin", Adapter("r1.9", "master")),
    ("MemoryConfig", Adapter("r1.9", "r1.9")),
    # Up to r1.8. Some options were added in between.
    ("npu_config_proto", Adapter("r1.5", "r1.9")),
)


def load_adapter() -> Adapter:
    """Import the adapter, which registers itself with TensorFlow.

    Raises:
        ImportError: it is installed, but does not load.
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
    """A context manager in which operations keep their data type in mixed precision; without effect in releases that
    lack it."""
    return getattr(getattr(exports(), "npu_scope", None), "keep_dtype_scope", contextlib.nullcontext)()


def unknown_to(adapter: Adapter, parameters: Mapping[str, Any]) -> Tuple[List[str], List[str]]:
    """The options that an adapter ignores.

    Args:
        parameters: as ``ascend_options.parameters_of`` gives them.

    Returns:
        (problems, doubts): one sentence for each option that it surely ignores, and for each that it may ignore.
    """
    problems, doubts = [], []
    for name in parameters:
        since = OPTIONS[name].since
        if adapter.lacks(since):
            problems.append(f"option {name} is newer than the installed adapter npu_bridge, which is about "
                            f"{adapter.about} and would silently ignore it; remove the option")
        elif adapter.may_lack(since):
            doubts.append(f"option {name} was introduced with {since} of the adapter npu_bridge; the installed one may "
                          f"be {adapter.certain}, which silently ignores it")
    mode, since = parameters["precision_mode"], PRECISION_MODES[parameters["precision_mode"]]
    if adapter.lacks(since) or (adapter.may_lack(since) and adapter.certain == RELEASES[0]):
        known = [name for name, since in PRECISION_MODES.items() if not adapter.may_lack(since)]
        problems.append(f"precision_mode={mode} is unknown to the installed adapter npu_bridge, which is about "
                        f"{adapter.about}; it takes {', '.join(known)}")
    elif adapter.may_lack(since):
        doubts.append(f"precision_mode={mode} is newer than {adapter.certain} of the adapter npu_bridge, and the "
                      "installed one may be that old: then it passes the mode on unchecked, and its log shows which "
                      "mode the compiler used")
    return problems, doubts


def dropout_operation() -> Callable[..., Any]:
    """The adapter's ``dropout(x, keep_prob, noise_shape, seed, name)``."""
    return importlib.import_module("npu_bridge.estimator.npu_ops").dropout
