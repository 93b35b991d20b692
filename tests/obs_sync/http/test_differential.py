"""Mutated replies, read by our reader and by readers that others wrote: what we accept they accept, and read the same.

`http.client` judges always, h11 where it is installed. Each of them is lenient in places, so ours may refuse more.
"""
from __future__ import annotations

import http.client
import io
import random

import pytest

from obs_sync.http.reply import Connection

try:
    import h11
except ImportError:
    h11 = None

COUNT, SEED = 50000, 20261129
NEXT = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nNEXT"  # the reply to the next request, which nobody may touch
HEADERS = b"Server: OBS\r\nETag: \"0123\"\r\nx-obs-request-id: 7\r\nx-obs-meta-name: v\r\n"
REPLIES = [
    b"HTTP/1.1 200 OK\r\n" + HEADERS + b"Content-Length: 11\r\n\r\nhello world",
    b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-4/9\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + HEADERS + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA;x=y\r\n0\r\n\r\n00000\r\n0\r\nTrailer: x\r\n\r\n",
    b"HTTP/1.1 503 Slow Down\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n" + HEADERS + b"\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\nuntil the end",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
]
INSERTED = [
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\n\n", b" ", b"\t", b";", b":", b",", b"0", b"1", b"7", b"+", b"-", b"_",
    b"0x", b"e", b"\x00", b"\x0b", b"\x7f", b"\x85", b"\xa0", b"\xff", b"0\r\n\r\n", b"5\r\nhello\r\n", b"\r\n ",
    b"x" * 300,
    b"Content-Length: 3\r\n", b"Content-Length: 11\r\n", b"content-length : 5\r\n", b"Content-Length: 3, 3\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n", b"transfer-encoding:chunked \r\n",
    b"Transfer-Encoding: identity\r\n", b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"X: y\r\n" * 120,
    b"x-obs-content-length: 3\r\n", b"x-amz-meta-content-length: 3\r\n", b"x-obs-meta-transfer-encoding: chunked\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 101 Switching\r\n\r\n", b"HTTP/1.1 ", b"HTTP/0.9 ", b"9" * 5000,
]


class FakeSocket:
    """The end of a connection on which `data` arrives in pieces, and then its end."""

    def __init__(self, data, sizes=()):
        self.data, self.place, self.sizes = data, 0, list(sizes)

    def settimeout(self, seconds):
        pass

    def close(self):
        pass

    def sendall(self, request):
        pass

    def recv_into(self, view):
        size = min(len(view), self.sizes.pop() if self.sizes else len(view), len(self.data) - self.place)
        view[:size] = self.data[self.place:self.place + size]
        self.place += size
        return size


class Stream(io.BytesIO):
    def close(self):  # what is left is looked at afterwards
        pass


def mutated(generator):
    data = bytearray(generator.choice(REPLIES))
    for _ in range(generator.choice((1, 1, 2, 3))):
        place, kind = generator.randrange(len(data) + 1), generator.randrange(8)
        end = place + generator.randrange(1, 12)
        if kind < 2:
            data[place:place] = generator.choice(INSERTED)
        elif kind == 2:  # as a line of its own
            place = data.find(b"\r\n", place) + 2
            data[place:place] = generator.choice(INSERTED)
        elif kind == 3:
            del data[place:end]
        elif kind == 4:
            data[place:place] = data[place:end]
        elif kind == 5:
            data[place:place + 1] = bytes([generator.randrange(256)])
        elif kind == 6:
            data[place:end] = data[place:end].swapcase()
        else:
            del data[max(place, len(data) * 3 // 4):]
        data = data or bytearray(b"x")
    return bytes(data)


def read_by_us(data, method, sizes):
    """(status, body, bytes that are left for the next reply or None if there is none), or None if it is refused."""
    connected = FakeSocket(data, sizes)
    connection = Connection(connected, 1.0)
    connection.send(f"{method} / HTTP/1.1\r\n\r\n".encode())
    try:
        reply = connection.reply()
        body = b"".join(bytes(piece) for piece in reply.body())
    except (OSError, http.client.HTTPException):
        return None
    left = connection._end - connection._start + len(data) - connected.place
    return reply.status, body, left if reply.reusable else None


def read_by_http_client(data, method):
    stream = Stream(data)

    class Sock:
        def makefile(self, mode):
            return stream

    try:
        while True:
            response = http.client.HTTPResponse(Sock(), method=method)
            response.begin()
            if response.status >= 200:  # it takes those of 101 to 199 for final
                break
        body = response.read()
    except (OSError, http.client.HTTPException, ValueError, OverflowError):
        return None
    return response.status, body, None if response.will_close else len(data) - stream.tell()


def read_by_h11(data, method):
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "h")]))
    connection.send(h11.EndOfMessage())
    status, body = None, b""
    try:
        connection.receive_data(data)
        ended = False
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA and not ended:
                connection.receive_data(b"")
                ended = True
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                break
            elif not isinstance(event, h11.InformationalResponse):
                return None
    except h11.RemoteProtocolError:
        return None
    left = None if connection.their_state is h11.MUST_CLOSE or ended else len(connection.trailing_data[0])
    return status, body, left


READERS = [read_by_http_client] + ([] if h11 is None else [read_by_h11])


def disagreement(ours, theirs):
    """What is wrong with `ours`, or None. A connection that only we close is no fault."""
    if theirs is None:
        return "it is refused there"
    if ours[:2] != theirs[:2]:
        return "it has another status or body there"
    if ours[2] is not None and ours[2] != theirs[2]:
        return "it ends elsewhere there"
    return None


def judged(readers, seed, count):
    """({(reader, what is wrong): a reply}, how many replies we accepted)"""
    generator, wrong, accepted = random.Random(seed), {}, 0
    for _ in range(count):
        data, method = mutated(generator), generator.choice(("GET", "GET", "GET", "HEAD"))
        if generator.random() < 0.9:
            data += NEXT
        sizes = [generator.randrange(1, 80) for _ in range(generator.randrange(5))]
        ours = read_by_us(data, method, sizes)
        if ours is None:
            continue
        accepted += 1
        for reader in readers:
            told = disagreement(ours, reader(data, method))
            if told is not None:
                wrong.setdefault((reader.__name__, told), (method, data, ours, reader(data, method)))
    return wrong, accepted


@pytest.mark.slow
def test_what_we_accept_others_accept_and_read_the_same():
    wrong, accepted = judged(READERS, SEED, COUNT)
    assert wrong == {}
    assert COUNT // 10 < accepted < COUNT  # else the mutations would be too wild, or too tame


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("data", REPLIES)
def test_the_replies_that_are_mutated_are_valid(reader, data):
    ours, theirs = read_by_us(data, "GET", [20, 1, 3]), reader(data, "GET")
    assert ours is not None and ours[:2] == theirs[:2]
