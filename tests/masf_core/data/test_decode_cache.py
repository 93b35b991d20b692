from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import PIL
import pytest
from PIL import Image

import masf_core
from masf_core.data import cache_file, decode_cache
from masf_core.data.decode_cache import decode
from masf_core.data.index import build_index
from masf_core.errors import CacheError, DataError, MasfError
from tests.masf_core.data.datasets import SIDE, save_image, write_folders

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(masf_core.__file__)))  # where child processes import from


@pytest.fixture
def index(tmp_path):
    write_folders(tmp_path / "images", count=7)
    return build_index(str(tmp_path / "images"))


@pytest.fixture
def cache(tmp_path):
    return str(tmp_path / "cache" / "decoded")


@pytest.fixture
def place(index, cache):
    """Where in the cache the files of the index are."""
    return decode_cache.directory_of(index.dataroot, cache)


def files(place):
    return sorted(name for name in os.listdir(place) if name != ".lock")


def path_of(index, name, row):
    return os.path.join(index.dataroot, index.domain(name).paths[row])


def spoil(index, name, row, content=b"spoilt"):
    with open(path_of(index, name, row), "wb") as stream:
        stream.write(content)


# ---- what decoding gives

def test_every_image_is_at_its_row(index, cache):
    same, images = decode(index, cache, SIDE, workers=3)
    assert same is index
    for domain in index.domains:
        array = images[domain.name]
        assert array.shape == (21, SIDE, SIDE, 3) and array.dtype == np.uint8
        for row, path in enumerate(domain.paths):
            rgb = np.asarray(Image.open(os.path.join(index.dataroot, path)))
            np.testing.assert_array_equal(array[row], rgb[..., ::-1])


def test_the_arrays_are_maps_that_cannot_be_written_to(index, cache):
    images = decode(index, cache, SIDE)[1]["clip"]
    assert isinstance(images, np.memmap)
    with pytest.raises(ValueError):
        images[0] = 0


def test_unchanged_data_is_not_decoded_again(index, cache, place):
    decode(index, cache, SIDE)
    before = {name: os.stat(os.path.join(place, name)).st_mtime_ns for name in files(place)}
    images = decode(build_index(index.dataroot), cache, SIDE)[1]
    assert {name: os.stat(os.path.join(place, name)).st_mtime_ns for name in files(place)} == before
    assert len(images) == 3


def test_changed_data_replaces_its_domains_cache_alone(index, cache, place):
    decode(index, cache, SIDE)
    before = files(place)
    pixels = save_image(path_of(index, "photo", 4), number=999)
    images = decode(build_index(index.dataroot), cache, SIDE)[1]
    np.testing.assert_array_equal(images["photo"][4], pixels[..., ::-1])
    after = files(place)
    assert len(after) == 3
    assert [name for name in after if not name.startswith("photo")] == [n for n in before if not n.startswith("photo")]
    assert not set(after) == set(before)


def test_a_cache_of_another_decoder_is_made_again_and_the_fingerprint_stays(index, cache, place, monkeypatch):
    monkeypatch.setattr(decode_cache, "DECODER_VERSION", "1/Pillow-" + PIL.__version__)  # whose pixels were RGB
    decode(index, cache, SIDE)
    old = files(place)
    for name in old:
        np.load(os.path.join(place, name), mmap_mode="r+")[:] = 7
    monkeypatch.undo()
    same, images = decode(build_index(index.dataroot), cache, SIDE)
    assert len(files(place)) == 3 and not set(files(place)) & set(old)
    rgb = np.asarray(Image.open(path_of(index, "clip", 0)))
    np.testing.assert_array_equal(images["clip"][0], rgb[..., ::-1])
    assert same.fingerprint == index.fingerprint


def test_a_file_of_the_same_size_but_later_is_changed_data(index, cache, place):
    decode(index, cache, SIDE)
    before = files(place)
    os.utime(path_of(index, "photo", 4), (5, 5))
    decode(index, cache, SIDE)
    assert len(set(files(place)) & set(before)) == 2


def test_caches_of_another_size_stay(index, cache, place):
    decode(index, cache, SIDE)
    images = decode(index, cache, 5)[1]
    assert images["clip"].shape == (21, 5, 5, 3)
    assert len(files(place)) == 6


