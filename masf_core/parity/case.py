"""Read a parity case, and make the inputs that its rule describes.

A case is a JSON file: ``case`` (settings and labels), ``names`` (variables in order) and ``steps`` (one record an
iteration). Weights and images are not stored but made by a rule (``tests/golden/README.md`` states it), so a case is
small and works at the full size of the network. Cases are made by hand and by other programs, so the whole file is
checked before anything is compared: a missing number would otherwise count as a correct one.
"""
from __future__ import annotations

import collections
import json
from typing import Any, Dict, Iterator, Mapping, Optional, Sequence, Tuple

import numpy as np

from masf_core.errors import DataError
from masf_core.network import metric_net
from masf_core.network.alexnet import AlexNet

CLASSES, DOMAINS, SIDE = 7, 3, 227
LARGEST_SEED = 2 ** 32 - 1001  # the images' seed is larger by 1000, and NumPy takes no more than 32 bits
LARGEST_NUMBER = float(np.finfo(np.float32).max)

NETWORK = AlexNet(CLASSES).shapes()
METRIC = metric_net.shapes(4096)
SHAPES = collections.OrderedDict(list(NETWORK.items()) + list(METRIC.items()))
# Quantity of a record → the variables that it must hold.
VARIABLES = {"grad_task": NETWORK, "grad_meta": SHAPES, "grad_metric": METRIC, "weights": SHAPES}


