"""What an Ascend 910 refuses in a graph, found by reading the graph: no device, no session, no values.

The adapter (npu_bridge) compiles for the device what it can and leaves the rest on the host, mostly silently; older
versions stop instead, in the middle of a run. The limits here are the documented ones and those in the adapter's
sources. The list of operations of a CANN release (``npu_supported_ops.json``) comes with its installation and is not
public, so an operation that passes here can still be unknown to an old release.
"""
from __future__ import annotations

import collections
import contextlib
import re
from typing import Any, FrozenSet, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

from masf_core.tf1 import tf


class Problem(NamedTuple):
    """One operation that the device refuses or leaves on the host."""

    op: str  # its name; function/name for an operation in a function
    type: str
    what: str  # what is wrong with it
    why: str  # the limit that it breaks
    mend: str

    def __str__(self) -> str:
        return f"{self.op} ({self.type}): {self.what}: {self.why}. {self.mend}."


class Rule(NamedTuple):
    """A limit on types of operations; the first rule whose pattern matches the whole type counts."""

    pattern: str
    what: str
    why: str
    mend: str


Told = Tuple[str, str, str]  # what, why, mend of a ``Problem``

# The host reads and writes files, and these operations take strings; the adapter never moves them to the device.
ON_HOST = re.compile(r"SaveV2|RestoreV2|SaveSlices|Save|Restore|RestoreSlice|MergeV2Checkpoints|ShardedFilename")
NAMES = ("Const", "Placeholder", "PlaceholderWithDefault", "Identity")
HOST_MARK = "_without_npu_compile"  # what the adapter's without_npu_compile_scope puts on operations
SUBSTITUTE_MARK = "_stands_for"  # on a substitute: the type of the adapter's operation that it stands for

RULES = (
    Rule(r"\w*Dataset\w*|\w*Iterator\w*", "a dataset or iterator in the graph",
         "a graph with an iterator runs entirely on the host, and iterations_per_loop refuses one-shot iterators",
         "Feed a placeholder"),
    Rule(r"\w*Queue\w*|Reader\w+|\w+Reader(V2)?|Barrier\w*", "a queue or reader in the graph",
         "CANN supports no input through queues from 6.0.1 on; before, it stays on the host", "Feed a placeholder"),
    Rule(r"(Eager)?PyFunc(Stateless)?", "Python called from the graph",
         "it runs on the host and cuts the graph into pieces; pieces that cannot be merged stay on the host, too",
         "Compute it before feeding, or after fetching"),
    Rule(r"(Ref)?(Enter|Exit|NextIteration)|LoopCond|(Stateless)?While|(Stateless)?For|TensorArray\w*|Stack\w*",
         "a loop in the graph", "the compiler treats the shapes in V1 control flow other than tf.cond as dynamic",
         "Unroll it, or make one operation of a batch"),
    Rule(r"\w*Summary\w*", "a summary in the graph",
         "the host formats its text in each iteration, and a run on several cards refuses it",
         "Fetch the number and write it from there"),
    Rule(r"(Destroy)?TemporaryVariable", "a variable made anew in each iteration",
         "the device keeps variables from its first graph on; a variable of one iteration stays on the host",
         "Use tf.add_n, or a variable made before"),
    Rule(r"Random\w+|(Parameterized)?TruncatedNormal\w*|Multinomial|Stateful\w*(Uniform|Normal|Random)\w*|RngSkip"
         r"|NonDeterministicInts", "random numbers with a state of their own",
         "the state restarts with the session, so a resumed run draws other numbers; the device has another generator",
         "Use tf.random.stateless_uniform with a fed seed, or npu_ops.dropout"),
)
STATELESS = re.compile(r"Stateless(Random\w+|TruncatedNormal\w*|Multinomial)")

# Types that CANN runs on the device's processor cores (AICPU), because it has no kernel for the AI cores; those that a
# loss or a layer may hold. From the operator lists of ascend-toolkit 20.1: a later CANN may have kernels for some.
# IsFinite is left out, since a card uses the adapter's status register instead.
ONLY_AICPU = frozenset((
    "AdjustHue", "AdjustSaturation", "Bincount", "Bucketize", "CheckNumerics", "Cholesky", "CholeskyGrad",
    "CropAndResize", "DynamicPartition", "DynamicStitch", "HSVToRGB", "InvertPermutation", "IsNan", "ListDiff", "Lu",
    "MatrixBandPart", "MatrixDeterminant", "MatrixInverse", "MatrixSolve", "MatrixTriangularSolve", "MirrorPad",
    "MirrorPadGrad", "NthElement", "Qr", "RGBToHSV", "ResizeArea", "ResizeBicubic", "ReverseSequence", "SegmentMax",
    "SelfAdjointEigV2", "SparseTensorDenseMatMul", "SparseToDense", "Svd", "Unique", "UniqueV2", "UniqueWithCounts",
    "Where"))
