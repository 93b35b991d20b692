"""This process among those of its job: alone, or one of several that train together.

A process of several is started with RANK_ID and RANK_SIZE, by the platform or by ``launch``; rank 0's address is in
RANK_CONTROL=host:port, or follows from the rank table or from the list of hosts that ModelArts gives.
"""
from __future__ import annotations

import contextlib
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

OF_A_PROCESS = ("work_dir", "logdir", "log_level")  # settings that may differ from one process to another
WAIT_FOR_INPUTS = 7200.0  # seconds that a node's first process may take to pull and decode


class Alone:
    """The only process of its job."""

    rank, size = 0, 1
    leads_node = True

    def gather(self, value: Any, what: str = "", seconds: float = 0.0) -> List[Any]:
        return [value]

    def disband(self) -> None:
        """The others are not needed any more."""

    def on_loss(self, last_words: Callable[[PeerFailed], None]) -> None:
        """last_words: called with the error before the process is ended because another was lost."""

    def check_same_config(self, config: Config) -> None:
        """All processes have been started with the same configuration. Raises ConfigError, in every one of them."""

    def check_device(self, device: str) -> None:
        """What averages on ``device`` finds the other processes. Raises ConfigError."""

    def check_same_data(self, fingerprint: str) -> None:
        """All processes see the same data. Raises ConfigError, in every one of them."""

    def hold_stop(self) -> None:
        """Requests to stop count only once all processes know of them."""

    def ranks(self, device: str) -> OneRank:
        """What the graph knows of the others; see ``masf_core.ranks``. device: ``cpu``, ``gpu`` or ``ascend``."""
        return OneRank()


ALONE = Alone()


class Group(Alone):
    """One of several.

    Args:
        channel: ``Channel`` that all have joined. console: its stop request is held while they train.
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
        own = {name: value for name, value in values_of(config).items() if name not in OF_A_PROCESS}
        everybody = self.gather(own, "the comparison of configurations")
        for rank, theirs in enumerate(everybody):
            differing = [name for name in own if theirs.get(name) != everybody[0].get(name)]
            if differing:
                raise ConfigError("rank {} was started with another configuration than rank 0: {}".format(
                    rank, ", ".join(f"{name} is {theirs.get(name)!r} and not {everybody[0].get(name)!r}"
                                    for name in differing)))

    def check_device(self, device: str) -> None:
        if device == "ascend" and self._rank_table is None:
            raise ConfigError(f"RANK_SIZE={self.size}, but RANK_TABLE_FILE is not set, in which HCCL finds the "
                              "cards: let the "
                              "platform start the processes, or give RANK_TABLE_FILE and JOB_ID to "
                              "python -m job launch")

    def check_same_data(self, fingerprint: str) -> None:
        fingerprints = self.gather(fingerprint, "the comparison of data")
        other = [rank for rank, each in enumerate(fingerprints) if each != fingerprints[0]]
        if other:
            raise ConfigError(f"rank {other[0]} sees other data than rank 0 ({fingerprints[other[0]][:12]} and not "
                              f"{fingerprints[0][:12]}): give all processes the same "
                              "data_url, or a local directory with the same content")


@contextlib.contextmanager
def join(environment: Environment, console: Any, work_dir: str) -> Iterator[Alone]:
    """The group of this process, ``Alone`` or ``Group``, as a context manager.

    Raises:
        ConfigError: the others do not come, or do not fit.
    """
    if environment.rank_size == 1:
        yield ALONE
        return
    address = control_address(environment, wait_for_rank_table)
    with Channel(environment.rank_id, environment.rank_size, address, environment.job_id or "",
                 on_wait=console.check_stop) as channel:
        yield Group(channel, console, work_dir, environment.rank_table)


def check_share(batch: int, size: int) -> None:
    """Raises ConfigError where a batch of so many images a domain cannot be shared by so many processes."""
    if batch % size:
        nearest = max(size, (batch + size // 2) // size * size)
        raise ConfigError(f"meta_batch_size={batch} cannot be shared by {size} processes: it counts the images of a "
                          "domain over "
                          f"all of them, so give a multiple of {size}, such as {nearest}")


def control_address(environment: Environment, read: Callable[[str], List[Card]] = read_rank_table) -> Tuple[str, int]:
    """(host, port) where rank 0 listens. read: reads the rank table, at once or when the platform has completed it.

    Raises ConfigError where that cannot be known, or the rank table is unfit."""
    size, table = environment.rank_size, environment.rank_table
    if table is not None:
        cards = read(table)
        check_place(table, cards, environment.rank_id, size)
        if environment.job_id is None:
            raise ConfigError(f"RANK_SIZE={size}, but JOB_ID is not set, without which HCCL averages nothing: set "
                              "it to any "
                              "number, the same in all processes")
        alone = len({card.server for card in cards}) == 1
        return environment.control or ("127.0.0.1" if alone else cards[0].server, CONTROL_PORT)
    if environment.control is None:
        raise ConfigError(f"RANK_SIZE={size}: say where rank 0 is with RANK_CONTROL=host:port, or start all "
                          "processes of "
                          f"this machine with python -m job launch --processes {size} -- run …")
    return environment.control


def node_name() -> str:
    """What tells this machine from others, and containers on it from one another."""
    return socket.gethostname()
