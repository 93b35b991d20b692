"""CANN's operator list: found where the adapter looks for it, and its absence is an error."""
from __future__ import annotations

import os

import pytest

from masf_core.devices.ascend import operators
from masf_core.tf1 import tf
from tests.masf_core.devices.ascend import stand_in
from tests.masf_core.devices.ascend.test_npu_bridge import configuration


@pytest.mark.parametrize("place", operators.FOLDERS)
def test_the_list_is_found_in_either_place(tmp_path, place):
    stand_in.write_operator_list(str(tmp_path), without=["LRN"], place=place)
    found = operators.installed_list({"ASCEND_OPP_PATH": str(tmp_path)})
    assert found.installed and found.source == os.path.join(str(tmp_path), place, operators.NAME)
    assert found.lacking(["LRN", "Conv2D", "Cross"]) == ["Cross", "LRN"] and "DynamicStitch" in found.gray


def test_without_the_variable_the_list_is_cann_s_usual_one():
    assert operators.places({})[0].startswith("/usr/local/Ascend/opp/framework/")
    assert operators.places({"ASCEND_OPP_PATH": ""}) == operators.places({})


@pytest.mark.parametrize("content", ["", "[]", "{}", "{", "[" * 100000, "\xff"])
def test_a_list_that_cannot_be_read_is_one_error(tmp_path, content):
    stand_in.write_operator_list(str(tmp_path))
    path = operators.find_list({"ASCEND_OPP_PATH": str(tmp_path)})
    with open(path, "w", encoding="latin-1") as stream:
        stream.write(content)
    with pytest.raises(ValueError, match="cannot be read: .*Install CANN's opp package again"):
        operators.installed_list({"ASCEND_OPP_PATH": str(tmp_path)})


def test_the_list_that_the_package_carries_says_of_which_cann_it_is():
    known = operators.bundled_list()
    assert len(known.names) == 690 and not known.installed and "20.1" in known.about
    assert known.gray <= known.names
    assert set(operators.CONVOLUTIONS) | {"MaxPool", "MaxPoolGrad"} <= operators.no_float32() <= known.names


# -- the stand-in leaves the rest to the host

def ran(fake, fetches, **options):
    with tf.Session(config=configuration(**options)) as session:
        session.run(fetches)
    entry = fake.records("graph")[-1]
    return entry["on_card"], entry["on_host"]


def chain():
    """Operations of which the middle one is in no list."""
    return tf.nn.relu(tf.math.lgamma(tf.matmul(tf.ones([2, 2]), tf.ones([2, 2]))))


def test_an_operation_outside_the_list_splits_the_graph(monkeypatch):
    with stand_in.npu_bridge(monkeypatch) as fake, tf.Graph().as_default():
        assert ran(fake, chain()) == (2, ["Lgamma"])
        assert ran(fake, tf.nn.relu(tf.ones([2]))) == (1, [])


def test_an_operation_before_or_after_everything_leaves_one_graph(monkeypatch):
    with stand_in.npu_bridge(monkeypatch) as fake, tf.Graph().as_default():
        assert ran(fake, tf.math.lgamma(tf.matmul(tf.ones([2, 2]), tf.ones([2, 2])))) == (1, ["Lgamma"])


def test_gray_operations_stay_on_the_host_in_mixed_compilation_alone(monkeypatch):
    with stand_in.npu_bridge(monkeypatch) as fake, tf.Graph().as_default():
        stitched = tf.nn.relu(tf.dynamic_stitch([[0, 1]], [tf.nn.relu(tf.ones([2]))]))
        assert ran(fake, stitched) == (1, [])
        assert ran(fake, stitched, mix_compile_mode=("b", True)) == (2, ["DynamicStitch"])


def test_without_a_list_everything_stays_on_the_host(monkeypatch, tmp_path):
    with stand_in.npu_bridge(monkeypatch, ASCEND_OPP_PATH=str(tmp_path)) as fake, tf.Graph().as_default():
        assert ran(fake, tf.nn.relu(tf.ones([2])))[0] == 0
