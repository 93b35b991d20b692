"""One style in all packages: public functions are annotated, and text is put together with f-strings."""

from __future__ import annotations

import ast

import pytest

from tests.test_architecture import sources

PACKAGES = ("obs_sync", "masf_core", "job", "benchmarks", "boot_modelarts.py")


def unannotated(text):
    """``line name`` of each public function, and each constructor, that lacks an annotation."""
    found = []

    def visit(node, inside_function):
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                visit(child, inside_function)
                continue
            if not inside_function and (not child.name.startswith("_") or child.name == "__init__"):
                arguments = child.args.args + child.args.kwonlyargs
                bare = [each.arg for each in arguments if each.annotation is None and each.arg not in ("self", "cls")]
                if bare or (child.returns is None and child.name != "__init__"):
                    found.append(f"{child.lineno} {child.name}")
            visit(child, True)

    visit(ast.parse(text), False)
    return found


def formatted_otherwise(text):
    """``line`` of each piece of text that ``str.format`` or ``%`` fills in. Logging keeps its own ``%s``."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
            if is_text(node.func.value):
                found.append(str(node.lineno))
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and is_text(node.left):
            found.append(str(node.lineno))
    return found


def is_text(node):
    """Whether a node is a literal text: an ``ast.Str`` with ``s`` in Python 3.7, an ``ast.Constant`` later."""
    return isinstance(getattr(node, "value", getattr(node, "s", None)), str)


@pytest.mark.parametrize("judge", [unannotated, formatted_otherwise])
def test_every_file_keeps_to_the_style(judge):
    breaches = [f"{path}:{place}" for path, text in sources(*PACKAGES) for place in judge(text)]
    assert not breaches, "\n".join(breaches)


def test_a_breach_is_found():
    assert unannotated("def f(a): pass\nclass C:\n  def __init__(self, a): pass\n  def g(self) -> None: pass") == [
        "1 f", "3 __init__"]
    assert unannotated("def _f(a): pass\ndef f(a: int) -> None:\n  def inner(b): pass") == []
    assert formatted_otherwise('"{}".format(1)\n"%s" % 2\nform.format(3)\n5 % 2') == ["1", "2"]
