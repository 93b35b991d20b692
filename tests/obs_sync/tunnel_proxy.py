"""A forwarding HTTP proxy on 127.0.0.1 that knows CONNECT alone, as OBS is reached from inside a company."""

from __future__ import annotations

import contextlib
import socket
import threading


class TunnelProxy:
    def __init__(self, authorization=None):
        """`authorization` is the value of Proxy-Authorization that is asked for."""
        self.connects = []      # "host:port", one for each tunnel
        self.heads = []         # the requests for tunnels
        self._authorization = authorization
        self._listener = _listening()
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with contextlib.suppress(OSError), client:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += client.recv(1) or b"\r\n\r\n"
            lines = head.decode("latin-1").split("\r\n")
            self.heads.append(head.decode("latin-1"))
            method, place = lines[0].split()[:2]
            if method != "CONNECT":
                client.sendall(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
                return
            if self._authorization is not None and "Proxy-Authorization: " + self._authorization not in lines:
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return
            self.connects.append(place)
            host, _, port = place.rpartition(":")
            with socket.create_connection((host, int(port))) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=_pump, args=(server, client), daemon=True)
                back.start()
                _pump(client, server)
                back.join(5)


def _listening():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    return listener


def _pump(source, target):
    with contextlib.suppress(OSError):
        while True:
            data = source.recv(65536)
            if not data:
                target.shutdown(socket.SHUT_WR)
                return
            target.sendall(data)
