"""What a process finds when the container starts it."""
from __future__ import annotations

import json
import os
import sys

import pytest

from job.environment import read_environment
from job.ranks.table import read_rank_table
from tests.job.modelarts.mocked.container.conftest import log_of, printed

TELL = 'say(json.dumps({"args": args, "environ": dict(os.environ), "cwd": os.getcwd(), "file": __file__}))'


def told(container):
    """What the processes told of themselves, in order of their ranks."""
    return sorted((json.loads(line) for line in printed(container)), key=lambda it: it["environ"].get("RANK_ID", ""))


def test_the_code_is_pulled_and_started_elsewhere_than_in_its_folder(platform):
    platform.code("import sub.module\nsay(sub.module.NAME)\n" + TELL.replace("say", "assert sub.module.NAME\nsay"),
                  **{"sub/__init__.py": b"", "sub/module.py": b"NAME = 'pulled'", "folder/": b""})
    code, container = platform.run(parameters=(("seed", "3"), ("data_url", "obs://bucket/a b/")))
    assert code == 0, log_of(container)
    assert printed(container)[0] == "pulled"
    found = json.loads(printed(container)[1])
    assert found["args"] == {"seed": "3", "data_url": "obs://bucket/a b/"}
    assert found["file"] == os.path.join(container.disk.code, "code", "boot.py")
    assert found["cwd"].startswith(container.disk.root) and not found["cwd"].startswith(container.disk.code)
    assert os.path.isdir(os.path.join(container.disk.code, "code", "folder"))


def test_a_process_has_the_variables_of_the_platform_and_none_of_the_host(platform, monkeypatch):
    monkeypatch.setenv("OF_THE_HOST", "secret")
    monkeypatch.setenv("RANK_ID", "7")
    _, container = platform.code(TELL).run(environ={"OBS_SERVER": "http://here"}, environments={"OF_THE_JOB": "1"})
    (found,) = told(container)
    environ = found["environ"]
    assert "OF_THE_HOST" not in environ and "RANK_ID" not in environ and "RANK_TABLE_FILE" not in environ
    assert environ["OBS_SERVER"] == "http://here" and environ["OF_THE_JOB"] == "1"
    assert environ["HOME"] == container.disk.home and environ["MA_JOB_DIR"] == container.disk.code
    assert environ["MA_VJ_NAME"] == "ma-job-0a1b"
    assert environ["MA_CURRENT_INSTANCE_NAME"] == "modelarts-job-0a1b-worker-0"
    for name in ("HOME", "TMPDIR", "MA_LOG_DIR", "DLS_LOCAL_CACHE_PATH"):
        assert os.path.isdir(environ[name]) and environ[name].startswith(container.disk.root)


def test_paths_that_several_give_are_joined(platform):
    _, container = platform.code(TELL).run(
        environ={"PYTHONPATH": "/platform", "NO_PROXY": "a"}, environments={"PYTHONPATH": "/job", "NO_PROXY": "b"})
    (found,) = told(container)
    assert found["environ"]["PYTHONPATH"] == "/job" + os.pathsep + "/platform"
    assert found["environ"]["NO_PROXY"] == "b,a"


def test_the_job_reads_the_platform_from_these_variables(platform):
    _, container = platform.code(TELL).run(cards=2, nodes=2, node=1)
    second = read_environment(told(container)[1]["environ"])
    assert second.on_modelarts and second.work_dir == os.path.join(container.disk.cache, "masf")
    assert (second.rank_id, second.rank_size, second.device_id) == (3, 4, 1)
    assert (second.host_index, second.host_count) == (1, 2)
    assert second.control[0] == "ma-job-0a1b-worker-0.ma-job-0a1b"


def test_the_boot_file_starts_once_a_card_with_a_rank_table_and_a_folder_of_its_own(platform):
    _, container = platform.code(TELL).run(cards=2, environments={"HCCL_CONNECT_TIMEOUT": "600"})
    first, second = told(container)
    assert [each["environ"]["RANK_ID"] for each in (first, second)] == ["0", "1"]
    assert [each["environ"]["ASCEND_DEVICE_ID"] for each in (first, second)] == ["0", "1"]
    assert first["environ"]["RANK_SIZE"] == "2" and first["environ"]["HCCL_CONNECT_TIMEOUT"] == "600"
    assert first["cwd"] != second["cwd"]
    cards = read_rank_table(first["environ"]["RANK_TABLE_FILE"])
    assert [(card.rank, card.device_id) for card in cards] == [(0, 0), (1, 1)]


def test_processes_of_another_node_find_the_first_one(platform):
    platform.code("import socket\nhost = os.environ['VC_WORKER_HOSTS'].split(',')[0].split(':')[0]\n"
                  "say(socket.gethostbyname(host) if 0 else socket.getaddrinfo(host, 1)[0][4][0])")
    _, container = platform.run(nodes=2, node=1)
    assert printed(container) == ["127.0.0.1"], log_of(container)


@pytest.mark.parametrize("changes, expected", [
    (dict(code_dir="/none/code/", boot_file="/none/code/boot.py"), "/none/code/: NoSuchBucket"),
    (dict(boot_file="/bucket/code/none.py"), "boot_file /bucket/code/none.py: there is no such object"),
    (dict(boot_file="/bucket/other/boot.py"), "expected a .py file below code_dir /bucket/code/"),
    (dict(code_dir="obs://bucket/code/", boot_file="obs://bucket/code/boot.py"), "expected an OBS path"),
    (dict(inputs=(("data_url", "/none/"),)), "/none/: NoSuchBucket"),
])
def test_what_cannot_start_says_why_and_ends(platform, changes, expected):
    code, container = platform.code("say('started')").run(**changes)
    assert code == 1 and expected in container.problem
    assert expected in log_of(container) and "started" not in printed(container)


def test_requirements_that_the_platform_would_install_are_named_in_the_log(platform):
    platform.code("say('started')", **{"pip-requirements.txt": b"PyYAML"})
    code, container = platform.run()
    assert code == 0 and "pip-requirements.txt is not installed here" in log_of(container)


def test_more_files_than_the_platform_takes_are_refused(platform):
    platform.code("", **{f"file-{number}": b"" for number in range(1000)})
    code, container = platform.run()
    assert code == 1 and container.problem == "/bucket/code/ holds 1,001 files; ModelArts takes at most 1,000"


def test_a_key_that_leads_out_of_the_folder_is_refused(platform):
    platform.code("", **{"../../outside.py": b""})
    code, container = platform.run()
    assert code == 1 and "'code/../../outside.py' cannot be the path of a file" in container.problem


def test_the_interpreter_is_the_one_that_was_given(platform):
    _, container = platform.code("say(sys.executable)").run()
    assert printed(container) == [sys.executable]
