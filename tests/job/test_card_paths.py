"""Each rank on a card works in a folder of its own, and relative paths keep their meaning."""

import os
import sys
from types import SimpleNamespace

import pytest

from job.card_paths import OPTIONS, VARIABLES, ascend_settings, on_card, place_below, place_of, work_in
from job.config.settings import Ascend
from job.errors import CannFailed
from job.workspace import prepare_workspace
from masf_core.devices.ascend.options import OPTIONS as KNOWN
from masf_core.tf1 import tf


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return place_of(prepare_workspace("work", "run"), SimpleNamespace(rank=3, size=8))


def test_every_rank_has_a_place_of_its_own_and_shares_what_was_compiled(place, tmp_path):
    assert place.folder == str(tmp_path / "work" / "runs" / "run" / "cann" / "rank-3")
    assert place.kernels == str(tmp_path / "work" / "kernels")


@pytest.mark.parametrize("given, expected", [(None, "work/kernels"), ("none", None), ("cache", "cache")])
def test_the_folder_of_compiled_operations(place, tmp_path, given, expected):
    found = ascend_settings(Ascend(compile_cache_dir=given), place).compile_cache_dir
    assert found == (expected and str(tmp_path / expected))


def test_outside_a_run_nothing_is_kept_unless_a_folder_is_named():
    assert ascend_settings(Ascend()).compile_cache_dir is None
    assert ascend_settings(Ascend(compile_cache_dir="none")).compile_cache_dir is None
    assert ascend_settings(Ascend(compile_cache_dir="cache", mix_list="m")) == (
        None, None, "cache", "m", (), "auto", None)


def test_paths_of_the_user_become_absolute_and_a_debug_dir_is_divided_among_the_ranks(place, tmp_path):
    found = ascend_settings(Ascend(
        profile_dir="p", overflow_dump_dir="/o", mix_list="m.json",
        ascend_options=("debug_dir=d", "fusion_switch_file=f.cfg", "op_debug_level=1", "dump_step=0|5")), place)
    assert found[:5] == (str(tmp_path / "p"), "/o", str(tmp_path / "work" / "kernels"), str(tmp_path / "m.json"), (
        f"debug_dir={tmp_path}/d/rank-3", f"fusion_switch_file={tmp_path}/f.cfg", "op_debug_level=1", "dump_step=0|5"))


def test_an_only_rank_takes_a_debug_dir_as_it_is(place, tmp_path):
    found = ascend_settings(Ascend(ascend_options=("debug_dir=d",)), place._replace(rank=None))
    assert found.ascend_options == (f"debug_dir={tmp_path}/d",)


def test_every_option_that_is_a_path_is_an_option_of_the_adapter():
    assert [name for name in OPTIONS if name not in KNOWN] == []
    named = [name for name in KNOWN if name.endswith(("_dir", "_path", "_file")) and name != "op_compiler_cache_dir"]
    assert [name for name in named if name not in OPTIONS] == []


def test_relative_paths_in_the_environment_keep_their_meaning(place, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", ["", "lib", "/absolute"])
    environ = {name: "some/file" for name in VARIABLES}
    environ.update(PYTHONPATH=os.pathsep.join(["code", "", "/absolute"]), HOME="as it is")
    work_in(place.folder, environ)
    assert os.path.realpath(os.curdir) == os.path.realpath(place.folder)
    assert {environ[name] for name in VARIABLES} == {str(tmp_path / "some" / "file")}
    assert environ["PYTHONPATH"] == os.pathsep.join([str(tmp_path / "code"), "", "/absolute"])
    assert environ["HOME"] == "as it is"
    assert sys.path == [str(tmp_path), str(tmp_path / "lib"), "/absolute"]


def test_a_command_without_a_run_works_in_a_folder_of_its_own_and_comes_back(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = place_below("work", "bench", SimpleNamespace(rank=3, size=8))
    assert place == (str(tmp_path / "work" / "kernels"), str(tmp_path / "work" / "bench" / "cann" / "rank-3"), "rank-3")
    with pytest.raises(CannFailed, match="CANN wrote no log below"):
        with on_card("ascend", place, {"ASCEND_PROCESS_LOG_PATH": str(tmp_path / "plogs")}):
            assert os.getcwd() == os.path.realpath(place.folder)
            raise tf.errors.InternalError(None, None, "GeOp failed")
    assert os.getcwd() == os.path.realpath(str(tmp_path))
    with on_card("cpu", place_below("other", "bench", SimpleNamespace(rank=0, size=1)), {}):
        assert os.getcwd() == os.path.realpath(str(tmp_path)) and not os.path.exists("other")
