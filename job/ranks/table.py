"""HCCL's table of cards: which card of which server has which rank.

    {"version": "1.0", "status": "completed", "server_count": "1",
     "server_list": [{"server_id": "192.168.0.1", "device": [{"device_id": "0", "device_ip": "…", "rank_id": "0"}, …]}]}

The platform writes the file, and sets its status last. While the file is empty, half written or of another status, this
module waits for it. All values are strings. An older form with ``group_list`` and ``instance_list`` lists no ranks;
ModelArts' launcher converts it into this form, the only one that this module reads.
"""
from __future__ import annotations

import ipaddress
import json
import logging
import os
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from job.errors import ConfigError

log = logging.getLogger(__name__)

MEND = "The platform writes this file; set RANK_TABLE_FILE to a table of version 1.0, or unset it to train on one card"
NAME = "jobstart_hccl.json"  # of the file, where RANK_TABLE_FILE names its folder
COMPLETED = "completed"
PATIENCE = 600.0  # seconds in which the platform completes the table
CONVERTED = "$MA_MOUNT_PATH/rank_table/" + NAME  # where ModelArts' launcher writes the converted table


class Card(NamedTuple):
    """server: address of its machine. device_id: its number there. rank: of the training process that uses it."""

    server: str
    device_id: int
    rank: int


class Table(NamedTuple):
    """path: of the file. cards: all cards, by rank."""

    path: str
    cards: List[Card]


def read_rank_table(path: str) -> List[Card]:
    """All cards, by rank, of a table as it is now.

    Raises:
        ConfigError: the file is no such table, or not complete; the message says where.
    """
    return _checked(path, _load(path))


def wait_for_rank_table(path: str, seconds: float = PATIENCE, sleep: Callable[[float], None] = time.sleep,
                        clock: Callable[[], float] = time.monotonic) -> List[Card]:
    """All cards, by rank, once the platform has completed the table.

    Raises:
        ConfigError: the file is no such table, or not complete within ``seconds``.
    """
    deadline, told = clock() + seconds, False
    while True:
        late = clock() >= deadline
        try:
            table = _load(path)
            if late or _is_ready(table):
                return _checked(path, table)
        except ConfigError as error:
            if late or not isinstance(error.__cause__, ValueError):  # else it is empty or half written
                raise
        if not told:
            log.info("waiting up to %.0f s until the platform has completed %s", seconds, path)
            told = True
        sleep(1.0)


def find_rank_table(path: str, seconds: float = PATIENCE, sleep: Callable[[float], None] = time.sleep,
                    clock: Callable[[], float] = time.monotonic) -> Optional[Table]:
    """The table that RANK_TABLE_FILE names, once the platform has completed it; None if there is none.

    Raises:
        ConfigError: the file is no such table, or not complete within ``seconds``.
    """
    file = os.path.join(path, NAME) if os.path.isdir(path) else path
    if not os.path.isfile(file):
        return None
    return Table(file, wait_for_rank_table(file, seconds, sleep, clock))


def _is_ready(table: Any) -> bool:
    """Whether waiting longer is useless: the table is complete, or it has no status at all."""
    return not isinstance(table, dict) or table.get("status", COMPLETED) == COMPLETED


def _load(path: str) -> Any:
    try:
        with open(path, encoding="utf-8-sig") as stream:  # some editors begin a file with a byte-order mark
            return json.load(stream)
    except OSError as error:
        raise ConfigError(f"RANK_TABLE_FILE={path}: {error.strerror}. {MEND}") from error
    except ValueError as error:
        raise ConfigError(f"RANK_TABLE_FILE={path}: it is not valid JSON ({error}). {MEND}") from error


def _checked(path: str, table: Any) -> List[Card]:
    try:
        return _cards(table)
    except _Unfit as error:
        raise ConfigError(f"RANK_TABLE_FILE={path}: {error}. {MEND}") from error


