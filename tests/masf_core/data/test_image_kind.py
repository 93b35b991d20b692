"""Images are told by their content, and what is none is counted, named, or refused where a class would be empty."""

from __future__ import annotations

import logging
import os

import pytest

from masf_core.data import Folder, build_index, decode, find_dataroot
from masf_core.data import decode_image, image_kind
from masf_core.data.offences import Offences
from masf_core.errors import DataError
from tests.masf_core.data.datasets import CLASSES, add_line, save_image, write_folders, write_lists

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
AVIF = b"\0\0\0\x20ftypavif\0\0\0\0avifmif1"


@pytest.fixture
def root(tmp_path):
    write_folders(tmp_path / "data")
    return tmp_path / "data"


def write(path, content):
    os.makedirs(os.path.dirname(str(path)), exist_ok=True)
    with open(str(path), "wb") as stream:
        stream.write(content)


def refusal(root, **kwargs):
    with pytest.raises(DataError) as caught:
        build_index(str(root), **kwargs)
    return str(caught.value)


@pytest.mark.parametrize("kind", FORMATS)
def test_an_image_without_a_suffix_is_trained_on_in_every_format(root, kind):
    save_image(root / "clip" / "ant" / "unnamed", format=kind)
    index = build_index(str(root))
    assert "clip/ant/unnamed" in index.domain("clip").paths
    decode(index, str(root.parent / "cache"), image_size=7)


@pytest.mark.parametrize("name", ["a.jfif", "a.jpe", "a.JPG", "a.jpg ", "a.jpg_large", "a", "a.JFIF", "a.jpg.1"])
def test_odd_names_are_no_reason_to_leave_an_image_out(root, name):
    save_image(root / "clip" / "ant" / name, format="JPEG")
    assert len(build_index(str(root)).domain("clip").paths) == 13


def test_a_domain_and_a_class_of_images_with_odd_names_are_found(root):
    for domain, _, files in [(str(root / "sketch" / name), 0, os.listdir(str(root / "sketch" / name)))
                             for name in CLASSES]:
        for file in files:
            os.rename(os.path.join(domain, file), os.path.join(domain, file[:-len(".png")]))
    assert find_dataroot(Folder(str(root.parent))) == str(root)
    assert [domain.name for domain in build_index(str(root)).domains] == ["clip", "photo", "sketch"]


def test_a_name_that_tells_it_is_never_opened(root, monkeypatch):
    write(root / "clip" / "ant" / "notes.txt", b"of the photographer")
    monkeypatch.setattr(image_kind, "read_head", lambda path: pytest.fail("opened " + path))
    assert len(build_index(str(root)).domain("clip").paths) == 12


def test_a_pipe_among_the_images_is_not_waited_for(root):
    os.mkfifo(str(root / "clip" / "ant" / "pipe"))
    assert len(build_index(str(root)).domain("clip").paths) == 12


@pytest.mark.parametrize("head", [b"", b"BM: the museum's", b"P5", b"Pictures", b"RIFF\0\0\0\0WAVEfmt ", b"%PDF-1.4"])
def test_what_begins_otherwise_is_no_image(head):
    assert not image_kind.is_image_head(head)


def test_files_that_are_no_images_are_counted_and_named_once(root, caplog):
    write(root / "clip" / "ant" / "notes.txt", b"of the photographer")
    write(root / "photo" / "bee" / "README", b"of the photographer")
    write(root / "photo" / "bee" / ".DS_Store", b"of the system")
    with caplog.at_level(logging.WARNING):
        build_index(str(root))
    assert [record.getMessage() for record in caplog.records] == [
        "2 files in the class folders skipped, because they are not images: clip/ant/notes.txt, photo/bee/README"]


def test_a_picture_of_a_format_that_is_not_read_is_refused_by_name(root, caplog):
    write(root / "clip" / "ant" / "new.avif", AVIF)
    message = refusal(root)
    assert "1 x picture of another format" in message and "clip/ant/new.avif: AVIF files cannot be read" in message
    assert len(build_index(str(root), bad_data="skip").domain("clip").paths) == 12


@pytest.mark.parametrize("with_lists", [True, False])
def test_a_class_folder_without_an_image_is_refused_instead_of_being_left_out(root, with_lists):
    for name in os.listdir(str(root / "photo" / "bee")):
        write(root / "photo" / "bee" / name, b"")
        os.rename(str(root / "photo" / "bee" / name), str(root / "photo" / "bee" / (name + ".gz")))
    write_lists(root.parent / "lists")
    message = refusal(root, filelist_root=str(root.parent / "lists") if with_lists else None)
    assert "1 x class without images" in message
    assert "photo/bee: holds 4 files, none of which is an image: 0.png.gz, 1.png.gz" in message


def test_a_class_folder_of_unread_pictures_names_their_format(root):
    for domain in ("clip", "photo"):
        save_image(root / domain / "dog" / "0.png")
    write(root / "sketch" / "dog" / "0.avif", AVIF)
    assert "sketch/dog: holds 1 file, none of which is an image that can be read (AVIF cannot): 0.avif" in refusal(root)