def test_data_sets_used_in_turn_keep_their_files(index, cache, place, tmp_path, caplog):
    write_folders(tmp_path / "other", count=3)
    other = build_index(str(tmp_path / "other"))
    decode(index, cache, SIDE)
    before = {name: os.stat(os.path.join(place, name)).st_mtime_ns for name in files(place)}
    with caplog.at_level("INFO"):
        assert decode(other, cache, SIDE)[1]["clip"].shape[0] == 9
    decode(index, cache, SIDE)
    assert {name: os.stat(os.path.join(place, name)).st_mtime_ns for name in files(place)} == before
    assert "removing" not in caplog.text


def test_a_dataroot_is_the_same_however_it_is_written(index, cache, place, monkeypatch):
    monkeypatch.chdir(os.path.dirname(index.dataroot))
    assert decode_cache.directory_of("./images/", cache) == place


def test_a_domains_name_may_begin_like_anothers(tmp_path, cache):
    write_folders(tmp_path, domains=("art", "art-7px", "a.t"), count=2)
    index = build_index(str(tmp_path))
    decode(index, cache, SIDE)
    os.utime(path_of(index, "art", 0), (5, 5))
    decode(index, cache, SIDE)
    assert len(files(decode_cache.directory_of(index.dataroot, cache))) == 3


def test_progress_counts_images_from_start_to_end(index, cache):
    calls = []
    decode(index, cache, SIDE, on_progress=lambda *call: calls.append(call))
    assert calls[0] == (0, 63) and calls[-1] == (63, 63)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    del calls[:]
    decode(index, cache, SIDE, on_progress=lambda *call: calls.append(call))
    assert calls == [(0, 63), (63, 63)]


# ---- images that cannot be decoded

@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_all_unusable_images_are_in_one_error_and_their_domains_have_no_cache(index, cache, place, tmp_path):
    spoil(index, "clip", 3)
    spoil(index, "clip", 17)
    save_image(path_of(index, "photo", 0), size=(30, 40))
    report = tmp_path / "offenders.txt"
    with pytest.raises(DataError) as caught:
        decode(index, cache, SIDE, max_pixels=1000, offenders_path=str(report))
    assert "1 x image too large" in str(caught.value) and "2 x unreadable image" in str(caught.value)
    clip, photo = index.domain("clip"), index.domain("photo")
    assert [where for where, _ in caught.value.offenders] == [clip.paths[3], clip.paths[17], photo.paths[0]]
    assert len(report.read_text().splitlines()) == 3
    assert [name.split("-")[0] for name in files(place)] == ["sketch"]


def test_unusable_images_can_be_left_out(index, cache, caplog):
    spoil(index, "clip", 3)
    for _ in range(2):  # the second time from the cache
        caplog.clear()
        less, images = decode(index, cache, SIDE, bad_data="skip")
        clip = less.domain("clip")
        assert 3 not in np.concatenate([clip.train, clip.validation, clip.whole]) and len(clip.whole) == 20
        assert images["clip"].shape[0] == 21 and not images["clip"][3].any()
        assert less.fingerprint != index.fingerprint
        assert "1 x unreadable image" in caplog.text


def test_a_cache_with_images_left_out_does_not_pass_where_they_are_refused(index, cache):
    spoil(index, "clip", 3)
    decode(index, cache, SIDE, bad_data="skip")
    with pytest.raises(DataError, match="unreadable image"):
        decode(index, cache, SIDE)


def test_an_image_mended_is_decoded(index, cache):
    spoil(index, "clip", 3)
    with pytest.raises(DataError):
        decode(index, cache, SIDE)
    pixels = save_image(path_of(index, "clip", 3), number=5)
    np.testing.assert_array_equal(decode(index, cache, SIDE)[1]["clip"][3], pixels[..., ::-1])


def test_an_image_that_has_gone_since_it_was_indexed_is_named(index, cache):
    os.unlink(path_of(index, "clip", 3))
    with pytest.raises(DataError, match="1 x missing file"):
        decode(index, cache, SIDE)


def test_bad_data_has_two_choices(index, cache):
    with pytest.raises(ValueError, match="bad_data"):
        decode(index, cache, SIDE, bad_data="ignore")


# ---- what a build leaves behind

class Stop(Exception):
    pass


