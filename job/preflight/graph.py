"""``python -m job check-graph``: the graphs of a configuration, their operations, and the time that they predict."""
from __future__ import annotations

import collections
import os
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Tuple

from job.config.settings import Config
from job.console import amount
from job.errors import ConfigError
from job.preparation import scale_settings, step_settings
from masf_core import model
from masf_core.devices.ascend.graph import make_parts
from masf_core.devices.ascend import operators
from masf_core.devices.ascend.options import FLOAT32_DOUBT, FLOAT32_MODES, NO_FLOAT32, mode_of
from masf_core.graph_check.cost import CALL, DRAWING, GOOD, PEAK, Cost, bound_of, costs, predict, seconds_of, total
from masf_core.graph_check.limits import STATELESS, Problem, needed, problems, remarks, shown, type_of
from masf_core.method.step_settings import StepSettings, check_batch
from masf_core.network.backbone import Backbone, make_backbone
from masf_core.tf1 import VERSION, tf
from masf_core.words import plural

CLASSES, DOMAINS = 7, 4  # of PACS, where the configuration does not say
MOST_TOLD = 20  # problems that the text lists
BRIEF = ("snapshot", "load")  # steps that only read or fill variables: one line each
MOST_GROUPS = 12  # types and scopes that the text lists, unless every operation is asked for


class Checked(NamedTuple):
    """What was built and found.

    steps: name → what is fetched in it. images: of a training iteration on one card. ranks: their number. mixed:
    whether losses are scaled. substitutes: what differs from a card, one sentence each. operator_list: CANN's list with
    which the operations were compared.
    """

    graph: tf.Graph
    steps: dict
    images: int
    ranks: int
    mixed: bool
    problems: list
    remarks: list
    substitutes: list
    made_of: str
    operator_list: str


def check(config: Config, ranks: int = 1) -> Checked:
    """Build training and evaluation as on an Ascend, from the configuration alone, and look for problems.

    Where the adapter is not installed, other operations stand in for its own; ``substitutes`` lists them.

    Raises:
        ConfigError: so many ranks cannot share a batch, or an Ascend has no such precision.
    """
    domains = len(config.data.domains or ()) or DOMAINS
    settings = step_settings(config, domains - 1)
    network, platform = config.network, config.platform
    try:
        mode = mode_of(platform.precision, platform.precision_mode)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    mixed = mode not in FLOAT32_MODES
    parts = make_parts(mixed, scale_settings(config), ranks)
    backbone = make_backbone(network.backbone, config.data.num_classes or CLASSES, network.width, parts.kernels)
    try:
        check_batch(settings, ranks)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    graph = tf.Graph()
    with graph.as_default():
        built = model.build(backbone, settings, config.interval.evaluation_batch, parts.taking)
        loaders = model.make_loaders(built.training.state)
    steps = collections.OrderedDict([
        ("training", list(built.scalars.values()) + [built.training.train]),
        ("evaluation", [built.evaluation.losses, built.evaluation.predictions])])
    if built.broadcast is not None:
        steps["first values"] = [built.broadcast]
    steps["snapshot"] = list(built.training.state.values())
    steps["load"] = [loader.assign for loader in loaders.values()]
    everything = [fetch for fetches in steps.values() for fetch in fetches]
    listed = _operator_list()
    outside, unlisted = _outside(graph, everything, listed)
    sizes = _sizes(backbone, settings, ranks, config.interval.evaluation_batch)
    made_of = (f"{sizes}; {mode}, losses {'scaled' if mixed else 'not scaled'}; TensorFlow {VERSION}, "
               f"{parts.adapter}")
    images = settings.source_domains * settings.meta_batch_size // ranks
    found = problems(graph, everything) + outside
    noted = remarks(graph) + unlisted
    if not mixed:
        refused, slow = _without_float32(graph, everything)
        found += refused
        noted += [FLOAT32_DOUBT] + slow
    return Checked(graph, steps, images, ranks, mixed, found, noted, parts.substitutes, made_of,
                   listed.about)


def _operator_list() -> operators.OperatorList:
    """The list of the CANN here, or the older one that the package carries.

    Raises:
        ConfigError: the CANN here has a list that cannot be read.
    """
    if operators.find_list(os.environ) is None:
        return operators.bundled_list()
    try:
        return operators.installed_list(os.environ)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _outside(graph: tf.Graph, fetches: Iterable[Any], listed: operators.OperatorList,
             ) -> Tuple[List[Problem], List[str]]:
    """(problems, remarks): operations that the list does not name. A list of another CANN than the run's only tells
    what may be missing."""
    first = {}
    for op in sorted(needed(fetches), key=lambda each: each.name):
        first.setdefault(type_of(op), op)
    lacking = listed.lacking(first)
    if not listed.installed:  # dropout's random operations have a remark of their own
        return [], [f"{first[each].name} ({each}) is not in the older operator list that is known here: a card may "
                    "leave it to the host" for each in lacking if not STATELESS.fullmatch(each)]
    return [Problem(first[each].name, each, "an operation that CANN's operator list does not name",
                    "the adapter leaves it to the host and splits the graph around it", "Use another operation")
            for each in lacking], []