def load_case(path: str) -> dict:
    """Read a case, and check that it is complete.

    Raises:
        DataError: the file does not have this format; the message says where, and what was expected there.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            case = json.load(stream)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not a parity case: not valid JSON: {error}") from error
    try:
        _check_case(case)
    except _Fault as fault:
        raise DataError(f"{path}: not a parity case: {fault}") from None
    return case


def initial_values(settings: Mapping[str, Any]) -> Dict[str, np.ndarray]:
    """name → float32 array: the rule's weights for a case's seed and gain."""
    random = np.random.RandomState(settings["seed"])
    values = collections.OrderedDict()
    for name, shape in SHAPES.items():
        draw = random.standard_normal(shape)
        if name.endswith("/weights"):
            # Images reach conv1 with a range of about ±128, which the gain takes out again.
            gain = settings["gain"] / (64.0 if name.startswith("conv1/") else 1.0)
            draw = draw * np.sqrt(2.0 / np.prod(shape[:-1])) * gain
        else:
            draw = draw * 0.01
        values[name] = draw.astype(np.float32)
    return values


def episodes(settings: Mapping[str, Any]) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
    """(images uint8 [3, B, 227, 227, 3] BGR, labels int32 [3, B]) of one iteration after the other.

    The rule draws RGB. The channels are swapped here, as the decode cache swaps them when it decodes an image.
    """
    random = np.random.RandomState(settings["seed"] + 1000)
    batch = settings["meta_batch_size"]
    for labels in settings["labels"]:
        images = [random.randint(0, 256, (batch, SIDE, SIDE, 3)).astype(np.uint8) for _ in range(DOMAINS)]
        yield np.ascontiguousarray(np.stack(images)[..., ::-1]), np.asarray(labels, np.int32)


class _Fault(Exception):
    """An error at one place of a case."""

    def __init__(self, place: str, expected: str, value: Any) -> None:
        found = repr(value)
        super().__init__(f"{place}: expected {expected}, found {found if len(found) <= 60 else found[:57] + '...'}")


def _check_case(case: Any) -> None:
    case = _mapping(case, "the whole file", ("case", "names", "steps"))
    settings = _mapping(case["case"], "case", (
        "seed", "gain", "meta_batch_size", "labels", "inner_lr", "outer_lr", "metric_lr", "margin", "clip"))
    _whole(settings["seed"], "case.seed", 0, LARGEST_SEED)
    batch = _whole(settings["meta_batch_size"], "case.meta_batch_size", DOMAINS)
    _number(settings["gain"], "case.gain")
    for name in ("inner_lr", "outer_lr", "metric_lr", "margin"):
        _number(settings[name], "case." + name, smallest=0.0)
    if _number(settings["clip"], "case.clip", smallest=0.0) == 0.0:
        raise _Fault("case.clip", "a number above 0", settings["clip"])
    iterations = _list(settings["labels"], "case.labels", None, "iterations")
    for i, domains in enumerate(iterations):
        for k, labels in enumerate(_list(domains, f"case.labels[{i}]", DOMAINS, "domains")):
            place = f"case.labels[{i}][{k}]"
            for j, label in enumerate(_list(labels, place, batch, "labels, as many as meta_batch_size")):
                _whole(label, f"{place}[{j}]", 0, CLASSES - 1)
    names = _list(case["names"], "names", len(SHAPES), "variables")
    for i, (found, name) in enumerate(zip(names, SHAPES)):
        if found != name:
            raise _Fault(f"names[{i}]", f"{name!r}, the variables in the order of the rule", found)
    for i, record in enumerate(_list(case["steps"], "steps", len(iterations), "records, one for each set of labels")):
        _check_record(record, f"steps[{i}]", batch)


def _check_record(record: Any, place: str, batch: int) -> None:
    scalars = ("source_loss", "source_accuracy", "global_loss", "metric_loss")
    record = _mapping(record, place, scalars + tuple(VARIABLES) + ("delta_norm", "logits_b_at_theta"))
    for name in scalars:
        _number(record[name], f"{place}.{name}", smallest=0.0)
    for quantity, shapes in VARIABLES.items():
        here = f"{place}.{quantity}"
        for name, entry in _variables(record[quantity], here, shapes).items():
            _check_samples(entry, f"{here}[{name}]", int(np.prod(shapes[name])))
    for name, value in _variables(record["delta_norm"], place + ".delta_norm", SHAPES).items():
        _number(value, f"{place}.delta_norm[{name}]", smallest=0.0)
    here = place + ".logits_b_at_theta"
    for i, row in enumerate(_list(record["logits_b_at_theta"], here, batch, "rows, as many as meta_batch_size")):
        for j, value in enumerate(_list(row, f"{here}[{i}]", CLASSES, "logits")):
            _number(value, f"{here}[{i}][{j}]")


def _check_samples(entry: Any, place: str, size: int) -> None:
    entry = _mapping(entry, place, ("norm", "index", "value"))
    _number(entry["norm"], place + ".norm", smallest=0.0)
    indices = _list(entry["index"], place + ".index", None, "flat indices")
    values = _list(entry["value"], place + ".value", len(indices), "values, one for each index")
    for i, (index, value) in enumerate(zip(indices, values)):
        _whole(index, f"{place}.index[{i}]", 0, size - 1)
        _number(value, f"{place}.value[{i}]")


def _mapping(value: Any, place: str, keys: Sequence[str]) -> dict:
    if not isinstance(value, dict):
        raise _Fault(place, "an object with " + ", ".join(keys[:9]) + (" …" if len(keys) > 9 else ""), value)
    for key in keys:
        if key not in value:
            raise _Fault(place, f"an entry {key!r}", sorted(value))
    return value


def _variables(value: Any, place: str, shapes: Mapping[str, Any]) -> dict:
    _mapping(value, place, tuple(shapes))
    for name in value:
        if name not in shapes:
            raise _Fault(place, f"no other variables than the {len(shapes)} of this quantity", name)
    return value


def _list(value: Any, place: str, length: Optional[int], of: str) -> list:
    """length: None for any but 0."""
    if not isinstance(value, list) or len(value) != (length or max(1, len(value))):
        raise _Fault(place, f"a list of {'one or more' if length is None else length} {of}",
                     f"{len(value)} of them" if isinstance(value, list) else value)
    return value


def _whole(value: Any, place: str, smallest: int, largest: int = 2 ** 31 - 1) -> int:
    # bool is an int, and 1.0 == 1: both would count as a label.
    if type(value) is not int or not smallest <= value <= largest:
        raise _Fault(place, f"a whole number from {smallest} to {largest}", value)
    return value


def _number(value: Any, place: str, smallest: float = -LARGEST_NUMBER) -> float:
    if type(value) not in (int, float) or not smallest <= value <= LARGEST_NUMBER:
        raise _Fault(place, "a finite number" + (" of 0 or more" if smallest == 0.0 else ""), value)
    return value
