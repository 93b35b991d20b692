"""HCCL's table of cards: which card of which server has which rank.

    {"version": "1.0", "status": "completed", "server_count": "1",
     "server_list": [{"server_id": "192.168.0.1", "device": [{"device_id": "0", "device_ip": "…", "rank_id": "0"}, …]}]}

The platform writes it, and sets its status last. So a file that is empty, half written or of another status is not
ready yet: it is waited for. All values are strings. An older form, of ``group_list`` and ``instance_list``, gives no
ranks; ModelArts' own launcher turns it into this one, which is all that is read here.
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

MEND = "The platform writes this file; give RANK_TABLE_FILE a table of version 1.0, or unset it to train on one card"
NAME = "jobstart_hccl.json"  # of the file, where RANK_TABLE_FILE is the folder that it is in
COMPLETED = "completed"
PATIENCE = 600.0  # seconds in which the platform completes the table
CONVERTED = "$MA_MOUNT_PATH/rank_table/" + NAME  # where ModelArts' launcher writes what it made of the older form


class Card(NamedTuple):
    """server: address of its machine. device_id: its number there. rank: among all cards."""

    server: str
    device_id: int
    rank: int


class Table(NamedTuple):
    """path: of its file. cards: all of them, by rank."""

    path: str
    cards: List[Card]


def read_rank_table(path: str) -> List[Card]:
    """All cards, by rank, of a table as it is now.

    Raises:
        ConfigError: it is not such a table, or not complete; says where.
    """
    return _checked(path, _load(path))


def wait_for_rank_table(path: str, seconds: float = PATIENCE, sleep: Callable[[float], None] = time.sleep,
                        clock: Callable[[], float] = time.monotonic) -> List[Card]:
    """All cards, by rank, once the platform has completed the table.

    Raises:
        ConfigError: it is no table, or not completed within ``seconds``.
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
            log.info("waiting for the platform to complete %s, at most %.0f s", path, seconds)
            told = True
        sleep(1.0)


def find_rank_table(path: str, seconds: float = PATIENCE, sleep: Callable[[float], None] = time.sleep,
                    clock: Callable[[], float] = time.monotonic) -> Optional[Table]:
    """The table that RANK_TABLE_FILE means, once the platform has completed it; None if there is none.

    Raises:
        ConfigError: it is no table, or not completed within ``seconds``.
    """
    file = os.path.join(path, NAME) if os.path.isdir(path) else path
    if not os.path.isfile(file):
        return None
    return Table(file, wait_for_rank_table(file, seconds, sleep, clock))


def _is_ready(table: Any) -> bool:
    """Whether waiting would change nothing: it is complete, or not a table that has a status."""
    return not isinstance(table, dict) or table.get("status", COMPLETED) == COMPLETED


def _load(path: str) -> Any:
    try:
        with open(path, encoding="utf-8-sig") as stream:  # some editors begin a file with a byte-order mark
            return json.load(stream)
    except OSError as error:
        raise ConfigError(f"RANK_TABLE_FILE={path}: {error.strerror}. {MEND}") from error
    except ValueError as error:
        raise ConfigError(f"RANK_TABLE_FILE={path}: it is no JSON ({error}). {MEND}") from error


def _checked(path: str, table: Any) -> List[Card]:
    try:
        return _cards(table)
    except _Unfit as error:
        raise ConfigError(f"RANK_TABLE_FILE={path}: {error}. {MEND}") from error


def on_server(cards: List[Card], environ: Dict[str, str]) -> List[Card]:
    """The cards of this machine. Raises ConfigError where it is not among several."""
    servers = sorted({card.server for card in cards})
    if len(servers) == 1:
        return cards
    ours = [environ.get(name) for name in ("MA_CURRENT_HOST_IP", "MA_CURRENT_IP", "MA_CURRENT_INSTANCE_NAME")]
    found = [card for card in cards if card.server in ours]
    if not found:
        raise ConfigError("the rank table names the servers {}, and MA_CURRENT_HOST_IP, MA_CURRENT_IP none of them: "
                          "set MA_CURRENT_HOST_IP to this machine's".format(", ".join(servers)))
    return found


class _Unfit(Exception):
    """What the table lacks."""


def _cards(table: Any) -> List[Card]:
    if isinstance(table, dict) and "group_list" in table:
        raise _Unfit(
            "this is the older form, of group_list, which gives no ranks. ModelArts' launcher leaves what it made of "
            f"it at {CONVERTED}: let RANK_TABLE_FILE name that. By hand: a server_list entry for each server_id, "
            "and in its "
            "device every device of the instances there, with rank_id counted from 0 in the order of the numbers that "
            "end their pod_name")
    if not isinstance(table, dict) or table.get("version") != "1.0":
        raise _Unfit("expected version \"1.0\", found {!r}".format(
            table.get("version") if isinstance(table, dict) else type(table).__name__))
    if table.get("status") != COMPLETED:
        raise _Unfit("its status is {!r}, expected \"completed\"".format(table.get("status")))
    servers = table.get("server_list")
    if not isinstance(servers, list) or not servers:
        raise _Unfit("server_list names no server")
    if str(table.get("server_count", len(servers))) != str(len(servers)):
        raise _Unfit("server_count is {}, but server_list has {}".format(table["server_count"], len(servers)))
    cards = []
    for number, server in enumerate(servers):
        where = f"server_list[{number}]"
        try:
            for card in server["device"]:
                cards.append(Card(str(server["server_id"]), int(card["device_id"]), int(card["rank_id"])))
                if not _is_address(card["device_ip"]):
                    raise _Unfit("{}: the device_ip of rank {} is {!r}, expected an IP address".format(
                        where, card["rank_id"], card["device_ip"]))
        except (KeyError, TypeError, ValueError) as error:
            raise _Unfit("{}: expected server_id and device, a list of device_id, device_ip and rank_id ({})".format(
                where, error if isinstance(error, ValueError) else f"missing: {error}")) from error
    ranks = sorted(card.rank for card in cards)
    if ranks != list(range(len(cards))):
        raise _Unfit("expected the ranks 0 to {}, each once, found {}".format(
            len(cards) - 1, ", ".join(map(str, ranks))))
    if len({card[:2] for card in cards}) < len(cards):
        raise _Unfit("a card of a server comes twice")
    return sorted(cards, key=lambda card: card.rank)


def _is_address(text: Any) -> bool:
    """Whether HCCL could connect to it: the platform writes ``-.-.-.-`` where it does not know a card's address."""
    try:
        return not ipaddress.ip_address(text).is_unspecified
    except ValueError:
        return False


def check_place(path: str, cards: List[Card], rank_id: int, rank_size: int) -> None:
    """Raises ConfigError where the process's variables and the table do not agree."""
    if len(cards) != rank_size:
        raise ConfigError(f"RANK_SIZE={rank_size}, but {os.path.basename(path)} has {len(cards)} cards: both must "
                          "say the same")
    if rank_id >= len(cards):
        raise ConfigError(f"RANK_ID={rank_id} is not in {path}")
