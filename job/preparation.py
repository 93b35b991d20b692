"""From inputs to a model that is ready to train: the data checked and decoded, the network built, its values loaded."""
from __future__ import annotations

import contextlib
import logging
from typing import Callable, ContextManager, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from job.cann_logs import explained
from job.card_paths import Place, ascend_settings, work_in
from job.compilation import announced
from job.config.contradictions import doubts
from job.config.settings import Config, settings
from job.errors import ConfigError
from job.inputs.early_weights import EarlyWeights
from job.inputs.fetch import Inputs
from job.inputs.indexing import index_data, refuse_other_data, summary, use_of
from job.opened_run import AnyRun, Run
from job.publication.patience import OPENING_SECONDS, Patience
from job.publication.restore import Restoring, clear_spool, undelivered
from job.publication.retention import name_best
from job.ranks.group import ALONE, Alone
from masf_core.data import Augmentation, EpisodeSampler, SourceDomain, decode
from masf_core.data import manifest
from masf_core.data.index import DatasetIndex
from masf_core.data.offences import Offences
from masf_core.devices import choice
from masf_core.devices.ascend.options import AscendSettings
from masf_core.devices.device import Device
from masf_core.method.step_settings import StepSettings, check_batch
from masf_core.method.loss_scale import ScaleSettings
from masf_core.model import EvaluationModel, Model
from masf_core.network.architecture import make_architecture
from masf_core.network.backbone import make_backbone
from masf_core.network.pretrained import is_network_file, read_pretrained
from masf_core.records.checkpoints import Progress
from masf_core.tf1 import VERSION
from masf_core.trainer import EvaluationSet, Observer, Schedule, Trainer

log = logging.getLogger(__name__)

OFFENDERS = "offenders.txt"  # every image and line at fault


class Start(NamedTuple):
    """Where training begins."""

    progress: Progress
    undelivered: List[Tuple[str, Progress]]  # checkpoints in the spool that the store does not have yet


class InitialWeights:
    """The pretrained values. They are read before images are decoded, so that a file that does not fit is found early.

    Args:
        path: the file, None to train from scratch. classes: names of the classes that its classifier distinguishes,
            None where they are not known. early: ``EarlyWeights``, which may have read the file already.
    """

    def __init__(self, config: Config, path: Optional[str], classes: Optional[Sequence[str]] = None,
                 early: Optional[EarlyWeights] = None) -> None:
        self._network, self._path, self._classes = config.network, path, classes
        self._values: Optional[Dict[str, np.ndarray]] = None
        self._layers = None if early is None else early.take_layers(path)

    def read(self, index: DatasetIndex) -> Optional[Dict[str, np.ndarray]]:
        """Arrays by variable name; None without a file.

        Raises:
            WeightsError: the file is damaged, or does not fit the network.
        """
        if self._values is None and self._path is not None:
            architecture = make_architecture(self._network.backbone, len(index.classes), self._network.width)
            layers = read_pretrained(self._path) if self._layers is None else self._layers
            self._values = architecture.from_pretrained(
                layers, self._path, with_classifier=self._same_classes(index))
            self._layers = None
        return self._values

    def _same_classes(self, index: DatasetIndex) -> bool:
        """Whether the file's classifier distinguishes these classes, as far as is known."""
        if not is_network_file(self._path):
            return False
        if self._classes is None or list(self._classes) == list(index.classes):
            return True
        log.warning("the classifier is initialised again: %s was trained on the classes %s, and the data have %s",
                    self._path, ", ".join(self._classes), ", ".join(index.classes))
        return False


def prepare_data(run: AnyRun, inputs: Inputs, before_decoding: Optional[Callable[[DatasetIndex], object]] = None,
                 ) -> Tuple[DatasetIndex, Dict[str, np.ndarray]]:
    """Index, check and decode.

    Args:
        before_decoding: called with the index before the images are decoded; it may raise.

    Returns:
        (``DatasetIndex``, dict domain → uint8 memory map [n, S, S, 3]).
    """
    pending = Offences()
    index = index_images(run, inputs, pending)
    if before_decoding is not None:
        before_decoding(index)
        run.times.mark("weights")
    return decode_images(run, index, pending)


def index_images(run: AnyRun, inputs: Inputs, pending: Offences, to_train: bool = True) -> DatasetIndex:
    """Index and check.

    Args:
        pending: collects what is wrong with single images and lines, for ``decode_images``.
        to_train: whether the configuration has to be one that the data can be trained with.
    """
    index = index_data(run.config, inputs.dataroot, inputs.filelist_root, run.workspace.log(OFFENDERS),
                       run.console.task("index", "files"), pending, to_train)
    run.times.mark("index")
    log.info("data: %s", summary(index, run.config.data.target_domain))
    return index


