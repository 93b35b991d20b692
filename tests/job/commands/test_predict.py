"""`predict` names the class of every image that a command line names, whether it is in a folder, a list or a bucket."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import shutil

import pytest

from job import cli, prediction
from masf_core.data import miniature
from masf_core.network.architecture import make_architecture
from masf_core.records.npz import write_npz
from obs_sync import open_store, push
from obs_sync.mock import mock_obs

CLASSES = ["dog", "elephant", "giraffe", "guitar", "horse", "house", "person"]
NAMES = "--classes=" + ",".join(CLASSES)


class Predicting:
    """The command on a small network whose weights nobody has trained."""

    def __init__(self, network, work_dir, capsys):
        self.network, self.work_dir, self.capsys = network, work_dir, capsys

    def __call__(self, *arguments, names=NAMES, width="0.02"):
        """(exit code, standard output, log)."""
        self.capsys.readouterr()
        code = cli.main(["predict", self.network] + [str(each) for each in arguments] + [names] * bool(names) + [
            f"--width={width}", f"--work_dir={self.work_dir}", "--device=cpu", "--evaluation_batch=8"])
        told = self.capsys.readouterr()
        assert "Traceback" not in told.err, told.err
        return code, told.out, told.err

    def images(self, *arguments, **options):
        """Path → entry of the JSON document."""
        code, out, err = self(*arguments, "--json", **options)
        assert code == 0, err
        return {each["path"]: each for each in json.loads(out)["images"]}


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "network.npz"
    with open(str(path), "wb") as stream:
        write_npz(stream, make_architecture("alexnet", 7, 0.02).initial_values(5))
    return str(path)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "pacs"
    miniature.write_miniature(str(folder), images_per_class=2)
    return folder


@pytest.fixture
def photos(drawn, tmp_path):
    """The photos of two classes, one of them not an image, and one image in no class."""
    for name in ("dog", "house"):
        shutil.copytree(str(drawn / "images" / "photo" / name), str(tmp_path / "photos" / name))
    (tmp_path / "photos" / "house" / "broken.jpg").write_bytes(b"no image")
    (tmp_path / "photos" / "wolf").mkdir()
    shutil.copy(str(drawn / "images" / "photo" / "dog" / "pic_001.jpg"), str(tmp_path / "photos" / "wolf"))
    return tmp_path / "photos"


@pytest.fixture
def predict(network, tmp_path, capsys):
    return Predicting(network, tmp_path / "work", capsys)


@pytest.fixture(scope="module")
def bucket(drawn):
    with mock_obs(buckets=["bucket"]) as mock:
        before = dict(os.environ)
        os.environ.update(mock.environment())
        with open_store("obs://bucket/pacs/", os.environ) as store:
            push(store, str(drawn))
        yield
        os.environ.clear()
        os.environ.update(before)


def test_an_image_is_labelled_by_its_folder_and_one_that_cannot_be_read_is_a_row(predict, photos):
    code, out, err = predict(photos)
    assert code == 0 and "wolf (1)" in err
    assert "not an image in a format that can be read" in out
    assert "6 images, of which 1 cannot be read" in out and "of 4 images with a label" in out
    found = predict.images(photos)
    assert {os.path.relpath(path, str(photos)): each["label"] for path, each in found.items()} == {
        "dog/pic_001.jpg": "dog", "dog/pic_002.jpg": "dog", "house/pic_001.jpg": "house", "house/pic_002.jpg": "house",
        "house/broken.jpg": "house", "wolf/pic_001.jpg": None}
    same = [each["probabilities"] for path, each in found.items()
            if path.endswith(("dog/pic_001.jpg", "wolf/pic_001.jpg"))]
    assert same[0] == same[1] and abs(sum(same[0]) - 1.0) < 1e-5


def test_files_and_folders_may_be_mixed_and_count_once(predict, photos):
    found = predict.images(photos / "dog" / "pic_002.jpg", photos / "dog")
    assert [os.path.basename(path) for path in found] == ["pic_002.jpg", "pic_001.jpg"]


def test_probabilities_that_overflow_are_told_in_a_document_that_programs_can_read(photos, tmp_path, capsys):
    values = make_architecture("alexnet", 7, 0.02).initial_values(5)
    values["fc8/weights"][:] = 3e38  # finite, but not a sum of them
    with open(str(tmp_path / "network.npz"), "wb") as stream:
        write_npz(stream, values)
    code, out, err = Predicting(str(tmp_path / "network.npz"), tmp_path / "work", capsys)(photos / "dog", "--json")
    assert code == 0, err
    found = json.loads(out, parse_constant=pytest.fail)["images"]
    assert [each["probabilities"] for each in found] == [[None] * 7] * 2


def test_the_csv_and_the_page_have_every_image(predict, photos, tmp_path):
    code, _, err = predict(photos, f"--out={tmp_path / 'all.csv'}", f"--page={tmp_path / 'all.html'}")
    assert code == 0, err
    with open(str(tmp_path / "all.csv"), encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 6 and [row["problem"] != "" for row in rows].count(True) == 1
    assert list(rows[0])[5:] == ["p_" + name for name in CLASSES]
    page = (tmp_path / "all.html").read_text(encoding="utf-8")
    assert page.count("<figure") == 5 and "broken.jpg: not an image" in page


@pytest.mark.parametrize("name, first", [("cartoon_test_kfold.txt", 1), ("from_0.txt", 0)])
def test_a_list_has_paths_below_the_root_and_numbers_that_count_from_0_or_1(predict, drawn, tmp_path, name, first):
    lines = [f"cartoon/{each}/pic_00{number}.jpg {label + first}" for label, each in enumerate(CLASSES)
             for number in (1, 2)] + [f"cartoon/dog/missing.jpg {first}"]
    (tmp_path / name).write_text("\ufeff" + "\r\n".join(lines) + "\n\n", encoding="utf-8")
    code, _, err = predict(tmp_path / name, "--json")
    assert code == 3 and f"15 of 15 paths lead to no file below {tmp_path}. --root says where" in err
    found = predict.images(tmp_path / name, f"--root={drawn / 'images'}")
    assert [each["label"] for each in found.values()] == [each for each in CLASSES for _ in (1, 2)] + ["dog"]
    assert [each["problem"] for each in found.values()] == [None] * 14 + ["there is no such file"]


def test_the_numbers_of_a_list_label_images_whose_folders_are_no_classes(predict, photos, tmp_path):
    shutil.copy(str(photos / "dog" / "pic_001.jpg"), str(tmp_path / "a photo 7.jpg"))
    shutil.copy(str(photos / "dog" / "pic_001.jpg"), str(tmp_path / "b.jpg"))
    (tmp_path / "some.txt").write_text("a photo 7.jpg\nb.jpg 6\nb.jpg 2\n")
    code, _, err = predict(tmp_path / "some.txt")
    assert code == 3 and "its numbers are 2 to 6" in err and "--label_base=0 or --label_base=1" in err
    found = predict.images(tmp_path / "some.txt", "--label_base=1")
    assert {os.path.basename(path): each["label"] for path, each in found.items()} == {
        "a photo 7.jpg": None, "b.jpg": "house"}


@pytest.mark.parametrize("place, count", [
    ("obs://bucket/pacs/images/photo/dog/", 2), ("obs://bucket/pacs/images/photo", 14),
    ("obs://bucket/pacs/images/photo/dog/pic_001.jpg", 1), ("obs://bucket/pacs/kfold/photo_test_kfold.txt", 14)])
def test_images_in_a_bucket_are_fetched(predict, bucket, place, count):
    found = predict.images(place, "--root=obs://bucket/pacs/images")
    assert len(found) == count and all(each["label"] and not each["problem"] for each in found.values())
    assert all(path.startswith("obs://bucket/pacs/images/photo/") for path in found)


def test_relative_paths_mean_where_the_command_was_started_also_if_a_card_has_a_folder_of_its_own(
        network, photos, bucket, capsys, monkeypatch):
    @contextlib.contextmanager
    def in_its_folder(device, place, environ):
        os.chdir("/")
        yield
        os.chdir(str(photos.parent))

    monkeypatch.chdir(str(photos.parent))
    monkeypatch.setattr(prediction, "on_card", in_its_folder)
    found = Predicting(os.path.relpath(network), "work", capsys).images(
        "photos/dog", "obs://bucket/pacs/images/photo/house/")
    assert [each["problem"] for each in found.values()] == [None] * 4


def test_without_names_the_classes_are_numbers(predict, photos):
    code, out, err = predict(photos / "dog", names="")
    assert code == 0 and "does not say the names of its 7 classes" in err
    assert all(line.split()[1] in "0123456" for line in out.splitlines() if ".jpg" in line)


def test_images_none_of_which_can_be_read_are_an_error_after_they_were_told(predict, photos, tmp_path):
    code, out, err = predict(photos / "house" / "broken.jpg", f"--out={tmp_path / 'all.csv'}")
    assert code == 3 and "none of the images can be read (1)" in err and "broken.jpg" in out
    assert (tmp_path / "all.csv").exists()


@pytest.mark.parametrize("arguments, code, told", [
    (["/no/such/photos"], 4, "there is no file or folder /no/such/photos"),
    (["/bucket-1/photos/"], 4, "If it is in OBS, write obs://bucket-1/photos/"),
    ([os.path.dirname(__file__)], 3, "there is no image at"),
    ([__file__], 3, "is neither an image nor a list"),
    (["photos", "--out=."], 2, "--out=.: this is a folder"),
    (["photos", "--out=a.html", "--page=./a.html"], 2, "--out=a.html and --page=./a.html are the same file"),
    (["photos", "--page=photos/dog/pic_001.jpg"], 2, "pic_001.jpg: this is the name of an image; give another file, "
                                                     "such as images.html"),
    (["photos", "--out="], 2, "--out is empty"),
    (["photos", "--page= "], 2, "--page is empty"),
    (["photos", "--checkpoint="], 2, "--checkpoint is empty"),
    (["photos", ""], 2, "IMAGES is empty"),
    (["photos", "--page=/no/such/folder/a.html"], 4, "--page=/no/such/folder/a.html: there is no folder"),
    (["photos", "--classes=a,b"], 2, "--classes names 2 classes; the network has 7"),
    (["photos", "--classes=a,,b"], 2, "--classes=a,,b: expected folder names"),
    (["photos", "--pages=a.html"], 2, "did you mean --page?"),
    (["photos", "--width=0.5"], 3, "do not fit the network"),
    (["obs://key:secret@bucket/photos/"], 2, "IMAGES: the URL holds a key"),
])
def test_a_mistake_is_one_message(predict, photos, monkeypatch, arguments, code, told):
    monkeypatch.chdir(str(photos.parent))
    width = "0.02"
    if arguments[-1].startswith("--width"):
        width = arguments.pop()[len("--width="):]
    names = "" if arguments[-1].startswith("--classes") else NAMES
    found, out, err = predict(*arguments, names=names, width=width)
    assert (found, out) == (code, ""), err
    assert told in err


@pytest.mark.parametrize("flag", ["--out", "--page"])
def test_neither_file_may_be_an_image_or_a_list_that_is_named(predict, photos, flag):
    image = photos / "dog" / "scan"  # without a suffix, so its first bytes tell what it is
    shutil.copy(str(photos / "dog" / "pic_001.jpg"), str(image))
    paths = photos / "paths.txt"
    paths.write_text("dog/scan\n")
    before = image.read_bytes()
    for file, place in ((image, image), (image, paths), (paths, paths)):
        code, out, err = predict(place, f"{flag}={file}")
        assert (code, out) == (2, "") and f"{flag}={file}: this is one of IMAGES" in err
    assert image.read_bytes() == before and paths.read_text() == "dog/scan\n"


@pytest.mark.parametrize("flag", ["--out", "--page"])
def test_a_place_where_nothing_can_be_written_is_told_before_an_image_is_read(predict, photos, monkeypatch, flag):
    monkeypatch.setattr(prediction, "predict", lambda *arguments: pytest.fail("images are read"))
    place = photos.parent / "classes.csv"
    (photos.parent / "classes.csv.partial").mkdir()
    code, out, err = predict(photos, f"{flag}={place}")
    assert (code, out) == (4, "") and f"Choose another file with {flag}" in err and "classes.csv" in err
