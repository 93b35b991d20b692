"""Malformed requests, drawn from a seed: each family breaks one thing, and all else of the request is in order.

The signatures are right, so that a request reaches the part of the mocked OBS that has to refuse it.
"""
from __future__ import annotations

import random
from email.utils import formatdate
from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple
from urllib.parse import quote, unquote_plus

from obs_sync.mock import MockObs
from obs_sync.mock.protocol.signature import sign_hmac_sha1
from tests.obs_sync.mock.support import BUCKET, base64_md5_of

_UTF16 = "<?xml version='1.0' encoding='utf-16'?>"
KEY = "key"  # an object of 1000 bytes
_SIGNED = ("delete", "partNumber", "uploadId", "uploads")
_NO_NUMBERS = ("-1", "+1", "1.5", "1e3", "0x10", "1_000", "\u0663", "\u00b2", "\uff19", " 7x", "9" * 19, "9" * 5000,
               "NaN", "7\0", "1,2", "''")
_NO_UTF8 = ("%FF", "%ED%A0%80", "%ED%B0%80a", "%C0%80", "%E2%82", "%F4%90%80%80", "a%80", "%FE%FF", "%zz", "%4", "%",
            "%u0041")
_NO_DATES = ("yesterday", "Mon, 99 Foo 2024 00:00:00 GMT", "Jan 31 99999999999999 1.2.3 2024", "20240131T000000",
             "1" * 5000, "20249999T999999Z", "Z", "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
             "Jan +99999999999999 00:00:00 99999999999999999999 xxx EST",
             "Mon, 01 Jan 2024 00:00:00 +9999999999999999")


class Case(NamedTuple):
    """One malformed request.

    Attributes:
        data: the bytes to send.
        may_close: whether a connection that ends without a reply will do, as after bytes that are no request.
        may_succeed: whether the protocol lets the server ignore what is malformed.
    """

    data: bytes
    may_close: bool = False
    may_succeed: bool = False


