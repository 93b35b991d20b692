"""The reading end of HTTP/1.1: how bodies end, what is used again, and what is not believed."""
from __future__ import annotations

import http.client
import os
import socket
import ssl
import time

import pytest

from obs_sync.http.head import BadReply
from obs_sync.http.pace import LEAST, WINDOW, Pace
from obs_sync.http.pool import Pool
from obs_sync.http.proxies import HttpProxy
from obs_sync.http.reply import Connection
from tests.obs_sync.raw_server import raw_server

REQUEST = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
BIG = os.urandom(700001)  # more than two buffers
SMALL = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\ncontent"


def test_no_secret_is_in_a_repr():
    assert "s3cr3t" not in repr(HttpProxy("proxy", 1, "me", "s3cr3t")) and "proxy" in repr(HttpProxy("proxy", 1))
    connection = Connection(Endless(SMALL, b"x"), 1.0)
    connection.send(b"GET /a HTTP/1.1\r\nx-obs-security-token: s3cr3t\r\n\r\n")
    assert "s3cr3t" not in repr(connection) + repr(connection.reply())


def pool_at(port, timeout=5.0, **options):
    return Pool("127.0.0.1", port, None, timeout, **options)


def read(pool, request=REQUEST):
    """(status, headers, body)"""
    reply = pool.reply(pool.ask(request))
    try:
        return reply.status, reply.headers, b"".join(bytes(piece) for piece in reply.body())
    finally:
        pool.put_back(reply)


def cut(data, size):
    return [data[start:start + size] for start in range(0, len(data), size)]


