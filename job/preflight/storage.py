"""Preflight of the storage: what may be done there, how fast, by whose clock, and whether the run name is free."""
from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional

from job.config import loading
from job.config.settings import Config
from job.console import amount
from job.inputs.pulled_data import PulledData
from job.preflight.rows import BAD, GOOD, NONE, NOTE, Row, refused
from job.publication.lineage import published_checkpoints
from job.publication.run_record import read_published
from obs_sync import ObjectInfo, PackedStore, Store, StoreError, is_remote
from obs_sync.lease.claims import PREFIX, is_claim, over, read_claim
from obs_sync.packs.index import INDEX_NAME
from obs_sync.probing import SIZE, Abandoned, Probe, clock_ahead

MOST_SKEW = 600.0  # seconds; OBS refuses requests whose date is 900 s off, and then they are dated by its clock
SMALL = 4 << 20  # bytes of an object that is read to try reading out


class Listing(NamedTuple):
    """Everything below data_url. store: through which members of a pack are read like objects. packed: is it a pack."""

    store: Store
    infos: List[ObjectInfo]
    packed: bool

    @property
    def bytes(self) -> int:
        return sum(info.size for info in self.infos)

    def keys(self) -> Dict[str, ObjectInfo]:
        return {info.key: info for info in self.infos}


def list_data(config: Config, plain: Store, work_dir: str) -> Listing:
    """The ``Listing`` of what a run pulls. plain: the store of data_url. work_dir: the job's."""
    store = PackedStore(plain)
    infos = list(store.list())
    chosen = PulledData(config, plain, work_dir)
    return Listing(store, chosen(infos) if infos else infos, packed=plain.exists(INDEX_NAME))


def client_row(urls: Iterable[Optional[str]], environ: Mapping[str, str], backend: str) -> Row:
    """Which client stands between this machine and the URLs, and where its key and address come from."""
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
    return Row("client", GOOD, "OBS SDK to {}{}, key from {}{}".format(
        endpoint.url, " through a proxy" if endpoint.proxy else "", credentials.source,
        "" if endpoint.verify_tls else "; TLS certificates are NOT verified"))


