"""Which checks a preflight makes, and what they share."""
from __future__ import annotations

import contextlib
import logging
import os
import time
from typing import Any, List, Mapping, Optional, Tuple

from job.card_paths import ascend_settings
from job.config.contradictions import doubts
from job.config.settings import Config
from job.environment import read_environment
from job.errors import ConfigError, NoSuchFolder
from job.inputs.check import refuse_archive
from job.inputs.fetch import local_root
from job.inputs.weights import find_weights
from job.preflight import data as preflight_data, machine, storage
from job.preflight.rows import BAD, GOOD, NONE, NOTE, Check, Limit, Row, Shared
from job.publication.retention import kept_told
from job.publication.time_limit import within
from job.ranks.group import check_share
from job.stopping import GRACE
from job.workspace import Workspace
from masf_core.devices.ascend import operators
from masf_core.devices.ascend.options import mode_of, parameters_of, unknown_to
from masf_core.devices.ascend.releases import Adapter
from masf_core.network.architecture import Architecture, make_architecture
from obs_sync import (
    BucketNotFound,
    ObjectInfo,
    Store,
    StoreError,
    StoreUnavailable,
    is_remote,
    open_store,
    this_process,
)
from obs_sync.esdk.store import EsdkStore
from obs_sync.probing import Probe
from obs_sync.retry import Retry

log = logging.getLogger(__name__)

CLASSES = 7  # PACS's, where neither configuration nor data say
LAST_WORK = 10.0  # seconds to delete a test object that is left
PATIENCE = Retry(attempts=2, deadline=15.0)  # fewer retries than in a run: a check must answer soon


