"""A built network in a session: load values, run an iteration, evaluate, take a snapshot.

The only owner of a session. After construction the graph is finalised: nothing is ever added to it during a run.
"""
from __future__ import annotations

from typing import NamedTuple

from masf_core import evaluation, meta_step
from masf_core.checkpoints import is_scale
from masf_core.device import DeviceError
from masf_core.network import metric_net
from masf_core.randomness import derive_seed
from masf_core.tf1 import tf


class Model:
    """MASF's graphs and their session.

    Args:
        backbone: a ``Backbone``. settings: ``meta_step.StepSettings``. evaluation_batch: images.
        session_config: ``tf.ConfigProto`` (see ``device``). seed: of dropout and of fresh initial values.
        on_stage: called with "graph" and "session" once they are there. taking: ``Gradients`` of the device, or None.
    """

    def __init__(self, backbone, settings, evaluation_batch, session_config, seed, on_stage=lambda name: None,
                 taking=None):
        self.backbone = backbone
        self.settings = settings
        self.seed = seed
        self._dropout_seed = derive_seed(seed, "dropout")
        graph = tf.Graph()
        with graph.as_default():
            self.training = meta_step.build(backbone, settings, taking)
            self.evaluation = evaluation.build(backbone, self.training.network, evaluation_batch)
            self._loaders = {name: _loader(variable) for name, variable in self.training.state.items()}
            # A variable is not filled as built only to be loaded: those 1.2 GB take as long as the loading.
            self._as_built = {name: variable.initializer for name, variable in self.training.state.items()}
        graph.finalize()
        on_stage("graph")
        self.session = tf.Session(graph=graph, config=session_config)
        on_stage("session")

    def close(self):
        self.session.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def shapes(self):
        """Name → shape of every variable that a checkpoint holds."""
        return {name: tuple(variable.shape.as_list()) for name, variable in self.training.state.items()}

    def initialise(self, pretrained=None):
        """Fresh values from the seed for θ and φ, then the pretrained ones over them; moments stay as built.

        Args:
            pretrained: dict variable name → array (``Backbone.from_pretrained``), or None.
        """
        values = dict(pretrained or {})
        values.update(self.backbone.initial_values(self.seed, but=values))
        values.update(metric_net.initial_values(self.training.metric, self.seed))
        self.load(values)

    def load(self, values):
        """Set variables, all in one run: TensorFlow prepares a program for every set of operations it is asked for,
        which for a hundred variables takes ten times as long as copying their 1.2 GB.

        The first time, those that ``values`` lacks become as built: moments of zero. A loss scale that this precision
        has not is left out.
        """
        values = {name: value for name, value in values.items() if name in self._loaders or not is_scale(name)}
        loaders = {name: self._loaders[name] for name in values}
        fill = [operation for name, operation in self._as_built.items() if name not in values]
        self.session.run(fill + [loader.assign for loader in loaders.values()],
                         {loader.value: values[name] for name, loader in loaders.items()})
        self._as_built = {}

    def snapshot(self):
        """Copies of every variable: dict name → float32 array. Training may go on while they are written."""
        return self.session.run(self.training.state)

    def weights(self):
        """θ and φ alone: dict name → float32 array."""
        return self.session.run(dict(self.training.network, **self.training.metric))

    def step(self, episode):
        """Run one iteration.

        Args:
            episode: ``data.episodes.Episode``.

        Returns:
            dict scalar name → float, of the losses before the update.

        Raises:
            DeviceError: out of memory.
        """
        graph = self.training
        try:
            scalars, _ = self.session.run([graph.scalars, graph.train], {
                graph.images: episode.images,
                graph.labels: episode.labels,
                graph.dropout_seed: [self._dropout_seed, episode.step],
            })
        except tf.errors.ResourceExhaustedError as error:
            raise DeviceError("the device has too little memory for {} images of each domain at once; lower "
                              "meta_batch_size".format(self.settings.meta_batch_size)) from error
        return {name: float(value) for name, value in scalars.items()}

    def evaluate(self, images, labels, rows, on_progress=None):
        """``evaluation.evaluate`` with the current weights."""
        return evaluation.evaluate(self.session, self.evaluation, images, labels, rows,
                                   self.backbone.num_classes, on_progress)


class _Loader(NamedTuple):
    value: "tf.Tensor"
    assign: "tf.Operation"


def _loader(variable):
    value = tf.placeholder(variable.dtype.base_dtype, variable.shape)
    return _Loader(value, tf.assign(variable, value).op)
