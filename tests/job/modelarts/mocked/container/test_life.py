"""Ends, stops, kills and restarts of a container."""
from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.job.modelarts.mocked.container.conftest import log_of, printed, wait_for_line, wait_until

WAIT = "say('ready')\ntime.sleep(60)"
# The handlers write without a buffer, because the signal may come while the script prints.
PATIENT = "signal.signal(signal.SIGTERM, lambda *_: os.write(1, b'heard\\n'))\nsay('ready')\n" + "time.sleep(20)\n" * 3


def alive(pid):
    """Whether the process runs. One that has ended and waits for its parent does not."""
    try:
        with open(f"/proc/{pid}/stat") as stream:
            return stream.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize("script, expected", [
    ("say('done')", 0), ("sys.exit(3)", 3), ("os.kill(os.getpid(), signal.SIGKILL)", 137)])
def test_the_exit_code_is_that_of_the_boot_file(platform, script, expected):
    assert platform.code(script).run()[0] == expected


def test_a_process_that_fails_ends_the_others_and_its_code_is_the_containers(platform):
    platform.code("if os.environ['RANK_ID'] == '1':\n    sys.exit(5)\ntime.sleep(60)")
    assert platform.run(cards=2)[0] == 5


def test_nothing_that_a_process_started_outlives_it(platform):
    platform.code("""
        started = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"], start_new_session=True)
        say(started.pid)""")
    code, container = platform.run()
    assert code == 0 and not alive(int(printed(container)[0]))


def test_lines_of_several_processes_do_not_mix_and_none_is_lost(platform):
    platform.code("""
        for number in range(2000):
            sys.stdout.write(os.environ["RANK_ID"] * 50)
            sys.stdout.flush() if number % 100 == 0 else None
            sys.stdout.write("-%d\\n" % number)
        sys.stdout.flush()
        sys.stderr.write("the end of " + os.environ["RANK_ID"])""")
    _, container = platform.run(cards=2)
    for rank in "01":
        mine = [line for line in printed(container) if line.startswith(rank)]
        assert mine == [rank * 50 + f"-{number}" for number in range(2000)]
    assert sorted(printed(container))[-2:] == ["the end of 0", "the end of 1"]


def test_terminate_is_sigterm_and_the_container_ends_as_the_boot_file_decides(platform):
    container = platform.code(
        "def stop(*_):\n    os.write(1, b'heard\\n')\n    sys.exit(143)\n"
        "signal.signal(signal.SIGTERM, stop)\n" + WAIT).container()
    container.start()
    wait_for_line(container, "ready")
    assert container.poll() is None
    container.terminate()
    assert container.wait(30) == 143 and printed(container) == ["ready", "heard"]


def test_after_the_grace_period_comes_sigkill(platform):
    container = platform.code(PATIENT).container()
    container.start()
    wait_for_line(container, "ready")
    container.terminate(grace_seconds=0.3)
    assert container.wait(30) == 137 and printed(container) == ["ready", "heard"]


def test_a_container_that_still_pulls_is_terminated_before_anything_starts(platform):
    platform.code(WAIT)
    container = platform.container()
    get, platform.obs.get = platform.obs.get, lambda *where: (container.terminate(), get(*where))[1]
    container.start()
    assert container.wait(30) == 143 and printed(container) == []


def test_a_restart_in_place_finds_the_cache_and_continues_the_log(platform):
    platform.code("""
        path = os.path.join(os.environ["DLS_LOCAL_CACHE_PATH"], "kept")
        text = "kept" if os.path.exists(path) else "new"
        open(path, "w").close()
        say(text)
        time.sleep(60)""")
    container = platform.container()
    container.start()
    wait_for_line(container, "new")
    container.kill()
    assert container.poll() == 137
    platform.code("say('another code, which a restart in place does not pull')")
    container.restart()
    wait_for_line(container, "kept")
    assert printed(container) == ["new", "kept"]


def test_a_lost_node_takes_its_disk_and_leaves_the_log(platform):
    container = platform.code(WAIT).container()
    container.start()
    wait_for_line(container, "ready")
    container.kill(lose_disk=True)
    assert container.poll() == 137 and not os.path.exists(container.disk.root)
    assert printed(container) == ["ready"]
    platform.code("say('pulled anew')")
    container.start()
    assert container.wait(30) == 0 and printed(container) == ["ready", "pulled anew"]


def test_a_running_container_does_not_start_twice(platform):
    container = platform.code(WAIT).container()
    container.start()
    with pytest.raises(RuntimeError, match="runs already"):
        container.start()


def test_no_process_outlives_the_mocks_process_when_that_is_killed(platform, tmp_path):
    program = """
import sys
from job.modelarts.mocked.container import Container, ContainerSpec
from obs_sync.mock import mock_obs
obs = mock_obs(buckets=["bucket"]).start()
obs.put("bucket", "code/boot.py", b"import os, time; print(os.getpid(), flush=True); time.sleep(60)")
spec = ContainerSpec("1", "job", "/bucket/code/", "/bucket/code/boot.py", (), (), (), {}, 2, 1, 0)
container = Container(spec, obs, sys.argv[1])
container.start()
container.wait()
"""
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "killed")])
    log = tmp_path / "killed" / "log.txt"
    try:
        wait_until(lambda: log.exists() and sum(line.isdigit() for line in log.read_text().splitlines()) == 2)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    ours = [int(line) for line in log.read_text().splitlines() if line.isdigit()]
    wait_until(lambda: not any(map(alive, ours)))


def test_an_init_process_that_is_killed_takes_the_others_along(platform):
    container = platform.code("say(os.getppid())\nsay(os.getpid())\ntime.sleep(60)").container()
    container.start()
    wait_until(lambda: len(printed(container)) == 2)
    init, ours = map(int, printed(container))
    os.kill(init, signal.SIGKILL)
    assert container.wait(30) == 137, log_of(container)
    wait_until(lambda: not alive(ours))