NORMALISATIONS = ("LRN", "LRNGrad")
MASKS = re.compile(r"DropOutGenMask|StatelessRandomUniform(V2)?")

BAD_TYPES = collections.OrderedDict([
    (tf.float64, ("float64", "Use float32")),
    (tf.complex64, ("complex numbers", "Use two real tensors")),
    (tf.complex128, ("complex numbers", "Use two real tensors")),
    (tf.variant, ("a variant", "Use plain tensors")),
    (tf.string, ("a string", "Keep it out of the step, or in npu_scope.without_npu_compile_scope()")),
    (tf.resource, ("a resource", "Make variables with use_resource=False, as masf_core.method.variables does")),
])
TYPE_LIMITS = {
    tf.string: "only operations on the host that log, save or read data take strings",
    tf.resource: "V1 control flow takes none; this job uses reference variables, like the adapter's own examples",
}


def problems(graph: tf.Graph, step: Optional[Iterable[Any]] = None) -> List[Problem]:
    """Everything in a graph that the device refuses or leaves on the host, in the order of the operations.

    Args:
        step: what an iteration fetches, tensors and operations. If it is given, it must not need the operations that
            give variables their first values.

    Returns:
        list of ``Problem``; empty if there is none.
    """
    constant = constant_operations(graph)
    preparing = _preparing(graph) & needed(step) if step is not None else frozenset()
    fetched, found = {getattr(fetch, "op", fetch) for fetch in step or ()}, []
    for op in graph.get_operations():
        if op in preparing:
            found.append(Problem(
                op.name, op.type, "a variable filled again in each iteration",
                "its trained values are lost, and the device copies it", "Run initialisers once, before the step"))
        if type_of(op) == op.type and (op in fetched or not _stays_on_host(op)):
            found += [Problem(op.name, op.type, *told) for told in _told_of(op, op in constant)]
    return found + _in_functions(graph)


@contextlib.contextmanager
def standing_for(op_type: str) -> Iterator[None]:
    """A context manager: the operations made in it stand in for the adapter's operations of that type."""
    mark = tf.AttrValue(s=op_type.encode("utf-8"))
    with tf.get_default_graph()._attr_scope({SUBSTITUTE_MARK: mark}):
        yield


def type_of(op: tf.Operation) -> str:
    """The type of an operation; of a substitute, the type that it stands for."""
    if SUBSTITUTE_MARK in op.node_def.attr:
        return op.get_attr(SUBSTITUTE_MARK).decode("utf-8")
    return op.type


def remarks(graph: tf.Graph) -> List[str]:
    """What is not a problem but worth knowing: list of sentences."""
    random = sorted({op.type for op in graph.get_operations() if STATELESS.fullmatch(op.type)})
    told = []
    if random:
        told.append(
            f"{' and '.join(random)} draws the dropout masks here; it is not public whether CANN has that operation. "
            "Where the adapter is installed, the card's own dropout (npu_ops.dropout) replaces it, with other masks")
    return told + _slow(graph)


def reverses_last_axis(op: tf.Operation) -> bool:
    """Whether an operation reverses the last axis of a tensor: CANN moves its elements one by one."""
    if op.type != "ReverseV2":
        return False
    axes, rank = tf.get_static_value(op.inputs[1]), op.inputs[0].shape.rank
    return axes is not None and rank is not None and any(axis % rank == rank - 1 for axis in axes.ravel().tolist())


def _slow(graph: tf.Graph) -> List[str]:
    """A sentence for each kind of operations that have slow kernels on an Ascend 910."""
    constant = constant_operations(graph)
    found = collections.OrderedDict()
    for op in graph.get_operations():
        why = _why_slow(op)
        if why and op not in constant:
            found.setdefault(why, []).append(op)
    return [f"slow on an Ascend 910: {' and '.join(sorted({type_of(op) for op in ops}))} "
            f"({len(ops)} of them, for example {ops[0].name}): {why}" for why, ops in found.items()]


