"""The Ascend adapter npu_bridge: imports it, and gives access to what it exports."""
from __future__ import annotations

import contextlib
import importlib
from types import ModuleType
from typing import Any, Callable, ContextManager

from masf_core.devices.ascend.releases import Adapter, dated_by


def load_adapter(release: str = "auto") -> Adapter:
    """Import the adapter, which registers itself with TensorFlow.

    Args:
        release: one of ``RELEASES``, or ``auto`` to date the adapter by what it exports.

    Raises:
        ImportError: it is installed, but does not load.
    """
    exported = vars(importlib.import_module("npu_bridge.npu_init"))
    return dated_by(exported) if release == "auto" else Adapter(release, release)


def exports() -> ModuleType:
    """The module that exports the adapter's optimisers and operations."""
    return importlib.import_module("npu_bridge.npu_init")


def keep_dtype_scope() -> ContextManager:
    """A context manager in which operations keep their data type in mixed precision; without effect in releases that
    lack it."""
    return getattr(getattr(exports(), "npu_scope", None), "keep_dtype_scope", contextlib.nullcontext)()


def dropout_operation() -> Callable[..., Any]:
    """The adapter's ``dropout(x, keep_prob, noise_shape, seed, name)``."""
    return importlib.import_module("npu_bridge.estimator.npu_ops").dropout
