"""Loss scaling: keeps small gradients of 16-bit products from vanishing, and large ones from being applied.

Losses are multiplied by one scale before any gradient is taken, and every gradient is divided by it in float32 first of
all: the inner step, clipping and averaging see gradients of the unscaled losses. Where a gradient overflowed, the whole
iteration is skipped: one decision for all stages, so that no weight, no moment and no power of β changes. A dynamic
scale then goes down; after a number of applied iterations in a row it goes up again.

There are two ways to detect an overflow. GPUs compute ±inf and NaN, so the gradients are tested before they are
applied. Ascend 910 saturates at the largest number and sets a status register, which the adapter's own optimiser reads.
bfloat16 has float32's range and needs neither.
"""
from __future__ import annotations

import collections
from typing import Any, List, NamedTuple, Optional, Tuple

from masf_core.method import updates
from masf_core.method.variables import Tensors, Variables
from masf_core.records.checkpoints import SCALE
from masf_core.tf1 import tf

PREFIX = SCALE + "/"  # of the names of the variables in a checkpoint
LARGEST = 2.0 ** 120  # reciprocals of larger scales would soon be 0


class ScaleSettings(NamedTuple):
    """How the scale is chosen. Powers of two change no bit of a gradient that neither overflows nor vanishes."""

    fixed: Optional[float] = None  # a constant scale; None: a dynamic one
    initial: float = 2.0 ** 15
    growth_steps: int = 1000  # applied iterations in a row after which the scale grows
    factor: float = 2.0  # by which it grows
    backoff: float = 0.5  # by which a skipped iteration multiplies it; never below 1


DYNAMIC = ScaleSettings()


class NoScale:
    """No scaling, for precisions with the range of float32."""

    def __init__(self):
        self.state = {}  # name → variable, for the checkpoint
        self.scalars = {}  # name → float32 scalar, to be recorded with the losses

    def prepare(self) -> None:
        """Make the scale's variables in the default graph, outside of any control dependency."""

    def up(self, loss: tf.Tensor) -> tf.Tensor:
        """The scaled loss, of which gradients are taken."""
        return loss

    def down(self, gradients: Tensors) -> Tensors:
        """The gradients of the unscaled loss: mapping name → float32 tensor."""
        return gradients

    def apply(self, stages: List[updates.Stage]) -> Tuple[tf.Operation, Variables]:
        """As ``updates.apply_stages``: all stages, or none of them."""
        return updates.apply_stages(stages)


