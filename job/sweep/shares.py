"""The GPUs, Ascend cards and cores of this machine, shared out among runs that run at the same time."""
from __future__ import annotations

import glob
from typing import Dict, List, Mapping, Optional

from job.errors import ConfigError
from job.ranks.launch import usable_cores, visible_gpus

THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
CARDS = "/dev/davinci[0-9]*"


def shares_of(at_once: Optional[int], device: str, environ: Mapping[str, str]) -> List[Dict[str, str]]:
    """The environment variables of each place where a run can run.

    Args:
        at_once: number of places; None takes one for each GPU or card, or one in all.
        device: as the setting. environ: environment variables; thread counts that are set there stay.

    Raises:
        ConfigError: there are fewer GPUs or cards than places.
    """
    cards = [] if device in ("cpu", "gpu") else [str(number) for number in range(len(glob.glob(CARDS)))]
    gpus = [] if cards or device in ("cpu", "ascend") else visible_gpus(environ)
    places = cards or gpus
    number = at_once or len(places) or 1
    if places and number > len(places):
        kind = "Ascend cards" if cards else "GPUs"
        raise ConfigError(f"--at-once={number}, but there are {len(places)} {kind}: give at most {len(places)}, or "
                          "--device=cpu to train on the processor")
    threads = str(max(1, usable_cores() // number))
    shares = []
    for index in range(number):
        share = {name: environ.get(name, threads) for name in THREADS}
        if cards:
            share.update(ASCEND_DEVICE_ID=cards[index], DEVICE_ID=cards[index])
        elif gpus:
            share.update(CUDA_VISIBLE_DEVICES=gpus[index])
        shares.append(share)
    return shares
