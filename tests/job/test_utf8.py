"""Names in any script pass through the command line in a locale that knows ASCII alone."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LOCALES = {
    "C": {"LC_ALL": "C"},
    "POSIX, and no help of Python's": {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    "output in ASCII": {"PYTHONIOENCODING": "ascii"},
    "a locale that does not exist": {"LC_ALL": "xx_YY.nonsense", "LANG": "zh_CN.GBK"},
}


@pytest.mark.parametrize("locale, start", [(name, ["-m", "job", "sync"]) for name in LOCALES] + [
    ("POSIX, and no help of Python's", ["boot_modelarts.py"])])
def test_chinese_names_pass_in_any_locale(tmp_path, locale, start):
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    environ.update(LOCALES[locale])
    source = os.fsencode(str(tmp_path)) + "/数据".encode("utf-8")
    os.makedirs(source + "/狗".encode("utf-8"))
    with open(source + "/狗/一.jpg".encode("utf-8"), "wb") as stream:
        stream.write(b"x")
    copy = os.fsencode(str(tmp_path)) + "/复制".encode("utf-8")
    if start[-1] == "sync":
        words = [b"pull", source, copy]
    else:  # the first complaint is about the target, and has read the names
        words = [b"--data_url=" + source, "--target_domain=照片".encode("utf-8"), b"--weights_path=none",
                 b"--work_dir=" + copy]
    done = subprocess.run([os.fsencode(word) for word in [sys.executable] + start] + words, cwd=ROOT, env=environ,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    output = done.stdout.decode("utf-8", "replace")
    assert "Traceback" not in output and "\\udc" not in output, output
    if start[-1] == "sync":
        assert done.returncode == 0, output
        assert os.listdir(copy + "/狗".encode("utf-8")) == ["一.jpg".encode("utf-8")]
    else:
        assert done.returncode == 3, output
        assert "照片" in output or "\\u7167\\u7247" in output