def data_row(listing: Listing, url: str, clock: Callable[[], float]) -> Row:
    """List data_url, and read one of its objects. clock: seconds."""
    if not listing.infos:
        return Row("data_url", BAD, f"there is nothing below {url}", "Check the URL; keys are case-sensitive")
    read = [info for info in listing.infos if 0 < info.size <= SMALL]
    told = "{:,} {}, {}".format(len(listing.infos), "files in a pack and beside it" if listing.packed else "objects",
                                amount(listing.bytes, "B"))
    if read:
        info, started = read[len(read) // 2], clock()
        try:
            listing.store.read(info.key)
        except StoreError as error:
            return refused("data_url", error, "listed, and cannot be read")
        told += "; {} ({}) read in {:.0f} ms".format(info.key, amount(info.size, "B"), 1e3 * (clock() - started))
    return Row("data_url", GOOD, told)


def permission_rows(store: Store, probe: Probe) -> List[Row]:
    """List below train_url, and write, read and remove a probe there: a row for each that fails, or one for all."""
    rows, seconds = [], {}
    _tried(rows, "list", lambda: next(iter(store.list()), None), seconds)
    written = _tried(rows, "write", probe.write, seconds)
    if written:
        _tried(rows, "read", probe.read, seconds)
    in_parts = None
    if written:
        in_parts = _tried(rows, "write in parts", probe.write_in_parts, seconds)
    stays = None
    if written and not _tried(rows, "remove", probe.remove, seconds):
        stays = rows.pop()
        mend = "{}. What was tried out stays at {}; `python -m job sync gc` finds it".format(
            stays.mend or "Allow it", probe.url)
        if probe.may_not_remove:
            stays = Row("train_url", NOTE, f"{stays.told}. A run delivers everything, and old checkpoints stay",
                        mend)
        else:
            rows.append(stays._replace(mend=mend))
    if rows:
        return rows
    rates = ", ".join("{} {}/s".format(what, amount(SIZE / max(seconds[what], 1e-6), "B"))
                      for what in ("write", "read"))
    allowed = "list, write{}".format(", write in parts" if in_parts and seconds["write in parts"] is True else "")
    if stays is not None:
        return [Row("train_url", GOOD, "{} and read: allowed; {} with {}".format(
            allowed, rates, amount(SIZE, "B"))), stays]
    return [Row("train_url", GOOD, "{}, read and remove: allowed; {} with {}, {:.0f} ms to remove".format(
        allowed, rates, amount(SIZE, "B"), 1e3 * seconds["remove"]))]


def _tried(rows: List[Row], what: str, operation: Callable[[], Any], seconds: Dict[str, Any]) -> bool:
    """Whether it went well; if not, its row is added."""
    try:
        seconds[what] = operation()
        return True
    except Abandoned:
        raise
    except StoreError as error:
        rows.append(refused("train_url", error, f"may not, or cannot, {what}"))
        return False


def clock_row(store: Store, is_obs: bool) -> Row:
    """is_obs: the store has a clock of its own that it tells."""
    if not is_obs:
        return Row("clock", NONE, "this storage does not tell its own")
    ahead, latency = clock_ahead(store)
    told = "the server's is {}; it answers in {:.0f} ms".format(
        "the same" if abs(ahead) < 1.5 else "{:.0f} s {}".format(abs(ahead), "ahead" if ahead > 0 else "behind"),
        1e3 * latency)
    if abs(ahead) > MOST_SKEW:
        told += "; OBS refuses what is dated 15 minutes off, so requests are dated by its clock then"
    return Row("clock", GOOD, told)


def lease_row(store, own, seconds):
    """Whether another job holds the run name. own: ``Owner``. seconds: of silence until a claim is dead."""
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
            told.append(f"left by {owner}, who has ended: taken over at once")
        elif age > seconds:
            told.append("left by {}, silent for {:.0f} s: taken over".format(owner or "somebody", age))
        else:
            return Row("lease", BAD, "{} is in use by {}, renewed {:.0f} s ago".format(
                store.url, owner or "somebody", max(0.0, age)), "Wait for it, or give another --run_name")
    return Row("lease", GOOD, "; ".join(told) or "the run name is free")


def goes_on(store: Store) -> bool:
    """Whether the run name holds something whose data would have to be the same."""
    previous = read_published(store)
    return previous is not None and bool(previous.get("data"))


def resume_row(store: Store, config: Config, fingerprint: Optional[str]) -> Row:
    """Whether the configuration goes on from what the run name holds. fingerprint: of the data, None if unknown."""
    previous = read_published(store)
    markers = []
    if previous is not None:
        markers = published_checkpoints(store, previous["lineage"]).usable
    if not markers:
        if config.platform.resume == "always":
            return Row("resume", BAD, f"resume=always, and there is no checkpoint at {store.url}",
                       "Check train_url and run_name, or leave resume at auto")
        return Row("resume", GOOD, "a new run" if previous is None else "the run has no checkpoint yet: it begins")
    newest = markers[-1].metadata["iteration"]
    held = "{} checkpoint{}, the newest of iteration {}".format(len(markers), "s" * (len(markers) > 1), newest)
    if config.platform.resume == "never":
        return Row("resume", GOOD, f"{held}; resume=never begins afresh, and they stay")
    differing = loading.differences(loading.from_dict(previous["config"]), config)
    was = (previous.get("data") or {}).get("fingerprint")
    if fingerprint is not None and was not in (None, fingerprint):
        differing.append(("data", was[:12], fingerprint[:12]))
    if differing:
        return Row("resume", BAD, "{}, made with another configuration: {}".format(
            held, "; ".join("{} was {}, is {}".format(*each) for each in differing)),
            "Go on with the old values, give another --run_name, or --resume=never")
    if previous.get("state") == "done" and newest >= config.training.train_iterations:
        return Row("resume", GOOD, f"{held}; nothing is left to do (more with --train_iterations)")
    return Row("resume", GOOD, f"{held}; the run goes on from there")
