"""Host share: the cost of an iteration besides the network's arithmetic, at 3 × 126 images of 227×227.

The whole training loop runs as in a job: ``Trainer`` with its ``Prefetcher``, ``Model``, and the job's own observer,
which writes scalars and a log line for every iteration. Only the network is replaced: it uses one pixel in 113 × 113
and has a few dozen weights. So the step has almost no arithmetic, but all 58 MB of uint8 are drawn, handed over and
fed. (A real network converts them to float. That would be part of the figure here, while an accelerator does it
itself.) All operations of MASF's step are there except the local loss: its comparisons of all triples of 126 images
are arithmetic, too, and would be most of the step on a processor. A second figure includes it.

An iteration takes as long as the longer of two halves, which run at the same time: drawing the next episode, limited by
memory bandwidth, and everything else, limited by the session's overhead for a call. Then each part is timed alone.
"""
from __future__ import annotations

import collections
import os
import time
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Sequence, Tuple

import numpy as np

from benchmarks import images
from benchmarks.measuring import Figure, alternate, parser, report
from masf_core.data import SourceDomain

if TYPE_CHECKING:
    from job.observer import JobObserver
    from masf_core.model import Model

ITERATIONS, WARM_UP = 60, 20  # of a training; an iteration is about 20 ms
REPEATS = 10  # of each part in one timing
CALLS = 100  # of what takes microseconds
TARGET_MS = 25
EVERY = 113  # pixels; 3 × 3 of them are looked at


def main() -> None:
    arguments = parser("benchmarks.host", __doc__, rounds=7).parse_args()
    with images.scratch() as directory:
        index, sources = images.decoded_sources(directory)
        with small_model(len(index.classes), beta2=0.0) as model, small_model(len(index.classes)) as with_local_loss:
            figures = iterations({
                "iteration, whole host cost": model, "the same with the local loss": with_local_loss,
            }, sources, index.classes, directory, arguments.rounds)
            figures += parts(model, sources, directory, arguments.rounds)
    report("host", "Host share", figures, arguments.out)


def iterations(models: Dict[str, Model], sources: List[SourceDomain], classes: Sequence[str], directory: str,
               rounds: int) -> List[Figure]:
    """A figure for each of the models (title to ``Model``), trained in turn."""
    taken = collections.OrderedDict((title, []) for title in models)
    for _ in range(rounds):
        for title, model in models.items():
            taken[title].append(1000.0 * training(model, sources, classes, directory))
    return [Figure(title, values, "ms", ("<=", TARGET_MS), "the longer of drawing and the rest")
            for title, values in taken.items()]


def small_model(classes: int, **settings: Any) -> Model:
    """A ``Model`` at the published batch with almost no arithmetic. settings: of ``StepSettings``."""
    from masf_core.devices import choice
    from masf_core.method.meta_step import StepSettings
    from masf_core.model import Model
    from masf_core.network import layers
    from masf_core.network.backbone import Backbone
    from masf_core.tf1 import tf

    class Glance(Backbone):
        """A few pixels, a dense layer of features and one of logits."""

        feature_width = 8

        def shapes(self):
            seen = 3 * len(range(0, self.image_size, EVERY)) ** 2
            return collections.OrderedDict([
                ("hidden/weights", (seen, self.feature_width)), ("hidden/biases", (self.feature_width,)),
                ("top/weights", (self.feature_width, self.num_classes)), ("top/biases", (self.num_classes,))])

        def preprocess(self, pixels):
            seen = tf.cast(pixels[:, ::EVERY, ::EVERY], tf.float32) / 255.0 - 0.5
            return tf.reshape(seen, [pixels.shape.as_list()[0], -1])

        def forward(self, inputs, weights, dropout, done=0):
            features = tf.nn.relu(layers.dense(inputs, weights["hidden/weights"], weights["hidden/biases"]))
            return features, layers.dense(dropout(features, 0), weights["top/weights"], weights["top/biases"])

    step = StepSettings(meta_batch_size=images.BATCH, source_domains=images.SOURCES, metric_hidden=8,
                        metric_embedding=8, **settings)
    model = Model(Glance(classes), step, images.BATCH, choice.make_device("cpu").session_config(), images.SEED)
    model.initialise()
    return model


