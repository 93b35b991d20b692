"""HCCL's table of cards is read, and what is wrong with one is named."""
from __future__ import annotations

import copy
import functools
import json
import types

import pytest

from job.errors import ConfigError
from job.ranks import table as rank_table
from job.ranks.group import Group, control_address
from job.ranks.table import check_place, find_rank_table, on_server, read_rank_table, wait_for_rank_table

TABLE = {"version": "1.0", "status": "completed", "server_count": "2", "server_list": [
    {"server_id": f"10.0.0.{server}", "device": [
        {"device_id": str(card), "device_ip": f"192.168.{server}.{card}", "rank_id": str(2 * server + card)}
        for card in range(2)]} for server in range(2)]}


def written(tmp_path, table):
    path = tmp_path / "jobstart_hccl.json"
    path.write_text(table if isinstance(table, str) else json.dumps(table))
    return str(path)


def test_cards_come_by_rank(tmp_path):
    cards = read_rank_table(written(tmp_path, TABLE))
    assert [(card.rank, card.server, card.device_id) for card in cards] == [
        (0, "10.0.0.0", 0), (1, "10.0.0.0", 1), (2, "10.0.0.1", 0), (3, "10.0.0.1", 1)]
    assert [card.rank for card in on_server(cards, {"MA_CURRENT_HOST_IP": "10.0.0.1"})] == [2, 3]
    with pytest.raises(ConfigError, match="the servers 10.0.0.0, 10.0.0.1"):
        on_server(cards, {})


def changed(change):
    table = copy.deepcopy(TABLE)
    change(table)
    return table


@pytest.mark.parametrize("table, said", [
    ("{", "it is not valid JSON"),
    ([], "expected version \"1.0\", found 'list'"),
    (changed(lambda table: table.update(version="0.1")), "found '0.1'"),
    (changed(lambda table: table.update(status="initializing")), "its status is 'initializing'"),
    (changed(lambda table: table.update(server_count="3")), "server_count is 3, but server_list has 2"),
    (changed(lambda table: table.update(server_list=[])), "lists no server"),
    (changed(lambda table: table["server_list"][1].pop("device")), r"server_list\[1\]: expected server_id and device"),
    (changed(lambda table: table["server_list"][0]["device"][1].update(rank_id="3")),
     "expected each rank from 0 to 3 once, found 0, 2, 3, 3"),
    (changed(lambda table: table["server_list"][0]["device"][1].update(device_id="0")),
     "lists a card of a server twice"),
    (changed(lambda table: table["server_list"][0]["device"][1].update(device_ip="")), "device_ip of rank 1 is ''"),
    (changed(lambda table: table["server_list"][0]["device"][1].update(device_ip="-.-.-.-")),
     "device_ip of rank 1 is '-.-.-.-', expected an IP address"),
    (changed(lambda table: table["server_list"][0]["device"][1].update(rank_id="one")), "invalid literal"),
])
def test_what_is_wrong_is_named(tmp_path, table, said):
    path = written(tmp_path, table)
    with pytest.raises(ConfigError, match=said) as raised:
        read_rank_table(path)
    assert path in str(raised.value)


def test_a_table_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match="none.json: No such file"):
        read_rank_table(str(tmp_path / "none.json"))


def test_it_must_agree_with_the_process_s_variables(tmp_path):
    cards = read_rank_table(written(tmp_path, TABLE))
    check_place("table", cards, 3, 4)
    with pytest.raises(ConfigError, match="RANK_SIZE=8, but table lists 4 cards"):
        check_place("table", cards, 3, 8)


@pytest.mark.parametrize("device, path, told", [
    ("ascend", None, "RANK_TABLE_FILE is not set"), ("ascend", "/table.json", None), ("cpu", None, None)])
def test_several_cards_of_ascend_find_each_other_in_a_rank_table_alone(device, path, told):
    channel = types.SimpleNamespace(rank=0, size=2, host="h", gather=lambda value, what, seconds: [value, value])
    group = Group(channel, types.SimpleNamespace(stop=None), "/work", path)
    if told is None:
        group.check_device(device)
    else:
        with pytest.raises(ConfigError, match=told):
            group.check_device(device)


