"""The index of a run's data, and whether the data changed since the run began. Needs no TensorFlow."""
from __future__ import annotations

from typing import Any, Callable, Mapping, Optional

from job.config.settings import Config
from job.errors import ConfigError
from job.inputs.pulled_data import other_work_dirs, written_locally
from masf_core.data import build_index, manifest
from masf_core.data.index import DatasetIndex
from masf_core.data.offences import Offences
from obs_sync import ObjectNotFound, Store
from obs_sync.json_document import DocumentError
from obs_sync.store import read_at_most


def refuse_other_data(store: Store, told: Mapping[str, Any], index: DatasetIndex) -> None:
    """Raise ConfigError where the data of ``index`` are not those that a run began with.

    Args:
        store: the run's. told: ``data`` of its run.json; empty while run.json says nothing about the data.
    """
    changed = changes(store, told, index)
    if changed is not None:
        raise ConfigError(
            f"The images changed since this run began: {changed}. Restore the images, choose another --run_name, or "
            f"start from iteration 0 with --resume=never (the old checkpoints stay). The fingerprint of the data was "
            f"{told['fingerprint'][:12]}, and now it is {index.fingerprint[:12]}.")


def changes(store: Store, told: Mapping[str, Any], index: DatasetIndex) -> Optional[str]:
    """What is different between the data of ``index`` and those that a run began with; None if nothing is.

    Arguments as of ``refuse_other_data``.
    """
    before = told.get("fingerprint", index.fingerprint)
    if before == index.fingerprint:
        return None
    try:
        kept = read_at_most(store, manifest.NAME, manifest.LARGEST)
    except (ObjectNotFound, DocumentError):  # the run ended before its first logs were published; no run writes so much
        kept = None
    return manifest.changes(kept, before, told.get("images", {}), told.get("classes", []), index)


def index_data(config: Config, dataroot: str, filelist_root: Optional[str], offenders_path: Optional[str] = None,
               on_progress: Optional[Callable[[int, int], None]] = None,
               pending: Optional[Offences] = None, to_train: bool = True) -> DatasetIndex:
    """The index of the data, checked to be one that this configuration can be trained on.

    Args:
        offenders_path: file that lists every item at fault, None for no such file.
        on_progress: called with the number of files done and in all.
        pending: collects the faults that ``decode`` reports together with its own; see ``build_index``.
        to_train: False leaves out the checks that only training needs.

    Raises:
        DataError: the data are not usable. ConfigError: they do not fit this configuration.
    """
    data, batch = config.data, config.training.meta_batch_size
    index = build_index(
        dataroot, filelist_root, domains=data.domains or None, num_classes=data.num_classes,
        label_base=data.label_base, bad_data=data.bad_data, validation_fraction=data.validation_fraction,
        seed=config.training.seed, offenders_path=offenders_path, on_progress=on_progress,
        list_pattern=data.list_pattern, pending=pending,
        skip=written_locally(config, other_work_dirs(config, dataroot)))
    if not to_train:
        return index
    names = [domain.name for domain in index.domains]
    if data.target_domain not in names:
        raise ConfigError(f"target_domain {data.target_domain!r} is not among the domains found: {', '.join(names)}. "
                          "Set --target_domain to one of these")
    if len(names) < 3:
        raise ConfigError(f"found only the domain{'s' * (len(names) > 1)} {', '.join(names)} in {dataroot}; expected "
                          "the target domain and at least 2 source domains. Add domains, or check data_url, dataroot "
                          "and domains")
    for domain in index.domains:
        if domain.name != data.target_domain and len(domain.train) < batch:
            if pending is not None:  # images that cannot be used may be the cause
                pending.settle(dataroot, data.bad_data, offenders_path)
            raise ConfigError(f"meta_batch_size={batch}, but domain {domain.name} has only {len(domain.train)} images "
                              "to train on. Lower --meta_batch_size, or add images")
    return index


def summary(index: DatasetIndex, target: str) -> str:
    """One line about an index: the images of each domain, and the classes."""
    domains = ", ".join(f"{domain.name} {len(domain.used)}{' (target)' * (domain.name == target)}"
                        for domain in index.domains)
    return f"{domains}; {len(index.classes)} classes: {', '.join(index.classes)}"


def use_of(index: DatasetIndex, target: str) -> str:
    """One line about how many images are used for what, and which lists or folders say so."""
    use = index.use(target)
    return (f"{use['train']:,} images to train on, {use['validation']:,} for validation, {use['target']:,} of {target} "
            f"to test on ({index.origin.split})")
