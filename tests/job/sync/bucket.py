"""What the tests of ``python -m job sync`` share: a tree, where it is stored, and how the command is called."""

from __future__ import annotations

import json

from job import cli

URL = "obs://bucket/base/"
TREE = {"notes.txt": b"notes\n", "photo/dog/1.jpg": b"1" * 2000, "photo/cat/2.jpg": b"2" * 3000, "art/a.tmp": b"tmp"}
TOTAL = sum(map(len, TREE.values()))


class Sync:
    """Runs ``python -m job sync`` in this process."""

    def __init__(self, capsys):
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *arguments):
        """The exit code; ``out`` and ``err`` hold what was printed."""
        code = cli.main(["sync"] + [str(argument) for argument in arguments])
        self.out, self.err = self._capsys.readouterr()
        assert "Traceback" not in self.err
        return code

    def document(self, *arguments, code=0):
        """The JSON document that is printed."""
        assert self(*arguments, "--json") == code, self.err
        return json.loads(self.out)

    def error(self, *arguments, code):
        """The one message with which it fails."""
        assert self(*arguments) == code
        assert self.out == ""
        lines = self.err.splitlines()
        assert len(lines) == 1 or lines[0].startswith("usage:"), self.err
        return lines[-1]


def content(store):
    return {info.key: store.read(info.key) for info in store.list()}