def _why_slow(op: tf.Operation) -> Optional[str]:
    op_type = type_of(op)
    if reverses_last_axis(op):
        return ("a reverse of the last axis moves every element by itself in the cores' scalar units. Store the data "
                "in the other order, or reverse them on the host. The prediction includes this")
    if op_type in NORMALISATIONS:
        return ("the kernel takes NCHW only, so CANN transforms the layout of an input and of the output. The "
                "prediction includes this")
    if MASKS.fullmatch(op_type):
        return "dropout masks are drawn on AICPU, the device's processor cores. The prediction includes this"
    if op_type in ONLY_AICPU:
        return ("CANN has no kernel for the AI cores, so AICPU, the device's processor cores, runs this type, and the "
                "AI cores may wait for it. The prediction does not include this")
    return None


def needed(fetches: Iterable[Any]) -> FrozenSet[tf.Operation]:
    """The operations that must run to fetch these tensors and operations."""
    reached = set()
    waiting = [getattr(fetch, "op", fetch) for fetch in fetches]
    while waiting:
        op = waiting.pop()
        if op not in reached:
            reached.add(op)
            waiting += [tensor.op for tensor in op.inputs] + list(op.control_inputs)
    return frozenset(reached)


def constant_operations(graph: tf.Graph) -> Set[tf.Operation]:
    """The operations whose value follows from the graph alone, so that the device never runs them."""
    constant = set()
    for op in graph.get_operations():  # in the order of creation, so inputs come before the operations that use them
        if op.type in ("Shape", "ShapeN", "Size", "Rank"):
            is_constant = all(tensor.shape.is_fully_defined() for tensor in op.inputs)
        elif op.op_def.is_stateful or op.type == "PlaceholderWithDefault" or not op.inputs:
            is_constant = op.type == "Const"
        else:
            is_constant = all(tensor.op in constant for tensor in op.inputs)
        if is_constant:
            constant.add(op)
    return constant


def _told_of(op: tf.Operation, is_constant: bool) -> List[Told]:
    """(what, why, mend) of each limit that an operation breaks."""
    rule = _rule_of(op.type)
    if rule is not None:
        return [(rule.what, rule.why, rule.mend)]
    types = {tensor.dtype.base_dtype for tensor in list(op.inputs) + list(op.outputs)}
    told = _told_of_types(types)
    unknown = [tensor for tensor in op.outputs if not tensor.shape.is_fully_defined()]
    if unknown and not is_constant and tf.resource not in types:
        kind = "a placeholder" if op.type.startswith("Placeholder") else "an output"
        told.append((f"{kind} of shape {shown(unknown[0])}",
                     "shapes must be static: adapters up to r1.10 refuse a second shape during a run",
                     "Fix every dimension, and pad the last batch"))
    return told


def _told_of_types(types: Set[tf.DType]) -> List[Told]:
    return [(what, TYPE_LIMITS.get(dtype, "the device has no such type"), mend)
            for dtype, (what, mend) in BAD_TYPES.items() if dtype in types]


def _rule_of(op_type: str) -> Optional[Rule]:
    return next((rule for rule in RULES if re.fullmatch(rule.pattern, op_type)), None)


def _stays_on_host(op: tf.Operation) -> bool:
    """Whether an operation belongs to the host, or is a string that only such operations use: the name of a file."""
    if ON_HOST.fullmatch(op.type) or HOST_MARK in op.node_def.attr:
        return True
    return (op.type in NAMES and bool(op.outputs) and all(tensor.dtype == tf.string for tensor in op.outputs)
            and all(_stays_on_host(consumer) for tensor in op.outputs for consumer in tensor.consumers()))


def _preparing(graph: tf.Graph) -> FrozenSet[tf.Operation]:
    """The operations that give variables their first values."""
    with graph.as_default():
        return frozenset(variable.initializer for variable in tf.global_variables() + tf.local_variables())


def _in_functions(graph: tf.Graph) -> List[Problem]:
    """Problems in the graph's functions (branches, bodies). Their operations have types, but no shapes."""
    found = []
    for function in graph.as_graph_def().library.function:
        for node in function.node_def:
            rule = _rule_of(node.op)
            types = {tf.as_dtype(number).base_dtype for value in node.attr.values()
                     for number in [value.type] + list(value.list.type) if number}
            told = [(rule.what, rule.why, rule.mend)] if rule is not None else _told_of_types(types)
            found += [Problem(f"{function.signature.name}/{node.name}", node.op, *each) for each in told]
    return found


def shown(tensor: tf.Tensor) -> str:
    """``float32 [2, ?]``: type and static shape of a tensor."""
    shape = tensor.shape
    if shape.rank is None:
        return f"{tensor.dtype.base_dtype.name} ?"
    sides = ", ".join("?" if side is None else str(side) for side in shape.as_list())
    return f"{tensor.dtype.base_dtype.name} [{sides}]"
