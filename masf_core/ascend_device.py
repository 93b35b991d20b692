"""An Ascend 910 through its adapter npu_bridge, which compiles the graph of a session for the card."""
from __future__ import annotations

import logging

from masf_core import ascend_adapter, ascend_options
from masf_core.ascend_kernels import AscendKernels
from masf_core.device import Device, DeviceError
from masf_core.loss_scale import AdapterScale, NoScale

log = logging.getLogger(__name__)


class Ascend(Device):
    """One card; the platform names it in ASCEND_DEVICE_ID, which the adapter reads by itself.

    Args:
        precision_mode: the adapter's own, overrides ``precision``. settings: ``AscendSettings``.

    Attributes:
        precision_mode: what the adapter is told.

    Raises:
        DeviceError: a precision or an option that the adapter does not know, or the adapter does not load.
    """

    name = "ascend"
    automatic_precision = "mixed"

    def __init__(self, precision="auto", intra_op_threads=0, inter_op_threads=0, precision_mode=None, settings=None):
        super().__init__(precision, intra_op_threads, inter_op_threads)
        self.precision_mode = precision_mode or ("allow_mix_precision" if self.mixed else "must_keep_origin_dtype")
        if self.precision_mode not in ascend_options.PRECISION_MODES:
            raise DeviceError("precision_mode={} is not one of {}".format(
                precision_mode, ", ".join(ascend_options.PRECISION_MODES)))
        self.mixed = self.precision_mode not in ascend_options.FLOAT32_MODES
        self._settings = settings or ascend_options.AscendSettings()
        try:
            self._adapter = ascend_adapter.load_adapter()
        except ImportError as error:
            raise DeviceError("the adapter npu_bridge is installed, but does not load: {}. Its TensorFlow is 1.15, and "
                              "its CANN libraries are found through LD_LIBRARY_PATH".format(error)) from error
        self._parameters(ranks=1)  # what is wrong shall be said before anything expensive begins

    def session_config(self, ranks=None):
        config = super().session_config(ranks)
        parameters, doubts = self._parameters(ranks.size if ranks else 1)
        for doubt in doubts:
            log.warning("%s", doubt)
        rewrite = config.graph_options.rewrite_options
        optimizer = rewrite.custom_optimizers.add()
        optimizer.name = "NpuOptimizer"
        ascend_options.write_parameters(optimizer.parameter_map, parameters)
        # Grappler's own rewrites produce nodes that the adapter's compiler does not take.
        rewrite.remapping = rewrite.OFF
        rewrite.memory_optimization = rewrite.OFF
        return config

    def _parameters(self, ranks):
        try:
            parameters = ascend_options.parameters_of(self._settings, self.precision_mode, ranks)
        except ValueError as error:
            raise DeviceError(str(error)) from error
        problems, doubts = ascend_adapter.unknown_to(self._adapter, parameters)
        if problems:
            raise DeviceError("\n".join(problems))
        return parameters, doubts

    def kernels(self):
        return AscendKernels(self.mixed)

    def loss_scale(self, ranks):
        if not self.mixed:
            return NoScale()
        return AdapterScale(ascend_adapter.exports(), self.scaling, distributed=ranks.size > 1)

    def describe(self):
        return "{}, {}, adapter of about {}".format(self.name, self.precision_mode, self._adapter.certain)
