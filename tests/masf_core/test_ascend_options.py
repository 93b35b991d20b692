"""Options of the Ascend adapter: what the adapter would pass over without a word is an error here."""
from __future__ import annotations

import pytest

from masf_core.ascend_options import HELD, OPTIONS, PRECISION_MODES, AscendSettings, parameters_of, read_options
from masf_core.tf1 import tf


def test_every_option_that_is_held_back_is_one():
    assert set(HELD) <= set(OPTIONS)


def test_the_table_has_as_many_as_the_adapters_first_release():
    assert len([name for name, option in OPTIONS.items() if option.since == "r1.5"]) == 54


def test_values_become_those_of_their_options_types():
    assert dict(read_options(["mix_compile_mode=True", "hccl_timeout=07", "debug_dir=/a=b c"])) == {
        "mix_compile_mode": True, "hccl_timeout": 7, "debug_dir": "/a=b c"}


@pytest.mark.parametrize("text, problem", [
    ("op_debug_levle=1", "the adapter knows no such option; did you mean 'op_debug_level'?"),
    ("zzz=1", "the adapter knows no such option, and would pass over it without a word"),
    ("op_debug_level=high", "expected a whole number, at least 0"),
    ("op_debug_level=-1", "expected a whole number, at least 0"),
    ("mix_compile_mode=on", "expected true or false"),
    ("jit_compile=1", "expected one of true, false, auto"),
    ("debug_dir=", "expected a value behind the equals sign"),
    ("op_debug_level", "expected name=value"),
    ("precision_mode=force_fp16", "it is not yours to set: use the setting precision_mode"),
    ("dynamic_input=true", "it is not yours to set: every shape is fixed"),
])
def test_a_mistake_says_what_was_expected(text, problem):
    with pytest.raises(ValueError) as caught:
        read_options([text])
    assert str(caught.value) == "ascend_options: {!r}: {}".format(text, problem)


def test_all_mistakes_are_told_at_once():
    with pytest.raises(ValueError) as caught:
        read_options(["zzz=1", "op_debug_level=1", "op_debug_level=2", "enable_dump=true"])
    assert len(str(caught.value).splitlines()) == 3


def test_options_that_need_one_another():
    with pytest.raises(ValueError, match="needs dump_path"):
        read_options(["enable_dump=1"])
    with pytest.raises(ValueError, match="needs op_select_implmode"):
        read_options(["optypelist_for_implmode=Pow"])
    read_options(["enable_dump=1", "dump_path=/d"])


def test_one_folder_cannot_be_given_twice():
    settings = AscendSettings(overflow_dump_dir="/o", ascend_options=("dump_path=/d",))
    with pytest.raises(ValueError, match="dump_path is set by overflow_dump_dir already"):
        parameters_of(settings, "force_fp32", 1)


def test_every_mode_of_precision_is_one_for_the_adapter():
    assert OPTIONS["precision_mode"].values == tuple(PRECISION_MODES)


def test_every_kind_is_a_field_of_tensorflows_message():
    fields = tf.ConfigProto().graph_options.rewrite_options.custom_optimizers.add().parameter_map["x"]
    assert all(hasattr(fields, option.kind) for option in OPTIONS.values())
