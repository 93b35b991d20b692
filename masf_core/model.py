"""A built network in a session: load values, run an iteration, evaluate, take a snapshot.

The only owner of a session. After construction the graph is finalised: nothing is ever added to it during a run.
"""
from __future__ import annotations

import contextlib
from typing import Any, Callable, ContextManager, Dict, Iterator, List, Mapping, NamedTuple, Optional, Set, Tuple

import numpy as np

from masf_core import evaluation
from masf_core.data.episodes import Episode
from masf_core.devices.device import DeviceError
from masf_core.method import meta_step
from masf_core.method.gradients import Gradients
from masf_core.method.variables import make_variables
from masf_core.network import metric_net
from masf_core.network.backbone import Backbone
from masf_core.randomness import derive_seed
from masf_core.records.checkpoints import is_scale
from masf_core.tf1 import tf


STOP = "wants_to_stop"  # beside the scalars: the part of the ranks that were asked to stop


class Graphs(NamedTuple):
    """Everything of a run's graph that is fetched, but for what fills variables.

    scalars: name → those of an iteration over all ranks. wants_to_stop: placeholder, None where there is one rank.
    broadcast: gives every rank rank 0's variables; None likewise.
    """

    training: meta_step.TrainingGraph
    scalars: Dict[str, "tf.Tensor"]
    wants_to_stop: Optional["tf.Tensor"]
    evaluation: evaluation.EvaluationGraph
    broadcast: Optional["tf.Operation"]


def build(backbone: Backbone, settings: meta_step.StepSettings, evaluation_batch: int, taking: Gradients) -> Graphs:
    """The ``Graphs`` of a run, in the default graph; arguments as of ``Model``."""
    ranks = taking.ranks
    training = meta_step.build(backbone, settings, taking)
    scalars, wants_to_stop = training.scalars, None
    if ranks.size > 1:
        wants_to_stop = tf.placeholder(tf.float32, [], name=STOP)
        scalars = ranks.mean(dict(scalars, **{STOP: wants_to_stop}))
    evaluated = evaluation.build(backbone, training.network, evaluation_batch)
    return Graphs(training, scalars, wants_to_stop, evaluated, ranks.broadcast(list(training.state.values())))


