"""Compare this implementation with recorded numbers of the reference graph.

A case is a JSON file: ``case`` (settings and labels), ``names`` (variables in order) and ``steps`` (one record an
iteration). Weights and images are not stored but made by a rule (``tests/golden/README.md`` states it), so a case is
small and works at the full size of the network.
"""
from __future__ import annotations

import collections
import json
from typing import NamedTuple

import numpy as np

from masf_core import meta_step
from masf_core.errors import DataError
from masf_core.model import Model
from masf_core.network import metric_net
from masf_core.network.alexnet import AlexNet
from masf_core.network.kernels import kernels_for

# Two CPU kernel libraries running the same graph differ by so much in the 1st, 2nd and 3rd iteration (largest relative
# difference seen); differences grow because the triplet loss switches negatives and Adam amplifies signs. Later
# iterations are held to the 3rd's.
KERNEL_DIFFERENCES = {
    "source_loss": (3e-7, 1e-5, 6e-5),
    "global_loss": (8e-5, 6e-4, 3e-3),
    "metric_loss": (2e-4, 6e-4, 1e-1),
    "grad_task": (4e-5, 3e-3, 2e-3),
    "grad_meta": (3e-3, 9e-3, 6e-2),
    "grad_metric": (1e-4, 2e-3, 6e-2),
    "delta_norm": (1e-2, 1e-2, 1e-2),
}
ACCEPTED_MULTIPLE = 5.0
# A single entry scatters by far more than the norm of thousands.
ENTRY_MULTIPLE = 50.0
WEIGHTS_NORM, WEIGHTS_ENTRIES = 1e-5, 5e-3


class Difference(NamedTuple):
    """The largest difference of one quantity in one iteration."""

    step: int  # from 1
    quantity: str
    value: float  # relative, see compare_step
    tolerance: float
    where: str  # variable, or ""

    @property
    def exceeded(self):
        """NaN exceeds every tolerance."""
        return not self.value <= self.tolerance


