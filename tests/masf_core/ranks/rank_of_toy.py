"""One process of a toy run of several: ``python -m tests.masf_core.ranks.rank_of_toy RANK SIZE DIRECTORY SETTINGS``.

SETTINGS is JSON: of the method, and ``batch``, ``iterations``. The final weights and the losses of every iteration are
written to DIRECTORY/<rank>-of-<size>.npz. Ranks find one another through files in DIRECTORY.
"""
from __future__ import annotations

import json
import os
import sys
import time

import numpy as np

from masf_core.method.gradients import Gradients
from masf_core.model import Model
from masf_core.ranks.one_rank import OneRank
from masf_core.ranks.runtime import RuntimeCollectives
from masf_core.tf1 import tf
from tests.masf_core import toy


class Files:
    """Gathers through files; for tests alone."""

    host = "127.0.0.1"
    stop = OneRank.stop

    def __init__(self, directory, rank, size):
        self.directory, self.rank, self.size, self.round = directory, rank, size, 0

    def blame(self):
        pass

    def gather(self, value):
        self.round += 1
        paths = [os.path.join(self.directory, f"{self.size}-{self.round}-{rank}.json")
                 for rank in range(self.size)]
        with open(paths[self.rank] + ".part", "w") as stream:
            json.dump(value, stream)
        os.replace(paths[self.rank] + ".part", paths[self.rank])
        while not all(map(os.path.exists, paths)):
            time.sleep(0.01)
        values = []
        for path in paths:
            with open(path) as stream:
                values.append(json.load(stream))
        return values


def run(rank, size, directory, given):
    """Train, and write what came of it."""
    given = dict(given)
    batch, iterations = given.pop("batch"), given.pop("iterations")
    ranks = OneRank() if size == 1 else RuntimeCollectives(Files(directory, rank, size))
    settings = toy.settings(meta_batch_size=batch, keep_probability=1.0, **given)
    config = tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1, device_count={"GPU": 0})
    sampler = toy.sampler(batch, rank=rank, ranks=size)
    target = toy.evaluation_set()
    with Model(toy.TinyBackbone(toy.CLASSES), settings, 4, config, 5, taking=Gradients(ranks=ranks)) as model:
        if rank == 0:
            model.initialise()
        else:  # what rank 0 has must come from rank 0
            model.load({name: np.full(shape, 0.5, np.float32) for name, shape in model.shapes().items()})
        model.share()
        losses = [model.step(sampler.draw(step)) for step in range(iterations)]
        found = model.evaluate(target.images, target.labels, target.rows)
        np.savez(os.path.join(directory, f"{rank}-of-{size}.npz"),
                 losses=[list(each.values()) for each in losses], evaluation=[found.loss, found.accuracy],
                 confusion=found.confusion, **{"state/" + name: value for name, value in model.snapshot().items()})


if __name__ == "__main__":
    run(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4]))
