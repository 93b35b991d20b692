"""Checks of the storage: permissions, speed, clock, and whether the run name is free."""
from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional

from job.config import loading
from job.config.settings import Config
from job.console import amount
from job.inputs.pulled_data import PulledData
from job.preflight.rows import BAD, GOOD, NONE, NOTE, Row, refused
from job.publication.lineage import published_checkpoints
from job.publication.run_record import read_published
from masf_core.words import typed
from obs_sync import ObjectInfo, PackedStore, Store, StoreError, is_remote
from obs_sync.lease.claims import PREFIX, is_claim, over, read_claim
from obs_sync.lease.owner import Owner
from obs_sync.packs.index import INDEX_NAME
from obs_sync.probing import SIZE, Abandoned, Probe, clock_ahead

MOST_SKEW = 600.0  # seconds; OBS refuses requests whose date is 900 s off, so beyond this they carry its own time
SMALL = 4 << 20  # bytes; an object of at most this size is read as a test


class Listing(NamedTuple):
    """Everything below data_url.

    store: reads members of a pack like objects. packed: whether data_url is a pack.
    """

    store: Store
    infos: List[ObjectInfo]
    packed: bool

    @property
    def bytes(self) -> int:
        return sum(info.size for info in self.infos)

    def keys(self) -> Dict[str, ObjectInfo]:
        return {info.key: info for info in self.infos}


def list_data(config: Config, plain: Store, work_dir: str) -> Listing:
    """The ``Listing`` of what a run downloads. plain: the store of data_url. work_dir: of the job."""
    store = PackedStore(plain)
    infos = list(store.list())
    chosen = PulledData(config, plain, work_dir)
    return Listing(store, chosen(infos) if infos else infos, packed=plain.exists(INDEX_NAME))


def client_row(urls: Iterable[Optional[str]], environ: Mapping[str, str], backend: str) -> Row:
    """Which client is used for the URLs, and where its key and address come from."""
    from obs_sync.esdk.credentials import has_obs_credentials, read_credentials, read_endpoint
    from obs_sync.opening import open_store

    remote = [url for url in urls if url and is_remote(url)]
    if not remote:
        return Row("client", NONE, "only local folders are used")
    with open_store(remote[0], environ, backend=backend) as store:
        kind = "moxing" if type(store).__name__ == "MoxingStore" else "esdk"
    if kind == "moxing":
        return Row("client", GOOD, "moxing, with the platform's session" + (
            "; the OBS_* credentials in the environment are not used" if has_obs_credentials(environ) else ""))
    credentials, endpoint = read_credentials(environ), read_endpoint(environ)
    proxy = " through a proxy" if endpoint.proxy else ""
    unverified = "" if endpoint.verify_tls else "; TLS certificates are NOT verified"
    return Row("client", GOOD, f"OBS SDK to {endpoint.url}{proxy}, key from {credentials.source}{unverified}")