def _without_float32(graph: tf.Graph, fetches: Iterable[Any]) -> Tuple[List[Problem], List[str]]:
    """(problems, remarks) of operations in float32 whose kernels on the card take float16, where nothing narrows them.
    """
    narrow = operators.no_float32()
    found = [op for op in sorted(needed(fetches), key=lambda each: each.name)
             if op.type in narrow and op.outputs[0].dtype.base_dtype == tf.float32]
    slow = sorted({op.type for op in found} - set(operators.CONVOLUTIONS))
    return ([Problem(op.name, op.type, "a convolution in float32", NO_FLOAT32, "Use precision=mixed")
             for op in found if op.type in operators.CONVOLUTIONS],
            [f"slow on an Ascend 910: {each} in float32; its kernel takes float16 only, so AICPU computes it"
             for each in slow])


def _sizes(backbone: Backbone, settings: StepSettings, ranks: int, evaluated: int) -> str:
    shared = f", {settings.meta_batch_size // ranks} of them on each of {ranks} cards" if ranks > 1 else ""
    return (f"{backbone.describe()}, {backbone.num_classes} classes, {settings.source_domains} source domains of "
            f"{settings.meta_batch_size} images{shared}; evaluation in batches of {evaluated}")


def by_type(operations: Iterable[tf.Operation]) -> List[Tuple[str, int, str]]:
    """(type, number, the largest output of these) of each type, the most frequent first."""
    groups = collections.OrderedDict()
    for op in operations:
        groups.setdefault(type_of(op), []).append(op)
    return [(name, len(ops), _largest(ops)) for name, ops in
            sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))]


def by_scope(operations: Iterable[tf.Operation]) -> List[Tuple[str, int]]:
    """(outermost name scope, number) of each; operations without a scope count under "(none)"."""
    counts = collections.Counter(op.name.partition("/")[0] if "/" in op.name else "(none)" for op in operations)
    return counts.most_common()


def text(checked: Checked, every: bool = False) -> List[str]:
    """The lines that are printed. every: list each operation as well."""
    lines = [checked.made_of] + [f"different on a card: {each}." for each in checked.substitutes]
    for name, fetches in checked.steps.items():
        lines += ["", *_step_lines(checked, name, fetches, every)]
    lines += ["", *_prediction_lines(checked)]
    if checked.remarks:
        lines += [""] + [f"note: {remark}." for remark in checked.remarks]
    lines.append("")
    lines += [f"PROBLEM {problem}" for problem in checked.problems[:None if every else MOST_TOLD]]
    if len(checked.problems) > MOST_TOLD and not every:
        lines.append(f"… and {len(checked.problems) - MOST_TOLD} more (--ops or --json lists all)")
    count = len(checked.problems)
    verdict = (f"{plural(count, 'problem')}: an Ascend 910 does not accept this graph" if count
               else "no problem found")
    lines.append(f"{len(checked.graph.get_operations())} operations, {verdict}; compared with {checked.operator_list}")
    return lines


def document(checked: Checked) -> Dict[str, Any]:
    """The same as one JSON document."""
    steps = collections.OrderedDict()
    for name, fetches in checked.steps.items():
        operations, found = _in_order(checked.graph, fetches), costs(checked.graph, fetches)
        steps[name] = {
            "types": {name: count for name, count, _ in by_type(operations)}, "scopes": dict(by_scope(operations)),
            "costs": {group: cost._asdict() for group, cost in found.items()}, "total": total(found)._asdict(),
            "operations": [{"name": op.name, "type": type_of(op), "outputs": [shown(tensor) for tensor in op.outputs]}
                           for op in operations]}
    found = costs(checked.graph, checked.steps["training"])
    return {"made_of": checked.made_of, "ranks": checked.ranks, "substitutes": checked.substitutes, "steps": steps,
            "remarks": checked.remarks, "operator_list": checked.operator_list,
            "problems": [problem._asdict() for problem in checked.problems],
            "predicted_iteration_seconds": {"at_peak": predict(found, PEAK, checked.images),
                                            "at_good_use": predict(found, GOOD, checked.images)},
            "host_seconds": {"call": CALL, "drawing": DRAWING * checked.images}}