def head(method: str, target: str, headers: Sequence[Tuple[str, str]]) -> bytes:
    lines = [f"{method} {target} HTTP/1.1"] + [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def signed(mock: MockObs, method: str, target: str, headers: Sequence[Tuple[str, str]] = (), body: bytes = b"",
           length: Optional[str] = "") -> bytes:
    """A request to the bucket `BUCKET`. length: the Content-Length to send, "" for the right one, None for none."""
    headers = [("Host", f"{BUCKET}.{mock.host_name}:{mock.port}")] + list(headers)
    values = {name.lower(): value.strip(" \t") for name, value in headers}
    if "date" not in values and "x-obs-date" not in values:
        values["date"] = formatdate(usegmt=True)
        headers.append(("Date", values["date"]))
    path, _, query = target.partition("?")
    lines = [method, values.get("content-md5", ""), values.get("content-type", ""),
             "" if "x-obs-date" in values else values["date"]]
    lines += [f"{name}:{values[name]}" for name in sorted(values) if name.startswith("x-obs-")]
    resources = {item.partition("=")[0]: item for item in map(unquote_plus, query.split("&"))
                 if item.partition("=")[0] in _SIGNED}
    text = "\n".join(lines + [f"/{BUCKET}{path}" + ("?" if resources else "")
                              + "&".join(resources[name] for name in sorted(resources))])
    known = mock.credentials
    if "authorization" not in values:
        headers.append(("Authorization", f"OBS {known.access_key}:{sign_hmac_sha1(known.secret_key, text)}"))
    if length is not None:
        headers.append(("Content-Length", length or str(len(body))))
    return head(method, target, headers) + body


def _upload_id(mock: MockObs) -> str:
    return mock.uploads(BUCKET)[0][1]


# --- families

def request_line(rng: random.Random, mock: MockObs) -> Case:
    good = signed(mock, "GET", "/key")
    rest = good[good.index(b"\r\n"):]
    line = rng.choice([
        b"GET", b"GET /key", b"GET  /key HTTP/1.1", b"GET /key HTTP/1.1 x", b"GET key HTTP/1.1", b"GET /key HTTP/2.0",
        b"GET http://x/key HTTP/1.1", b"GET * HTTP/1.1", b"G\xe9T /key HTTP/1.1", b"GET /k\xc3\xa9 HTTP/1.1",
        b"GET /\xed\xa0\x80 HTTP/1.1", b"GET /k\x00y HTTP/1.1", b"GET /k\x85y HTTP/1.1", b"GET /k\ry HTTP/1.1",
        b"GET /" + b"k" * 70000 + b" HTTP/1.1", b"\x16\x03\x01\x02\x00\x01", b"GET /key HTTP/1.1" + b" " * 70000])
    return Case(line + rest)


def no_request(rng: random.Random, mock: MockObs) -> Case:
    size = rng.choice([1, 10, 1000, 100000])
    return Case(rng.getrandbits(8 * size).to_bytes(size, "little"), may_close=True)


def header_line(rng: random.Random, mock: MockObs) -> Case:
    line = rng.choice([
        b"no colon", b": no name", b"two words: x", b" folded: x", b"\tfolded", b"x-obs-meta-a: \x00", b"n\xe4me: x",
        b"x-obs-meta-a: b\rx-evil: 1", b"x-obs-meta-a: \x7f", b"x-obs-meta-a : x", b"x-obs-meta-a: " + b"x" * 70000,
        b"\r\n".join(b"a%d: b" % number for number in range(300)), b"x-obs-meta-a: \x1b[31m", b"(): x"])
    good = signed(mock, "PUT", "/other")
    at = good.index(b"\r\n") + 2
    return Case(good[:at] + line + b"\r\n" + good[at:])


def length(rng: random.Random, mock: MockObs) -> Case:
    kind = rng.randrange(4)
    if kind == 0:
        claimed = rng.choice(("-1", "+1", "1.5", "1e3", "0x10", "1_000", "\xb2", "9" * 19, "9" * 5000, "1, 2", "many"))
        return Case(signed(mock, "PUT", "/other", [], b"content", claimed))
    if kind == 1:
        return Case(signed(mock, "PUT", "/other", [], b"content", rng.choice(["8", "1000", "9" * 18])))
    coding = rng.choice(["gzip", "gzip, chunked", "identity", "chunked, chunked", "x", "\x0bchunked"])
    if kind == 2:
        return Case(signed(mock, "PUT", "/other", [("Transfer-Encoding", coding)], b"1\r\nx\r\n0\r\n\r\n", None))
    return Case(signed(mock, "PUT", "/other", [("Transfer-Encoding", "chunked")], b"1\r\nx\r\n0\r\n\r\n"))


def chunks(rng: random.Random, mock: MockObs) -> Case:
    framing = rng.choice([
        b"-5\r\nhello\r\n0\r\n\r\n", b"-1\r\n" + b"x" * 100000, b"0x5\r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"1_0\r\nhellohellohellohe\r\n0\r\n\r\n", b"zz\r\nhello\r\n", b"\r\n", b"", b"5\r\nhel",
        b"f" * 40 + b"\r\nhello",
        b"f" * 15 + b"\r\nhello", b"5\r\nhelloworld\r\n0\r\n\r\n", b"5\r\nhello\r\n0\r\n", b"5\r\nhello\r\n0\r\nx: y",
        b"5\r\nhello\r\n0\r\n" + b"x: y\r\n" * 20000, b"5\r\nhello\r\n0\r\nx: " + b"y" * 100000, b"5;" + b"x" * 100000,
        b"5",
        b"\xb2\r\nhe\r\n0\r\n\r\n", b"5\r\nhello\r\n-0\r\n\r\n"])
    return Case(signed(mock, "PUT", "/other", [("Transfer-Encoding", "chunked")], framing, None))


def query_numbers(rng: random.Random, mock: MockObs) -> Case:
    number = quote(rng.choice(_NO_NUMBERS))
    upload = _upload_id(mock)
    method, target = rng.choice([
        ("GET", f"/?max-keys={number}"), ("GET", f"/?uploads&max-uploads={number}"),
        ("GET", f"/key?uploadId={upload}&max-parts={number}"),
        ("GET", f"/key?uploadId={upload}&part-number-marker={number}"),
        ("PUT", f"/key?partNumber={number}&uploadId={upload}"),
        ("PUT", f"/key?partNumber={rng.choice(['', '0', '10001', '00000010001'])}&uploadId={upload}")])
    return Case(signed(mock, method, target))


def query_text(rng: random.Random, mock: MockObs) -> Case:
    text = rng.choice(_NO_UTF8)
    method, target = rng.choice([
        ("GET", f"/?prefix={text}"), ("GET", f"/?marker=a{text}"), ("GET", f"/?delimiter={text}"),
        ("GET", f"/?{text}=a"),
        ("GET", f"/?uploads&key-marker={text}"), ("GET", f"/?uploads&prefix={text}"),
        ("GET", f"/?encoding-type={text}"),
        ("GET", f"/key?uploadId={text}"), ("DELETE", f"/key?uploadId={text}"), ("GET", f"/key?response-expires={text}"),
        ("PUT", f"/key?partNumber=1&uploadId={text}"), ("GET", "/key?response-content-type=a%00b"),
        ("GET", "/?encoding-type=base64"), ("POST", f"/key?uploads&encoding-type={text}")])
    return Case(signed(mock, method, target))


def keys(rng: random.Random, mock: MockObs) -> Case:
    key = rng.choice(_NO_UTF8 + ("k" * 1025, "k" * 60000, "%E4%BD%A0" * 400, "a/" * 600, "%00" * 1025))
    method = rng.choice(["GET", "PUT", "DELETE", "HEAD", "POST"])
    return Case(signed(mock, method, f"/{key}?uploads" if method == "POST" else f"/{key}"))


def deletions(rng: random.Random, mock: MockObs) -> Case:
    key = rng.choice(_NO_UTF8)
    body = rng.choice([
        b"", b"x", b"<Delete", b"<Delete>", b"<Delete/>", b"<Other/>", b"\x00", b"\xff\xfe<\x00D\x00",
        b"<Delete>\x00</Delete>", named("a").decode("utf-8").encode("utf-16-le"),
        named("&#xD800;"), named("&#0;"), named("&#x1;"), named("\x01"), named("k" * 1025), named(""),
        named("&unknown;"),
        b"<Delete><Object></Object></Delete>", named("a").replace(b"a<", b"\xed\xa0\x80<"),
        named("a").replace(b"a<", b"\xff<"), named("key", 1001), b"<!DOCTYPE x><Delete/>",
        b"<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]>" + named("&b;"),
        (_UTF16 + "<!DOCTYPE x [<!ENTITY a 'key'>]>" + named("&a;").decode("utf-8")).encode("utf-16"),
        (_UTF16 + named("a").decode("utf-8").replace(">a<", ">\ud800<")).encode("utf-16", "surrogatepass"),
        b"<?xml version='1.0' encoding='no-such'?><Delete", b"<a>" * 20000, b"<a>" * 20000 + b"</a>" * 20000,
        named(key, encoding="url"), named("key", encoding="base64"), b" " * (2 * 1024 * 1024 + 1)])
    digest = base64_md5_of(body)
    if rng.random() < 0.1:
        digest = rng.choice(["", "x", "=" * 24, "\xfc" * 24, digest[:-1], digest + digest])
        body = named("key")
    return Case(signed(mock, "POST", "/?delete", [("Content-MD5", digest)], body))


def named(key: str, times: int = 1, encoding: str = "") -> bytes:
    encoding = f"<EncodingType>{encoding}</EncodingType>" if encoding else ""
    return f"<Delete>{encoding}{f'<Object><Key>{key}</Key></Object>' * times}</Delete>".encode("utf-8")


def completions(rng: random.Random, mock: MockObs) -> Case:
    number = rng.choice([text for text in _NO_NUMBERS if "\0" not in text] + ["", "0", "2"])
    etag = rng.choice(["", "x", "0" * 32, "\u00fc", "9" * 5000])
    body = rng.choice([
        f"<Part><PartNumber>{number}</PartNumber><ETag>x</ETag></Part>",
        f"<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>", "<Part/>", "",
        "<Part><PartNumber>1</PartNumber></Part>",
        "<Part><PartNumber>&#xDFFF;</PartNumber></Part>"])
    root = "CompleteMultipartUpload"
    document = f"<{root}>{body}</{root}>".encode("utf-8")
    return Case(signed(mock, "POST", f"/key?uploadId={_upload_id(mock)}", [], document))


def digests(rng: random.Random, mock: MockObs) -> Case:
    name = rng.choice(["Content-MD5", "x-obs-content-sha256", "x-obs-checksum-crc64ecma"])
    value = rng.choice(["x", "-1", "\xfc", "=" * 24, "9" * 5000, "0" * 64, "AAAA", "\xb2"])
    return Case(signed(mock, "PUT", "/other", [(name, value)], b"content"))


def authorization(rng: random.Random, mock: MockObs) -> Case:
    access_key = mock.credentials.access_key
    v4 = f"AWS4-HMAC-SHA256 Credential={access_key}/"
    value = rng.choice([
        "", "OBS", "OBS ", "OBS :", "OBS x", f"OBS {access_key}", f"OBS {access_key}:", f"OBS {access_key}:\xfc\xdf",
        "OBS " + ":" * 1000, f"OBS {access_key}:" + "x" * 60000, "Basic eDp5", "\xfc", f"AWS {access_key}:=",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 =,=,=", v4, v4 + "a/b/s3/aws4_request",
        v4 + "a/b/s3/aws4_request, SignedHeaders=host, Signature=\xfc",
        v4 + "a/b/s3/aws4_request,SignedHeaders=" + ";" * 5000, v4 + "\xfc/b/s3/aws4_request,SignedHeaders=host;date",
        v4 + "a/b/c/d/s3/aws4_request,SignedHeaders=host"])
    return Case(signed(mock, "GET", "/key", [("Authorization", value)]))


def dates(rng: random.Random, mock: MockObs) -> Case:
    return Case(signed(mock, "GET", "/key", [(rng.choice(["Date", "x-obs-date"]), rng.choice(_NO_DATES + ("",)))]))


def copies(rng: random.Random, mock: MockObs) -> Case:
    source = rng.choice(("", "/", "bucket", "/bucket/", "//", "/absent/key", "/bucket/absent",
                         "/bucket/\xfc") + _NO_UTF8)
    headers, target = [("x-obs-copy-source", source)], "/other"
    kind = rng.randrange(3)
    if kind == 1:
        headers = [("x-obs-copy-source", "/bucket/key"), ("x-obs-metadata-directive", rng.choice(["", "x", "\xfc"]))]
    elif kind == 2:
        span = rng.choice(["x", "bytes=", "bytes=-", "bytes=a-b", "0-5", "bytes=5-2", "bytes=1-2,4-5", "bytes=\xb2-",
                           "-", "bytes=" + "9" * 5000 + "-", "bytes=1000-", "bytes=-0"])
        target = f"/key?partNumber=1&uploadId={_upload_id(mock)}"
        headers = [("x-obs-copy-source", "/bucket/key"), ("x-obs-copy-source-range", span)]
    return Case(signed(mock, "PUT", target, headers))


def ranges_and_conditions(rng: random.Random, mock: MockObs) -> Case:
    """RFC 7232 and RFC 7233 want most of these ignored."""
    name = rng.choice(["Range", "If-Modified-Since", "If-Unmodified-Since", "If-Match", "If-None-Match"])
    value = rng.choice(_NO_DATES if "Since" in name else (
        "x", "", "bytes=", "bytes=-", "bytes=5-2", "bytes=\xb2-", "bytes=" + "9" * 5000 + "-", "bytes=0-" + "9" * 5000,
        "bytes=-" + "9" * 5000, "bytes=1-2,4-5", "bytes=-0", "lines=0-1", '"' * 5000, "," * 5000, "\xfc"))
    return Case(signed(mock, rng.choice(["GET", "HEAD"]), "/key", [(name, value)]), may_succeed=True)


def damaged(rng: random.Random, mock: MockObs) -> Case:
    """A request in order, of which some bytes were changed, left out or doubled: anything but a failure of the mock."""
    data = bytearray(rng.choice([
        lambda: signed(mock, "PUT", "/other", [("Content-MD5", base64_md5_of(b"content"))], b"content"),
        lambda: signed(mock, "GET", "/?prefix=k&max-keys=5&marker=a&delimiter=%2F"),
        lambda: signed(mock, "GET", "/key", [("Range", "bytes=5-10"), ("If-Modified-Since", formatdate(0))]),
        lambda: signed(mock, "POST", "/?delete", [("Content-MD5", base64_md5_of(named("absent")))], named("absent")),
        lambda: signed(mock, "PUT", "/other", [("Transfer-Encoding", "chunked")], b"5\r\nhello\r\n0\r\n\r\n", None),
        lambda: signed(mock, "PUT", f"/key?partNumber=3&uploadId={_upload_id(mock)}", [], b"content")])())
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data))
        how = rng.randrange(4)
        if how == 0:
            data[at] = rng.randrange(256)
        elif how == 1:
            del data[at:at + rng.choice([1, 1, 10, 100])]
        elif how == 2:
            data[at:at] = data[at:at + rng.choice([1, 10, 100])]
        else:
            data[at] ^= 1 << rng.randrange(8)
        data = data or bytearray(b"\0")
    return Case(bytes(data), may_close=True, may_succeed=True)


FAMILIES: List[Callable[[random.Random, MockObs], Case]] = [
    request_line, no_request, header_line, length, chunks, query_numbers, query_text, keys, deletions, completions,
    digests, authorization, dates, copies, ranges_and_conditions, damaged]
