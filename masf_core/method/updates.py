"""How gradients become updates: the reference's three Adams, or the paper's joint step.

Adam is everywhere β 0.9/0.999, ε 1e-8, with bias correction. All gradients are taken at θ_t, φ_t before the first
update is applied.
"""
from __future__ import annotations

import collections
from typing import Any, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from masf_core.method.step_settings import StepSettings
from masf_core.method.variables import Tensors, Variables, clipped, merged
from masf_core.tf1 import tf


class Stage(NamedTuple):
    """One Adam: what it moves, by which gradients."""

    name: str  # of the Adam, and so of its moments in a checkpoint
    learning_rate: float
    variables: Variables
    gradients: Tensors  # an entry for each of ``variables``


def reference_stages(theta: Variables, phi: Variables, gradients: Mapping[str, Tensors],
                     settings: StepSettings) -> List[Stage]:
    """Three Adams with moments of their own, in this order (the reference leaves the order to chance):

        θ      ← Adam_task(∂F/∂θ)                          outer_lr
        (θ, φ) ← Adam_meta(clip ∂M/∂(θ, φ))                outer_lr, or meta_lr (not in the reference)
        φ      ← Adam_metric(β₂ ∂L_local/∂φ)               metric_lr

    That the meta Adam moves φ, too, follows the reference's code.
    A stage without gradients is left out: a method may have no meta losses, or no local loss.

    Args:
        theta, phi: variables by name. gradients: ``task``, and where they exist ``meta`` and ``metric``.

    Returns:
        The stages, in the order in which they are applied.
    """
    stages = [Stage("task_adam", settings.outer_lr, theta, gradients["task"])]
    if "meta" in gradients:
        stages.append(Stage("meta_adam", settings.rate_of_meta_adam, merged(theta, phi),
                            clipped(gradients["meta"], settings.gradients_clip_value)))
    if "metric" in gradients:
        stages.append(Stage("metric_adam", settings.metric_lr, phi, gradients["metric"]))
    return stages


def joint_stages(theta: Variables, phi: Variables, gradients: Mapping[str, Tensors],
                 settings: StepSettings) -> List[Stage]:
    """The paper's Algorithm 1, with Adam as its optimiser:

        θ ← Adam_joint(∂(F + β₁ L_global + β₂ L_local)/∂θ)   outer_lr, no clipping
        φ ← Adam_metric(β₂ ∂L_local/∂φ)                      metric_lr
    """
    total = gradients["task"]
    if "meta" in gradients:
        total = collections.OrderedDict((name, value + gradients["meta"][name]) for name, value in total.items())
    stages = [Stage("joint_adam", settings.outer_lr, theta, total)]
    if "metric" in gradients:
        stages.append(Stage("metric_adam", settings.metric_lr, phi, gradients["metric"]))
    return stages


def apply_stages(stages: Sequence[Stage]) -> Tuple[tf.Operation, Variables]:
    """Apply the stages one after the other.

    Returns:
        (operation, mapping name → variable of all moments: ``task_adam/<variable>/m``, ``…/v``,
        ``task_adam/beta1_power`` …).
    """
    # Nothing may be applied before every gradient has been taken at θ_t, φ_t.
    previous = [gradient for stage in stages for gradient in stage.gradients.values()]
    moments = collections.OrderedDict()
    for stage in stages:
        adam = tf.train.AdamOptimizer(stage.learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8, name=stage.name)
        with tf.control_dependencies(previous):
            apply = adam.apply_gradients(
                [(stage.gradients[name], variable) for name, variable in stage.variables.items()])
        previous = [apply]
        moments.update(adam_state(adam, stage.name, stage.variables))
    return apply, moments


class Together(tf.train.Optimizer):
    """All stages as one optimiser, for a wrapper that decides once whether all of them are applied.

    Attributes:
        pairs: the (gradient, variable) of every stage, in order; a variable appears once for each stage that moves it.
        moments: as ``apply_stages`` returns them; None until ``apply_gradients`` was called.
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        super().__init__(use_locking=False, name="together")
        self._stages = stages
        self.pairs = [(stage.gradients[name], variable) for stage in stages
                      for name, variable in stage.variables.items()]
        self.moments = None

    def compute_gradients(self, loss: Any, *arguments: Any, **keywords: Any) -> list:
        """An empty list, since the gradients are in ``pairs``. A wrapper's own ``compute_gradients`` calls this."""
        return []

    def apply_gradients(self, grads_and_vars: Iterable[Tuple[tf.Tensor, tf.Variable]],
                        global_step: Optional[tf.Variable] = None, name: Optional[str] = None) -> tf.Operation:
        """Apply every stage to its part of ``grads_and_vars``, which are in the order of ``pairs``."""
        gradients = iter([gradient for gradient, _ in grads_and_vars])
        operation, self.moments = apply_stages([
            stage._replace(gradients=collections.OrderedDict((key, next(gradients)) for key in stage.variables))
            for stage in self._stages])
        if global_step is None:
            return operation
        with tf.control_dependencies([operation]):
            return tf.assign_add(global_step, 1).op


def adam_state(adam: tf.train.AdamOptimizer, name: str, variables: Variables) -> Variables:
    """The optimiser's own variables under stable names (TensorFlow's differ between the lanes)."""
    state = collections.OrderedDict()
    for key, variable in variables.items():
        for slot in ("m", "v"):
            state[f"{name}/{key}/{slot}"] = adam.get_slot(variable, slot)
    slots = {id(variable) for variable in state.values()}
    powers = [variable for variable in adam.variables() if id(variable) not in slots]
    for variable in powers:
        power = "beta1_power" if "beta1" in variable.op.name else "beta2_power"
        state[f"{name}/{power}"] = variable
    return state
