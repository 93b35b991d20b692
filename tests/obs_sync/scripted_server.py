"""An S3 server that misbehaves as told: for what the OBS SDK makes of replies that no good server sends.

It keeps objects in a dictionary and knows just enough of the protocol for `EsdkStore`. A `twist` is a function
(request) -> Reply or None that looks at every request first; None lets the ordinary answer go out. By address the SDK
speaks its older dialect (bucket in the path), in which the faults are the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
import time
from collections import namedtuple
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn
from urllib.parse import parse_qs, unquote, urlsplit

from obs_sync.esdk.connect import Client
from obs_sync.esdk.credentials import Credentials, Endpoint
from obs_sync.esdk.store import EsdkStore
from obs_sync.retry import Retry

Request = namedtuple("Request", "method key query headers body")
Reply = namedtuple("Reply", "status headers body announced close pause")


def reply(status=200, body=b"", headers=None, announced=None, close=False, pause=0.0):
    """`announced` is the Content-Length if it is to differ; `close` drops the connection afterwards without a word;
    `pause` is the seconds between a byte of the body and the next one."""
    return Reply(status, headers or {}, body, len(body) if announced is None else announced, close, pause)


def error(status, code):
    return reply(status, b"<Error><Code>%s</Code><Message>told so</Message></Error>" % code.encode())


def md5(data):
    return hashlib.md5(data).hexdigest()


class ScriptedServer:
    def __init__(self):
        self.objects = {}
        self.etags = {}  # of those that were stored in parts
        self.parts = {}
        self.connections = 0
        self.requests = []
        self.twist = lambda request: None
        self.lock = threading.Lock()

    def answer(self, request):
        with self.lock:
            self.requests.append(request)
        return self.twist(request) or self.ordinary(request)

    def ordinary(self, request):
        key, query = request.key, request.query
        if request.method == "GET" and not key:
            return self.listing(query)
        if request.method in ("GET", "HEAD"):
            if key not in self.objects:
                return error(404, "NoSuchKey")
            data = self.objects[key]
            etag = self.etags.get(key, md5(data))
            wanted = request.headers.get("If-Match", etag)
            return reply(200, data, {"ETag": '"%s"' % etag}) if wanted == etag else error(412, "Precondition")
        if request.method == "PUT":
            if "partNumber" in query:
                self.parts[int(query["partNumber"])] = request.body
            else:
                self.objects[key] = request.body
            return reply(200, headers={"ETag": '"%s"' % md5(request.body)})
        if request.method == "POST" and "uploads" in query:
            return reply(200, b"<R><UploadId>1</UploadId></R>")
        if request.method == "POST" and "uploadId" in query:
            self.objects[key] = b"".join(self.parts[number] for number in sorted(self.parts))
            self.etags[key] = "%s-%d" % ("0" * 32, len(self.parts))
            return reply(200, b'<R><ETag>"%s"</ETag></R>' % self.etags[key].encode())
        if request.method == "POST" and "delete" in query:
            keys = re.findall(rb"<Key>(.*?)</Key>", request.body)
            for one in keys:
                self.objects.pop(one.decode(), None)
            return reply(200, b"<R>" + b"".join(b"<Deleted><Key>%s</Key></Deleted>" % one for one in keys) + b"</R>")
        return reply(204)

    def listing(self, query, page=1000):
        after, prefix = query.get("marker", ""), query.get("prefix", "")
        keys = sorted(key for key in self.objects if key > after and key.startswith(prefix))
        return self.page(keys[:page], len(keys) > page)

    def page(self, keys, truncated, next_marker=None):
        contents = "".join('<Contents><Key>%s</Key><Size>%d</Size><ETag>"%s"</ETag></Contents>'
                           % (key, len(self.objects[key]), md5(self.objects[key])) for key in keys)
        marker = "<NextMarker>%s</NextMarker>" % next_marker if next_marker else ""
        return reply(200, ("<R><Name>bucket</Name><IsTruncated>%s</IsTruncated>%s%s</R>" %
                           (str(truncated).lower(), marker, contents)).encode())


@contextlib.contextmanager
def scripted_server(tls=None):
    """Yields (ScriptedServer, endpoint URL). `tls` is an ssl.SSLContext."""
    script = ScriptedServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self):
            super().setup()
            with script.lock:
                script.connections += 1

        def handle_any(self):
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            key = unquote(parts.path).lstrip("/").partition("/")[2]
            query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
            answer = script.answer(Request(self.command, key, query, self.headers, body))
            if answer.status:
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(answer.announced))
                self.end_headers()
                if self.command != "HEAD":
                    step = 1 if answer.pause else len(answer.body) or 1
                    for start in range(0, len(answer.body), step):
                        self.wfile.write(answer.body[start:start + step])
                        time.sleep(answer.pause)
            self.close_connection = self.close_connection or answer.close

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

        def log_message(self, *arguments):
            pass

    class Server(ThreadingMixIn, HTTPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 64

        def handle_error(self, request, client_address):
            pass  # clients that hang up are part of the tests

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield script, "%s://127.0.0.1:%d" % ("https" if tls else "http", server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()


def store_at(url, slept=None, attempts=4, verify_tls=True, read_again=None, source="", **retry):
    """An EsdkStore of bucket `bucket` at `url` that does not really sleep."""
    slept = [] if slept is None else slept
    client = Client(Credentials("id", "hush", source=source), Endpoint(url, verify_tls), read_again)
    return EsdkStore(client, "bucket", "", Retry(attempts, sleep=slept.append, **retry))
