"""This rank among the ranks of its job: the only one, or one of several that train together.

One of several is started with RANK_ID and RANK_SIZE, by the platform or by ``launch``. The address of rank 0 is in
RANK_CONTROL=host:port, or follows from the rank table or from ModelArts' list of hosts.
"""
from __future__ import annotations

import contextlib
import logging
import os
import socket
from typing import Any, Callable, Iterator, List, Optional, Tuple

from job.config.settings import Config, values_of
from job.environment import CONTROL_PORT, Environment
from job.errors import ConfigError, PeerFailed
from job.ranks.channel import Channel
from job.ranks.stop import AgreedStop
from job.ranks.table import Card, check_place, read_rank_table, wait_for_rank_table
from masf_core.ranks.one_rank import NeverStop, OneRank

log = logging.getLogger(__name__)

OF_A_RANK = ("work_dir", "logdir", "log_level")  # settings that may differ from one rank to another
WAIT_FOR_INPUTS = 7200.0  # seconds that the first rank of a machine may take to download and decode


class Alone:
    """The only rank of its job.

    Attributes:
        leads_node: this is the first rank of its machine, which downloads and decodes for all ranks there.
    """

    rank, size = 0, 1
    leads_node = True

    def gather(self, value: Any, what: str = "", seconds: float = 0.0) -> List[Any]:
        return [value]

    def disband(self) -> None:
        """From now on this rank ignores what happens to the others."""

    def on_loss(self, last_words: Callable[[PeerFailed], None]) -> None:
        """last_words: called with the error before this process is ended because another rank was lost."""

    def check_same_config(self, config: Config) -> None:
        """Raise ConfigError, on every rank, where the ranks were not started with the same configuration."""

    def check_device(self, device: str) -> None:
        """Raise ConfigError where the ranks cannot average on ``device``."""

    def check_same_data(self, fingerprint: str) -> None:
        """Raise ConfigError, on every rank, where the ranks do not see the same data."""

    def hold_stop(self) -> None:
        """From now on a request to stop counts only once all ranks know of it."""

    def ranks(self, device: str) -> OneRank:
        """The ranks as the graph sees them, see ``masf_core.ranks``. device: ``cpu``, ``gpu`` or ``ascend``."""
        return OneRank()


ALONE = Alone()


class Group(Alone):
    """One of several ranks.

    Args:
        channel: ``Channel`` that all ranks have joined. console: its stop request is held while they train.
        rank_table: path of HCCL's table of cards, or None.
    """

    def __init__(self, channel: Channel, console: Any, work_dir: str, rank_table: Optional[str] = None) -> None:
        self._channel, self._console, self._rank_table = channel, console, rank_table
        self.rank, self.size, self.host = channel.rank, channel.size, channel.host
        self.stop = AgreedStop(console.stop) if console.stop is not None else NeverStop()
        here = [node_name(), os.path.realpath(work_dir)]
        self.leads_node = self.gather(here, "the start").index(here) == self.rank

    def gather(self, value: Any, what: str = "the next step", seconds: float = 600.0) -> List[Any]:
        return self._channel.gather(value, what, seconds)

    def disband(self) -> None:
        self._channel.disband()
        if self._console.stop is not None:
            self._console.stop.release()

    def on_loss(self, last_words: Callable[[PeerFailed], None]) -> None:
        self._channel.last_words = last_words

    def hold_stop(self) -> None:
        if self._console.stop is not None:
            self._console.stop.hold()

    def ranks(self, device: str) -> OneRank:
        from masf_core.devices.choice import make_collectives  # brings TensorFlow

        return make_collectives(device, self)

    def blame(self) -> None:
        self._channel.blame()

    def check_same_config(self, config: Config) -> None:
        check_share(config.training.meta_batch_size, self.size)
        own = {name: value for name, value in values_of(config).items() if name not in OF_A_RANK}
        everybody = self.gather(own, "the comparison of configurations")
        for rank, theirs in enumerate(everybody):
            differing = [name for name in own if theirs.get(name) != everybody[0].get(name)]
            if differing:
                values = [f"{name} is {theirs.get(name)!r} and not {everybody[0].get(name)!r}" for name in differing]
                raise ConfigError(f"rank {rank} was started with another configuration than rank 0: "
                                  f"{', '.join(values)}")

    def check_device(self, device: str) -> None:
        if device == "ascend" and self._rank_table is None:
            raise ConfigError(f"RANK_SIZE={self.size}, but RANK_TABLE_FILE is not set, and HCCL finds the cards there: "
                              "let the platform start the ranks, or set RANK_TABLE_FILE and JOB_ID for "
                              "python -m job launch")

    def check_same_data(self, fingerprint: str) -> None:
        fingerprints = self.gather(fingerprint, "the comparison of data")
        other = [rank for rank, each in enumerate(fingerprints) if each != fingerprints[0]]
        if other:
            raise ConfigError(f"rank {other[0]} sees other data than rank 0 ({fingerprints[other[0]][:12]} and not "
                              f"{fingerprints[0][:12]}): give all ranks the same data_url, or a local folder with the "
                              "same content")


@contextlib.contextmanager
def join(environment: Environment, console: Any, work_dir: str) -> Iterator[Alone]:
    """The group of this rank, ``Alone`` or ``Group``, as a context manager.

    Raises:
        ConfigError: other ranks do not join, or contradict this one.
    """
    if environment.rank_size == 1:
        yield ALONE
        return
    address = control_address(environment, wait_for_rank_table)
    with Channel(environment.rank_id, environment.rank_size, address, environment.job_id or "",
                 on_wait=console.check_stop) as channel:
        yield Group(channel, console, work_dir, environment.rank_table)


def check_share(batch: int, size: int) -> None:
    """Raise ConfigError where ``size`` ranks cannot share a batch of so many images of each domain."""
    if batch % size:
        nearest = max(size, (batch + size // 2) // size * size)
        raise ConfigError(f"meta_batch_size={batch} cannot be shared by {size} ranks: it counts the images of a domain "
                          f"over all ranks, so give a multiple of {size}, such as {nearest}")


def control_address(environment: Environment, read: Callable[[str], List[Card]] = read_rank_table) -> Tuple[str, int]:
    """(host, port) where rank 0 listens.

    Args:
        read: reads the rank table, immediately or once the platform has completed it.

    Raises:
        ConfigError: nothing says where, or the rank table is wrong.
    """
    size, table = environment.rank_size, environment.rank_table
    if table is not None:
        cards = read(table)
        check_place(table, cards, environment.rank_id, size)
        if environment.job_id is None:
            # Only the adapter's own distributed optimiser needs it; this job calls HCCL's operations directly.
            log.warning("RANK_SIZE=%d, but JOB_ID is not set. This job averages without it, and the adapter only "
                        "warns. If the cards do not find one another, set JOB_ID to the same number for all ranks",
                        size)
        alone = len({card.server for card in cards}) == 1
        return environment.control or ("127.0.0.1" if alone else cards[0].server, CONTROL_PORT)
    if environment.control is None:
        raise ConfigError(f"RANK_SIZE={size}, but RANK_CONTROL is not set: set RANK_CONTROL=host:port to the address "
                          f"of rank 0, or start all ranks of this machine with python -m job launch --processes {size} "
                          "-- run …")
    return environment.control


def node_name() -> str:
    """The host name: it tells machines, and containers on one machine, from one another."""
    return socket.gethostname()