def on_server(cards: List[Card], environ: Dict[str, str]) -> List[Card]:
    """The cards of this machine. Raises ConfigError where the table lists several machines and not this one."""
    servers = sorted({card.server for card in cards})
    if len(servers) == 1:
        return cards
    ours = [environ.get(name) for name in ("MA_CURRENT_HOST_IP", "MA_CURRENT_IP", "MA_CURRENT_INSTANCE_NAME")]
    found = [card for card in cards if card.server in ours]
    if not found:
        raise ConfigError(f"the rank table lists the servers {', '.join(servers)}, but neither MA_CURRENT_HOST_IP nor "
                          "MA_CURRENT_IP names one of them: set MA_CURRENT_HOST_IP to the address of this machine")
    return found


class _Unfit(Exception):
    """Why this is not a rank table that can be used."""


def _cards(table: Any) -> List[Card]:
    """The cards that a table lists, by rank. Raises _Unfit."""
    cards = [card for number, server in enumerate(_servers(table)) for card in _cards_of(server, number)]
    ranks = sorted(card.rank for card in cards)
    if ranks != list(range(len(cards))):
        raise _Unfit(f"expected each rank from 0 to {len(cards) - 1} once, found {', '.join(map(str, ranks))}")
    if len({(card.server, card.device_id) for card in cards}) < len(cards):
        raise _Unfit("it lists a card of a server twice")
    return sorted(cards, key=lambda card: card.rank)


def _servers(table: Any) -> List[Any]:
    """The entries of ``server_list``, of a table of the right form that is complete."""
    if isinstance(table, dict) and "group_list" in table:
        raise _Unfit(
            "this is the older form with group_list, which lists no ranks. ModelArts' launcher converts it and writes "
            f"the result to {CONVERTED}: set RANK_TABLE_FILE to that path. To convert it by hand, make a server_list "
            "entry for each server_id, put every device of its instances into its device list, and count rank_id from "
            "0 in the order of the numbers at the end of pod_name")
    version = table.get("version") if isinstance(table, dict) else type(table).__name__
    if version != "1.0":
        raise _Unfit(f"expected version \"1.0\", found {version!r}")
    if table.get("status") != COMPLETED:
        raise _Unfit(f"its status is {table.get('status')!r}, expected \"{COMPLETED}\"")
    servers = table.get("server_list")
    if not isinstance(servers, list) or not servers:
        raise _Unfit("server_list lists no server")
    if str(table.get("server_count", len(servers))) != str(len(servers)):
        raise _Unfit(f"server_count is {table['server_count']}, but server_list has {len(servers)} entries")
    return servers


def _cards_of(server: Any, number: int) -> List[Card]:
    """The cards of entry ``number`` of ``server_list``."""
    where, cards = f"server_list[{number}]", []
    try:
        for device in server["device"]:
            cards.append(Card(str(server["server_id"]), int(device["device_id"]), int(device["rank_id"])))
            if not _is_address(device["device_ip"]):
                raise _Unfit(f"{where}: the device_ip of rank {device['rank_id']} is {device['device_ip']!r}, expected "
                             "an IP address")
    except (KeyError, TypeError, ValueError) as error:
        found = error if isinstance(error, ValueError) else f"missing: {error}"
        raise _Unfit(f"{where}: expected server_id and device, a list of entries with device_id, device_ip and "
                     f"rank_id ({found})") from error
    return cards


def _is_address(text: Any) -> bool:
    """Whether HCCL could connect to it: the platform writes ``-.-.-.-`` where it does not know a card's address."""
    try:
        return not ipaddress.ip_address(text).is_unspecified
    except ValueError:
        return False


def check_place(path: str, cards: List[Card], rank_id: int, rank_size: int) -> None:
    """Raise ConfigError where the environment variables of this rank contradict the table."""
    if len(cards) != rank_size:
        raise ConfigError(f"RANK_SIZE={rank_size}, but {os.path.basename(path)} lists {len(cards)} cards: the two "
                          "numbers must be equal")
    if rank_id >= len(cards):
        raise ConfigError(f"RANK_ID={rank_id} is not in {path}, which lists the ranks 0 to {len(cards) - 1}")
