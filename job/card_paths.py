"""Local paths that CANN and the Ascend adapter write to or read."""
from __future__ import annotations

import dataclasses
from typing import Optional

from job.config.settings import Ascend
from masf_core.devices.ascend.options import AscendSettings

NOT_KEPT = "none"  # the value of compile_cache_dir that keeps nothing


def ascend_settings(ascend: Ascend, kernels: Optional[str] = None) -> AscendSettings:
    """What the adapter is asked for.

    Args:
        ascend: the settings of that group. kernels: where compiled operations are kept unless ``compile_cache_dir``
            says otherwise; None keeps nothing.
    """
    values = dataclasses.asdict(ascend)
    given = values["compile_cache_dir"]
    values["compile_cache_dir"] = kernels if given is None else None if given == NOT_KEPT else given
    return AscendSettings(**values)
