"""An Ascend 910 through its adapter npu_bridge, which compiles the graph of a session for the card."""
from __future__ import annotations

import json
import logging
import os
from typing import Dict, List, Mapping, Optional, Tuple

from masf_core.devices.ascend import adapter, operators, options
from masf_core.devices.ascend.kernels import AscendKernels
from masf_core.devices.device import Device, DeviceError
from masf_core.graph_check.limits import type_of
from masf_core.method.loss_scale import AdapterScale, NoScale
from masf_core.ranks.one_rank import OneRank
from masf_core.tf1 import tf

log = logging.getLogger(__name__)


class Ascend(Device):
    """One card; the platform sets ASCEND_DEVICE_ID to its number, which the adapter reads itself.

    Args:
        precision_mode: the adapter's own, overrides ``precision``. settings: ``AscendSettings``.

    Attributes:
        precision_mode: the mode that is passed to the adapter.

    Raises:
        DeviceError: the adapter does not know the precision or an option, a path does not exist, the adapter does not
            load, or CANN has no operator list.
    """

    name = "ascend"
    automatic_precision = "mixed"

    def __init__(self, precision: str = "auto", intra_op_threads: int = 0, inter_op_threads: int = 0,
                 precision_mode: Optional[str] = None, settings: Optional[options.AscendSettings] = None) -> None:
        super().__init__(precision, intra_op_threads, inter_op_threads)
        try:
            self.precision_mode = options.mode_of(precision, precision_mode)
        except ValueError as error:
            raise DeviceError(str(error)) from error
        if self.precision_mode not in options.PRECISION_MODES:
            raise DeviceError(f"precision_mode={precision_mode} is not one of {', '.join(options.PRECISION_MODES)}")
        self.mixed = self.precision_mode not in options.FLOAT32_MODES
        self._settings = settings or options.AscendSettings()
        try:
            self._adapter = adapter.load_adapter(self._settings.adapter_release)
        except ImportError as error:
            raise DeviceError(f"the adapter npu_bridge is installed, but does not load: {error}. It needs TensorFlow "
                              "1.15, and LD_LIBRARY_PATH must contain CANN's libraries") from error
        try:
            self._operators = operators.installed_list(os.environ)
        except ValueError as error:
            raise DeviceError(str(error)) from error
        # Checked here, so that a wrong option ends the run before anything expensive begins.
        parameters, _ = self._parameters(ranks=1)
        look_for_paths(parameters, self._settings.profile_dir)

    def session_config(self, ranks: Optional[OneRank] = None) -> tf.ConfigProto:
        config = super().session_config(ranks)
        parameters, doubts = self._parameters(ranks.size if ranks else 1)
        if self.precision_mode in options.FLOAT32_MODES:
            doubts.append(options.FLOAT32_DOUBT)
        for doubt in doubts:
            log.warning("%s", doubt)
        rewrite = config.graph_options.rewrite_options
        optimizer = rewrite.custom_optimizers.add()
        optimizer.name = "NpuOptimizer"
        options.write_parameters(optimizer.parameter_map, parameters, self._adapter)
        # Grappler's own rewrites produce nodes that the adapter's compiler refuses.
        rewrite.remapping = rewrite.OFF
        rewrite.memory_optimization = rewrite.OFF
        return config

    def check_graph(self, graph: tf.Graph) -> None:
        types = {type_of(op) for op in graph.get_operations()}
        lacking = self._operators.lacking(types)
        if lacking:
            raise DeviceError(
                f"CANN's operator list {self._operators.source} lacks {', '.join(lacking)}. The adapter npu_bridge "
                "would silently compute these on the host and split the graph around them. Choose an image with a "
                "newer CANN")
        gray = sorted(types & self._operators.gray)
        if gray and self._parameters(ranks=1)[0].get("mix_compile_mode"):
            log.warning("mix_compile_mode=true leaves %s to the host and splits the graph around it. Without this "
                        "option the card computes everything", ", ".join(gray))

    def _parameters(self, ranks: int) -> Tuple[Dict[str, options.Value], List[str]]:
        try:
            parameters = options.parameters_of(self._settings, self.precision_mode, ranks)
        except ValueError as error:
            raise DeviceError(str(error)) from error
        problems, doubts = options.unknown_to(self._adapter, parameters)
        if problems:
            raise DeviceError("\n".join(problems))
        return parameters, doubts

    def kernels(self) -> AscendKernels:
        return AscendKernels(self.mixed)

    def loss_scale(self, ranks: OneRank) -> NoScale:
        if not self.mixed:
            return NoScale()
        return AdapterScale(adapter.exports(), self.scaling, distributed=ranks.size > 1)

    def describe(self) -> str:
        return f"{self.name}, {self.precision_mode}, adapter {self._adapter.about}"


def look_for_paths(parameters: Mapping[str, options.Value], profile_dir: Optional[str], make: bool = True) -> None:
    """Make the folders that the adapter writes to, and check the files that it reads.

    make: False only checks whether the folders could be made.

    Raises:
        DeviceError: names the option and the path.
    """
    folders = [("profile_dir", profile_dir)] if profile_dir else []
    for name, path in folders + [(name, parameters[name]) for name in options.FOLDERS if name in parameters]:
        try:
            if make:
                os.makedirs(path, exist_ok=True)
        except OSError as error:
            raise DeviceError(f"{name}={path}: cannot make this folder: {error.strerror}") from error
        there = path if make else _nearest(path)
        if not os.path.isdir(there) or not os.access(there, os.R_OK | os.W_OK):
            raise DeviceError(f"{name}={path}: this folder is not writable; choose another one")
    for name in options.FILES:
        if name in parameters and not os.path.isfile(parameters[name]):
            raise DeviceError(f"{name}={parameters[name]}: this file does not exist (current folder: {os.getcwd()})")
    if "modify_mixlist" in parameters:
        try:
            with open(parameters["modify_mixlist"], encoding="utf-8") as stream:
                json.load(stream)
        except (OSError, ValueError) as error:
            raise DeviceError(f"mix_list={parameters['modify_mixlist']}: this is not valid JSON: {error}") from error


def _nearest(path: str) -> str:
    """The folder itself, or the nearest folder above it that exists."""
    path = os.path.abspath(path)
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return path