def load_case(path):
    """Read a case.

    Raises:
        DataError: not a file of this format; names what is missing.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            case = json.load(stream)
        for key in ("seed", "gain", "meta_batch_size", "labels", "inner_lr", "outer_lr", "metric_lr", "margin", "clip"):
            case["case"][key]
        names = set(AlexNet(7).shapes()) | set(metric_net.shapes(4096))
        if set(case["names"]) != names or len(case["steps"]) != len(case["case"]["labels"]):
            raise DataError("{}: expected the variables of AlexNet and the metric net, and one step for each set of "
                            "labels".format(path))
        return case
    except OSError as error:
        raise DataError("{}: cannot be read: {}".format(path, error.strerror)) from error
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError("{}: not a parity case: {}: {}; expected JSON with case, names and steps".format(
            path, type(error).__name__, error)) from error


def initial_values(settings):
    """name → float32 array: the rule's weights for a case's seed and gain."""
    random = np.random.RandomState(settings["seed"])
    values = collections.OrderedDict()
    for name, shape in list(AlexNet(7).shapes().items()) + list(metric_net.shapes(4096).items()):
        draw = random.standard_normal(shape)
        if name.endswith("/weights"):
            # Images reach conv1 with a range of about ±128, which the gain takes out again.
            gain = settings["gain"] / (64.0 if name.startswith("conv1/") else 1.0)
            draw = draw * np.sqrt(2.0 / np.prod(shape[:-1])) * gain
        else:
            draw = draw * 0.01
        values[name] = draw.astype(np.float32)
    return values


def run_case(case, session_config, on_progress=None, scale=1.0, device="cpu"):
    """Run every iteration of a case and compare.

    Args:
        case: from ``load_case``. session_config: ``tf.ConfigProto``. on_progress: (iterations done, all).
        scale: multiplies the tolerances, for arithmetic that is coarser than float32.
        device: ``cpu``, ``gpu`` or ``ascend``, which decides the kernels.

    Returns:
        list of ``Difference``, in the order of iterations.
    """
    settings = case["case"]
    batch = settings["meta_batch_size"]
    step_settings = meta_step.StepSettings(
        meta_batch_size=batch, source_domains=3, inner_lr=settings["inner_lr"], outer_lr=settings["outer_lr"],
        metric_lr=settings["metric_lr"], margin=settings["margin"], gradients_clip_value=settings["clip"],
        keep_probability=1.0)
    initial = initial_values(settings)
    random = np.random.RandomState(settings["seed"] + 1000)
    differences = []
    with Model(AlexNet(7, kernels=kernels_for(device)), step_settings, batch, session_config, seed=0) as model:
        model.load(initial)
        for number, (record, labels) in enumerate(zip(case["steps"], settings["labels"])):
            if on_progress:
                on_progress(number, len(case["steps"]))
            images = np.stack([random.randint(0, 256, (batch, 227, 227, 3)).astype(np.uint8) for _ in range(3)])
            found = one_step(model, images, np.asarray(labels, np.int32), initial)
            differences.extend(compare_step(number + 1, record, found, scale))
    if on_progress:
        on_progress(len(case["steps"]), len(case["steps"]))
    return differences


def one_step(model, images, labels, initial):
    """Run one iteration; the quantities of a record, with whole arrays where the record has samples."""
    graph, evaluation = model.training, model.evaluation
    logits = model.session.run(evaluation.logits, {evaluation.images: images[-1], evaluation.labels: labels[-1]})
    scalars, gradients, _ = model.session.run(
        [graph.scalars, graph.gradients, graph.train],
        {graph.images: images, graph.labels: labels, graph.dropout_seed: [0, 0]})
    weights = model.session.run(dict(graph.network, **graph.metric))
    return dict(scalars, grad_task=gradients["task"], grad_meta=gradients["meta"], grad_metric=gradients["metric"],
                weights=weights, logits_b_at_theta=logits,
                delta={name: weights[name].astype(np.float64) - initial[name] for name in weights})


def compare_step(step, record, found, scale=1.0):
    """One ``Difference`` a quantity.

    Scalars and norms: |found − recorded| / |recorded|. Sampled entries: |found − recorded| divided by the root mean
    square of the variable's gradient or weights (a single entry may be next to nothing), held to a multiple of the
    norm's tolerance; in later iterations that is wide, and the norms are what counts. Logits: Frobenius norm of the
    difference over that of the recorded. Accuracy: in images, none in the first iteration.
    """
    def tolerance(quantity):
        levels = KERNEL_DIFFERENCES[quantity]
        return scale * ACCEPTED_MULTIPLE * levels[min(step, len(levels)) - 1]

    for name in ("source_loss", "global_loss", "metric_loss"):
        yield Difference(step, name, relative(found[name], record[name]), tolerance(name), "")
    images = 2 * np.shape(found["logits_b_at_theta"])[0]  # of the two meta-train domains
    hits_apart = abs(float(found["source_accuracy"]) - record["source_accuracy"]) * images / 100.0
    yield Difference(step, "source_accuracy", hits_apart, scale * (0.5 if step == 1 else 2.5), "")
    yield Difference(step, "logits_b_at_theta", float(
        np.linalg.norm(found["logits_b_at_theta"] - np.asarray(record["logits_b_at_theta"]))
        / np.linalg.norm(record["logits_b_at_theta"])), tolerance("global_loss"), "")
    for quantity in ("grad_task", "grad_meta", "grad_metric"):
        yield worst(step, quantity + " norm", tolerance(quantity), (
            (name, relative(norm(found[quantity][name]), entry["norm"])) for name, entry in record[quantity].items()))
        yield worst(step, quantity + " entries", ENTRY_MULTIPLE * tolerance(quantity), (
            (name, entries_apart(found[quantity][name], entry)) for name, entry in record[quantity].items()))
    yield worst(step, "delta_norm", tolerance("delta_norm"), (
        (name, relative(norm(found["delta"][name]), value)) for name, value in record["delta_norm"].items()))
    yield worst(step, "weights norm", scale * ACCEPTED_MULTIPLE * WEIGHTS_NORM, (
        (name, relative(norm(found["weights"][name]), entry["norm"])) for name, entry in record["weights"].items()))
    yield worst(step, "weights entries", scale * WEIGHTS_ENTRIES, (
        (name, entries_apart(found["weights"][name], entry)) for name, entry in record["weights"].items()))


def worst(step, quantity, tolerance, pairs):
    """The largest of (variable, difference) pairs; NaN counts as the largest of all."""
    where, value = max(pairs, key=lambda pair: np.inf if np.isnan(pair[1]) else pair[1])
    return Difference(step, quantity, value, tolerance, where)


def relative(found, recorded):
    return abs(float(found) - recorded) / max(abs(recorded), 1e-30)


def norm(array):
    return float(np.linalg.norm(np.asarray(array, np.float64)))


def entries_apart(array, entry):
    """Largest |difference| of the sampled entries over the recorded root mean square."""
    sampled = np.asarray(array, np.float64).ravel()[entry["index"]]
    scale = entry["norm"] / np.sqrt(np.size(array))
    return float(np.max(np.abs(sampled - np.asarray(entry["value"]))) / max(scale, 1e-30))


def table(differences):
    """Lines of text: one a quantity and iteration, the exceeded ones marked."""
    lines = ["{:<5} {:<20} {:>12} {:>10}  {}".format("step", "quantity", "difference", "tolerance", "largest at")]
    for item in differences:
        lines.append("{:<5} {:<20} {:>12.2e} {:>10.1e}  {}{}".format(
            item.step, item.quantity, item.value, item.tolerance, item.where, "  EXCEEDED" if item.exceeded else ""))
    return lines
