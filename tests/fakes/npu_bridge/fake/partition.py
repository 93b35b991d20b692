"""What of a run the adapter gives to the card: the operations that CANN's list names, in as few graphs as their order
allows. The rest stays with TensorFlow on the host; an operation of the host between two of the card splits the graph.
"""
import json
import os

PLACES = ("framework/built-in/tensorflow/npu_supported_ops.json",
          "built-in/framework/tensorflow/npu_supported_ops.json")


def operator_list():
    """Name → entry of CANN's list; nothing where there is none, so that everything stays on the host."""
    opp = os.environ.get("ASCEND_OPP_PATH", "/usr/local/Ascend/opp")
    for place in PLACES:
        path = os.path.join(opp, place)
        if os.path.isfile(path):
            with open(path) as stream:
                return json.load(stream)
    return {}


def partition(operations, mixed_compilation):
    """(number of graphs for the card, sorted types that stay on the host).

    mixed_compilation: whether the gray operations stay on the host (mix_compile_mode).
    """
    listed = operator_list()

    def goes(operation):
        entry = listed.get(type_of(operation))
        return entry is not None and not (mixed_compilation and entry.get("isGray"))

    last = {}  # operation → the number of the last graph of the card that it belongs to, or comes after
    cards, host = set(), set()
    for operation in sorted(operations, key=lambda each: each._id):
        before = [each for each in [tensor.op for tensor in operation.inputs] + list(operation.control_inputs)
                  if each in last]
        if goes(operation):
            last[operation] = max([0] + [last[each] + (each in host) for each in before])
            cards.add(last[operation])
        else:
            last[operation] = max([-1] + [last[each] for each in before])
            host.add(operation)
    return len(cards), sorted({type_of(operation) for operation in host})


def type_of(operation):
    """The type of an operation, or of the device's that it stands for."""
    try:
        return operation.get_attr("_stands_for").decode("utf-8")
    except ValueError:
        return operation.type