def training(model: Model, sources: List[SourceDomain], classes: Sequence[str], directory: str) -> float:
    """Seconds per iteration of a training, without the first iterations and the evaluation at its end."""
    from masf_core.records.checkpoints import Progress
    from masf_core.trainer import EvaluationSet, Schedule, Trainer

    ends = []
    first = sources[0]
    a_few = EvaluationSet("target", first.images, first.labels, first.rows[:images.BATCH])
    with Writing(directory) as observer:
        observe = observer.iteration

        def iteration(*about):
            observe(*about)
            ends.append(time.perf_counter())

        observer.iteration, observer.interval = iteration, lambda progress: None
        Trainer(model, images.sampler(sources), a_few, [a_few], classes, Schedule(ITERATIONS, ITERATIONS),
                Progress(iteration=0, history=[], pending=[], details={}), observer).run()
    return (ends[-1] - ends[WARM_UP - 1]) / (ITERATIONS - WARM_UP)


class Writing:
    """The job's observer. It writes scalars below ``directory`` and log lines to /dev/null for every iteration."""

    def __init__(self, directory: str):
        self._directory = directory

    def __enter__(self) -> JobObserver:
        from job.config.settings import Config, Interval
        from job.console import Console
        from job.observer import JobObserver
        from job.start_times import StartTimes
        from masf_core.records.logs import ScalarWriter

        self._stream = open(os.devnull, "w")
        self._console = console = Console(stream=self._stream)
        console.set_up_logging()
        self._scalars = ScalarWriter(os.path.join(self._directory, "scalars"))
        config = Config(interval=Interval(print_interval=1, summary_interval=1))
        times = StartTimes()
        times.end("first_iteration")  # what is said once, about the first one, is no part of an iteration's cost
        return JobObserver(config, console, workspace=None, model=None, record=None, publisher=None,
                           scalars=self._scalars, times=times)

    def __exit__(self, *_: object) -> None:
        self._console.give_back_logging()
        self._scalars.close()
        self._stream.close()


def parts(model: Model, sources: List[SourceDomain], directory: str, rounds: int) -> List[Figure]:
    """Figures of each part of an iteration, timed alone."""
    from masf_core.data.prefetch import Prefetcher
    from masf_core.tf1 import tf

    sampler = images.sampler(sources)
    fixed, buffers, steps = sampler.draw(0), sampler.buffers(), iter(range(1, 10 ** 9))
    scalars = model.step(fixed)
    graph = tf.Graph()
    with graph.as_default():
        fed = tf.placeholder(tf.uint8, fixed.images.shape)
        corner = fed[0, 0, 0, 0, 0]
    unaligned = np.empty(fixed.images.nbytes + 1, np.uint8)
    unaligned = unaligned[1 - unaligned.ctypes.data % 2:][:fixed.images.nbytes].reshape(fixed.images.shape)
    with tf.Session(graph=graph) as session, Writing(directory) as observer:
        idle = Prefetcher(_Waiting(), 0, 10 ** 9)
        with idle:
            seconds = alternate({
                "draw": _times(REPEATS, lambda: sampler.draw(next(steps), buffers)),
                "step": _times(REPEATS, lambda: model.step(fixed)),
                "feed": _times(REPEATS, lambda: session.run(corner, {fed: fixed.images})),
                "feed unaligned": _times(REPEATS, lambda: session.run(corner, {fed: unaligned})),
                "observe": _times(CALLS, lambda: observer.iteration(1, scalars, 1.0)),
                "hand over": _times(CALLS, lambda: next(idle)),
            }, rounds)

    def figure(what, name, calls, limit=""):
        return Figure(what, [1000.0 * taken / calls for taken in seconds[name]], "ms", None, limit)

    return [
        figure("drawing alone", "draw", REPEATS, "memory bandwidth"),
        figure("step alone: feed, run, fetch", "step", REPEATS, "TensorFlow's overhead an operation"),
        figure("feeding 58 MB alone", "feed", REPEATS, "no copy, as buffers are aligned"),
        figure("feeding 58 MB alone, not aligned", "feed unaligned", REPEATS, "a copy"),
        figure("log line and scalars alone", "observe", CALLS),
        figure("hand-over between threads alone", "hand over", CALLS),
    ]


def _times(count: int, action: Callable[[], object]) -> Callable[[], None]:
    def act():
        for _ in range(count):
            action()
    return act


class _Waiting:
    """A sampler that has nothing to draw."""

    def buffers(self) -> Tuple[()]:
        return ()

    def draw(self, step: int, out: Tuple[()]) -> int:
        return step


if __name__ == "__main__":
    main()
