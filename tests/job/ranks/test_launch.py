"""The launcher: who gets which rank, who ends whom, and that nothing is left."""
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from job.environment import CONTROL_PORT
from job.errors import ConfigError
from job.ranks.launch import environments, launch

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
ENVIRON = {"PATH": os.environ.get("PATH", ""), "CUDA_VISIBLE_DEVICES": "-1"}


def python(text):
    return [sys.executable, "-c", "import os, signal, sys, time\nrank = int(os.environ['RANK_ID'])\n" + text]


def table(tmp_path, servers):
    """A rank table; servers: address → number of cards."""
    rank, entries = 0, []
    for address, cards in servers.items():
        entries.append({"server_id": address, "device": [
            {"device_id": str(number), "device_ip": "192.168.0.1", "rank_id": str(rank + number)}
            for number in range(cards)]})
        rank += cards
    path = tmp_path / "table.json"
    path.write_text(json.dumps({"version": "1.0", "status": "completed", "server_count": str(len(entries)),
                                "server_list": entries}))
    return str(path)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stream:
            return stream.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_each_process_has_its_rank_and_its_lines_begin_with_it(capfd):
    assert launch(3, python("print('of', os.environ['RANK_SIZE']); sys.stderr.write('wrong\\n')"), ENVIRON) == 0
    out, err = capfd.readouterr()
    assert sorted(out.splitlines()) == ["[0] of 3", "[1] of 3", "[2] of 3"]
    assert sorted(err.splitlines()) == ["[0] wrong", "[1] wrong", "[2] wrong"]


@pytest.mark.parametrize("end, code", [("sys.exit(4)", 4), ("os.kill(os.getpid(), signal.SIGKILL)", 137)])
def test_the_first_that_fails_stops_the_others_and_its_code_is_the_job_s(end, code):
    begun = time.monotonic()
    text = f"if rank == 1:\n    {end}\ntime.sleep(60)"
    assert launch(3, python(text), ENVIRON) == code
    assert time.monotonic() - begun < 20.0


def test_an_abort_is_explained_with_the_last_errors_of_cann(tmp_path, caplog):
    environ = dict(ENVIRON, ASCEND_PROCESS_LOG_PATH=str(tmp_path))
    text = ("if rank == 1:\n"
            "    path = os.path.join(os.environ['ASCEND_PROCESS_LOG_PATH'], 'plog-1.log')\n"
            "    open(path, 'w').write('[ERROR] GE: no card')\n"
            "    os.abort()\n"
            "time.sleep(60)")
    assert launch(2, python(text), environ) == 134
    (record,) = caplog.records
    assert record.getMessage().startswith("native code aborted rank 1 (SIGABRT, exit code 134)")
    assert record.getMessage().endswith(
        f"CANN's own logs are below {tmp_path}. Their last errors:\n  [ERROR] GE: no card")


def test_one_that_does_not_heed_sigterm_is_killed():
    text = ("signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "if rank == 1:\n    time.sleep(0.5)\n    sys.exit(3)\ntime.sleep(60)")
    begun = time.monotonic()
    assert launch(2, python(text), ENVIRON, patience=0.5) == 3
    assert time.monotonic() - begun < 20.0


def in_background(tmp_path, text):
    """A launcher as a process of its own, and the pids of its children and grandchildren."""
    program = ("from job.ranks.launch import launch; import os, sys; "
               "sys.exit(launch(2, [sys.executable, '-c', sys.argv[1]], dict(os.environ)))")
    text = ("import os, signal, subprocess, sys, time\nrank = os.environ['RANK_ID']\n"
            "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
            f"path = os.path.join({str(tmp_path)!r}, rank)\n"
            "with open(path + '.part', 'w') as stream:\n    stream.write('{} {}'.format(os.getpid(), child.pid))\n"
            ) + text + "\nos.rename(path + '.part', path)\ntime.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", program, text], cwd=ROOT, env=dict(os.environ, **ENVIRON))
    wait_until(lambda: all((tmp_path / rank).exists() for rank in "01"))
    return process, [int(pid) for rank in "01" for pid in (tmp_path / rank).read_text().split()]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_signals_are_passed_on_and_nothing_is_left(tmp_path, signum):
    process, pids = in_background(
        tmp_path, f"signal.signal(signal.{signum.name}, lambda *_: os._exit(43))")
    process.send_signal(signum)
    assert process.wait(20) == 43
    wait_until(lambda: not any(map(alive, pids)))


