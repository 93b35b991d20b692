"""CANN's operator list: the TensorFlow operations that the adapter compiles for the card. Importing this costs nothing.

The adapter compiles an operation only if the operator list of the installed CANN names it. Without the list it leaves
every operation to TensorFlow's processor kernels, says so in a log of its own only, and never sees an overflow. Source:
``npu_ops_identifier.cc`` of the adapter's published code.
"""
from __future__ import annotations

import json
import os
from typing import FrozenSet, Iterable, List, Mapping, NamedTuple, Optional

DEFAULT_OPP = "/usr/local/Ascend/opp"
NAME = "npu_supported_ops.json"
FOLDERS = ("framework/built-in/tensorflow", "built-in/framework/tensorflow")  # the second from r1.10 on
BUNDLED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cann_ops.json")
MOST_BYTES = 16 << 20  # real lists have about 60 kB
# No kernel of the card takes these in float32. For other operations of ``no_float32`` the card's own processor does.
CONVOLUTIONS = ("Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter")


class OperatorList(NamedTuple):
    """names: operations that the adapter compiles. gray: those of them that mix_compile_mode leaves to the host.
    source: the file, or the CANN that it comes from. installed: whether it is that of the CANN here."""

    names: FrozenSet[str]
    gray: FrozenSet[str]
    source: str
    installed: bool

    @property
    def about(self) -> str:
        """For people: which list it is."""
        return f"CANN's operator list {self.source}" if self.installed else f"an operator list of {self.source}"

    def lacking(self, types: Iterable[str]) -> List[str]:
        """The operation types that the list does not name, sorted."""
        return sorted(set(types) - self.names)


def places(environ: Mapping[str, str]) -> List[str]:
    """The files in which the adapter looks for the list."""
    opp = environ.get("ASCEND_OPP_PATH") or DEFAULT_OPP
    return [os.path.join(opp, folder, NAME) for folder in FOLDERS]


def find_list(environ: Mapping[str, str]) -> Optional[str]:
    """The operator list of the CANN that is installed, or None."""
    return next((path for path in places(environ) if os.path.isfile(path)), None)


def installed_list(environ: Mapping[str, str]) -> OperatorList:
    """The operator list that the adapter reads here.

    Raises:
        ValueError: there is none, or it cannot be read. A run would compute on the host, without a message.
    """
    path = find_list(environ)
    if path is None:
        raise ValueError(
            f"CANN's operator list is missing (looked for {' and '.join(places(environ))}). Without it the adapter "
            "npu_bridge computes everything on the host, without a message. Set ASCEND_OPP_PATH to the opp folder of "
            "CANN (set_env.sh does), or choose an image that has it")
    try:
        if os.path.getsize(path) > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES >> 20} MiB")
        with open(path, encoding="utf-8") as stream:
            entries = json.load(stream)
        if not isinstance(entries, dict) or not entries:
            raise ValueError("expected a JSON object with an entry for each operation")
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"CANN's operator list {path} cannot be read: {error}. Without it the adapter npu_bridge "
                         "computes everything on the host. Install CANN's opp package again") from error
    names = {name for name, entry in entries.items() if isinstance(entry, dict)}
    gray = {name for name in names if entries[name].get("isGray") is True}
    return OperatorList(frozenset(names), frozenset(gray), path, installed=True)


def _bundled() -> Mapping[str, object]:
    with open(BUNDLED, encoding="ascii") as stream:
        return json.load(stream)


def bundled_list() -> OperatorList:
    """The list that this package carries, of an older CANN, for machines without one."""
    content = _bundled()
    return OperatorList(_words(content["operations"]), _words(content["gray"]), content["source"], installed=False)


def no_float32() -> FrozenSet[str]:
    """Operation types whose kernels on the card take float16 and not float32, by the list that this package carries."""
    return _words(_bundled()["no_float32"])


def _words(lines: Iterable[str]) -> FrozenSet[str]:
    return frozenset(" ".join(lines).split())
