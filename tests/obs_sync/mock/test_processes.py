"""Child processes of a mocked OBS, and a mocked OBS that is a process of its own."""
from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap

import pytest
from obs import ObsClient

from obs_sync.mock import DEFAULT_HOST_NAME, Credentials, mock_obs
from obs_sync.mock.activation import RESOLVER_PATH
from tests.obs_sync.mock.support import BUCKET, make_client

PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

# An unmodified program that knows nothing of a mock: credentials and server from the environment.
COPY = """
    import os
    from obs import ObsClient
    client = ObsClient(os.environ["OBS_ACCESS_KEY_ID"], os.environ["OBS_SECRET_ACCESS_KEY"],
                       server=os.environ["OBS_SERVER"], security_token=os.environ.get("OBS_SECURITY_TOKEN"))
    content = client.getObject("bucket", "key", loadStreamInMemory=True).body.buffer
    assert client.putContent("bucket", "copy", content).status == 200
"""


def run(program, environ=None, *arguments):
    """The output of a Python program."""
    done = subprocess.run([sys.executable, *arguments, "-c", textwrap.dedent(program)], env=environ,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, universal_newlines=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


# --- children

@pytest.mark.parametrize("inherited", [True, False])
def test_a_child_finds_the_mock_by_its_environment(inherited):
    with mock_obs(buckets=[BUCKET], credentials=Credentials("a", "b", "c")) as mock:
        mock.put(BUCKET, "key", b"content")
        run(COPY, None if inherited else mock.environment({"PATH": os.environ.get("PATH", "")}))
        assert mock.get(BUCKET, "copy") == b"content"
        assert mock.requests[0].operation == "GetApiVersion"  # so it spoke the production dialect


def test_a_child_of_a_child_finds_it_too():
    with mock_obs(buckets=[BUCKET]) as mock:
        mock.put(BUCKET, "key", b"content")
        run(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {textwrap.dedent(COPY)!r}], check=True)")
        assert mock.get(BUCKET, "copy") == b"content"


def test_the_environment_of_a_child_is_whole():
    with mock_obs(credentials=Credentials("a", "b")) as mock:
        given = {"PATH": "/bin", "PYTHONPATH": "one" + os.pathsep + "two", "OBS_SERVER": "https://obs.example.com",
                 "OBS_SECURITY_TOKEN": "of another identity"}
        assert mock.environment(given) == {
            "PATH": "/bin", "OBS_ACCESS_KEY_ID": "a", "OBS_SECRET_ACCESS_KEY": "b", "OBS_SERVER": mock.endpoint,
            "MOCK_OBS_RESOLVE": DEFAULT_HOST_NAME + "=127.0.0.1", "NO_PROXY": DEFAULT_HOST_NAME,
            "PYTHONPATH": os.pathsep.join([RESOLVER_PATH, "one", "two"])}
        assert mock.environment(mock.environment(given)) == mock.environment(given)


def test_the_sitecustomize_of_the_machine_still_runs(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.own = sys.modules[__name__].__file__\n")
    with mock_obs() as mock:
        environ = mock.environment({"PYTHONPATH": str(tmp_path)})
        output = run("import sys, sitecustomize, socket\n"
                     "print(sys.own == sitecustomize.__file__, sitecustomize.__file__)\n"
                     "print(socket.getaddrinfo('b.obs.fake-obs.test', 80)[0][4])", environ)
    assert output.splitlines() == [f"True {tmp_path / 'sitecustomize.py'}", "('127.0.0.1', 80)"]


def test_a_child_starts_without_loading_this_package():
    with mock_obs() as mock:
        loaded = run("import sys; print(*sys.modules)", mock.environment()).split()
    assert {"sitecustomize", "socket"} <= set(loaded)
    assert not {"obs_sync", "obs", "http", "typing", "logging", "email"} & set(loaded)


def test_a_path_without_the_variable_does_nothing():
    program = "import sys; print('socket' in sys.modules); import socket; print(socket.getaddrinfo.__module__)"
    assert run(program, {"PYTHONPATH": RESOLVER_PATH}).split() == ["False", "socket"]


# --- the command

@pytest.fixture
def serve():
    """Starts the command; gives the process and what it announced."""
    started = []

    def start(*arguments):
        command = [sys.executable, "-m", "obs_sync.mock", "serve", *arguments]
        process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   universal_newlines=True)
        started.append(process)
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "stop with" in line:
                break
        return process, "".join(lines)

    yield start
    for process in started:
        process.kill()
        process.communicate()


