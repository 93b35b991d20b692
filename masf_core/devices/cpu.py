"""A processor, through TensorFlow's own kernels."""
from __future__ import annotations

from typing import Optional

from masf_core.devices.device import Device, DeviceError
from masf_core.network.kernels import Kernels, processor_kernels
from masf_core.ranks.one_rank import OneRank
from masf_core.tf1 import IS_TF2, VERSION, tf


class Cpu(Device):
    """A processor. Its bfloat16 has float32's range: nothing needs scaling."""

    name = "cpu"

    def __init__(self, precision: str = "auto", intra_op_threads: int = 0, inter_op_threads: int = 0) -> None:
        super().__init__(precision, intra_op_threads, inter_op_threads)
        if self.mixed and not IS_TF2:
            raise DeviceError(f"mixed precision on a CPU needs TensorFlow 2.x (oneDNN bfloat16), this is {VERSION}; "
                              "use --precision=float32")

    def session_config(self, ranks: Optional[OneRank] = None) -> tf.ConfigProto:
        config = super().session_config(ranks)
        config.device_count["GPU"] = 0
        if self.mixed:
            rewrite = config.graph_options.rewrite_options
            rewrite.auto_mixed_precision_onednn_bfloat16 = rewrite.ON
        return config

    def kernels(self) -> Kernels:
        return processor_kernels(self.mixed)