class Model:
    """MASF's graphs and their session.

    Args:
        evaluation_batch: images.
        session_config: ``tf.ConfigProto`` (see ``device``). seed: of dropout and of fresh initial values.
        on_stage: called with "graph" and "session" once they are there. taking: gradients as the device takes them.
        check_graph: called with the complete graph before a session takes it; see ``Device.check_graph``.
        compiling: of a device that compiles each graph in its first run: takes the name of the graph
            (initialisation, loading, broadcast, evaluation, snapshot, histogram or training), and gives the context
            manager of that run.
    """

    def __init__(self, backbone: Backbone, settings: meta_step.StepSettings, evaluation_batch: int,
                 session_config: Any, seed: int, on_stage: Callable[[str], None] = lambda name: None,
                 taking: Optional[Gradients] = None, check_graph: Callable[[tf.Graph], None] = lambda graph: None,
                 compiling: Callable[[str], ContextManager] = lambda graph: contextlib.nullcontext()) -> None:
        self.backbone = backbone
        self.settings = settings
        self.seed = seed
        taking = taking or Gradients()
        self.ranks = ranks = taking.ranks
        self._compiling = compiling
        self._compiled: Set[str] = set()  # names of the graphs that have run
        # Each rank drops other units of its own images.
        self._dropout_seed = derive_seed(seed, "dropout", *([ranks.rank] if ranks.rank else []))
        graph = tf.Graph()
        with graph.as_default(), ranks.placement():
            (self.training, self._scalars, self._wants_to_stop, self.evaluation, self._broadcast) = build(
                backbone, settings, evaluation_batch, taking)
            self._loaders = make_loaders(self.training.state)
            # A variable is not filled as built only to be loaded: those 1.2 GB take as long as the loading.
            self._as_built = {name: variable.initializer for name, variable in self.training.state.items()}
        self._is_filled = False
        graph.finalize()
        check_graph(graph)
        on_stage("graph")
        ranks.configure(session_config)
        self.session = tf.Session(ranks.target, graph=graph, config=session_config)
        on_stage("session")

    def close(self) -> None:
        """Close the session."""
        self.session.close()

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def shapes(self) -> Dict[str, Tuple[int, ...]]:
        """Name → shape of every variable that a checkpoint holds."""
        return {name: tuple(variable.shape.as_list()) for name, variable in self.training.state.items()}

    def initialise(self, pretrained: Optional[Mapping[str, np.ndarray]] = None) -> None:
        """Fresh values from the seed for θ and φ, then the pretrained ones over them; moments stay as built.

        Args:
            pretrained: variable name → array (``Backbone.from_pretrained``).
        """
        values = dict(pretrained or {})
        values.update(self.backbone.initial_values(self.seed, but=values))
        values.update(metric_net.initial_values(self.training.metric, self.seed))
        self.load(values)

    def load(self, values: Mapping[str, np.ndarray], afresh: bool = False) -> None:
        """Set variables, all in one run: TensorFlow prepares a program for every set of operations it is asked for,
        which for a hundred variables takes ten times as long as copying their 1.2 GB.

        The first time, and with ``afresh``, those that ``values`` lacks become as built: moments of zero. A loss scale
        that this precision has not is left out.
        """
        values = {name: value for name, value in values.items() if name in self._loaders or not is_scale(name)}
        loaders = {name: self._loaders[name] for name in values}
        fill = [operation for name, operation in self._as_built.items()
                if name not in values and (afresh or not self._is_filled)]
        with self._first_run("initialisation" if fill else "loading"):
            self.session.run(fill + [loader.assign for loader in loaders.values()],
                             {loader.value: values[name] for name, loader in loaders.items()})
        self._is_filled = True

    def share(self) -> None:
        """Give every rank rank 0's variables, all of them; every rank must have loaded something, and call this."""
        if self._broadcast is not None:
            with self._first_run("broadcast"):
                self.session.run(self._broadcast)

    def compile_early(self, snapshot: bool = True, histogram: bool = False) -> Optional[Dict[str, np.ndarray]]:
        """Run what is used between iterations once now, for a device that compiles each graph in its first run.

        No variable changes.

        Args:
            snapshot: this rank takes snapshots. histogram: it also calls ``weights``.

        Returns:
            the snapshot, if this rank takes any.
        """
        with self._first_run("evaluation"):
            evaluation.compile_early(self.session, self.evaluation)
        if histogram:
            self.weights()
        return self.snapshot() if snapshot else None

    def compile_training(self) -> None:
        """Run one iteration on black images, for a device that compiles each graph in its first run.

        The variables change: afterwards load a snapshot of before, and ``share`` it. All ranks must call this.

        Raises:
            DeviceError: out of memory.
        """
        images, labels = self.training.images.shape.as_list(), self.training.labels.shape.as_list()
        classes = np.arange(np.prod(labels), dtype=np.int32).reshape(labels) % self.backbone.num_classes
        self.step(Episode(np.zeros(images, np.uint8), classes, order=(), step=0))

    @contextlib.contextmanager
    def _first_run(self, graph: str) -> Iterator[None]:
        """``compiling`` around the first run of ``graph``; nothing around the later ones."""
        if graph in self._compiled:
            yield
            return
        with self._compiling(graph):
            yield
        self._compiled.add(graph)

    def snapshot(self) -> Dict[str, np.ndarray]:
        """Copies of every variable: name → float32 array. Training may go on while they are written."""
        with self._first_run("snapshot"):
            return self.session.run(self.training.state)

    def weights(self) -> Dict[str, np.ndarray]:
        """θ and φ alone: name → float32 array."""
        with self._first_run("histogram"):
            return self.session.run(dict(self.training.network, **self.training.metric))

    def step(self, episode: Episode) -> Dict[str, float]:
        """Run one iteration.

        Returns:
            scalar name → value, of the losses before the update, over the images of all ranks.

        Raises:
            DeviceError: out of memory.
        """
        graph = self.training
        feed = {
            graph.images: episode.images,
            graph.labels: episode.labels,
            graph.dropout_seed: [self._dropout_seed, episode.step],
        }
        if self._wants_to_stop is not None:
            feed[self._wants_to_stop] = float(self.ranks.stop.wanted())
        try:
            with self._first_run("training"):
                scalars, _ = self.session.run([self._scalars, graph.train], feed)
        except tf.errors.ResourceExhaustedError as error:
            raise DeviceError(f"the device has too little memory for {self.settings.meta_batch_size} images of each "
                              "domain at once. Lower meta_batch_size") from error
        except tf.errors.OpError:
            self.ranks.blame()
            raise
        if self._wants_to_stop is not None:
            self.ranks.stop.note(scalars.pop(STOP) > 0.0)
        return {name: float(value) for name, value in scalars.items()}

    def evaluate(self, images: np.ndarray, labels: np.ndarray, rows: np.ndarray,
                 on_progress: Optional[Callable[[int, int], None]] = None,
                 on_losses: Optional[evaluation.OnLosses] = None) -> evaluation.Evaluation:
        """``evaluation.evaluate`` with the current weights."""
        with self._first_run("evaluation"):
            return evaluation.evaluate(self.session, self.evaluation, images, labels, rows,
                                       self.backbone.num_classes, on_progress, self.ranks, on_losses=on_losses)

    def features(self, images: np.ndarray, rows: np.ndarray,
                 wanted: Callable[[], bool] = lambda: True) -> Optional[np.ndarray]:
        """``evaluation.features_of`` with the current weights."""
        return evaluation.features_of(self.session, self.evaluation, images, rows, wanted)