def exported(announcement):
    """The environment of a shell that evaluated the announcement."""
    done = subprocess.run(["sh", "-c", 'eval "$1"; env', "sh", announcement], env={"PYTHONPATH": "kept"}, check=True,
                          stdout=subprocess.PIPE, universal_newlines=True)
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_it_is_told_to_stop(serve, tmp_path, number):
    root = str(tmp_path / "a root")
    process, announcement = serve("--root", root, "--bucket", BUCKET, "--access-key", "it's mine")
    environ = exported(announcement)
    assert environ["OBS_ACCESS_KEY_ID"] == "it's mine"
    assert environ["PYTHONPATH"] == RESOLVER_PATH + ":kept"
    client = ObsClient(environ["OBS_ACCESS_KEY_ID"], environ["OBS_SECRET_ACCESS_KEY"],
                       server=re.search(r"http://127.0.0.1:\d+", announcement).group())
    assert client.putContent(BUCKET, "key", "content").status == 200
    run(COPY, environ)
    process.send_signal(number)
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert re.match(r"# stopped after \d+ requests\n", output)
    with open(os.path.join(root, BUCKET, "copy"), "rb") as file:
        assert file.read() == b"content"


def test_the_command_fails_on_purpose_and_says_how_often(serve):
    process, announcement = serve("--bucket", BUCKET, "--fault", "PutObject nth=2 status=503", "--latency-ms", "1",
                                  "--fault", "GetObject probability=0.5 status=500", "--fault-seed", "7",
                                  "--faults", "slow")
    client = ObsClient("mock-access-key", "mock-secret-key", max_retry_count=0,
                       server=re.search(r"http://127.0.0.1:\d+", announcement).group())
    assert [client.putContent(BUCKET, "key", "content").status for _ in range(3)] == [200, 503, 200]
    statuses = [client.getObject(BUCKET, "key", loadStreamInMemory=True).status for _ in range(12)]
    assert set(statuses) == {200, 500}
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert re.search(r"# faults injected: \d+ \(.*status=503 1\)\n# stopped after 15", output)
    refused = statuses.count(500)
    assert f"(latency {15 + 14 - refused}, " in output and f"status=500 {refused}," in output  # of two rules


def test_the_command_shows_again_what_a_killed_one_left(serve, tmp_path):
    root = str(tmp_path / "root")
    process, announcement = serve("--root", root, "--bucket", BUCKET)
    client = ObsClient("mock-access-key", "mock-secret-key",
                       server=re.search(r"http://127.0.0.1:\d+", announcement).group())
    assert client.putContent(BUCKET, "a/b", "content").status == 200
    process.kill()
    process.wait()
    _, announcement = serve("--root", root)
    assert f"objects in {root}: 1 in 1 buckets" in announcement


def test_the_command_takes_a_name_and_a_port(serve):
    with mock_obs() as mock:
        free = mock.port
    _, announcement = serve("--port", str(free), "--host-name", "storage.fake-obs.test")
    assert exported(announcement)["OBS_SERVER"] == f"http://storage.fake-obs.test:{free}"


@pytest.mark.parametrize("arguments, status, text", [
    (["serve", "--port", "{port}"], 1, "cannot start: port {port} is in use"),
    (["serve", "--root", "{root}"], 1, "another mocked OBS"),
    (["serve", "--root", "{file}"], 1, "cannot start"), (["serve", "--port", "many"], 2, "--port"),
    (["serve", "--port", "99999"], 2, "'99999' is not a port"),
    (["serve", "--bucket", "Not_A_Bucket"], 2, "is not a bucket name"), ([], 2, "serve"),
    (["serve", "--fault", "GetObject cat=0.5"], 2, "--fault: the fault 'GetObject cat=0.5': expected one effect"),
    (["serve", "--faults", "hurricane"], 2, "storm, slow, flaky"), (["serve", "--latency-ms", "-1"], 2, "milliseconds"),
    (["serve", "--fault-seed", "x"], 2, "--fault-seed")])
def test_the_command_says_why_it_cannot_start(tmp_path, arguments, status, text):
    (tmp_path / "file").write_bytes(b"")
    with mock_obs(root=str(tmp_path / "root")) as mock:
        values = dict(port=mock.port, root=tmp_path / "root", file=tmp_path / "file")
        command = [sys.executable, "-m", "obs_sync.mock"] + [item.format(**values) for item in arguments]
        done = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
                              universal_newlines=True)
    assert done.returncode == status and text.replace("{port}", str(values["port"])) in done.stdout
    assert "Traceback" not in done.stdout


def test_production_is_spoken_to_a_mock_in_the_same_process_too():
    with mock_obs(buckets=[BUCKET]) as mock:
        assert make_client(mock).putContent(BUCKET, "key", "content").status == 200
        assert [record.operation for record in mock.requests] == ["GetApiVersion", "PutObject"]