def data_row(listing: Listing, url: str, clock: Callable[[], float]) -> Row:
    """List data_url, and read one of its objects. clock: seconds."""
    if not listing.infos:
        return Row("data_url", BAD, f"there is no object below {url}", "Check the URL; keys are case-sensitive")
    read = [info for info in listing.infos if 0 < info.size <= SMALL]
    kind = "files in a pack and beside it" if listing.packed else "objects"
    told = f"{len(listing.infos):,} {kind}, {amount(listing.bytes, 'B')}"
    if read:
        info, started = read[len(read) // 2], clock()
        try:
            listing.store.read(info.key)
        except StoreError as error:
            return refused("data_url", error, "listing works, reading fails")
        told += f"; {info.key} ({amount(info.size, 'B')}) read in {1e3 * (clock() - started):.0f} ms"
    return Row("data_url", GOOD, told)


def permission_rows(store: Store, probe: Probe) -> List[Row]:
    """List below train_url; write, read and delete a test object there. A row for each that fails, or one for all."""
    rows, seconds = [], {}
    _tried(rows, "list", lambda: next(iter(store.list()), None), seconds)
    written = _tried(rows, "write", probe.write, seconds)
    if written:
        _tried(rows, "read", probe.read, seconds)
    in_parts = None
    if written:
        in_parts = _tried(rows, "write in parts", probe.write_in_parts, seconds)
    stays = None
    if written and not _tried(rows, "delete", probe.remove, seconds):
        stays = rows.pop()
        mend = (f"{stays.mend or 'Allow it'}. The test object {probe.url} stays there; `python -m job sync gc` finds "
                "it")
        if probe.may_not_remove:
            stays = Row("train_url", NOTE, f"{stays.told}. A run publishes everything, but old checkpoints stay", mend)
        else:
            rows.append(stays._replace(mend=mend))
    if rows:
        return rows
    rates = ", ".join(f"{what} {amount(SIZE / max(seconds[what], 1e-6), 'B')}/s" for what in ("write", "read"))
    rates += f" with {amount(SIZE, 'B')}"
    allowed = "list, write" + (", write in parts" if in_parts and seconds["write in parts"] is True else "")
    if stays is not None:
        return [Row("train_url", GOOD, f"{allowed} and read: allowed; {rates}"), stays]
    return [Row("train_url", GOOD, f"{allowed}, read and delete: allowed; {rates}, {1e3 * seconds['delete']:.0f} ms to "
                                   "delete")]


def _tried(rows: List[Row], what: str, operation: Callable[[], Any], seconds: Dict[str, Any]) -> bool:
    """Whether the operation succeeded; if not, its row is added. seconds: what → what the operation returned."""
    try:
        seconds[what] = operation()
        return True
    except Abandoned:
        raise
    except StoreError as error:
        rows.append(refused("train_url", error, f"cannot {what}"))
        return False


def clock_row(store: Store, is_obs: bool) -> Row:
    """How far the server's clock is off. is_obs: the store tells its time."""
    if not is_obs:
        return Row("clock", NONE, "this storage does not tell its time")
    ahead, latency = clock_ahead(store)
    apart = f"{abs(ahead):.0f} s {'ahead' if ahead > 0 else 'behind'}" if abs(ahead) >= 1.5 else "the same"
    told = f"the server's is {apart}; it answers in {1e3 * latency:.0f} ms"
    if abs(ahead) > MOST_SKEW:
        told += "; OBS refuses requests that are dated 15 minutes off, so they are dated by its clock"
    return Row("clock", GOOD, told)


def lease_row(store: Store, own: Owner, seconds: float) -> Row:
    """Whether another job holds the run name. own: of this job. seconds: of silence until a claim is dead."""
    infos = {info.key: info for info in store.list(PREFIX)}
    claims = [key for key in sorted(infos) if is_claim(key) and over(key) not in infos]
    now = store.server_time() if claims else 0.0
    told = []
    for key in claims:
        claim, age = read_claim(store, infos[key]), now - (infos[key].modified or now)
        if claim is None:  # deleted since it was listed
            continue
        owner = claim.owner
        if owner is not None and (owner.has_ended() or owner.is_restarted_as(own)):
            told.append(f"left by {owner}, which has ended: taken over immediately")
        elif age > seconds:
            told.append(f"left by {owner or 'an unknown job'}, silent for {age:.0f} s: taken over")
        else:
            return Row("lease", BAD, f"{store.url} is in use by {owner or 'an unknown job'}, renewed "
                                     f"{max(0.0, age):.0f} s ago", "Wait until it ends, or give another --run_name")
    return Row("lease", GOOD, "; ".join(told) or "the run name is free")


def goes_on(store: Store) -> bool:
    """Whether the run name holds a run whose data must be the same."""
    previous = read_published(store)
    return previous is not None and bool(previous.get("data"))


def resume_row(store: Store, config: Config, fingerprint: Optional[str]) -> Row:
    """Whether the configuration can resume what the run name holds. fingerprint: of the data, None if unknown."""
    previous = read_published(store)
    markers = []
    if previous is not None:
        markers = published_checkpoints(store, previous["lineage"]).usable
    if not markers:
        if config.platform.resume == "always":
            return Row("resume", BAD, f"resume=always, and there is no checkpoint at {store.url}",
                       "Check train_url and run_name, or leave resume at auto")
        return Row("resume", GOOD, "a new run" if previous is None
                   else "the run has no checkpoint yet and starts from the beginning")
    newest = markers[-1].metadata["iteration"]
    held = f"{len(markers)} checkpoint{'s' * (len(markers) > 1)}, the newest of iteration {newest}"
    if config.platform.resume == "never":
        return Row("resume", GOOD, f"{held}; resume=never starts from the beginning and keeps them")
    differing = loading.differences(loading.from_dict(previous["config"]), config)
    was = (previous.get("data") or {}).get("fingerprint")
    if fingerprint is not None and was not in (None, fingerprint):
        differing.append(("data", was[:12], fingerprint[:12]))
    if differing:
        changes = "; ".join(f"{name} was {typed(before)}, is {typed(now)}" for name, before, now in differing)
        return Row("resume", BAD, f"{held}, made with another configuration: {changes}",
                   "Use the old values, give another --run_name, or --resume=never")
    if previous.get("state") == "done" and newest >= config.training.train_iterations:
        return Row("resume", GOOD, f"{held}; the run is complete (continue it with more --train_iterations)")
    return Row("resume", GOOD, f"{held}; the run resumes there")
