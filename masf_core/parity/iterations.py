"""Run the iterations of a case on this machine: as they are, or with inputs and weights moved by a rounding.

How far such a rounding moves the results of a case is its conditioning: see ``spread``.
"""
from __future__ import annotations

from typing import Any, Dict, Iterator, List, Optional

import numpy as np

from masf_core.devices.device import Device
from masf_core.method import meta_step
from masf_core.method.outcome import Outcomes
from masf_core.model import Model
from masf_core.network.alexnet import AlexNet
from masf_core.parity.case import CLASSES, DOMAINS, episodes, initial_values
from masf_core.parity.measures import norm
from masf_core.tf1 import tf

# A float32 times 1 ± this is one or two units in the last place away.
ROUNDING = float(np.finfo(np.float32).eps)
PATTERN = 1000003  # random signs, which large arrays repeat: drawing one for each of 60 million weights takes seconds


class Iterations:
    """The iterations of a case on a device; a context manager that closes the session.

    Args:
        case: from ``case.load_case``.
    """

    def __init__(self, case: dict, device: Device) -> None:
        self._settings = settings = case["case"]
        self._initial = initial_values(settings)
        self._backbone = _OpenInputs(CLASSES, kernels=device.kernels())
        step_settings = meta_step.StepSettings(
            meta_batch_size=settings["meta_batch_size"], source_domains=DOMAINS, inner_lr=settings["inner_lr"],
            outer_lr=settings["outer_lr"], metric_lr=settings["metric_lr"], margin=settings["margin"],
            gradients_clip_value=settings["clip"], keep_probability=1.0)
        self._model = Model(self._backbone, step_settings, settings["meta_batch_size"], device.session_config(), seed=0,
                            taking=device.gradients())

    def __enter__(self) -> Iterations:
        return self

    def __exit__(self, *_: Any) -> None:
        self._model.close()

    def run(self, count: int, draw: Optional[int] = None) -> Iterator[Dict[str, Any]]:
        """The first ``count`` iterations, each as the quantities of a record, with whole arrays instead of samples.

        Args:
            draw: None for the case as it is. A number moves every weight and every input by ``ROUNDING`` of itself, up
                or down, by a generator that is seeded with it.

        Raises:
            TrainingDiverged: an iteration overflows in 16 bits at every loss scale.
        """
        random = None if draw is None else np.random.RandomState(draw)
        start = self._initial
        if random is not None:
            start = {name: moved_by_rounding(value, random) for name, value in start.items()}
        self._model.load(start, afresh=True)
        for number, (images, labels) in zip(range(1, count + 1), episodes(self._settings)):
            found = self._step(images, labels, number, random)
            weights = found["weights"]
            found["delta"] = {name: weights[name].astype(np.float64) - start[name] for name in weights}
            if random is not None:  # the rounding that the weights started with is no result
                found["weights"] = {name: self._initial[name] + delta for name, delta in found["delta"].items()}
            yield found

    def _step(self, images: np.ndarray, labels: np.ndarray, number: int,
              random: Optional[np.random.RandomState]) -> Dict[str, Any]:
        """One iteration, repeated with the same images while it is skipped because a gradient overflowed in 16 bits."""
        model, graph, evaluation = self._model, self._model.training, self._model.evaluation
        feed = {graph.images: images, graph.labels: labels, graph.dropout_seed: [0, 0]}
        evaluated = {evaluation.images: images[-1], evaluation.labels: labels[-1]}
        if random is not None:
            training_inputs, evaluation_inputs = self._backbone.inputs
            rows = moved_by_rounding(model.session.run(training_inputs, feed), random)
            feed[training_inputs] = rows
            evaluated[evaluation_inputs] = rows[-len(images[-1]):]
        logits = model.session.run(evaluation.logits, evaluated)
        outcomes, skipped = Outcomes(), True
        while skipped:
            scalars, gradients, _ = model.session.run([graph.scalars, graph.gradients, graph.train], feed)
            skipped = scalars.get("skipped") and outcomes.skipped(number, scalars)  # a loss of NaN is for the table
        return dict(scalars, grad_task=gradients["task"], grad_meta=gradients["meta"],
                    grad_metric=gradients["metric"], weights=model.weights(), logits_b_at_theta=logits)


class _OpenInputs(AlexNet):
    """AlexNet, whose preprocessed inputs can be fed. inputs: those of training, then those of evaluation."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.inputs: List[tf.Tensor] = []

    def preprocess(self, images: tf.Tensor) -> tf.Tensor:
        self.inputs.append(super().preprocess(images))
        return self.inputs[-1]


def moved_by_rounding(array: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """A float32 array of which each entry is moved by ``ROUNDING`` of itself, up or down at random."""
    factors = 1.0 + ROUNDING * (2.0 * random.randint(0, 2, min(PATTERN, array.size)) - 1.0)
    factors = factors.astype(np.float32)
    flat = array.flatten()
    for first in range(0, flat.size, PATTERN):
        part = flat[first:first + PATTERN]
        part *= factors[:part.size]
    return flat.reshape(array.shape)


def as_record(found: Dict[str, Any], record: Dict[str, Any]) -> Dict[str, Any]:
    """What was found, in the form of a record, with samples at the same indices as in ``record``."""
    result = {name: float(found[name]) for name in ("source_loss", "source_accuracy", "global_loss", "metric_loss")}
    for quantity in ("grad_task", "grad_meta", "grad_metric", "weights"):
        result[quantity] = {
            name: {"norm": norm(found[quantity][name]), "index": entry["index"],
                   "value": np.asarray(found[quantity][name], np.float64).ravel()[entry["index"]]}
            for name, entry in record[quantity].items()}
    result["delta_norm"] = {name: norm(found["delta"][name]) for name in record["delta_norm"]}
    result["logits_b_at_theta"] = np.asarray(found["logits_b_at_theta"], np.float64)
    return result