def _step_lines(checked: Checked, name: str, fetches: List[Any], every: bool) -> Iterator[str]:
    operations = _in_order(checked.graph, fetches)
    yield f"{name}: {len(operations)} operations"
    if name in BRIEF and not every:
        return
    if every:
        for op in operations:
            yield f"  {type_of(op):<28} {op.name:<60} {', '.join(map(shown, op.outputs)) or '-'}"
    types, scopes = by_type(operations), by_scope(operations)
    for each, count, largest in types[:None if every else MOST_GROUPS]:
        yield f"  {count:>5} {each:<28} largest {largest}"
    if len(types) > MOST_GROUPS and not every:
        rest = sum(count for _, count, _ in types[MOST_GROUPS:])
        yield f"  {rest:>5} of {len(types) - MOST_GROUPS} other types (--ops lists every operation)"
    yield "  by scope: " + ", ".join(f"{scope} {count}" for scope, count in scopes[:MOST_GROUPS]) + (
        f", {len(scopes) - MOST_GROUPS} more" if len(scopes) > MOST_GROUPS else "")
    found = costs(checked.graph, fetches)
    yield (f"  {'':<16} {'ops':>5} {'GFLOP':>10} {'GB':>9} {'FLOP/B':>8} {'ms at peak':>10} {'realistic':>10}  "
           "bound by")
    for group, cost in found.items():
        yield _cost_line(group, cost, 1e3 * seconds_of(group, cost, PEAK), 1e3 * seconds_of(group, cost, GOOD),
                         bound_of(group, cost, PEAK))
    yield _cost_line("total", total(found), *(1e3 * sum(
        seconds_of(group, cost, device) for group, cost in found.items()) for device in (PEAK, GOOD)), "")


def _cost_line(group: str, cost: Cost, peak: float, good: float, bound: str) -> str:
    work = f"{cost.count:>5} {cost.flops / 1e9:>10.2f} {cost.bytes / 1e9:>9.3f} {cost.intensity:>8.1f}"
    return f"  {group:<16} {work} {peak:>10.2f} {good:>10.2f}  {bound}".rstrip()


def _prediction_lines(checked: Checked) -> Iterator[str]:
    found = costs(checked.graph, checked.steps["training"])
    times = [predict(found, device, checked.images) for device in (PEAK, GOOD)]
    float32 = "" if checked.mixed else " (the rates of float32 are not published)"
    at_peak, realistic = (f"{1e3 * seconds:.0f}" for seconds in times)
    yield (f"predicted for an Ascend 910 in mixed precision{float32}, not measured: {at_peak} ms an iteration at peak "
           f"rates, {realistic} ms at realistic rates")
    at_peak, realistic = (f"{checked.images * checked.ranks / seconds:.0f}" for seconds in times)
    yield (f"  ({at_peak} and {realistic} images/s{' of all cards' if checked.ranks > 1 else ''}). Peak: "
           f"{PEAK.products / 1e12:.0f} TFLOP/s of products, {PEAK.memory / 1e12:.1f} TB/s; realistic: "
           f"{GOOD.products / PEAK.products:.0%} and {GOOD.memory / PEAK.memory:.0%} of these.")
    yield "  Every input and output counts as moved, in the graph's types; fusion and float16 save some of this."
    if checked.ranks > 1:
        yield ("  Averaging counts only as reads and writes of the card's own memory. Between cards it takes longer; "
               "benchmarks/README.md has estimates.")
    yield (f"  Host: {1e3 * CALL:.1f} ms a call; {1e3 * DRAWING * checked.images:.0f} ms to draw the images, while the "
           "device computes.")
    variables = [op for op in checked.graph.get_operations() if op.type in ("VariableV2", "VarHandleOp")]
    yield f"  {len(variables)} variables, {amount(sum(_size(op) for op in variables), 'B')}"


def _size(variable: tf.Operation) -> int:
    shape = tf.TensorShape(variable.get_attr("shape"))
    return (shape.num_elements() or 0) * variable.get_attr("dtype").size


def _in_order(graph: tf.Graph, fetches: Iterable[Any]) -> List[tf.Operation]:
    reached = needed(fetches)
    return [op for op in graph.get_operations() if op in reached]


def _largest(operations: Iterable[tf.Operation]) -> str:
    outputs = [tensor for op in operations for tensor in op.outputs]
    return shown(max(outputs, key=lambda tensor: tensor.shape.num_elements() or 0)) if outputs else "-"