@pytest.mark.parametrize("begun", [dict(TABLE, status="initializing"), dict(TABLE, status="deploying"), "",
                                   json.dumps(TABLE)[:100]], ids=["initializing", "deploying", "empty", "half"])
@pytest.mark.parametrize("folder", [False, True])
def test_a_table_is_waited_for_until_the_platform_has_completed_it(tmp_path, folder, begun):
    path, waits = written(tmp_path, begun), []

    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            written(tmp_path, TABLE)

    assert find_rank_table(str(tmp_path) if folder else path, sleep=sleep).path == path and len(waits) == 3


def test_a_table_is_read_once_each_time_that_it_is_looked_at(tmp_path, monkeypatch):
    path, read = written(tmp_path, TABLE), []
    monkeypatch.setattr(rank_table, "open", lambda *given, **named: read.append(given[0]) or open(*given, **named),
                        raising=False)
    found = find_rank_table(path)
    assert [card.rank for card in found.cards] == [0, 1, 2, 3] and read == [path]


def test_the_older_form_is_refused_with_the_way_to_turn_it_into_the_one_that_is_read(tmp_path):
    path = written(tmp_path, {"status": "completed", "group_count": "1", "group_list": [{
        "group_name": "job", "device_count": "1", "instance_count": "1", "instance_list": [
            {"pod_name": "job-0", "server_id": "10.0.0.1", "devices": [{"device_id": "0", "device_ip": "1"}]}]}]})
    for read in (read_rank_table, find_rank_table):
        with pytest.raises(ConfigError, match="the older form with group_list") as raised:
            read(path)
        assert "$MA_MOUNT_PATH/rank_table/jobstart_hccl.json" in str(raised.value)
        assert "count rank_id from 0" in str(raised.value)


def test_a_process_can_wait_for_its_table_and_doctor_looks_at_it_as_it_is(tmp_path):
    path = written(tmp_path, "")
    environment = types.SimpleNamespace(rank_id=0, rank_size=4, rank_table=path, job_id="1", control=("h", 1))
    with pytest.raises(ConfigError, match="it is not valid JSON"):
        control_address(environment)
    patient = functools.partial(wait_for_rank_table, sleep=lambda seconds: written(tmp_path, TABLE))
    assert control_address(environment, patient) == ("h", 1)


def test_a_missing_job_id_is_only_a_warning(tmp_path, caplog):
    path = written(tmp_path, TABLE)
    environment = types.SimpleNamespace(rank_id=0, rank_size=4, rank_table=path, job_id=None, control=("h", 1))
    assert control_address(environment) == ("h", 1)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "RANK_SIZE=4, but JOB_ID is not set" in caplog.text
    caplog.clear()
    environment.job_id = "1"
    control_address(environment)
    assert not caplog.records


def test_a_byte_order_mark_is_passed_over(tmp_path):
    assert len(read_rank_table(written(tmp_path, "\ufeff" + json.dumps(TABLE)))) == 4


def test_a_table_that_is_never_completed_is_an_error_and_none_is_no_table(tmp_path):
    path, now = written(tmp_path, dict(TABLE, status="initializing")), [0.0]
    with pytest.raises(ConfigError, match="its status is 'initializing'"):
        find_rank_table(path, seconds=5.0, sleep=lambda seconds: now.append(now[-1] + seconds), clock=lambda: now[-1])
    assert now[-1] == 5.0
    assert find_rank_table(str(tmp_path / "none")) is None
    (tmp_path / "empty").mkdir()
    assert find_rank_table(str(tmp_path / "empty")) is None
    now.append(0.0)
    with pytest.raises(ConfigError, match="it is not valid JSON"):
        find_rank_table(written(tmp_path, "{"), seconds=5.0, sleep=lambda seconds: now.append(now[-1] + seconds),
                        clock=lambda: now[-1])
    assert now[-1] == 5.0
