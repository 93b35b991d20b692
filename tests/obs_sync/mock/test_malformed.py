"""Malformed requests are refused with a 4xx, never with a 500, and cost little; the next good request is answered."""
from __future__ import annotations

import logging
import os
import random
import re
import socket
import struct
import threading
import time
import tracemalloc
from typing import List

import pytest

from obs_sync.mock import MockObs, ObsError
from tests.obs_sync.mock import malformed
from tests.obs_sync.mock.support import BUCKET, base64_md5_of, request

SEED = os.environ.get("MALFORMED_SEED", "1")               # to look for more by hand
REQUESTS = int(os.environ.get("MALFORMED_REQUESTS", "40"))  # of each family
LONGEST = 5.0  # seconds
_STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3}) ")


def statuses_of(mock: MockObs, data: bytes) -> List[int]:
    """Sends bytes over a connection of their own; the statuses of all replies."""
    received = b""
    with socket.create_connection(("127.0.0.1", mock.port), timeout=LONGEST) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused before all was sent; the reply may be there all the same
        try:
            for piece in iter(lambda: connection.recv(65536), b""):
                received += piece
        except ConnectionResetError:
            pass
    return [int(status) for status in _STATUS.findall(received)]


def fill(mock: MockObs) -> None:
    mock.put(BUCKET, malformed.KEY, b"x" * 1000)
    assert request(mock, "POST", f"/{malformed.KEY}?uploads", b"").status == 200
    upload_id = mock.uploads(BUCKET)[0][1]
    assert request(mock, "PUT", f"/{malformed.KEY}?partNumber=1&uploadId={upload_id}", b"part").status == 200


@pytest.mark.parametrize("family", malformed.FAMILIES, ids=lambda family: family.__name__)
def test_malformed_requests_are_refused_and_the_next_good_one_is_answered(mock, caplog, family):
    caplog.set_level(logging.ERROR)
    fill(mock)
    rng, threads = random.Random(f"{SEED}/{family.__name__}"), threading.active_count()
    for number in range(REQUESTS):
        case = family(rng, mock)
        about = f"{family.__name__} {number} of seed {SEED}: {case.data[:300]!r}"
        started = time.monotonic()
        statuses = statuses_of(mock, case.data)
        assert time.monotonic() - started < LONGEST, about
        assert statuses or case.may_close, about
        for status in statuses:
            assert status < 500 or status == 501 and case.may_succeed, f"{about}: {status}"
            assert status >= 400 or case.may_succeed, f"{about}: {status}"
        assert request(mock, "GET", f"/{malformed.KEY}").body == b"x" * 1000, about
    assert [record.getMessage() for record in caplog.records] == []
    assert threading.active_count() <= threads + 3  # one that waits for connections, and one that is still closing


def test_the_same_requests_without_a_mistake_succeed(mock):
    """Otherwise the families would prove nothing: all they send might be refused for its signature."""
    fill(mock)
    upload_id = mock.uploads(BUCKET)[0][1]
    for method, target, headers, body in [
            ("GET", "/key", [], b""), ("PUT", "/other", [], b"content"), ("GET", "/?max-keys=5&prefix=%C3%A9", [], b""),
            ("GET", f"/key?uploadId={upload_id}&max-parts=1", [], b""), ("GET", "/?uploads&max-uploads=1", [], b""),
            ("PUT", f"/key?partNumber=2&uploadId={upload_id}", [], b"part"),
            ("PUT", "/copy", [("x-obs-copy-source", "/bucket/key")], b""),
            ("POST", "/?delete", [("Content-MD5", base64_md5_of(malformed.named("other")))],
             malformed.named("other"))]:
        assert statuses_of(mock, malformed.signed(mock, method, target, headers, body)) == [200], (method, target)


@pytest.mark.parametrize("what, data", [
    ("a chunk of a negative size", lambda mock: malformed.signed(
        mock, "PUT", "/other", [("Transfer-Encoding", "chunked")], b"-1\r\n" + bytes(64 << 20), None)),
    ("a document of many elements", lambda mock: malformed.signed(
        mock, "POST", "/?delete", [("Content-MD5", base64_md5_of(b"<a>" * 690000))], b"<a>" * 690000)),
    ("a document that is too long", lambda mock: malformed.signed(
        mock, "POST", "/?delete", [("Content-MD5", "x")], b" " * (64 << 20))),
    ("a line without an end", lambda mock: b"GET /" + b"k" * (64 << 20)),
    ("headers without an end", lambda mock: b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * (8 << 20)),
    ("trailers without an end", lambda mock: malformed.signed(
        mock, "PUT", "/other", [("Transfer-Encoding", "chunked")], b"0\r\n" + b"a: b\r\n" * (8 << 20), None)),
])
def test_a_hostile_request_takes_little_memory(mock, what, data):
    message = data(mock)
    tracemalloc.start()
    try:
        statuses = statuses_of(mock, message)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert statuses in ([400], []), what
    assert peak < 48 << 20, f"{what}: {peak} bytes"


def test_a_client_that_resets_the_connection_in_a_body_is_no_failure_of_the_mock(mock, caplog):
    caplog.set_level(logging.ERROR)
    with socket.create_connection(("127.0.0.1", mock.port), timeout=LONGEST) as connection:
        connection.sendall(malformed.signed(mock, "PUT", "/other", [], b"content", "1000"))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    deadline = time.monotonic() + LONGEST
    while not mock.requests and time.monotonic() < deadline:
        time.sleep(0.005)
    assert [record.code for record in mock.requests] == ["IncompleteBody"]
    assert (mock.keys(BUCKET), caplog.records) == ([], [])


def test_signatures_of_many_made_up_scopes_take_no_memory(mock):
    from obs_sync.mock.protocol.signature import _v4_key

    _v4_key.cache_clear()
    for number in range(200):
        scope = f"{mock.credentials.access_key}/d{number}/region/s3/aws4_request"
        headers = [("Authorization", f"AWS4-HMAC-SHA256 Credential={scope},SignedHeaders=host,Signature=x")]
        assert statuses_of(mock, malformed.signed(mock, "GET", "/key", headers)) == [403]
    assert 0 < _v4_key.cache_info().currsize <= 64


def test_a_lone_surrogate_is_refused_without_a_request_as_well(mock):
    with pytest.raises(ObsError, match="InvalidArgument.*lone surrogate"):
        mock.put(BUCKET, "a\ud800", b"")
    assert mock.keys(BUCKET) == []
