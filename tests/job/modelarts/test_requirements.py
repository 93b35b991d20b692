"""Which lines of a file pip would take as a list of packages."""

from __future__ import annotations

import pytest

from job.modelarts.requirements import wrong_lines


@pytest.mark.parametrize("line", [
    "Pillow", "Pillow>=6", "Pillow >= 6, < 10  # images", "numpy[extra,other]==1.*",
    "a.b-c_d~=1.0; python_version < '3.8'",
    "name @ https://example.com/name-1.0.tar.gz", "https://example.com/name-1.0-py3-none-any.whl", "./wheels/a-1.0.whl",
    "--index-url https://example.com/simple", "-i https://example.com/simple", "-r more.txt",
    "git+https://x.com/y.git@v1",
    "name==1.0 --hash=sha256:abc", "name==1.0 \\\n --hash=sha256:abc", "# a comment", "", "name (>=1.0)", "x!=1,===2",
])
def test_what_pip_takes(line):
    assert wrong_lines(line + "\n") == []


@pytest.mark.parametrize("line", [
    "Install the package first.", "| a | b |", "- one item", "```sh", "pip install Pillow", "Pillow=6",
    "[link](page.md)", "{\"a\": 1}", "a b", "Pillow>=",
])
def test_what_pip_does_not_take(line):
    assert wrong_lines("Pillow>=6\n" + line + "\n") == [(2, line)]
