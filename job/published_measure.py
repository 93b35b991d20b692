"""The measure that the published port reports: 99 iterations with 126 images of each domain, and nothing else."""
from __future__ import annotations

import math
import platform
import time
from types import SimpleNamespace
from typing import Callable, List, Mapping, NamedTuple

import numpy as np

from job.card_paths import ascend_settings, on_card, place_below
from job.config.settings import Config, Training
from job.preparation import build_model, device_of
from job.ranks.group import ALONE, Alone
from job.start_times import StartTimes, process_age
from masf_core.data import Augmentation, EpisodeSampler, SourceDomain
from masf_core.data.prefetch import Prefetcher
from masf_core.devices.choice import choose_device
from masf_core.method.outcome import Outcomes
from masf_core.randomness import generator

# Seconds of 99 iterations at 126 images a domain, as the port's own documentation gives them. What it calls float32 on
# an Ascend is the adapter's default, allow_fp32_to_fp16: a 910 has no float32 convolution.
PUBLISHED = (("port, Ascend 910, mixed precision", 115.6), ("port, GPU", 133.4),
             ("port, Ascend 910, the adapter's default, losses not scaled", 198.0))
MODELZOO_NAME = "MASF_ID1191_for_TensorFlow"  # the port, in ModelZoo's scripts and reports
PUBLISHED_ITERATIONS, PUBLISHED_BATCH = 99, 126
CLASSES = ("dog", "elephant", "giraffe", "guitar", "horse", "house", "person")  # PACS
SOURCES = ("art_painting", "photo", "sketch")
BATCHES_PER_SOURCE = 4  # so that the images of a source are more than a cache of the processor holds


class Measure(NamedTuple):
    """What a measurement gave."""

    device: str
    batch: int  # images of each domain
    first: float  # seconds until the first iteration was applied. It is not measured, because TensorFlow compiles in it
    seconds: List[float]  # of each measured iteration, from the end of the iteration before
    skipped: int = 0  # measured iterations whose gradients overflowed, so that nothing was applied
    ranks: int = 1  # processes that share the batch
    loss: float = math.nan  # global loss of the last iteration
    accuracy: float = math.nan  # of its source images, per cent
    end_to_end: float = math.nan  # seconds from the start of the process to the end of the last iteration

    @property
    def total(self) -> float:
        """Seconds of all measured iterations."""
        return sum(self.seconds)

    @property
    def mean(self) -> float:
        """Seconds of a measured iteration."""
        return self.total / len(self.seconds)


def measure(config: Config, iterations: int, on_progress: Callable[[int, int], None], work_dir: str,
            environ: Mapping[str, str], group: Alone = ALONE) -> Measure:
    """Train for one iteration and then ``iterations`` more, on random images, without evaluation or saving.

    Everything of an iteration is measured: drawing and mirroring images, handing over batches, feeding, the step, the
    losses. The images are noise in memory, where decoded images lie as well; what they show does not change the
    arithmetic. In 16 bits the loss scale first has to adapt: the first iteration, which is not measured, is repeated
    until it is applied.

    Args:
        config: its settings of network, training and platform count. iterations: how many are measured.
        on_progress: called with the number of iterations that are done, and of all.
        work_dir: where CANN may write. environ: environment variables.
        group: the processes that train together. Each takes its part of every batch.

    Raises:
        TrainingDiverged: a loss is not finite, or overflows at every scale.
        DeviceError: the device is missing, or has too little memory. CannFailed: CANN failed.
    """
    training = config.training
    classes = [str(number) for number in range(config.data.num_classes or len(CLASSES))]
    index = SimpleNamespace(classes=classes, domains=SOURCES + ("target",))
    place = place_below(work_dir, "bench", group)
    here = device_of(config, ascend_settings(config.ascend, place))
    group.check_device(here.name)
    with on_card(here.name, place, environ), build_model(
            SimpleNamespace(config=config, times=StartTimes()), here, index, group) as model:
        model.initialise()
        augmentation = Augmentation(training.flip_probability, training.crop_scale_min,
                                    training.colour_jitter, training.grey_probability)
        sampler = EpisodeSampler(
            [made_up(name, model.backbone.image_size, len(classes), training) for name in SOURCES],
            training.meta_batch_size, training.seed, augmentation, group.rank, group.size)
        outcomes, skipped = Outcomes(), 0
        ends = [time.perf_counter()]
        with Prefetcher(sampler, 0, iterations + 1) as episodes:
            for number, episode in enumerate(episodes):
                scalars = model.step(episode)
                overflowed = outcomes.skipped(number, scalars)
                while overflowed and number == 0:
                    scalars = model.step(episode)
                    overflowed = outcomes.skipped(number, scalars)
                skipped += overflowed
                ends.append(time.perf_counter())
                on_progress(number + 1, iterations + 1)
    end_to_end = process_age()
    seconds = [float(value) for value in np.diff(ends)]
    group.disband()
    device = choose_device(config.platform.device)
    if group.size > 1:
        device += f", {group.size} processes"
    return Measure(device, training.meta_batch_size, seconds[0], seconds[1:], skipped, group.size,
                   scalars["global_loss"], scalars["source_accuracy"], end_to_end)


