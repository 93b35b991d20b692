"""The settings of an iteration, and what they must satisfy."""
from __future__ import annotations

from typing import NamedTuple, Optional, Tuple

from masf_core.network import metric_net

METHODS = ("masf", "deepall")
UPDATE_RULES = ("reference", "joint")
GROUP_PASSES = ("shared", "separate")


class StepSettings(NamedTuple):
    """The numbers of an iteration; the names are the published flags'.

    The paper's comparisons (its Table 3) are combinations of ``method``, ``episodic`` and the weights:
    DeepAll is ``method=deepall``; an ablation sets ``beta1`` or ``beta2`` to 0 or ``episodic`` to False; episodic
    training alone is both weights 0 and ``meta_task`` 1.
    """

    meta_batch_size: int  # B, images of each domain, over all ranks
    source_domains: int  # K + 1
    inner_lr: float = 1e-5
    outer_lr: float = 1e-5
    metric_lr: float = 1e-5
    meta_lr: Optional[float] = None  # of the meta Adam, where update is "reference"; None: outer_lr
    margin: float = 10.0  # squared distance
    gradients_clip_value: float = 2.0  # L2 norm, per variable
    temperature: float = 2.0
    beta1: float = 1.0  # weight of the global loss
    beta2: float = 0.005  # weight of the local loss
    meta_task: float = 0.0  # weight of the task loss on the meta-test domain at θ'
    keep_probability: float = 0.5
    method: str = "masf"
    episodic: bool = True  # False: no inner step, the meta losses are taken at θ, the task loss on all domains
    update: str = "reference"
    group_pass: str = "shared"  # separate: the group has a pass, and a dropout mask, of its own
    metric_hidden: int = metric_net.HIDDEN
    metric_embedding: int = metric_net.EMBEDDING
    metric_normalise: bool = False
    frozen_layers: Tuple[str, ...] = ()  # patterns of the backbone's layers that stay as they are
    train_batch_norm: bool = True  # the scale and shift of batch normalisation; its statistics never are

    @property
    def takes_inner_step(self) -> bool:
        """Whether the meta losses are taken at θ', after an inner step, and one domain is held out for them."""
        return self.method == "masf" and self.episodic

    @property
    def rate_of_meta_adam(self) -> float:
        """Learning rate of the Adam that the meta losses have to themselves."""
        return self.outer_lr if self.meta_lr is None else self.meta_lr

    @property
    def has_local_loss(self) -> bool:
        """Whether there is a local loss, and so a metric network φ."""
        return self.method == "masf" and self.beta2 > 0.0


def check(settings: StepSettings, ranks: int) -> None:
    """Raise ValueError where the settings cannot make an iteration of so many ranks."""
    if settings.source_domains < 2:
        raise ValueError(f"MASF needs at least 2 source domains, got {settings.source_domains}")
    if settings.meta_batch_size < settings.source_domains:
        raise ValueError("meta_batch_size must be at least the number of source domains "
                         f"({settings.source_domains}), got {settings.meta_batch_size}")
    check_batch(settings, ranks)
    for name, choices in (("method", METHODS), ("update", UPDATE_RULES), ("group_pass", GROUP_PASSES)):
        if getattr(settings, name) not in choices:
            raise ValueError(f"{name} is {getattr(settings, name)!r}; expected one of {', '.join(choices)}")


def check_batch(settings: StepSettings, ranks: int) -> None:
    """Raise ValueError where so many ranks cannot share a batch. Each rank needs a part of the group, too."""
    if settings.meta_batch_size % ranks or settings.meta_batch_size < ranks * settings.source_domains:
        raise ValueError(f"meta_batch_size must be a multiple of the number of ranks ({ranks}) and give each rank at "
                         f"least {settings.source_domains} images of a domain, got {settings.meta_batch_size}")
