"""A GPU, through TensorFlow's own kernels."""
from __future__ import annotations

from typing import Optional

from masf_core.devices.device import Device
from masf_core.method.loss_scale import LossScale, NoScale
from masf_core.ranks.one_rank import OneRank
from masf_core.tf1 import IS_TF2, tf


class Gpu(Device):
    """A GPU; TensorFlow takes its memory as needed."""

    name = "gpu"

    def session_config(self, ranks: Optional[OneRank] = None) -> tf.ConfigProto:
        config = super().session_config(ranks)
        config.gpu_options.allow_growth = True
        if IS_TF2:
            # TensorFlow 2 runs float32 products of newer GPUs in TF32, whose mantissa has only ten bits, like
            # float16. With float32 that is switched off here, before the session, since it holds for the process.
            tf.config.experimental.enable_tensor_float_32_execution(self.mixed)
        if self.mixed:
            rewrite = config.graph_options.rewrite_options
            rewrite.auto_mixed_precision = rewrite.ON
        return config

    def loss_scale(self, ranks: OneRank) -> NoScale:
        return LossScale(self.scaling) if self.mixed else NoScale()
