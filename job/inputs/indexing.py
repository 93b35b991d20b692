"""The index of the data of a run, and whether it is that of the data that the run began with. Needs no TensorFlow."""
from __future__ import annotations

from typing import Any, Mapping

from job.errors import ConfigError
from job.inputs.pulled_data import written_locally
from masf_core.data import build_index, manifest
from masf_core.data.index import DatasetIndex
from obs_sync import ObjectNotFound


def refuse_other_data(store: Any, told: Mapping[str, Any], index: DatasetIndex) -> None:
    """Raise ConfigError where ``index`` is not of the data that a run began with.

    Args:
        store: the run's. told: ``data`` of its run.json; empty before the run has noted any.
    """
    before = told.get("fingerprint", index.fingerprint)
    if before == index.fingerprint:
        return
    try:
        kept = store.read(manifest.NAME)
    except ObjectNotFound:  # of a run that ended before its first logs were published
        kept = None
    changed = manifest.changes(kept, before, told.get("images", {}), told.get("classes", []), index)
    raise ConfigError(
        f"The images changed since this run began: {changed}. Go on with the data as they were, give another "
        f"--run_name, or start afresh with --resume=never (the old checkpoints stay). Fingerprint {before[:12]} "
        f"then, {index.fingerprint[:12]} now.")


def index_data(config, dataroot, filelist_root, offenders_path=None, on_progress=None, pending=None):
    """The ``DatasetIndex`` of the data, which is one that this configuration can be trained on.

    Args:
        pending: ``Offences`` that ``decode`` is going to tell; see ``build_index``.

    Raises:
        DataError, ConfigError: the data are not usable, or not for this.
    """
    data, batch = config.data, config.training.meta_batch_size
    index = build_index(
        dataroot, filelist_root, domains=data.domains or None, num_classes=data.num_classes,
        label_base=data.label_base, bad_data=data.bad_data, validation_fraction=data.validation_fraction,
        seed=config.training.seed, offenders_path=offenders_path, on_progress=on_progress,
        list_pattern=data.list_pattern, pending=pending, skip=written_locally(config))
    names = [domain.name for domain in index.domains]
    if data.target_domain not in names:
        raise ConfigError(f"target_domain {data.target_domain!r} is not among the domains found: {', '.join(names)}")
    if len(names) < 3:
        raise ConfigError(f"MASF needs a target and at least 2 source domains, found only {', '.join(names)}")
    for domain in index.domains:
        if domain.name != data.target_domain and len(domain.train) < batch:
            if pending is not None:  # images that cannot be used may be the cause
                pending.settle(dataroot, data.bad_data, offenders_path)
            raise ConfigError(f"meta_batch_size={batch} is more than domain {domain.name} has to train on: "
                              f"{len(domain.train)} images")
    return index


def summary(index, target):
    """A line about an index: images of each domain, the classes."""
    return "{}; {} classes: {}".format(", ".join("{} {}{}".format(
        domain.name, len(domain.used), " (target)" if domain.name == target else "") for domain in index.domains),
        len(index.classes), ", ".join(index.classes))


def use_of(index, target):
    """A line about what an index's images are for, and which lists or folders say so."""
    use = index.use(target)
    return "{:,} images to train on, {:,} for validation, {:,} of {} to test on ({})".format(
        use["train"], use["validation"], use["target"], target, index.origin.split)
