"""Every setting of the job: its name, default, unit, and what values it takes.

Each setting is one line of one group. Its name is its flag and its key in a YAML file, so names are unique over all
groups. To add a setting, add its line; flags, files, checks, help and the saved configuration follow from it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, fields
from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple

from job.config.kinds import (
    Kind, assignments, boolean, boolean_or, choice, folder_name, folder_names, layer_patterns, name_pattern, optional,
    patterns, place, plain_name, real, text, whole,
)
from job.config.run_names import derived_name
from masf_core.devices.ascend.options import PRECISION_MODES
from masf_core.devices.ascend.releases import RELEASES
from masf_core.network.registry import BACKBONES


class Setting(NamedTuple):
    """What is known of one setting. affects_result: a run with another value is another run."""

    name: str
    group: str
    default: Any
    kind: Kind
    help: str
    affects_result: bool
    published: bool


def setting(default: Any, kind: Kind, help: str, result: bool = False, published: bool = False) -> Any:
    """Declare a setting.

    Args:
        default: its value when nobody gives one. kind: the values it takes. help: a line with its unit.
        result: it changes what comes out of training, so a run is not resumed under another value.
        published: users know this name from the published parameters; it must stay.
    """
    return field(default=default, metadata={"kind": kind, "help": help, "result": result, "published": published})


@dataclass(frozen=True)
class Data:
    """Images, labels and pretrained weights."""

    data_url: Optional[str] = setting(
        None, optional(place()), "folder of the images: an obs:// or s3:// URL, or a local folder", published=True)
    dataroot: str = setting(
        "auto", text(), "folder of the domains, relative to data_url or absolute; auto finds it", published=True)
    filelist_root: str = setting(
        "auto", text(),
        "folder of the list files, relative to data_url or absolute; auto finds it; none uses no lists and splits the "
        "images of each class", published=True)
    exclude: Tuple[str, ...] = setting(
        (), patterns(), "objects below data_url that are left out: patterns as those of sync --exclude")
    list_pattern: Optional[str] = setting(
        None, optional(name_pattern(), "auto"),
        "names of the list files, such as {domain}-{part}.lst, where part is train, val, test or full; auto knows the "
        "usual names")
    weights_path: Optional[str] = setting(
        None, optional(place()),
        "initial weights: a file of pretrained weights, a checkpoint of this job, or a run, whose best checkpoint is "
        "used. Give a path below data_url, a URL or a local path; none trains from scratch",
        result=True, published=True)
    target_domain: str = setting(
        "cartoon", folder_name(),
        "domain that is left out of training, and on which the network is tested", result=True, published=True)
    domains: Optional[Tuple[str, ...]] = setting(
        None, optional(folder_names(), "all"),
        "domains to use, including the target; by default all domains that are found", result=True)
    num_classes: Optional[int] = setting(
        None, optional(whole(2), "auto"),
        "number of classes; by default the number of class folders", result=True, published=True)
    label_base: str = setting(
        "auto", choice("auto", "0", "1"),
        "smallest label in the list files; auto finds it by comparing the labels with the class folders", result=True)
    bad_data: str = setting(
        "refuse", choice("refuse", "skip"),
        "what to do with images and list lines that cannot be used: refuse the data, or skip them with a "
        "warning", result=True)
    validation_fraction: float = setting(
        0.1, real(above=0.0, maximum=0.9),
        "share of the images of each source domain that is used for validation, unless list files choose the "
        "validation images", result=True)
    max_pixels: int = setting(
        50_000_000, whole(1), "largest number of pixels of an image; a larger image is refused before it is decoded")


@dataclass(frozen=True)
class Network:
    """The networks that are trained."""

    backbone: str = setting("alexnet", choice(*BACKBONES), "network that is trained", result=True)
    width: float = setting(
        1.0, real(above=0.0, maximum=4.0), "factor by which the number of channels of every layer is multiplied",
        result=True)
    keep_probability: float = setting(
        0.5, real(above=0.0, maximum=1.0), "share of units that dropout keeps; the ResNets have no dropout",
        result=True)
    frozen_layers: Tuple[str, ...] = setting(
        (), layer_patterns(),
        "layers that stay as the weights file has them: patterns of their names, where * matches any characters; they "
        "cost no backward pass and no optimiser state", result=True)
    train_batch_norm: bool = setting(
        True, boolean(),
        "whether the scale and the shift of batch normalisation are trained, which only the ResNets have; its mean and "
        "variance stay those of the weights file", result=True)
    metric_hidden: int = setting(1024, whole(1), "units of the metric network's first layer", result=True)
    metric_embedding: int = setting(
        256, whole(1), "units of the metric network's second layer, the embedding", result=True)
    metric_normalise: bool = setting(
        False, boolean(), "whether embeddings are scaled to length 1; the reference does not scale them", result=True)


@dataclass(frozen=True)
class Training:
    """The method's own numbers. DeepAll and the paper's ablations are combinations of them: configs/table3/."""

    method: str = setting(
        "masf", choice("masf", "deepall"),
        "training method: masf, or deepall, which trains with the task loss alone on all source domains", result=True)
    episodic: bool = setting(
        True, boolean(),
        "whether the meta losses are computed after an inner step, on a held-out domain; false computes them without "
        "an inner step", result=True)
    update: str = setting(
        "reference", choice("reference", "joint"),
        "how variables are updated: reference uses three Adam optimisers (task, meta, metric) as the authors' code "
        "does; joint takes one step on the sum of the losses, as in the paper", result=True)
    group_pass: str = setting(
        "shared", choice("shared", "separate"),
        "features of the local loss: shared takes those of the global loss; separate computes them in a forward pass "
        "with its own dropout mask", result=True)
    train_iterations: int = setting(
        300, whole(1),
        "iterations of the whole run; a larger value continues a finished run", published=True)
    meta_batch_size: int = setting(
        126, whole(3), "images of each domain in an iteration, over all ranks", result=True, published=True)
    inner_lr: float = setting(1e-5, real(0.0), "learning rate of the inner step", result=True, published=True)
    outer_lr: float = setting(
        1e-5, real(0.0), "learning rate of the network's two Adam optimisers", result=True, published=True)
    meta_lr: Optional[float] = setting(
        None, optional(real(0.0)),
        "learning rate of the meta Adam alone, with update=reference; by default that of outer_lr", result=True)
    metric_lr: float = setting(
        1e-5, real(0.0), "learning rate of the metric network's Adam optimiser", result=True, published=True)
    margin: float = setting(
        10.0, real(0.0), "margin of the triplet loss, as a squared distance between embeddings", result=True,
        published=True)
    gradients_clip_value: float = setting(
        2.0, real(above=0.0), "norm to which the inner and the meta gradient of each variable are clipped", result=True,
        published=True)
    flip_probability: float = setting(
        0.0625, real(0.0, 1.0), "probability that a training image is mirrored", result=True)
    crop_scale_min: float = setting(
        1.0, real(above=0.0, maximum=1.0),
        "smallest share of a training image's area that a random crop keeps; 1 turns cropping off", result=True)
    colour_jitter: float = setting(
        0.0, real(0.0, 1.0),
        "largest change of brightness, contrast and saturation of a training image: each is multiplied by a random "
        "factor within 1 ± this value; 0 changes nothing", result=True)
    grey_probability: float = setting(
        0.0, real(0.0, 1.0), "probability that a training image becomes grey", result=True)
    temperature: float = setting(2.0, real(above=0.0), "number that divides the logits in the global loss", result=True)
    beta1: float = setting(1.0, real(0.0), "weight of the global loss", result=True)
    beta2: float = setting(0.005, real(0.0), "weight of the local loss", result=True)
    meta_task: float = setting(
        0.0, real(0.0), "weight of the task loss on the meta-test domain after the inner step", result=True)
    seed: int = setting(0, whole(0, 2**31 - 1), "seed of every random choice", result=True)


@dataclass(frozen=True)
class Interval:
    """How often the job prints, evaluates and saves, and which checkpoints it keeps."""

    print_interval: int = setting(
        1, whole(1), "number of iterations from one log line of losses to the next", published=True)
    summary_interval: int = setting(
        1, whole(1), "number of iterations from one TensorBoard point to the next", published=True)
    histogram_interval: int = setting(
        0, whole(0), "number of iterations from one TensorBoard histogram of every weight to the next; 0 writes none")
    test_print_interval: int = setting(
        20, whole(1), "number of iterations from one evaluation and checkpoint to the next", published=True)
    evaluation_batch: int = setting(128, whole(1), "images in one batch of an evaluation")
    selection: str = setting(
        "source_val", choice("source_val", "oracle", "last"),
        "how the best checkpoint is selected: source_val takes the highest accuracy on the validation images of the "
        "source domains, oracle the highest accuracy on the target domain, last the newest checkpoint",
        result=True)
    keep_checkpoints: int = setting(
        2, whole(1), "number of newest checkpoints that are kept; the best checkpoint is kept as well")
    keep_every: int = setting(
        0, whole(0),
        "number of iterations from one checkpoint that is kept for good to the next, for job average; a multiple of "
        "test_print_interval; 0 keeps none for good")


@dataclass(frozen=True)
class Platform:
    """Where the job runs and where the results go."""

    train_url: Optional[str] = setting(
        None, optional(place()),
        "folder for the results: an obs:// or s3:// URL, or a local folder; by default a folder below work_dir",
        published=True)
    run_name: Optional[str] = setting(
        None, optional(plain_name()),
        "name of the run and of its folder below train_url; by default masf_<target_domain>")
    logdir: Optional[str] = setting(
        None, optional(text()), "local folder for the log files; by default a folder below work_dir", published=True)
    work_dir: Optional[str] = setting(
        None, optional(text()),
        "local folder for downloads, decoded images, logs, and checkpoints that wait for their upload; by default "
        "/cache/masf, or ./masf-work if there is no /cache")
    resume: str = setting(
        "auto", boolean_or(choice("auto", "never", "always"), {True: "auto", False: "never"}),
        "whether the run resumes from its newest checkpoint: auto resumes if there is one, always fails if there is "
        "none, never starts from iteration 0",
        published=True)
    device: str = setting(
        "auto", choice("auto", "cpu", "gpu", "ascend"),
        "device that computes; auto takes Ascend, else a GPU, else the processor")
    precision: str = setting(
        "auto", choice("auto", "float32", "mixed"),
        "precision of matrix products and convolutions; auto is mixed on Ascend, because an Ascend 910 may have no "
        "float32 convolution, and float32 elsewhere", result=True)
    precision_mode: Optional[str] = setting(
        None, optional(choice(*PRECISION_MODES)),
        "the Ascend adapter's own precision mode, instead of the mode that precision "
        "implies", result=True, published=True)
    loss_scale: Optional[float] = setting(
        None, optional(real(1.0, 2.0 ** 32), "dynamic"),
        "number that multiplies losses where mixed precision is float16; dynamic adapts it to overflows", result=True)
    loss_scale_initial: float = setting(
        2.0 ** 15, real(1.0, 2.0 ** 32), "dynamic loss scale of the first iteration", result=True)
    loss_scale_growth_steps: int = setting(
        1000, whole(1), "iterations without an overflow after which the dynamic scale grows", result=True)
    loss_scale_factor: float = setting(2.0, real(above=1.0), "factor by which the dynamic scale grows", result=True)
    loss_scale_backoff: float = setting(
        0.5, real(above=0.0, maximum=0.99), "factor by which an overflow lowers the dynamic scale",
        result=True)
    intra_op_threads: int = setting(0, whole(0), "threads of one operation; 0 takes every core")
    inter_op_threads: int = setting(0, whole(0), "operations that run at the same time; 0 takes every core")
    storage: str = setting(
        "auto", choice("auto", "esdk", "moxing"), "client for OBS; auto takes the one that has credentials")
    transfer_workers: int = setting(16, whole(1, 256), "number of downloads at the same time")
    drain_seconds: float = setting(
        1800.0, real(above=0.0),
        "seconds that uploads may take after training; then the job fails and keeps the files in work_dir")
    lease_seconds: float = setting(
        60.0, real(10.0), "seconds of silence after which another job may take over the run name")
    log_level: str = setting(
        "info", choice("debug", "info", "warning", "error"), "lowest level of the log lines that are printed")


@dataclass(frozen=True)
class Ascend:
    """Options of the Ascend adapter other than its precision; other devices do not use them."""

    profile_dir: Optional[str] = setting(
        None, optional(text()),
        "local folder for a profile of every operation's time; by default no profile is written")
    overflow_dump_dir: Optional[str] = setting(
        None, optional(text()), "local folder for a dump of operations that overflow; by default no dump is written")
    compile_cache_dir: Optional[str] = setting(
        None, optional(text(), "auto"),
        "local folder where compiled operations are kept for the next start; auto is kernels below work_dir; with none "
        "they are not kept")
    mix_list: Optional[str] = setting(
        None, optional(text()),
        "JSON file that says which operations mixed precision runs in 16 bits; by default the adapter chooses",
        result=True)
    ascend_options: Tuple[str, ...] = setting(
        (), assignments(),
        "further options of the Ascend adapter, such as enable_dump=true; names and types are checked")
    adapter_release: str = setting(
        "auto", choice("auto", *RELEASES),
        "release of the Ascend adapter, which decides the options that it reads; auto finds it out from its exports")


@dataclass(frozen=True)
class Config:
    """The whole configuration; every value is of its setting's kind."""

    data: Data = field(default_factory=Data)
    network: Network = field(default_factory=Network)
    training: Training = field(default_factory=Training)
    interval: Interval = field(default_factory=Interval)
    platform: Platform = field(default_factory=Platform)
    ascend: Ascend = field(default_factory=Ascend)

    @property
    def run_name(self) -> str:
        """The run's folder below train_url, always safe as a name."""
        return self.platform.run_name or derived_name("masf_", self.data.target_domain)


GROUPS: Mapping[str, type] = {
    "data": Data, "network": Network, "training": Training, "interval": Interval, "platform": Platform,
    "ascend": Ascend}


@functools.lru_cache(maxsize=None)
def settings() -> Mapping[str, Setting]:
    """Every setting by its name, in the order of their groups."""
    table: Dict[str, Setting] = {}
    for group, group_class in GROUPS.items():
        for leaf in fields(group_class):
            assert leaf.name not in table and leaf.name not in GROUPS, "two settings called " + leaf.name
            about = leaf.metadata
            table[leaf.name] = Setting(leaf.name, group, leaf.default, about["kind"], about["help"],
                                       affects_result=about["result"], published=about["published"])
    return table


def values_of(config: Config) -> Dict[str, Any]:
    """Name → value of every setting."""
    return {name: getattr(getattr(config, each.group), name) for name, each in settings().items()}


def config_of(values: Mapping[str, Any]) -> Config:
    """The configuration with these values (converted already) and defaults for the rest."""
    groups: Dict[str, Dict[str, Any]] = {group: {} for group in GROUPS}
    for name, value in values.items():
        groups[settings()[name].group][name] = value
    return Config(**{group: GROUPS[group](**given) for group, given in groups.items()})
