"""Heads of replies: what is accepted, and what is refused because programs would read it in different ways."""
from __future__ import annotations

import pytest

from obs_sync.http.head import BadReply, check_trailers, chunk_size, parse_head, whole_number


def head(*lines, status="HTTP/1.1 200 OK"):
    return parse_head("\r\n".join((status, *lines)).encode("latin-1"))


@pytest.mark.parametrize("lines, length", [
    (["Content-Length: 7"], 7), (["Content-Length: 7", "content-length:7"], 7), ([], None),
    (["Content-Length: 7", "x-obs-content-length: 7"], 7), (["x-obs-meta-content-length: 3"], None),
    (["Content-Length:\t007 ", "x-amz-meta-content-length: 3"], 7)])
def test_the_length_is_the_standard_one(lines, length):
    assert head(*lines).length == length


@pytest.mark.parametrize("lines", [
    ["Content-Length: 3", "Content-Length: 7"], ["Content-Length: 7", "Content-Length: 3"], ["Content-Length: 3, 3"],
    ["Content-Length: 7", "x-obs-content-length: 3"], ["x-amz-content-length: 3"], ["Content-Length: -3"],
    ["Content-Length: +3"], ["Content-Length: 1_0"], ["Content-Length: 0x3"], ["Content-Length:"],
    ["Content-Length: 3\xa0"], ["Content-Length: \xb2"], [f"Content-Length: {'9' * 5000}"],
    ["Content-Length: 3", "Transfer-Encoding: chunked"]])
def test_a_length_that_is_ambiguous_or_no_number_is_refused(lines):
    with pytest.raises(BadReply):
        head(*lines)


def test_a_chunked_body_is_announced_in_one_way_only():
    assert head("transfer-encoding: Chunked").chunked and not head("Content-Length: 3").chunked
    for lines in (["Transfer-Encoding: gzip, chunked"], ["Transfer-Encoding: identity"],
                  ["Transfer-Encoding: chunked "], ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"]):
        with pytest.raises(BadReply):
            head(*lines)
    for status in ("HTTP/1.0 200 OK", "HTTP/1.1 204 No Content", "HTTP/1.1 304 Not Modified"):
        with pytest.raises(BadReply):
            head("Transfer-Encoding: chunked", status=status)


@pytest.mark.parametrize("line", ["no colon", " folded: x", "\tfolded", "name : x", ": x", "n\xe4me: x",
                                  "name: a\nb: c", "name: a\rb", "name: \x00", "name: \x7f", ""])
def test_a_line_that_is_no_header_is_refused(line):
    with pytest.raises(BadReply):
        head("Server: x", line)


@pytest.mark.parametrize("status", ["HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1  200 OK", "HTTP/1.2 200 OK",
                                    "HTTP/0.9 200 OK", "http/1.1 200 OK", "HTTP/1.1 200OK", "HTTP/1.1 000 OK", ""])
def test_a_line_that_is_no_status_line_is_refused(status):
    with pytest.raises(BadReply):
        head("Content-Length: 3", status=status)


def test_there_may_be_98_headers():
    assert len(head(*(f"x{number}: y" for number in range(98))).headers) == 98
    with pytest.raises(BadReply):
        head(*(f"x{number}: y" for number in range(99)))


@pytest.mark.parametrize("lines, status, keeps", [
    ([], "HTTP/1.1 200 OK", True), (["Connection: Close"], "HTTP/1.1 200 OK", False),
    (["Connection: close", "Connection: keep-alive"], "HTTP/1.1 200 OK", False),
    (["Connection: keep-alive"], "HTTP/1.0 200 OK", False),
    (["x-obs-meta-connection: close"], "HTTP/1.1 200 OK", True)])
def test_a_connection_is_kept_by_the_strictest_reading(lines, status, keeps):
    assert head(*lines, status=status).keeps == keeps


@pytest.mark.parametrize("line, size", [(b"0", 0), (b"aF", 175), (b"5;x=y", 5), (b"5 ", 5), (b"0" * 15, 0)])
def test_the_size_of_a_chunk(line, size):
    assert chunk_size(line) == size


@pytest.mark.parametrize("line", [b"", b" 5", b"+5", b"-5", b"0x5", b"1_0", b"5\n", b"g", b"5 ;x", b"5,", b"1" * 16])
def test_what_is_no_size_of_a_chunk_is_refused(line):
    with pytest.raises(BadReply):
        chunk_size(line)


def test_trailers_are_headers_that_say_nothing_about_the_body():
    check_trailers(b"")
    check_trailers(b"\r\nx: y\r\nz:")
    for trailers in (b"\r\nx", b"\r\n x: y", b"\r\nx: y\r\ncontent-length: 5", b"\r\nTransfer-Encoding: chunked",
                     b"\r\nx: y" * 99, b"x: y", b"\r\nx: y\r\n"):
        with pytest.raises(BadReply):
            check_trailers(trailers)


@pytest.mark.parametrize("text, number", [
    ("0", 0), ("007", 7), (str(2 ** 64 - 1), 2 ** 64 - 1), ("", None), ("-1", None), (" 1", None), ("1.0", None),
    ("\u0661", None), ("9" * 21, None)])
def test_a_whole_number_has_1_to_20_digits(text, number):
    assert whole_number(text) == number
