"""A bucket that costs almost nothing to serve: nginx, a directory, and a listing that is written beforehand.

The benchmark compares clients, so the server must not be the bottleneck. nginx answers about 20,000 requests per second
on one core, twenty times as many as the mocked OBS. It verifies no signatures and stores nothing. ETags are the MD5s of
the objects. nginx cannot compute them, so it is its own proxy, which adds them from a map.
"""
from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import shutil
import socket
import subprocess
import time
from typing import Iterator, List, NamedTuple, Optional, Sequence

BUCKET = "benchmark"
_ECHO = ("/usr/lib/nginx/modules/ngx_http_echo_module.so", "/usr/share/nginx/modules/ngx_http_echo_module.so")

_CONFIGURATION = """\
{user}
{load}
daemon off;
worker_processes 1;
pid {work}/pid;
error_log {work}/error.log;
events {{ worker_connections 2048; }}
http {{
    log_format line "$request";
    access_log {work}/access.log line buffer=64k flush=1s;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 10000000;
    keepalive_timeout 600s;
    client_body_temp_path {work}/body;
    proxy_temp_path {work}/proxy;
    fastcgi_temp_path {work}/fastcgi;
    uwsgi_temp_path {work}/uwsgi;
    scgi_temp_path {work}/scgi;
    default_type application/octet-stream;
    map_hash_bucket_size 512;
    map_hash_max_size 262144;
    variables_hash_max_size 4096;
    map $uri $md5 {{ include {work}/md5.map; }}
    upstream files {{ server unix:{work}/files.sock; keepalive 256; keepalive_requests 10000000; }}
    server {{
        listen unix:{work}/files.sock;
        access_log off;
        root {root};
        etag off;
        location / {{ }}
    }}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location = /{bucket} {{ {delay_listing} }}
        location = /{bucket}/ {{ {delay_listing} }}
        location @listing {{ default_type application/xml; root {work}; try_files /listing.xml =404; }}
        location /{bucket}/ {{ {delay_object} }}
        {named_object}
    }}
}}
"""
_OBJECT = """
            proxy_pass http://files;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header If-Match "";
            proxy_buffers 16 64k;
            proxy_buffer_size 64k;
            proxy_busy_buffers_size 512k;
            proxy_max_temp_file_size 0;
            add_header ETag '"$md5"';
"""


class Canned(NamedTuple):
    """A running server."""

    url: str
    process: subprocess.Popen
    log: str  # path; one line for each request

    def requests(self) -> int:
        """The number of requests so far."""
        time.sleep(1.2)  # until the server has written its log
        with open(self.log) as stream:
            return sum(1 for _ in stream)

    def cpu_seconds(self) -> float:
        """Processor time of the server so far, in seconds."""
        ticks = 0
        for pid in [self.process.pid] + _children(self.process.pid):
            with open(f"/proc/{pid}/stat") as stream:
                fields = stream.read().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


def missing() -> Optional[str]:
    """The program that this server needs and that is not installed; None if there is none."""
    if shutil.which("nginx", path=_path()) is None:
        return "nginx (apt: nginx-light)"
    return None


def can_wait() -> bool:
    """Whether the server can delay its replies."""
    return any(map(os.path.exists, _ECHO))


@contextlib.contextmanager
def serving(root: str, work: str, delay: float = 0.0, parts: bool = False) -> Iterator[Canned]:
    """Runs a server of the objects ``root``/BUCKET/KEY.

    Args:
        work: directory for the server's own files.
        delay: of each reply, in seconds.
        parts: whether the ETags are those of objects that were stored in parts, which are not digests.
    """
    objects = os.path.join(root, BUCKET)
    paths = sorted(path for path in glob.glob(os.path.join(objects, "**"), recursive=True) if os.path.isfile(path))
    keys = [os.path.relpath(path, objects) for path in paths]
    _write_listing(work, paths, keys, "-16" if parts else "")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    named = f"location @object {{ {_OBJECT} }}"
    wait = f"echo_sleep {delay:.3f}; "
    configuration = _CONFIGURATION.format(
        user="user root;" if os.getuid() == 0 else "",  # otherwise its worker may not read the files
        load=f"load_module {next(filter(os.path.exists, _ECHO))};" if delay else "", work=work, root=root,
        port=port, bucket=BUCKET, named_object=named if delay else "",
        delay_listing=wait + "echo_exec @listing;" if delay else "try_files /none @listing;",
        delay_object=wait + "echo_exec @object;" if delay else _OBJECT)
    with open(os.path.join(work, "nginx.conf"), "w") as stream:
        stream.write(configuration)
    program = shutil.which("nginx", path=_path())
    process = subprocess.Popen([program, "-c", os.path.join(work, "nginx.conf"), "-p", work])
    try:
        _await(process, port)
        yield Canned(f"http://127.0.0.1:{port}", process, os.path.join(work, "access.log"))
    finally:
        process.terminate()
        process.wait()


def _write_listing(work: str, paths: Sequence[str], keys: Sequence[str], suffix: str) -> None:
    """Writes the listing as one page. No client minds that it has more keys than it asked for."""
    contents = []
    with open(os.path.join(work, "md5.map"), "w") as stream:
        for path, key in zip(paths, keys):
            with open(path, "rb") as content:
                md5 = hashlib.md5()
                for chunk in iter(lambda: content.read(1 << 20), b""):
                    md5.update(chunk)
            etag = md5.hexdigest() + suffix
            stream.write(f'"/{BUCKET}/{key}" {etag};\n')
            contents.append(
                f"<Contents><Key>{key}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified>"
                f"<ETag>&quot;{etag}&quot;</ETag><Size>{os.path.getsize(path)}</Size><StorageClass>STANDARD</StorageClass></Contents>")
    with open(os.path.join(work, "listing.xml"), "w") as stream:
        stream.write(
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{BUCKET}</Name><Prefix></Prefix><Marker></Marker><KeyCount>{len(keys)}</KeyCount>"
            f"<MaxKeys>{len(keys)}</MaxKeys><IsTruncated>false</IsTruncated>{''.join(contents)}</ListBucketResult>")


def _await(process: subprocess.Popen, port: int) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError("nginx did not start; see its error.log")


def _children(pid: int) -> List[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as stream:
        return [int(child) for child in stream.read().split()]


def _path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin"
