"""The log says what is compiled for a card, and each graph of a run is compiled before it is needed."""

from types import SimpleNamespace

import pytest

from job.compilation import Compilation, announced, compile_early, graphs_of
from job.config.settings import config_of
from job.stopping import Stopped


def a_run(check_stop=lambda: None, **values):
    config = config_of(dict({"train_iterations": 10}, **values))
    return SimpleNamespace(config=config, console=SimpleNamespace(check_stop=check_stop))


def group(rank=0, size=1):
    gathered = []
    return SimpleNamespace(rank=rank, size=size, gathered=gathered,
                           gather=lambda value, what, seconds: gathered.append(what),
                           hold_stop=lambda: gathered.append("hold"))


class FakeModel:
    def __init__(self):
        self.calls = []

    def compile_early(self, snapshot, histogram):
        self.calls.append(("early", snapshot, histogram))
        return {"weights": 1.0} if snapshot else None

    def compile_training(self):
        self.calls.append("training")

    def load(self, values):
        self.calls.append(("load", values))

    def share(self):
        self.calls.append("share")


@pytest.mark.parametrize("rank, size, resumes, histogram_interval, expected", [
    (0, 1, False, 0, "initialisation loading evaluation snapshot training"),
    (0, 1, True, 0, "loading evaluation snapshot training"),
    (0, 1, False, 5, "initialisation loading evaluation histogram snapshot training"),
    (0, 2, True, 0, "loading broadcast evaluation snapshot training"),
    (1, 2, False, 5, "initialisation broadcast evaluation training"),
    (1, 2, True, 5, "initialisation broadcast evaluation training"),
])
def test_a_rank_compiles_the_graphs_that_it_runs(rank, size, resumes, histogram_interval, expected):
    config = a_run(histogram_interval=histogram_interval).config
    assert graphs_of(config, group(rank, size), resumes) == expected.split()


def test_a_line_before_and_one_with_the_seconds_after(caplog):
    caplog.set_level("INFO")
    clock = iter([0.0, 93.4, 100.0, 100.25]).__next__
    compilation = Compilation(["loading", "training"], lambda: None, clock)
    for graph in ("loading", "training"):
        with compilation(graph):
            pass
    assert [record.getMessage() for record in caplog.records] == [
        "compiling the loading graph for the card (1 of 2); this takes minutes", "compiled in 93 s",
        "compiling the training graph for the card (2 of 2); this takes minutes", "compiled in 0.2 s"]


def test_nothing_more_is_compiled_once_the_job_is_to_stop(caplog):
    caplog.set_level("INFO")

    def check_stop():
        raise Stopped(15)

    with pytest.raises(Stopped):
        with Compilation(["loading"], check_stop)("loading"):
            raise AssertionError("not reached")
    assert not caplog.records


@pytest.mark.parametrize("compiles, rank, iteration, expected", [
    (True, 0, 0, [("early", True, True), "training", ("load", {"weights": 1.0}), "share"]),
    (True, 1, 0, [("early", False, False), "training", "share"]), (True, 0, 10, []), (False, 0, 0, [])])
def test_only_a_device_that_compiles_runs_graphs_early_and_the_variables_are_those_of_before(
        compiles, rank, iteration, expected):
    model, here, ranks = FakeModel(), SimpleNamespace(compiles=compiles), group(rank, 2)
    compile_early(a_run(histogram_interval=5), model, here, ranks, iteration)
    assert model.calls == expected
    # The ranks wait for one another only where they compile, and from then on they stop together.
    assert ranks.gathered == (["the compilation of the training graph"] if expected else []) + ["hold"]


def test_a_stop_that_the_ranks_agreed_on_while_they_compiled_ends_all_of_them_at_the_same_place():
    model = FakeModel()

    def check_stop():
        raise Stopped(15)

    with pytest.raises(Stopped):
        compile_early(a_run(check_stop=check_stop), model, SimpleNamespace(compiles=True), group(0, 2), 0)
    assert model.calls[-1] == "training"  # no rank is in the broadcast, where it would wait for the others


def test_a_processor_announces_nothing():
    assert announced(a_run(), SimpleNamespace(compiles=False), group(), False) is None
    assert announced(a_run(), SimpleNamespace(compiles=True), group(), False) is not None