def made_up(name: str, side: int, classes: int, training: Training) -> SourceDomain:
    """A source domain of noise, uint8 [images, side, side, 3], with labels below ``classes``."""
    random = generator(training.seed, "made up", name)
    count = BATCHES_PER_SOURCE * training.meta_batch_size
    images = random.randint(0, 256, (count, side, side, 3), np.uint8)
    return SourceDomain(name, images, random.randint(0, classes, count).astype(np.int32), np.arange(count))


def table(found: Measure) -> List[str]:
    """Lines of text: the measure, and the published figures if the settings are those of the port."""
    iterations, images = len(found.seconds), len(SOURCES) * found.batch
    lines = [f"{iterations} iterations of {len(SOURCES)} × {found.batch} images on {found.device}:",
             f"  total {found.total:.1f} s, mean {found.mean:.3f} s, median {float(np.median(found.seconds)):.3f} "
             f"s, {min(found.seconds):.3f} to {max(found.seconds):.3f} s; {images / found.mean:.0f} images/s",
             f"  the first iteration, which compiles and is not measured: {found.first:.1f} s"]
    if found.skipped:
        lines.append(f"  {found.skipped} of them were skipped because gradients overflowed")
    if (iterations, found.batch) == (PUBLISHED_ITERATIONS, PUBLISHED_BATCH):
        lines += [f"  {what:<36} {seconds:6.1f} s: {seconds / found.total:.2f} times this"
                  for what, seconds in PUBLISHED]
    else:
        lines.append(f"  (the published figures are for {PUBLISHED_ITERATIONS} iterations of 3 × {PUBLISHED_BATCH} "
                     "images)")
    return lines


def modelzoo_lines(found: Measure) -> List[str]:
    """The result lines of ModelZoo's scripts, as its tools read them from the log of a case.

    Every number is counted as the port's ``train_performance_1p.sh`` does: images/sec and ActualFPS count the images of
    one domain of three, TrainingTime is in seconds, TrainAccuracy a fraction.
    """
    per_second = f"{found.batch / found.mean:.2f}"
    results = [
        ("Network", MODELZOO_NAME), ("RankSize", found.ranks), ("BatchSize", found.batch),
        ("DeviceType", platform.machine()), ("CaseName", f"{MODELZOO_NAME}_bs{found.batch}_{found.ranks}p_perf"),
        ("ActualFPS", per_second), ("TrainingTime", f"{found.mean:.6f}"), ("ActualLoss", f"{found.loss:.7f}"),
        ("TrainAccuracy", f"{found.accuracy / 100.0:.6f}"), ("E2ETrainingTime", f"{found.end_to_end:.0f}")]
    return (["------------------ Final result ------------------",
             f"Final Performance images/sec : {per_second}",
             f"Final Performance ms/step : {1000.0 * found.mean:.2f}",
             f"Final Training Duration sec : {found.end_to_end:.0f}"]
            + [f"{name} = {value}" for name, value in results])