def decode_images(run: AnyRun, index: DatasetIndex, pending: Offences) -> Tuple[DatasetIndex, Dict[str, np.ndarray]]:
    """Decode the images of ``index``. Returns what ``prepare_data`` returns."""
    data, network = run.config.data, run.config.network
    side = make_architecture(network.backbone, len(index.classes), network.width).image_size
    indexed = index
    index, images = decode(
        index, run.workspace.decoded, image_size=side, max_pixels=data.max_pixels, bad_data=data.bad_data,
        offenders_path=run.workspace.log(OFFENDERS), on_progress=run.console.task("decode", "images"), pending=pending)
    if index is not indexed:
        log.info("data without the images that cannot be decoded: %s", summary(index, data.target_domain))
    run.times.mark("cache")
    return index, images


def note_data(run: Run, index: DatasetIndex) -> None:
    """Record in run.json what the data are. Raises ConfigError if the run began with other data."""
    refuse_other_data(run.store, run.record.content.get("data") or {}, index)
    with open(run.workspace.log(manifest.NAME), "wb") as stream:  # published with the logs
        stream.write(manifest.to_bytes(index))
    run.record.update(data={"fingerprint": index.fingerprint, "classes": list(index.classes),
                            "images": {domain.name: len(domain.used) for domain in index.domains},
                            "split": index.origin.split, "lists": list(index.origin.lists),
                            "left_out": list(index.origin.left_out),
                            "use": index.use(run.config.data.target_domain)})
    log.info("data: %s", use_of(index, run.config.data.target_domain))


def build_model(run: AnyRun, here: Device, index: DatasetIndex, group: Alone = ALONE,
                compiling: Optional[Callable[[str], ContextManager]] = None) -> Model:
    """The network and its session, which works together with those of the other processes of ``group``.

    Args:
        here: what ``device_of`` returned. compiling: see ``Model``.
    """
    config = run.config
    network = config.network
    backbone = make_backbone(network.backbone, len(index.classes), network.width, here.kernels())
    step = step_settings(config, len(index.domains) - 1)
    log.info("TensorFlow %s on %s: %s", VERSION, here.describe(), backbone.describe())
    if network.frozen_layers:
        log.info("frozen_layers: these layers are not trained: %s",
                 ", ".join(backbone.frozen_layers(network.frozen_layers)))
    for doubt in doubts(config):
        log.warning("%s", doubt)
    try:
        check_batch(step, group.size)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    ranks = group.ranks(here.name)
    return Model(backbone, step, config.interval.evaluation_batch, here.session_config(ranks), config.training.seed,
                 on_stage=run.times.mark, taking=here.gradients(ranks), check_graph=here.check_graph,
                 **({} if compiling is None else {"compiling": compiling}))


def evaluation_model(config: Config, here: Device, num_classes: int,
                     values: Mapping[str, np.ndarray]) -> EvaluationModel:
    """A trained network that only evaluates, as a context manager.

    Args:
        here: what ``device_of`` returned. values: variable name → float32 array, of every variable of the network.
    """
    network = config.network
    backbone = make_backbone(network.backbone, num_classes, network.width, here.kernels())
    log.info("TensorFlow %s on %s: %s", VERSION, here.describe(), backbone.describe())
    return EvaluationModel(backbone, values, config.interval.evaluation_batch, here.session_config(), here.check_graph)


@contextlib.contextmanager
def open_model(run: AnyRun, here: Device, place: Place, index: DatasetIndex, group: Alone,
               environ: Mapping[str, str], resumes: bool = False) -> Iterator[Model]:
    """The model of this rank, as long as it trains. On an Ascend the rank works in its own folder, each compilation is
    announced, and an error shows what CANN's logs say.

    Args:
        place: of this rank. environ: environment variables. resumes: this rank loads a checkpoint.
    """
    if here.name == "ascend":
        work_in(place.folder)
    with explained(here.name, environ), build_model(
            run, here, index, group, announced(run, here, group, resumes)) as model:
        yield model


