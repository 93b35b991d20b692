"""The log says what is compiled for a card, and each graph of a run is compiled before it is needed."""

from types import SimpleNamespace

import pytest

from job.compilation import Compilation, announced, compile_early, graphs_of
from job.config.settings import config_of
from job.stopping import Stopped


def config(**values):
    return config_of(dict({"train_iterations": 10}, **values))


def group(rank=0, size=1):
    gathered = []
    return SimpleNamespace(rank=rank, size=size, gathered=gathered,
                           gather=lambda value, what, seconds: gathered.append(what))


class FakeModel:
    def __init__(self):
        self.calls = []

    def compile_early(self, snapshot, histogram):
        self.calls.append((snapshot, histogram))


@pytest.mark.parametrize("rank, size, histogram_interval, expected", [
    (0, 1, 0, "loading evaluation snapshot training"),
    (0, 1, 5, "loading evaluation snapshot histogram training"),
    (0, 2, 0, "loading broadcast evaluation snapshot training"),
    (1, 2, 5, "loading broadcast evaluation training"),
])
def test_a_rank_compiles_the_graphs_that_it_runs(rank, size, histogram_interval, expected):
    assert graphs_of(config(histogram_interval=histogram_interval), group(rank, size)) == expected.split()


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
    (True, 0, 0, [(True, True)]), (True, 1, 0, [(False, False)]), (True, 0, 10, []), (False, 0, 0, [])])
def test_only_a_device_that_compiles_runs_graphs_early(compiles, rank, iteration, expected):
    model, here, ranks = FakeModel(), SimpleNamespace(compiles=compiles), group(rank, 2)
    compile_early(model, here, config(histogram_interval=5), ranks, iteration)
    assert model.calls == expected
    assert len(ranks.gathered) == len(expected)  # the ranks wait for one another only where they compile


def test_a_processor_announces_nothing():
    console = SimpleNamespace(check_stop=lambda: None)
    assert announced(SimpleNamespace(compiles=False), config(), console, group()) is None
    assert announced(SimpleNamespace(compiles=True), config(), console, group()) is not None