class Preflight:
    """The checks of one configuration; a context manager that deletes test objects and closes stores in any case.

    Args:
        config: ``Config``. problem: the ConfigError because of which settings are missing in it, or None. environ:
            environment variables. limit: ``Limit``.
    """

    def __init__(self, config: Config, problem: Optional[ConfigError], environ: Mapping[str, str],
                 limit: Limit) -> None:
        self._config, self._problem, self._environ = config, problem, environ
        try:
            self._environment = read_environment(environ)
        except ConfigError:  # a check of its own reports it
            self._environment = read_environment({})
        work_dir = config.platform.work_dir or self._environment.work_dir
        self._workspace = Workspace(work_dir, os.path.join(work_dir, "decoded"), logs="", spool="")
        self._url = (config.platform.train_url or os.path.join(work_dir, "output")).rstrip("/") + "/" + config.run_name
        self._stores, self._probes = [], []
        self._tensorflow = Shared("TensorFlow", _import_tensorflow, limit)
        self._listing = Shared("data_url", self._list_data, limit)
        self._found = Shared("domains", self._find_structure, limit)
        self._weights_object = Shared("weights", self._find_weights, limit)
        self._results = Shared("train_url", self._open_results, limit)

    def __enter__(self) -> Preflight:
        return self

    def __exit__(self, *_: Any) -> None:
        for probe in self._probes:
            try:
                within(LAST_WORK, f"deleting {probe.url}", probe.end)
            except StoreError as error:
                log.warning("the test object %s may still exist; `python -m job sync gc` finds it (%s)",
                            probe.url, error)
        for store in self._stores:
            store.close()

    def checks(self) -> List[Check]:
        """(name, function) of each, in the order of the table."""
        device = self._config.platform.device
        return [
            ("configuration", self._configuration),
            ("Python", machine.python_row),
            ("TensorFlow", lambda: machine.tensorflow_row(
                lambda: self._tensorflow.get(own=True), device)),
            ("npu_bridge", lambda: machine.adapter_row(
                device, lambda: _load_adapter(self._config.ascend.adapter_release), self._adapter_options)),
            ("CANN", lambda: machine.cann_row(self._environ, device=device)),
            ("packages", machine.packages_row),
            ("graph", self._graph),
            ("devices", lambda: machine.devices_row(device, self._environ)),
            ("platform", lambda: machine.platform_row(
                self._environ, lambda: read_environment(self._environ))),
            ("rank table", lambda: machine.rank_table_row(self._environment, device)),
            ("client", lambda: storage.client_row(
                [self._config.data.data_url, self._url], self._environ, self._config.platform.storage)),
            ("data_url", self._data),
            ("domains", lambda: preflight_data.structure_rows(self._config, self._found.get(own=True))),
            ("weights", self._weights),
            ("train_url", self._permissions),
            ("clock", self._clock),
            ("lease", lambda: storage.lease_row(
                self._results.get(), this_process(self._environment.job_name), self._config.platform.lease_seconds)),
            ("resume", self._resume),
            ("disk", self._disk)] + (
                [("keep_every", self._kept)] if self._config.interval.keep_every else []) + [
            ("time limit", lambda: Row("time limit", NONE, "a job cannot read its own (auto_stop); when stopped, it "
                                       f"has {GRACE:.0f} s to publish, and resumes when started again"))]

    # -- what checks share

    def _open(self, url: str) -> Store:
        store = open_store(url, self._environ, backend=self._config.platform.storage, retry=PATIENCE)
        self._stores.append(store)
        return store

    def _open_results(self) -> Store:
        """The store of the run. Raises StoreError if nothing can be done there; then one check reports it, not each."""
        store = self._open(self._url)
        try:
            next(iter(store.list()), None)
        except (BucketNotFound, StoreUnavailable):
            raise
        except StoreError:  # such as a key that may not list: the check of permissions reports it
            pass
        return store

    def _list_data(self) -> Optional[storage.Listing]:
        """``Listing``, or None for a local folder, which is used in place."""
        data, root = self._config.data, local_root(self._config.data)
        if data.data_url is None and root is None:
            raise ConfigError("no data: give --data_url (obs://bucket/folder/ or a local folder), or --dataroot with "
                              "an absolute path")
        if root is not None:
            if not os.path.isdir(root):
                refuse_archive(root)
                raise NoSuchFolder(f"the folder {root} does not exist; expected a local folder or an obs:// URL")
            return None
        store = self._open(data.data_url)
        return storage.list_data(self._config, store, self._workspace.root)

    def _find_structure(self) -> Any:
        return preflight_data.find_structure(self._config, self._listing.get(), local_root(self._config.data))

    def _find_weights(self) -> Optional[Tuple[Store, ObjectInfo]]:
        """(store, info) of weights with a URL of their own, or None."""
        path = self._config.data.weights_path
        if path is None or not is_remote(path):
            return None
        found = find_weights(path, lambda url: contextlib.nullcontext(self._open(url)))
        store = self._open(found.folder)
        return store, store.head(found.key)

    def _architecture(self) -> Architecture:
        network = self._config.network
        return make_architecture(network.backbone, self._config.data.num_classes or CLASSES, network.width)

    # -- checks

    def _configuration(self) -> List[Row]:
        if self._problem is not None:
            return [Row("configuration", BAD, problem, "Correct it; the checks below ran without it")
                    for problem in self._problem.problems]
        config = self._config
        check_share(config.training.meta_batch_size, self._environment.rank_size)
        good = Row("configuration", GOOD, f"run {config.run_name}: {config.network.backbone} on "
                                           f"{config.platform.device}, {config.training.train_iterations} iterations "
                                           f"of {config.training.meta_batch_size} images a domain, method "
                                           f"{config.training.method}")
        return [good] + [Row("configuration", NOTE, doubt) for doubt in doubts(config)]

    def _adapter_options(self, adapter: Adapter) -> Tuple[List[str], List[str]]:
        """(problems, doubts) of the options that a run would pass to the adapter."""
        from masf_core.devices.ascend.device import look_for_paths

        platform = self._config.platform
        try:
            parameters = parameters_of(
                ascend_settings(self._config.ascend),
                mode_of(platform.precision, platform.precision_mode), self._environment.rank_size)
            look_for_paths(parameters, self._config.ascend.profile_dir, make=False)
            operators.installed_list(self._environ)
        except ValueError as error:
            return str(error).splitlines(), []
        return unknown_to(adapter, parameters)

    def _graph(self) -> Row:
        """Whether a card takes every operation of the run. Checked only where the adapter is used: it takes seconds."""
        if not machine.uses_adapter(self._config.platform.device):
            return Row("graph", NONE, "only an Ascend limits it; `python -m job check-graph` checks it anywhere")
        self._tensorflow.get()
        from job.preflight import graph

        checked = graph.check(self._config, self._environment.rank_size)
        if checked.problems:
            first = checked.problems[0]
            return Row("graph", BAD, f"{len(checked.problems)} operations that the card does not take; the first: "
                                     f"{first.op} ({first.type}): {first.what}",
                       f"{first.mend}. `python -m job check-graph` lists them all")
        return Row("graph", GOOD, f"{len(checked.graph.get_operations())} operations, all in {checked.operator_list}")

    def _data(self) -> Row:
        listing = self._listing.get(own=True)
        if listing is None:
            return Row("data_url", GOOD, f"{local_root(self._config.data)} is used in place")
        return storage.data_row(listing, self._config.data.data_url, time.monotonic)

    def _weights(self) -> Row:
        path, found = self._config.data.weights_path, self._weights_object.get(own=True)
        if found is not None:
            return preflight_data.stored_weights_row(*found, path=path, network=self._architecture())
        listing = None if path in (None, "none") else self._listing.get()
        return preflight_data.weights_row(path, listing, local_root(self._config.data), self._architecture())

    def _permissions(self) -> List[Row]:
        store = self._results.get(own=True)
        probe = Probe(store)
        self._probes.append(probe)
        with probe:
            return storage.permission_rows(store, probe)

    def _clock(self) -> Row:
        store = self._results.get()
        return storage.clock_row(store, isinstance(store, EsdkStore))

    def _resume(self) -> Row:
        store = self._results.get()
        fingerprint = None
        if storage.goes_on(store):
            fingerprint = self._found.get().index.fingerprint
        return storage.resume_row(store, self._config, fingerprint)

    def _kept(self) -> Row:
        every, total = self._config.interval.keep_every, self._config.training.train_iterations
        told = kept_told(every, total, preflight_data.checkpoint_bytes(self._config, self._architecture()))
        if every > total:
            return Row("keep_every", NOTE, told, f"Give --keep_every at most {total}")
        return Row("keep_every", GOOD, told)

    def _disk(self) -> Row:
        listing, found, url = self._listing.get(), self._found.get(), self._config.data.data_url
        weights = self._weights_object.get()
        return preflight_data.disk_row(
            self._config, self._workspace.root, listing.bytes if listing is not None else 0,
            self._workspace.inputs(url) if listing is not None else None, found,
            weights[1].size if weights is not None else 0, self._architecture(),
            None if is_remote(self._url) else self._url)


def _import_tensorflow() -> str:
    from masf_core.tf1 import VERSION

    return VERSION


def _load_adapter(release: str) -> Adapter:
    from masf_core.devices.ascend.adapter import load_adapter

    return load_adapter(release)
