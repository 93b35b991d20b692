"""Which values of several settings contradict each other, and which have no effect beside the others."""
from __future__ import annotations

from typing import List, Optional

from job.config.settings import Config, Interval, Network, Training
from masf_core.devices.ascend.options import FLOAT32_MODES, read_options


def contradictions(config: Config) -> List[str]:
    """What is wrong with values that are each right on their own: one sentence each."""
    found = []
    domains, target = config.data.domains, config.data.target_domain
    if domains is not None and len(domains) < 3:
        found.append(f"domains: {len(domains)} given; expected at least 3, the target domain and 2 source domains")
    if domains is not None and target not in domains:
        found.append(f"target_domain {target!r} is not among domains {','.join(domains)}; add it there")
    mode, precision, device = (
        config.platform.precision_mode, config.platform.precision, config.platform.device)
    if mode is not None and device in ("cpu", "gpu"):
        found.append(f"precision_mode={mode} is an option of the Ascend adapter, but device={device}; use precision "
                     "instead")
    if mode is not None and precision != "auto" and (mode in FLOAT32_MODES) != (precision == "float32"):
        found.append(f"precision_mode={mode} contradicts precision={precision}; give only one of them")
    found += _frozen_layers(config.network)
    found += _keep_every(config.interval)
    try:
        read_options(config.ascend.ascend_options)
    except ValueError as error:
        found += str(error).splitlines()
    return found


def _keep_every(interval: Interval) -> List[str]:
    """What is wrong with keep_every, for the iterations at which there are checkpoints."""
    every, spacing = interval.keep_every, interval.test_print_interval
    if every % spacing == 0:
        return []
    return [f"keep_every={every}: there is a checkpoint every {spacing} iterations (test_print_interval); expected a "
            f"multiple of {spacing}, such as {-(-every // spacing) * spacing}, or 0"]


def _frozen_layers(network: Network) -> List[str]:
    """What is wrong with frozen_layers, for the backbone that they are given for."""
    if not network.frozen_layers:
        return []
    from masf_core.network.architecture import make_architecture  # loads NumPy, which most commands do not need

    try:
        make_architecture(network.backbone, 2, network.width).frozen_layers(network.frozen_layers)
    except ValueError as error:
        return [f"frozen_layers: {error}"]
    return []


def doubts(config: Config) -> List[str]:
    """What a run with these settings warns of: one sentence each."""
    found = []
    if config.network.frozen_layers and config.data.weights_path == "none":
        found.append("frozen_layers with weights_path=none: the frozen layers keep random values")
    reason = why_unused_meta_lr(config.training)
    if config.training.meta_lr is not None and reason is not None:
        found.append(f"meta_lr={config.training.meta_lr:g} has no effect: {reason}")
    return found


def why_unused_meta_lr(training: Training) -> Optional[str]:
    """Why training has no meta Adam, whose learning rate meta_lr is; None where it has one."""
    if training.method == "deepall":
        return "method=deepall has no meta losses"
    if training.update == "joint":
        return "update=joint has no Adam of its own for the meta losses"
    if not (training.beta1 > 0.0 or training.beta2 > 0.0 or training.meta_task > 0.0):
        return "beta1, beta2 and meta_task are 0, so there are no meta losses"
    return None
