"""HCCL's table of cards: which card of which server has which rank.

    {"version": "1.0", "status": "completed", "server_count": "1",
     "server_list": [{"server_id": "192.168.0.1", "device": [{"device_id": "0", "device_ip": "…", "rank_id": "0"}, …]}]}

The platform writes it, and sets its status last. All values are strings. An older form, of ``group_list`` and
``instance_list``, gives no ranks; ModelArts' own launcher turns it into this one, which is all that is read here.
"""
from __future__ import annotations

import json
import logging
import os
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from job.errors import ConfigError

log = logging.getLogger(__name__)

MEND = "The platform writes this file; give RANK_TABLE_FILE a table of version 1.0, or unset it to train on one card"
NAME = "jobstart_hccl.json"  # of the file, where RANK_TABLE_FILE is the folder that it is in
UNDER_WAY = "initializing"
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
    """All cards, by rank.

    Raises:
        ConfigError: it is not such a table, or not complete; says where.
    """
    return _checked(path, _load(path))


def find_rank_table(path: str, seconds: float = 600.0, sleep: Callable[[float], None] = time.sleep,
                    clock: Callable[[], float] = time.monotonic) -> Optional[Table]:
    """The table that RANK_TABLE_FILE means, once the platform has completed it; None if there is none.

    Raises:
        ConfigError: it is no table, or not completed within ``seconds``.
    """
    file = os.path.join(path, NAME) if os.path.isdir(path) else path
    if not os.path.isfile(file):
        return None
    deadline, told = clock() + seconds, False
    table = _load(file)
    while isinstance(table, dict) and table.get("status") == UNDER_WAY and clock() < deadline:
        if not told:
            log.info("waiting for the platform to complete %s", file)
            told = True
        sleep(1.0)
        table = _load(file)
    return Table(file, _checked(file, table))


def _load(path: str) -> Any:
    try:
        with open(path, encoding="utf-8") as stream:
            return json.load(stream)
    except OSError as error:
        raise ConfigError("RANK_TABLE_FILE={}: {}. {}".format(path, error.strerror, MEND)) from error
    except ValueError as error:
        raise ConfigError("RANK_TABLE_FILE={}: it is no JSON ({}). {}".format(path, error, MEND)) from error


def _checked(path: str, table: Any) -> List[Card]:
    try:
        return _cards(table)
    except _Unfit as error:
        raise ConfigError("RANK_TABLE_FILE={}: {}. {}".format(path, error, MEND)) from error


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
            "it at {}: let RANK_TABLE_FILE name that. By hand: a server_list entry for each server_id, and in its "
            "device every device of the instances there, with rank_id counted from 0 in the order of the numbers that "
            "end their pod_name".format(CONVERTED))
    if not isinstance(table, dict) or table.get("version") != "1.0":
        raise _Unfit("expected version \"1.0\", found {!r}".format(
            table.get("version") if isinstance(table, dict) else type(table).__name__))
    if table.get("status") != "completed":
        raise _Unfit("its status is {!r}, expected \"completed\"".format(table.get("status")))
    servers = table.get("server_list")
    if not isinstance(servers, list) or not servers:
        raise _Unfit("server_list names no server")
    if str(table.get("server_count", len(servers))) != str(len(servers)):
        raise _Unfit("server_count is {}, but server_list has {}".format(table["server_count"], len(servers)))
    cards = []
    for number, server in enumerate(servers):
        where = "server_list[{}]".format(number)
        try:
            for card in server["device"]:
                cards.append(Card(str(server["server_id"]), int(card["device_id"]), int(card["rank_id"])))
                if not card["device_ip"]:
                    raise _Unfit("{}: rank {} has no device_ip".format(where, card["rank_id"]))
        except (KeyError, TypeError, ValueError) as error:
            raise _Unfit("{}: expected server_id and device, a list of device_id, device_ip and rank_id ({})".format(
                where, error if isinstance(error, ValueError) else "missing: {}".format(error))) from error
    ranks = sorted(card.rank for card in cards)
    if ranks != list(range(len(cards))):
        raise _Unfit("expected the ranks 0 to {}, each once, found {}".format(
            len(cards) - 1, ", ".join(map(str, ranks))))
    if len({card[:2] for card in cards}) < len(cards):
        raise _Unfit("a card of a server comes twice")
    return sorted(cards, key=lambda card: card.rank)


def check_place(path: str, cards: List[Card], rank_id: int, rank_size: int) -> None:
    """Raises ConfigError where the process's variables and the table do not agree."""
    if len(cards) != rank_size:
        raise ConfigError("RANK_SIZE={}, but {} has {} cards: both must say the same".format(
            rank_size, os.path.basename(path), len(cards)))
    if rank_id >= len(cards):
        raise ConfigError("RANK_ID={} is not in {}".format(rank_id, path))