def test_a_stop_request_leaves_nothing_behind(index, cache, place):
    threads = threading.active_count()

    def stop_later(done, total):
        if done:
            raise Stop

    for _ in range(2):
        with pytest.raises(Stop):
            decode(index, cache, SIDE, on_progress=stop_later)
        assert threading.active_count() == threads
        assert [name for name in files(place) if name.startswith(".")] == []
    assert len(decode(index, cache, SIDE)[1]) == 3


def test_a_killed_build_leaves_nothing_that_looks_whole_and_is_cleared_away(index, cache, place):
    script = (
        "import os, sys, time\n"
        "from masf_core.data import build_index, decode, decode_cache\n"
        "def hang(*args):\n"
        "    os.write(1, b'decoding\\n')\n"  # at once: each thread decodes, and what they print may mix
        "    time.sleep(60)\n"
        "decode_cache.decode_image = hang\n"
        f"decode(build_index(sys.argv[1]), sys.argv[2], {SIDE})\n")
    process = subprocess.Popen([sys.executable, "-c", script, index.dataroot, cache], stdout=subprocess.PIPE, cwd=ROOT)
    try:
        assert process.stdout.readline() == b"decoding\n"
        assert [name.startswith(".building-") for name in files(place)] == [True]
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    images = decode(index, cache, SIDE)[1]
    assert len(images) == 3 and len(files(place)) == 3


@pytest.mark.parametrize("damage", ["short", "no trailer", "other shape", "no array"])
def test_a_damaged_cache_is_made_anew(index, cache, place, damage):
    images = decode(index, cache, SIDE)[1]
    good = np.array(images["clip"])
    del images
    path = os.path.join(place, files(place)[0])
    with open(path, "rb") as stream:
        content = stream.read()
    with open(path, "wb") as stream:
        if damage == "other shape":
            np.save(stream, good[1:])
            stream.write(b"[]")
        else:
            stream.write({"short": content[:-50], "no trailer": content[:-2], "no array": b"x" * 999}[damage])
    np.testing.assert_array_equal(decode(index, cache, SIDE)[1]["clip"], good)


def test_several_builders_agree(index, cache, place):
    results, failures = [], []

    def build():
        try:
            results.append(decode(index, cache, SIDE, workers=1)[1])
        except BaseException as problem:
            failures.append(problem)

    threads = [threading.Thread(target=build) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and len(files(place)) == 3
    for images in results:
        np.testing.assert_array_equal(images["photo"], results[0]["photo"])


def test_who_waits_for_another_builder_can_be_stopped(index, cache, place):
    os.makedirs(place)
    calls = []

    def stop_later(done, total):
        calls.append(done)
        if len(calls) > 2:
            raise Stop

    with cache_file.sole_builder(place, lambda: None):
        started = time.monotonic()
        with pytest.raises(Stop):
            decode(index, cache, SIDE, on_progress=stop_later)
    assert time.monotonic() - started < 5
    assert files(place) == []


# ---- no room

def test_what_cannot_fit_is_refused_before_it_is_begun(index, cache, place):
    with pytest.raises(CacheError) as caught:
        decode(index, cache, 400000)  # 30 TB
    assert cache in str(caught.value) and "MB free" in str(caught.value) and "clip, photo, sketch" in str(caught.value)
    assert files(place) == []


def test_a_disk_that_fills_up_on_the_way_is_told_and_leaves_nothing_behind(index, cache, place):
    # A limit on the size of files fails as a full disk does: a write is cut short, the next one raises.
    script = (
        "import resource, sys\n"
        "from masf_core.data import build_index, decode\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "try:\n"
        f"    decode(build_index(sys.argv[1]), sys.argv[2], {SIDE})\n"
        "except OSError as problem:\n"
        "    print(type(problem).__name__, problem)\n")
    output = subprocess.check_output([sys.executable, "-c", script, index.dataroot, cache], cwd=ROOT).decode()
    assert output.startswith("CacheError") and cache in output and "File too large" in output and "are free" in output
    assert files(place) == []


def test_a_directory_that_cannot_be_made_is_told(index, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match="cannot be created"):
        decode(index, str(tmp_path / "file" / "cache"), SIDE)


def test_cache_errors_are_both_of_their_kinds():
    assert issubclass(CacheError, MasfError) and issubclass(CacheError, OSError)


def test_the_default_limit_lets_photographs_through():
    assert decode_cache.MAX_PIXELS == 50000000