def test_a_class_folder_whose_images_lie_deeper_is_refused(root):
    os.makedirs(str(root / "photo" / "bee" / "sub"))
    for name in [name for name in os.listdir(str(root / "photo" / "bee")) if name != "sub"]:
        os.rename(str(root / "photo" / "bee" / name), str(root / "photo" / "bee" / "sub" / name))
    assert "lie deeper than <domain>/<class>/<image>, such as photo/bee/sub/" in refusal(root)


def test_a_domain_folder_without_an_image_is_refused_instead_of_being_a_domain_less(root):
    for name in CLASSES:
        write(root / "oil" / name / "0.avif", AVIF)
    message = refusal(root)
    assert "1 x domain without images" in message and "oil: ant holds 1 file" in message
    assert len(build_index(str(root), domains=["clip", "photo", "sketch"]).domains) == 3


def test_other_folders_without_images_are_named(root, caplog):
    for domain in ("clip", "photo", "sketch"):
        write(root / domain / "boxes" / "0.xml", b"<a/>")
    with caplog.at_level(logging.WARNING):
        build_index(str(root))
    assert ("3 folders skipped, because no file in them is an image: clip/boxes, photo/boxes, sketch/boxes"
            in caplog.text)


def test_empty_and_unreadable_images_are_told_in_one_error(root, tmp_path):
    write(root / "clip" / "ant" / "0.png", b"")
    write(root / "photo" / "bee" / "1.png", b"\x89PNG and no more")
    pending = Offences()
    index = build_index(str(root), pending=pending)
    with pytest.raises(DataError) as caught:
        decode(index, str(tmp_path / "cache"), image_size=7, pending=pending)
    assert "1 x empty file, 1 x unreadable image" in str(caught.value)
    assert {where for where, _ in caught.value.offenders} == {"clip/ant/0.png", "photo/bee/1.png"}


def test_lines_at_fault_and_unreadable_images_are_told_in_one_error(root, tmp_path):
    write_lists(tmp_path / "lists")
    add_line(tmp_path / "lists", "clip", "train", "clip/ant/99.png 1")
    add_line(tmp_path / "lists", "clip", "train", "clip/ant/0.png")
    write(root / "photo" / "bee" / "1.png", b"\x89PNG and no more")
    pending = Offences()
    index = build_index(str(root), str(tmp_path / "lists"), pending=pending)
    with pytest.raises(DataError, match="1 x malformed line, 1 x missing file, 1 x unreadable image"):
        decode(index, str(tmp_path / "cache"), image_size=7, pending=pending)


def test_what_is_pending_is_told_with_a_file_that_is_gone_before_it_is_decoded(root, tmp_path):
    write(root / "clip" / "ant" / "0.png", b"")
    pending = Offences()
    index = build_index(str(root), pending=pending)
    os.unlink(str(root / "photo" / "bee" / "1.png"))
    with pytest.raises(DataError, match="1 x missing file, 1 x empty file"):
        decode(index, str(tmp_path / "cache"), image_size=7, bad_data="skip", pending=pending)


def test_an_image_with_a_side_that_is_too_long_is_skipped_and_counted(root, tmp_path, caplog):
    save_image(root / "photo" / "bee" / "1.png", size=(1, decode_image.MAX_SIDE + 1))
    index, _ = decode(build_index(str(root)), str(tmp_path / "cache"), image_size=7, bad_data="skip")
    assert "1 x image too long" in caplog.text and "photo/bee/1.png: 1 x 65536 pixels" in caplog.text
    assert [len(domain.used) for domain in index.domains] == [12, 11, 12]


def test_what_decoding_cannot_add_to_is_told_before_it(root, tmp_path):
    write(root / "clip" / "ant" / "0.png", b"")
    save_image(root / "clip" / "ants" / "0.png")
    assert "1 x class of a single domain" in refusal(root, pending=Offences())


def test_skipping_that_would_empty_a_class_is_refused(root, tmp_path):
    for name in os.listdir(str(root / "photo" / "bee")):
        write(root / "photo" / "bee" / name, b"\x89PNG and no more")
    index = build_index(str(root), bad_data="skip")
    with pytest.raises(DataError, match="domain photo would have no image of bee, because"):
        decode(index, str(tmp_path / "cache"), image_size=7, bad_data="skip")
    for name in os.listdir(str(root / "photo" / "bee")):
        write(root / "photo" / "bee" / name, b"")
    assert "domain photo would have no image of bee, because" in refusal(root, bad_data="skip")


def test_counts_after_skipping_are_those_of_what_is_used(root, tmp_path):
    write(root / "photo" / "bee" / "1.png", b"\x89PNG and no more")
    index, _ = decode(build_index(str(root)), str(tmp_path / "cache"), image_size=7, bad_data="skip")
    assert [len(domain.used) for domain in index.domains] == [12, 11, 12]