def reply(body, *headers):
    lines = ["HTTP/1.1 200 OK", *headers, "Content-Length: %d" % len(body)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def chunked(body, sizes, trailer=b""):
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    for size in sizes:
        data += b"%x;note=1\r\n%s\r\n" % (size, body[:size])
        body = body[size:]
    return data + b"0\r\n" + trailer + b"\r\n"


@pytest.mark.parametrize("size", [0, 1, 18000, 65498, 65499, 1 << 16, (1 << 18) - 38, 1 << 18, (1 << 18) + 1, 700001])
def test_bodies_of_all_sizes_come_whole_and_the_connection_is_used_again(size):
    with raw_server([reply(BIG[:size]), SMALL]) as (script, port):
        pool = pool_at(port)
        assert read(pool)[2] == BIG[:size]
        assert read(pool)[2] == b"content"
    assert len(script.heads) == 1


@pytest.mark.parametrize("headers", [b"Content-Length: 700001", b"Transfer-Encoding: chunked", b"Server: x"])
def test_the_reply_to_a_head_has_no_body_whatever_it_announces(headers):
    with raw_server([b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n\r\n", SMALL]) as (script, port):
        pool = pool_at(port)
        assert read(pool, REQUEST.replace(b"GET", b"HEAD"))[::2] == (200, b"")
        assert read(pool)[2] == b"content"
    assert len(script.heads) == 1


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_some_statuses_have_no_body_whatever_they_announce(status):
    with raw_server([b"HTTP/1.1 " + status + b"\r\nContent-Length: 7\r\n\r\n", SMALL]) as (script, port):
        pool = pool_at(port)
        assert read(pool)[2] == b""
        assert read(pool)[2] == b"content"
    assert len(script.heads) == 1


def test_a_reply_may_come_byte_by_byte():
    with raw_server([cut(reply(b"x" * 20, "ETag: \"e\""), 1)], wait=0.001) as (_, port):
        status, headers, body = read(pool_at(port))
    assert (status, headers["etag"], body) == (200, '"e"', b"x" * 20)


def test_chunks_and_trailers_are_taken_apart_wherever_they_are_cut():
    sizes = [1, 18000, 300000, 381999, 1]
    whole = chunked(BIG, sizes, b"Trailer: x\r\n")
    for pieces in (whole, cut(whole, 65537), [whole[:60], whole[60:63], whole[63:]]):
        with raw_server([pieces, SMALL]) as (script, port):
            pool = pool_at(port)
            assert read(pool)[2] == BIG
            assert read(pool)[2] == b"content"
        assert len(script.heads) == 1


def test_a_chunk_may_end_anywhere_in_the_buffer():
    sizes = range((1 << 18) - 80, (1 << 18) - 40)  # in some of them the buffer ends within the lines after the chunk
    with raw_server([chunked(BIG[:size], [size]) for size in sizes]) as (script, port):
        pool = pool_at(port)
        for size in sizes:
            assert read(pool)[2] == BIG[:size]
    assert len(script.heads) == 1


@pytest.mark.parametrize("body", [b"zz\r\n", b"-1\r\n", b"3\r\nabcd\r\n0\r\n\r\n", b"x" * 3000])
def test_chunks_that_make_no_sense_are_a_fault_of_the_network(body):
    with raw_server([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body]) as (_, port):
        with pytest.raises(http.client.HTTPException):
            read(pool_at(port))


def test_a_body_without_length_ends_with_the_connection():
    with raw_server([b"HTTP/1.1 200 OK\r\n\r\n" + BIG], [SMALL]) as (script, port):
        pool = pool_at(port)
        assert read(pool)[2] == BIG
        assert read(pool)[2] == b"content"
    assert len(script.heads) == 2


@pytest.mark.parametrize("whole", [reply(BIG), chunked(BIG, [700001])], ids=["with its length", "chunked"])
def test_a_body_cut_short_is_a_fault(whole):
    for length in (100, 300000, len(whole) - 1):
        with raw_server([whole[:length]]) as (_, port):
            with pytest.raises(http.client.IncompleteRead):
                read(pool_at(port))


@pytest.mark.parametrize("head", [b"HTTP/2 200\r\n\r\n", b"ICY 200 OK\r\n\r\n", b"HTTP/1.1 2000 OK\r\n\r\n",
                                  b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", b"x" * 200000])
def test_what_is_no_reply_is_a_fault(head):
    with raw_server([head]) as (_, port):
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            read(pool_at(port))


def test_an_interim_reply_is_passed_over():
    with raw_server([b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + SMALL]) as (_, port):
        assert read(pool_at(port))[0] == 200


def test_a_server_that_says_close_is_not_asked_again_on_that_connection():
    with raw_server([reply(b"a", "Connection: close"), SMALL], [SMALL]) as (script, port):
        pool = pool_at(port)
        read(pool)
        assert read(pool)[2] == b"content"
    assert [len(heads) for heads in script.heads][1:] == [1]


def test_a_connection_with_an_unread_body_is_given_up():
    with raw_server([reply(BIG), SMALL], [SMALL]) as (script, port):
        pool = pool_at(port)
        pool.put_back(pool.reply(pool.ask(REQUEST)))
        assert read(pool)[2] == b"content"
    assert len(script.heads) == 2


def test_a_connection_that_was_closed_while_idle_costs_nothing():
    with raw_server([SMALL], [SMALL]) as (script, port):
        pool = pool_at(port)
        read(pool)
        assert script.closed.acquire(timeout=5)
        assert read(pool)[2] == b"content"
    assert [len(heads) for heads in script.heads] == [1, 1]


class Lost(Connection):
    """An idle connection that fails when a request is sent on it."""

    closed = False

    def is_quiet(self):
        return True

    def send(self, request):
        raise BrokenPipeError

    def close(self):
        self.closed = True


def test_a_connection_that_fails_when_it_is_used_again_costs_nothing_and_the_others_are_given_up_too():
    lost = [Lost(Endless(b"", b"x"), 1.0) for _ in range(3)]
    with raw_server([SMALL], [SMALL]) as (script, port):
        pool = pool_at(port)
        pool._idle.extend(lost)
        assert read(pool)[2] == b"content"
    assert len(script.heads) == 1
    assert [connection.closed for connection in lost] == [True, True, False]  # the last one closes itself in `send`


@pytest.mark.parametrize("forged", [b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nFORGED", b"\r\n", b"x" * 300000])
@pytest.mark.parametrize("at_once", [True, False])
def test_what_a_server_sends_unasked_is_not_taken_for_the_next_reply(forged, at_once):
    with raw_server([[SMALL + forged] if at_once else [SMALL, forged], SMALL], [SMALL]) as (script, port):
        pool = pool_at(port)
        assert read(pool)[2] == b"content"
        time.sleep(0.05)
        assert read(pool)[2] == b"content"
    assert len(script.heads) == 2


@pytest.mark.parametrize("late", [True, False])
def test_a_408_on_an_idle_connection_costs_nothing(late):
    timed_out = b"HTTP/1.1 408 Request Time-out\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    answers = [SMALL, timed_out] if late else [[SMALL, timed_out]]  # after the next request, or before
    with raw_server(answers, [SMALL]) as (script, port):
        pool = pool_at(port)
        read(pool)
        time.sleep(0.05)
        assert read(pool)[::2] == (200, b"content")
    assert len(script.heads) == 2


def test_a_408_on_a_new_connection_is_the_reply():
    with raw_server([b"HTTP/1.1 408 Request Time-out\r\nContent-Length: 0\r\n\r\n"]) as (_, port):
        assert read(pool_at(port))[0] == 408


class Endless:
    """The end of a connection on which `start` arrives, and then `rest` again and again."""

    def __init__(self, start, rest):
        self.data, self.rest, self.sent = start, rest, 0

    def settimeout(self, seconds):
        pass

    def close(self):
        pass

    def sendall(self, request):
        pass

    def recv_into(self, view):
        while len(self.data) < len(view):
            self.data += self.rest * (len(view) // len(self.rest) + 1)
        view[:], self.data = self.data[:len(view)], self.data[len(view):]
        self.sent += len(view)
        return len(view)


@pytest.mark.parametrize("start, rest", [
    (b"", b"HTTP/1.1 100 Continue\r\n\r\n"), (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"), (b"", b"x"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", b"X: y\r\n"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;", b"x"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: ", b"y")],
    ids=["interim replies", "headers", "status line", "trailers", "line of a chunk", "line of a trailer"])
def test_what_surrounds_a_body_has_an_end(start, rest):
    endless = Endless(start, rest)
    connection = Connection(endless, 1.0)
    connection.send(REQUEST)
    with pytest.raises(BadReply):
        for _ in connection.reply().body():
            pass
    assert endless.sent <= 1 << 18


def test_a_protocol_that_nobody_asked_for_is_refused():
    with raw_server([b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + SMALL]) as (_, port):
        with pytest.raises(BadReply):
            read(pool_at(port))


def test_a_chunk_must_end_where_its_length_says():
    for end in (b"\n", b"\r\r\n", b"x\r\n", b""):
        with raw_server([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc" + end +
                         b"0\r\n\r\n"]) as (_, port):
            with pytest.raises(BadReply):
                read(pool_at(port))


def test_a_forked_process_leaves_the_connections_to_the_other(monkeypatch):
    with raw_server([SMALL, SMALL], [SMALL]) as (script, port):
        pool = pool_at(port)
        read(pool)
        monkeypatch.setattr(os, "getpid", lambda: -1)
        pool._idle[0].close()  # by the other process, for which the server, who serves one at a time, waits
        assert read(pool)[2] == b"content"
    assert script.heads == [[REQUEST.decode(), ""], [REQUEST.decode()]]


def test_a_new_connection_that_is_closed_unheard_is_a_fault():
    with raw_server([None], [SMALL]) as (script, port):
        with pytest.raises(ConnectionError):
            read(pool_at(port))
    assert len(script.heads) == 1


def test_a_server_that_falls_silent_is_waited_for_no_longer_than_allowed():
    with raw_server([[reply(BIG)[:1000], b""]], wait=0.3) as (_, port):
        with pytest.raises(socket.timeout):
            read(pool_at(port, timeout=0.1))


def test_the_pace_of_each_reply_is_judged_by_itself():
    connection = Connection(Endless(SMALL, b"x"), 1.0)
    for _ in range(3):
        connection.send(REQUEST)
        connection._pace.add(0.9 * WINDOW, 0)  # raises once the windows of two replies are added


def test_every_window_of_waiting_must_bring_enough():
    pace = Pace()
    pace.add(WINDOW, LEAST)
    pace.add(WINDOW / 2, LEAST - 1)
    with pytest.raises(socket.timeout, match=f"{LEAST - 1} bytes in 60 s"):
        pace.add(WINDOW / 2, 0)


def test_after_a_fault_a_connection_is_closed():
    for lost_while in ("sending", "receiving"):
        ours, theirs = socket.socketpair()
        connection = Connection(ours, 1.0)
        with pytest.raises(ConnectionError):
            if lost_while == "sending":
                theirs.close()
            connection.send(REQUEST)
            theirs.close()
            connection.reply()
        assert ours.fileno() == -1


def test_what_the_user_named_does_not_pass_for_the_servers_own():
    forged = reply(b"a", "x-obs-meta-ETag: forged", "x-amz-meta-Content-Length: 5", "ETag: right",
                   "x-obs-request-id: 7", "x-obs-meta-request-id: 8", "x-amz-meta-Colour: red")
    with raw_server([forged]) as (_, port):
        _, headers, body = read(pool_at(port))
    assert (headers["etag"], headers["content-length"], headers["request-id"], body) == ("right", "1", "7", b"a")
    assert headers["colour"] == "red"


def test_a_proxy_is_asked_for_a_tunnel():
    with raw_server([[b"HTTP/1.1 200 Connection established\r\n\r\n"], SMALL]) as (script, port):
        pool = Pool("bucket.obs.example", 80, None, 5.0, HttpProxy("127.0.0.1", port, "me", "hush"))
        assert read(pool)[2] == b"content"
    tunnel, request = script.heads[0]
    assert tunnel.startswith("CONNECT bucket.obs.example:80 HTTP/1.1\r\n")
    assert "Proxy-Authorization: Basic bWU6aHVzaA==\r\n" in tunnel
    assert request == REQUEST.decode()


def test_a_proxy_that_refuses_is_quoted():
    with raw_server([b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"]) as (_, port):
        with pytest.raises(ConnectionError, match="407"):
            read(Pool("bucket.obs.example", 80, None, 5.0, HttpProxy("127.0.0.1", port)))


@pytest.mark.parametrize("answer", [
    b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 120 + b"\r\n", b"HTTP/1.1 200 OK\r\n"])
def test_a_proxys_answer_is_judged_as_strictly_as_a_servers(answer):
    with raw_server([answer]) as (_, port):
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            read(Pool("bucket.obs.example", 80, None, 5.0, HttpProxy("127.0.0.1", port)))


def test_a_proxy_that_sends_more_than_its_answer_is_refused():
    with raw_server([b"HTTP/1.1 200 OK\r\n\r\n" + SMALL, SMALL]) as (_, port):
        with pytest.raises(ConnectionError, match="more than its answer"):
            read(Pool("bucket.obs.example", 80, None, 5.0, HttpProxy("127.0.0.1", port)))


@pytest.mark.parametrize("context", [None, ssl.create_default_context()], ids=["http", "https"])
def test_a_server_behind_a_proxy_is_waited_for_no_longer_than_allowed(context):
    with raw_server([[b"HTTP/1.1 200 OK\r\n\r\n", b""], [b"", b""]], wait=0.1) as (_, port):
        with pytest.raises(socket.timeout):
            read(Pool("bucket.obs.example", 80, context, 0.05, HttpProxy("127.0.0.1", port)))
