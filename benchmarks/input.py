"""Input: from decoded, memory-mapped uint8 images to a batch that is ready to be fed.

``EpisodeSampler`` draws whole episodes of 3 domains × 126 images, mirrored at the reference's rate. The limit is
memory: the 154,587 bytes of every image must be read and written once. So a gather from arrays in RAM (``np.take``),
and the copy of a batch into new memory (``np.empty`` and copy), are timed in the same rounds.

For comparison, two pipelines that decode the same files in every epoch: ``tf.data`` (8 parallel maps, 1000 images
shuffled) and a PyTorch DataLoader (2 workers). The limit of the ratio is memory bandwidth ÷ the decoder's rate on all
cores.

The last figures show the effect on training: iterations on episodes that are drawn in the background, compared with
iterations on one fixed episode. The network is AlexNet at a quarter of its width, with a batch of 12, for a step of
half a second to two. An image costs it about 1/10 of the full network's arithmetic, so drawing, which shares the
cores with the step, weighs ten times as much as in real training. On a machine with other work, single ratios vary by
tens of per cent. The share of drawing in the processor time of an iteration says the same without that noise.
"""
from __future__ import annotations

import time
from typing import List, Tuple

import numpy as np

from benchmarks import images, rivals
from benchmarks.measuring import Figure, alternate, parser, ratios, report
from masf_core.data import SourceDomain
from masf_core.data.index import DatasetIndex

STEPS = 4  # episodes in one timing, so that it takes about 0.1 s
WIDTH, SMALL_BATCH = 0.25, 12
PROCESSOR_ROUNDS = 5
PAIRS = 5  # of iterations for each round of drawing, as they vary more


def main() -> None:
    arguments = parser("benchmarks.input", __doc__, rounds=5).parse_args()
    with images.scratch() as directory:
        index, sources = images.decoded_sources(directory)
        figures = drawing(sources, 6 * arguments.rounds)
        found, notes = rivalry(index, sources, arguments.rounds)
        figures += found + prefetched(sources, len(index.classes), PAIRS * arguments.rounds)
    report("input", "Input", figures, arguments.out, notes)