class EvaluationModel:
    """A trained network in a session of its own that only evaluates: it has no optimiser and no metric network.

    Args:
        values: variable name → float32 array, of every variable of ``backbone``. evaluation_batch: images.
        session_config: ``tf.ConfigProto`` (see ``device``). check_graph: see ``Model``.
    """

    def __init__(self, backbone: Backbone, values: Mapping[str, np.ndarray], evaluation_batch: int,
                 session_config: Any, check_graph: Callable[[tf.Graph], None] = lambda graph: None) -> None:
        self.backbone = backbone
        graph = tf.Graph()
        with graph.as_default():
            network = make_variables(backbone.shapes())
            self.evaluation = evaluation.build(backbone, network, evaluation_batch)
            loaders = make_loaders(network)
        graph.finalize()
        check_graph(graph)
        self.session = tf.Session(graph=graph, config=session_config)
        self.session.run([loader.assign for loader in loaders.values()],
                         {loader.value: values[name] for name, loader in loaders.items()})

    def __enter__(self) -> EvaluationModel:
        return self

    def __exit__(self, *_: Any) -> None:
        self.session.close()

    def evaluate(self, images: np.ndarray, labels: np.ndarray, rows: np.ndarray,
                 on_progress: Optional[Callable[[int, int], None]] = None,
                 on_images: Optional[evaluation.OnImages] = None) -> evaluation.Evaluation:
        """``evaluation.evaluate`` with the values.

        Raises:
            DeviceError: out of memory.
        """
        try:
            return evaluation.evaluate(self.session, self.evaluation, images, labels, rows,
                                       self.backbone.num_classes, on_progress, on_images=on_images)
        except tf.errors.ResourceExhaustedError as error:
            raise DeviceError("the device has too little memory to evaluate so many images at once. Lower "
                              "evaluation_batch") from error

    def logits(self, images: np.ndarray) -> np.ndarray:
        """float32 [n, C] of uint8 [n, S, S, 3] BGR, n ≥ 1; in batches, as ``evaluate``. Raises DeviceError."""
        found: List[np.ndarray] = []
        self.evaluate(images, np.zeros(len(images), np.int32), np.arange(len(images)),
                      on_images=lambda rows, predictions, logits: found.append(logits))
        return np.concatenate(found)


class Loader(NamedTuple):
    """What fills a variable: ``assign`` sets it to what ``value`` is fed."""

    value: "tf.Tensor"
    assign: "tf.Operation"


def make_loaders(state: Mapping[str, "tf.Variable"]) -> Dict[str, Loader]:
    """Name → what fills that variable, in the default graph."""
    loaders = {}
    for name, variable in state.items():
        value = tf.placeholder(variable.dtype.base_dtype, variable.shape)
        loaders[name] = Loader(value, tf.assign(variable, value).op)
    return loaders