def test_a_closed_output_stops_all_processes_without_a_word(tmp_path):
    program = ("from job.ranks.launch import launch; import os, sys; "
               "sys.exit(launch(2, [sys.executable, '-c', sys.argv[1]], dict(os.environ)))")
    text = (f"import os, time\nwith open(os.path.join({str(tmp_path)!r}, os.environ['RANK_ID']), 'w') as stream:\n"
            "    stream.write(str(os.getpid()))\nwhile True:\n    print('line', flush=True)\n    time.sleep(0.02)"
            )
    process = subprocess.Popen([sys.executable, "-c", program, text], cwd=ROOT, env=dict(os.environ, **ENVIRON),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline().endswith(b"line\n")
    wait_until(lambda: all((tmp_path / rank).exists() and (tmp_path / rank).read_text() for rank in "01"))
    process.stdout.close()
    try:
        assert process.wait(20) == 128 + signal.SIGPIPE
        assert process.stderr.read() == b""
    finally:
        process.kill()
        process.stderr.close()
    wait_until(lambda: not any(alive(int((tmp_path / rank).read_text())) for rank in "01"))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="PR_SET_PDEATHSIG is Linux's")
def test_a_launcher_that_is_killed_takes_its_processes_with_it(tmp_path):
    process, pids = in_background(tmp_path, "")
    process.kill()
    process.wait()
    wait_until(lambda: not alive(pids[0]) and not alive(pids[2]))
    for pid in (pids[1], pids[3]):  # what they had started is not the launcher's
        os.kill(pid, signal.SIGKILL)


def test_the_ranks_of_several_hosts_follow_one_another():
    found = environments(2, dict(ENVIRON, MA_NUM_HOSTS="2", VC_TASK_INDEX="1", VC_WORKER_HOSTS="a.job, b.job"))
    assert [place["RANK_ID"] for place in found] == ["2", "3"]
    assert {place["RANK_SIZE"] for place in found} == {"4"}
    assert {place["RANK_CONTROL"] for place in found} == {f"a.job:{CONTROL_PORT}"}


def test_each_process_has_a_gpu_of_its_own():
    found = environments(2, dict(ENVIRON, CUDA_VISIBLE_DEVICES="4,6,7"))
    assert [place["CUDA_VISIBLE_DEVICES"] for place in found] == ["4", "6"]
    with pytest.raises(ConfigError, match="--processes=4, but there are 3 GPUs"):
        environments(4, dict(ENVIRON, CUDA_VISIBLE_DEVICES="4,6,7"))


def test_on_ascend_the_rank_table_gives_the_ranks(tmp_path):
    environ = dict(ENVIRON, RANK_TABLE_FILE=table(tmp_path, {"10.0.0.1": 2, "10.0.0.2": 2}),
                   MA_CURRENT_HOST_IP="10.0.0.2")
    found = environments(2, environ)
    assert [(place["RANK_ID"], place["ASCEND_DEVICE_ID"], place["RANK_SIZE"]) for place in found] == [
        ("2", "0", "4"), ("3", "1", "4")]
    assert {place["RANK_CONTROL"] for place in found} == {f"10.0.0.1:{CONTROL_PORT}"}
    assert {place["JOB_ID"] for place in found} == {"10087"}
    with pytest.raises(ConfigError, match="--processes=8, but the rank table lists 2 cards for this machine"):
        environments(8, environ)


def test_a_process_that_has_a_rank_starts_no_others():
    with pytest.raises(ConfigError, match="RANK_ID=0 is set"):
        environments(2, dict(ENVIRON, RANK_ID="0", RANK_SIZE="2"))