def make_trainer(run: AnyRun, model: Model, index: DatasetIndex, images: Dict[str, np.ndarray], progress: Progress,
                 observer: Observer) -> Trainer:
    """The loop over this process's part of every batch and of every set to evaluate on."""
    config, training, ranks = run.config, run.config.training, model.ranks
    target = index.domain(config.data.target_domain)
    sources = [domain for domain in index.domains if domain is not target]
    augmentation = Augmentation(training.flip_probability, training.crop_scale_min,
                                training.colour_jitter, training.grey_probability)
    sampler = EpisodeSampler(
        [SourceDomain(domain.name, images[domain.name], domain.labels, domain.train) for domain in sources],
        training.meta_batch_size, training.seed, augmentation, ranks.rank, ranks.size)
    evaluations = [EvaluationSet(domain.name, images[domain.name], domain.labels, domain.validation)
                   for domain in sources]
    whole = EvaluationSet(target.name, images[target.name], target.labels, target.whole)
    schedule = Schedule(training.train_iterations, config.interval.test_print_interval)
    return Trainer(model, sampler, whole, evaluations, index.classes, schedule, progress, observer)


def step_settings(config: Config, source_domains: int) -> StepSettings:
    """The ``StepSettings`` of a configuration."""
    training, network = config.training, config.network
    return StepSettings(
        meta_batch_size=training.meta_batch_size, source_domains=source_domains, inner_lr=training.inner_lr,
        outer_lr=training.outer_lr, meta_lr=training.meta_lr, metric_lr=training.metric_lr, margin=training.margin,
        gradients_clip_value=training.gradients_clip_value, temperature=training.temperature, beta1=training.beta1,
        beta2=training.beta2, meta_task=training.meta_task, keep_probability=network.keep_probability,
        method=training.method, episodic=training.episodic, update=training.update, group_pass=training.group_pass,
        metric_hidden=network.metric_hidden, metric_embedding=network.metric_embedding,
        metric_normalise=network.metric_normalise, frozen_layers=network.frozen_layers,
        train_batch_norm=network.train_batch_norm)


def scale_settings(config: Config) -> ScaleSettings:
    """The ``ScaleSettings`` of a configuration."""
    platform = config.platform
    return ScaleSettings(platform.loss_scale, platform.loss_scale_initial, platform.loss_scale_growth_steps,
                         platform.loss_scale_factor, platform.loss_scale_backoff)


def device_of(config: Config, settings_of_ascend: Optional[AscendSettings] = None) -> Device:
    """The device that a configuration names, with the settings for it.

    Args:
        settings_of_ascend: by default those of the configuration, without the defaults below a work_dir.

    Raises:
        DeviceError: it is not there, or does not support a setting.
    """
    platform, ascend = config.platform, config.ascend
    found = choice.make_device(
        platform.device, platform.precision, platform.precision_mode, platform.intra_op_threads,
        platform.inter_op_threads, settings_of_ascend or ascend_settings(ascend),
        scale_settings(config))
    unused = [name for name, each in settings().items()
              if each.group == "ascend" and getattr(ascend, name) != each.default]
    if unused and found.name != "ascend":
        log.info("%s: only Ascend uses these settings, and the device is %s", ", ".join(unused), found.name)
    return found


def restore_or_begin(run: Run, model: Model, inputs: Inputs, index: DatasetIndex, restoring: Restoring,
                     weights: Optional[InitialWeights] = None) -> Start:
    """Load the newest checkpoint, or the pretrained weights where there is none."""
    restored = restoring.newest(model.shapes(), run.console.task("restore", "B"))
    patience = Patience(OPENING_SECONDS, run.console.check_stop)
    waiting = patience.call("listing the checkpoints", lambda: undelivered(
        run.store, run.workspace, run.record.lineage, restored.progress.iteration)) if restored is not None else []
    clear_spool(run.workspace, keep=[name for name, _ in waiting])
    if restored is not None:
        patience.call("naming the best checkpoint", lambda: name_best(
            run.store, run.record.lineage, run.config.interval.selection, restored.progress.history))
        run.times.mark("restore")
        model.load(restored.arrays)
        log.info("resuming from %s at iteration %d", restored.name, restored.progress.iteration)
        if restored.progress.iteration >= run.config.training.train_iterations:
            log.info("no iterations are left to train: train_iterations is %d. A larger --train_iterations continues "
                     "the run", run.config.training.train_iterations)
        start = Start(restored.progress, waiting)
    else:
        pretrained = weights.read(index) if weights is not None else None
        if pretrained is not None:
            log.info("weights: %d variables from %s", len(pretrained), inputs.weights)
            run.record.update(initial_weights=inputs.origin)
        run.times.mark("weights")
        model.initialise(pretrained)
        details = {"lineage": run.record.lineage, "data_fingerprint": index.fingerprint,
                   "config": run.record.content["config"]}
        start = Start(Progress(iteration=0, history=[], pending=[], details=details), undelivered=[])
    run.times.mark("variables")
    run.record.update_attempt(from_iteration=start.progress.iteration)
    return start