def drawing(sources: List[SourceDomain], rounds: int) -> List[Figure]:
    """Figures of the images per second when drawing, and of the copies that limit it."""
    sampler = images.sampler(sources)
    buffers, step = sampler.buffers(), _Counter()
    in_memory = [np.array(source.images) for source in sources]
    random = np.random.RandomState(images.SEED)
    finished = np.zeros_like(buffers.images)

    def draw():
        for _ in range(STEPS):
            sampler.draw(step.next(), buffers)

    def gather():
        for _ in range(STEPS):
            for out, array in zip(finished, in_memory):
                np.take(array, random.randint(0, len(array), images.BATCH), axis=0, out=out, mode="clip")

    def copy():
        for _ in range(STEPS):
            np.copyto(np.empty_like(finished), finished)

    for _ in range(-(-max(len(source.rows) for source in sources) // images.BATCH)):
        sampler.draw(step.next(), buffers)  # an epoch, so that every page is mapped
    seconds = alternate({"draw": draw, "gather": gather, "copy": copy}, rounds)
    each = STEPS * images.SOURCES * images.BATCH
    rates = {name: [each / taken for taken in values] for name, values in seconds.items()}
    return [
        Figure("episodes drawn and mirrored, from memory-mapped images", rates["draw"], "images/s", (">=", 16000),
               "memory bandwidth"),
        Figure("the same from RAM by np.take, one thread, not mirrored", rates["gather"], "images/s"),
        Figure("the same copied into np.empty, one thread", rates["copy"], "images/s"),
        Figure("drawing ÷ gather", ratios(rates["draw"], rates["gather"]), "", None, "1 for one thread, and mirrors"),
    ]


def rivalry(index: DatasetIndex, sources: List[SourceDomain], rounds: int) -> Tuple[List[Figure], List[str]]:
    """Figures of the ratio to pipelines that decode in every epoch, and notes."""
    paths, labels = images.files_of(index, sources)
    batch = images.SOURCES * images.BATCH
    sampler = images.sampler(sources)
    buffers, step = sampler.buffers(), _Counter()
    loader = rivals.torch_loader(paths, labels, batch)

    def draw():
        for _ in range(-(-len(paths) // batch)):
            sampler.draw(step.next(), buffers)

    def load():
        for _ in loader:
            pass

    with rivals.TfData(paths, labels, batch, False) as bare, rivals.TfData(paths, labels, batch, True) as reference:
        actions = {"draw": draw, "bare": bare.epoch, "reference": reference.epoch}
        if loader is not None:
            actions["torch"] = load
        seconds = alternate(actions, rounds)
    drawn = [-(-len(paths) // batch) * batch / taken for taken in seconds.pop("draw")]
    rates = {name: [len(paths) / taken for taken in values] for name, values in seconds.items()}
    titles = {
        "bare": (f"tf.data, {rivals.PARALLEL_MAPS} maps, decoding to uint8", 20),
        "reference": (f"tf.data, {rivals.PARALLEL_MAPS} maps, as the reference has it (float32)", 20),
        "torch": (f"PyTorch DataLoader, {rivals.WORKERS} workers, uint8", 5)}
    figures = []
    for name, values in rates.items():
        title, target = titles[name]
        figures += [Figure(title, values, "images/s", None, "the decoder"),
                    Figure("drawing ÷ " + title, ratios(drawn, values), "", (">=", target), "the decoder")]
    if loader is None:
        return figures, ["PyTorch is not installed here: the comparison with its DataLoader is left out."]
    return figures, []


def prefetched(sources: List[SourceDomain], classes: int, rounds: int) -> List[Figure]:
    """Figures of what drawing in the background costs an iteration."""
    from masf_core.data.prefetch import Prefetcher
    from masf_core.devices import choice
    from masf_core.method.meta_step import StepSettings
    from masf_core.model import Model
    from masf_core.network.backbone import make_backbone
    from masf_core.network.kernels import processor_kernels

    sampler = images.sampler(sources, SMALL_BATCH)
    fixed = sampler.draw(0)
    waits = []
    settings = StepSettings(meta_batch_size=SMALL_BATCH, source_domains=images.SOURCES)
    with Model(make_backbone("alexnet", classes, WIDTH, processor_kernels()), settings, 1,
               choice.make_device("cpu").session_config(), images.SEED) as model, \
            Prefetcher(sampler, 1, 2 * rounds + 10) as episodes:
        model.initialise()

        def step_prefetched():
            started = time.perf_counter()
            episode = next(episodes)
            waits.append(time.perf_counter() - started)
            model.step(episode)

        # A draw begins when its buffers are returned, which is within the iteration whose time includes it.
        seconds = alternate({"fixed": lambda: model.step(fixed), "prefetched": step_prefetched}, rounds, warm_up=2)
        buffers, steps = sampler.buffers(), _Counter()
        processor = alternate({"step": lambda: model.step(fixed), "draw": lambda: sampler.draw(steps.next(), buffers)},
                              PROCESSOR_ROUNDS, clock=time.process_time)
    return [
        Figure(f"iteration of AlexNet ×{WIDTH:g} at {images.SOURCES} × {SMALL_BATCH}, fixed batch",
               seconds["fixed"], "s"),
        Figure("iteration on prefetched batches ÷ on a fixed batch", ratios(seconds["prefetched"], seconds["fixed"]),
               "", ("<=", 1.02), "drawing shares the step's cores"),
        Figure("wait for a prefetched batch", [1000.0 * wait for wait in waits[2:]], "ms"),
        Figure("processor time of drawing, of an iteration's",
               [100.0 * share for share in ratios(processor["draw"], processor["step"])], "%"),
    ]


class _Counter:
    """Steps, each of them once: the images of a repeated step would be in the processor's cache."""

    def __init__(self) -> None:
        self._step = -1

    def next(self) -> int:
        self._step += 1
        return self._step


if __name__ == "__main__":
    main()
