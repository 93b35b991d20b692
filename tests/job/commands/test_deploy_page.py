"""docs/deploy.md: its commands work, in the order of the page, on a small network that is trained for 4 iterations.

`atc` needs an Ascend, and `pip` the network, so these two commands are only compared with what `export` prints.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import shlex
import shutil
from typing import Dict, List, NamedTuple

import numpy as np
import pytest
from PIL import Image

from job import cli
from job.export.sidecar import atc_lines
from masf_core.data.decode_image import decode_image
from masf_core.export.choices import FORMATS, ONNX_PACKAGES
from obs_sync import open_store, push
from obs_sync.mock import mock_obs
from tests import documentation_checks as checks

pytestmark = pytest.mark.slow
PAGE = checks.pages()["docs/deploy.md"]
JOB = ["python", "-m", "job"]
SMALLER = {  # flags after those of the page, which the command then takes instead
    "make-miniature": ["--images_per_class=2"],
    "run": ["--width=0.02", "--train_iterations=4", "--test_print_interval=2", "--meta_batch_size=6",
            "--metric_hidden=4", "--metric_embedding=3"],
}


def shown() -> Dict[str, List[str]]:
    """Every command of the page, in order → its words."""
    text = "".join(block for _, block in checks.blocks(PAGE, "sh")).replace("\\\n", " ")
    return {line: shlex.split(line) for line in text.splitlines()}


def program():
    """The functions of the page's program, by name."""
    (text,) = [text for _, text in checks.blocks(PAGE, "python")]
    known = {}
    exec(compile(text, "docs/deploy.md", "exec"), known)
    return known


class Followed(NamedTuple):
    """What a reader has who gave all commands. printed: command → standard output. exported: keys in the bucket."""

    folder: str
    printed: Dict[str, str]
    exported: List[str]

    def path(self, *names: str) -> str:
        return os.path.join(self.folder, *names)

    def frozen(self) -> str:
        """The folder of the export that got no --out, called after the iteration of the best checkpoint."""
        (name,) = os.listdir(self.path("exports"))
        assert re.fullmatch(r"masf_cartoon-00000[24]-pb", name)
        return self.path("exports", name)

    def sidecar(self, folder: str):
        with open(os.path.join(self.folder, folder, "export.json"), encoding="utf-8") as stream:
            return json.load(stream)


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    folder, printed = tmp_path_factory.mktemp("reader"), {}
    with mock_obs(buckets=["bucket"]) as mock, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, value in mock.environment().items():
            patch.setenv(name, value)
        for line, words in shown().items():
            if words[:3] != JOB:
                continue
            with contextlib.redirect_stdout(io.StringIO()) as output:
                code = cli.main(words[3:] + SMALLER.get(words[3], []))
            assert code == 0, line
            printed[line] = output.getvalue()
            if words[3] == "make-miniature":
                dogs = os.path.join("miniature-pacs", "images", "photo", "dog")
                shutil.copy(os.path.join(dogs, "pic_001.jpg"), "one.jpg")
                with open_store("obs://bucket/new-photos/", os.environ) as store:
                    push(store, dogs)
        with open_store("obs://bucket/exports/cartoon/", os.environ) as store:
            exported = sorted(info.key for info in store.list())
    return Followed(str(folder), printed, exported)


def test_predict_writes_what_the_page_says(followed):
    told = [text for line, text in followed.printed.items() if "job predict" in line]
    assert len(told) == 4 and "14 images" in told[0] and "14 images" in told[2]
    assert len(json.loads(told[3])["images"]) == 3
    with open(followed.path("dogs.csv"), encoding="utf-8") as stream:
        assert [row["label"] for row in csv.DictReader(stream)] == ["dog", "dog"]
    with open(followed.path("dogs.html"), encoding="utf-8") as stream:
        assert stream.read().count("<figure") == 2


def test_export_makes_the_folders_that_the_page_names(followed):
    assert followed.sidecar(followed.frozen())["kind"] == "pb"
    assert os.path.exists(followed.path("models", "masf", "1", "saved_model.pb"))
    assert followed.exported == ["export.json", "model.pb"]
    assert os.path.exists(followed.path("output", "masf_cartoon", "exports", "ckpt", "model4.index"))


def test_the_program_of_the_page_needs_only_the_exported_folder(followed):
    told = json.loads([text for line, text in followed.printed.items() if line.endswith("--json")][0])["images"]
    paths = [each["path"].replace("obs://bucket/new-photos", followed.path("miniature-pacs", "images", "photo", "dog"))
             for each in told]
    found = program()["classify"](followed.frozen(), [os.path.join(followed.folder, path) for path in paths])
    assert found == [each["predicted"] for each in told]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB", "L"])
def test_the_program_of_the_page_prepares_an_image_as_predict_does(tmp_path, mode):
    """Transparent parts are white, whatever colour the file has below them, and EXIF does not turn the image."""
    image = Image.new("RGBA", (40, 30), (200, 10, 60, 0))
    image.paste((0, 90, 30, 128), (5, 5, 30, 20))
    path = str(tmp_path / "image.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    if mode == "P":
        image.convert("RGB").quantize(4).save(path, transparency=0, exif=turned)
    else:
        image.convert(mode).save(path, exif=turned)
    expected = np.empty((32, 32, 3), np.uint8)
    decode_image(path, 32, 10_000, expected)
    assert np.array_equal(program()["prepared"](path, 32), expected[..., ::-1])


def test_the_command_that_compiles_for_an_ascend_is_that_of_the_export(followed):
    (words,) = [words for words in shown().values() if words[0] == "atc"]
    told = followed.sidecar(followed.frozen())["atc"]["Ascend310"]
    assert words == shlex.split(told) == shlex.split(atc_lines("pb", "raw", [None, 227, 227, 3])["Ascend310"])


def test_the_packages_for_onnx_are_those_that_the_command_asks_for():
    (words,) = [words for words in shown().values() if words[0] == "pip"]
    assert words == ["pip", "install", *ONNX_PACKAGES]


def test_every_format_is_in_the_table_of_the_page():
    assert [name for name in FORMATS if f"\n| `{name}` |" not in PAGE] == []