class LossScale(NoScale):
    """A scale that is lowered when a gradient is not finite.

    Scalars: ``loss_scale``, the scale of this iteration; ``skipped``, 1 where nothing was applied, else 0.

    Args:
        settings: ``ScaleSettings``.
    """

    def __init__(self, settings: ScaleSettings = DYNAMIC) -> None:
        super().__init__()
        self.settings = settings

    def prepare(self) -> None:
        with tf.name_scope("loss_scale"):
            self.state = collections.OrderedDict()
            scale = self._make_scale()
            self._applied = _variable(0, "applied", tf.int32)
            self.state[PREFIX + "applied"] = self._applied
            # A copy, since the scale must be fetched as it was before this iteration changes it.
            self._scale = tf.maximum(scale, 1.0)
            self._reciprocal = 1.0 / self._scale
            self.scalars = collections.OrderedDict(loss_scale=self._scale)

    def up(self, loss: tf.Tensor) -> tf.Tensor:
        return loss * self._scale

    def down(self, gradients: Tensors) -> Tensors:
        return collections.OrderedDict((name, value * self._reciprocal) for name, value in gradients.items())

    def apply(self, stages: List[updates.Stage]) -> Tuple[tf.Operation, Variables]:
        together = updates.Together(stages)
        with tf.name_scope("loss_scale"):
            before = tf.maximum(self._applied, 0)  # a copy, as above
            with tf.control_dependencies([before]):
                operation = self._apply_or_skip(together)
            with tf.control_dependencies([operation]):
                self.scalars["skipped"] = 1.0 - tf.cast(self._applied.read_value() - before, tf.float32)
        return operation, together.moments

    def _make_scale(self) -> tf.Tensor:
        """The scale as a tensor or variable; adds its variables to ``state``."""
        if self.settings.fixed is not None:
            return tf.constant(self.settings.fixed, tf.float32)
        for name, value, dtype in (("loss_scale", self.settings.initial, tf.float32), ("good_steps", 0, tf.int32)):
            self.state[PREFIX + name] = _variable(value, name, dtype)
        return self.state[PREFIX + "loss_scale"]

    def _apply_or_skip(self, together: updates.Together) -> tf.Operation:
        # The sum of squares takes one pass over the gradients. It is not finite where a gradient is not, or where its
        # square overflows float32, which is as bad. A condition is free; selecting values would take passes over the
        # weights.
        finite = tf.is_finite(tf.add_n([tf.nn.l2_loss(gradient) for gradient, _ in together.pairs]))
        applied = tf.cond(finite, lambda: together.apply_gradients(together.pairs, self._applied), tf.no_op)
        return tf.group(applied, self._adjust(finite))

    def _adjust(self, finite: tf.Tensor) -> tf.Operation:
        """The operation that sets the scale of the next iteration."""
        settings = self.settings
        if settings.fixed is not None:
            return tf.no_op()
        scale, good_steps = (self.state[PREFIX + name] for name in ("loss_scale", "good_steps"))
        grows = good_steps + 1 >= settings.growth_steps
        grown = tf.where(grows, tf.minimum(scale * settings.factor, LARGEST), scale)
        values = [tf.where(finite, grown, tf.maximum(scale * settings.backoff, 1.0)),
                  tf.where(tf.logical_and(finite, tf.logical_not(grows)), good_steps + 1, 0)]
        with tf.control_dependencies(values):  # both are read before either is written
            return tf.group(*[tf.assign(variable, value) for variable, value in zip((scale, good_steps), values)])


class AdapterScale(LossScale):
    """The same through the Ascend adapter's optimiser, which reads from the device whether anything overflowed.

    The optimiser reads and clears the status of the device, so an iteration may have only one of them, not one for each
    stage. Every overflow since the last iteration counts, also one in an evaluation: that costs one skipped iteration,
    but no wrong update is applied.

    Args:
        adapter: the module ``npu_bridge.npu_init``. settings: ``ScaleSettings``. distributed: whether there are several
            ranks; an overflow on one of them makes all of them skip.
    """

    def __init__(self, adapter: Any, settings: ScaleSettings = DYNAMIC, distributed: bool = False) -> None:
        super().__init__(settings)
        self._adapter = adapter
        self._distributed = distributed

    def _make_scale(self) -> tf.Tensor:
        settings = self.settings
        if settings.fixed is not None:
            self._manager = self._adapter.FixedLossScaleManager(settings.fixed)
        else:
            known = {id(variable) for variable in tf.global_variables()}
            self._manager = self._adapter.ExponentialUpdateLossScaleManager(
                init_loss_scale=settings.initial, incr_every_n_steps=settings.growth_steps, decr_every_n_nan_or_inf=1,
                incr_ratio=settings.factor, decr_ratio=settings.backoff)
            self.state.update((PREFIX + variable.op.name.rsplit("/", 1)[-1], variable)
                              for variable in tf.global_variables() if id(variable) not in known)
        return self._manager.get_loss_scale()

    def _apply_or_skip(self, together: updates.Together) -> tf.Operation:
        optimizer = self._adapter.NPULossScaleOptimizer(together, self._manager, is_distributed=self._distributed)
        # Up to r1.9 this call allocates the register that apply_gradients reads. Without it, a constant would take its
        # place, and no overflow would be detected.
        optimizer.compute_gradients(tf.constant(0.0))
        return optimizer.apply_gradients(together.pairs, global_step=self._applied)


def _variable(value: float, name: str, dtype: tf.DType) -> tf.Variable:
    return tf.Variable(tf.constant(value, dtype), name=name, trainable=False, use_resource=False)
