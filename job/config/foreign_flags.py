"""Flags that are no settings of this job: those of the platform, and those of the published Ascend port of MASF."""

from __future__ import annotations

from typing import Dict, Iterable, Optional

from job.config.near_miss import suggestion

# What ModelArts, and the launchers that its images come with, add to a command line by themselves. They have no meaning
# here: which processes there are is read from the environment. To have another flag ignored, add it here.
PLATFORM_FLAGS = (
    "num_gpus",  # of a v1 job: the cards of the flavour
    "job_name", "task_index", "ps_hosts", "worker_hosts",  # of a v1 TensorFlow job on several nodes
    "init_method", "rank", "world_size", "local_rank",  # of presets and launchers made for PyTorch
)

# Flags of the published port and of the scripts around it: what does here what they did there.
PORT_FLAGS: Dict[str, str] = {
    "train": "a run here trains, and evaluates at each interval: leave the flag out. What train=False did is another "
             "command, `python -m job evaluate TRAIN_URL/RUN_NAME`, which evaluates a trained network",
    "dataset": "any folder of domains is a data set here: name it with --data_url, and the domain that is tested on "
               "with --target_domain",
    "clipNorm": "gradients are always clipped by their norm here: --gradients_clip_value gives the largest norm, and "
                "with a large value nothing is clipped",
    "log": "summaries are always written here: --summary_interval is the number of iterations from one to the next, "
           "and --logdir the folder",
    "save_interval": "a checkpoint belongs to each evaluation here: --test_print_interval is the number of iterations "
                     "from one to the next, and --keep_checkpoints how many stay",
    "data_path": "it is called --data_url here",
    "output_path": "it is called --train_url here",
    "profiling": "--profile_dir names the folder of a profile here; without it, no profile is written",
    "profiling_dump_path": "it is called --profile_dir here",
    "over_dump": "--overflow_dump_dir names the folder of an overflow dump here; without it, no dump is written",
    "over_dump_path": "it is called --overflow_dump_dir here",
    "data_dump_flag": "it is an option of the Ascend adapter here: --ascend_options=\"enable_dump=true "
                      "dump_path=/cache/dump dump_step=0 dump_mode=all\"",
    "data_dump_path": "it is an option of the Ascend adapter here: "
                      "--ascend_options=\"enable_dump=true dump_path=FOLDER\"",
    "data_dump_step": "it is an option of the Ascend adapter here: --ascend_options=\"enable_dump=true dump_step=0\"",
}
_PORT_NAMES = {name.lower(): name for name in PORT_FLAGS}


def port_answer(name: str) -> Optional[str]:
    """What the port's flag or setting ``name`` is called here, or None where the port has none of that name."""
    original = _PORT_NAMES.get(name.replace("-", "_").lower())
    return None if original is None else "of the published port: " + PORT_FLAGS[original]


def unknown(what: str, name: str, known: Iterable[str], prefix: str = "") -> str:
    """One sentence about a name that is no setting: the port's answer, or the nearest known name.

    Args:
        what: how the name is introduced, as ``unknown flag --nam``. name: it, as given. known: names there are.
        prefix: written in front of the known name, as ``--``.
    """
    answer = port_answer(name)
    if answer is not None:
        return f"{what}, {answer}"
    return what + suggestion(name.replace("-", "_"), known, prefix)
