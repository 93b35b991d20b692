"""A server on a socket that answers with given bytes: for replies that no library would send."""
from __future__ import annotations

import contextlib
import socket
import threading
import time


class Script:
    """What the connections are answered, one after the other: a list of answers for each, one for every request.

    An answer is bytes, or a list of bytes between which the server waits a little, or None to hang up unheard. After
    the last answer the connection is closed.
    """

    def __init__(self):
        self.connections = []
        self.heads = []  # of all requests, as text, one list for each connection
        self.closed = threading.Semaphore(0)


@contextlib.contextmanager
def raw_server(*connections, wait=0.01):
    """Yields (Script, port)."""
    script = Script()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(16)

    def serve():
        for answers in connections:
            try:
                connected, _ = listener.accept()
            except OSError:
                return
            heads = []
            script.heads.append(heads)
            with connected, contextlib.suppress(OSError):  # clients that hang up are part of the tests
                connected.settimeout(10)
                for answer in answers:
                    head = b""
                    while not head.endswith(b"\r\n\r\n"):
                        byte = connected.recv(1)
                        if not byte:
                            break
                        head += byte
                    heads.append(head.decode("latin-1"))
                    if not head or answer is None:
                        break
                    for piece in [answer] if isinstance(answer, bytes) else answer:
                        connected.sendall(piece)
                        time.sleep(wait if not isinstance(answer, bytes) else 0)
                connected.shutdown(socket.SHUT_RDWR)
            script.closed.release()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield script, listener.getsockname()[1]
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # wakes the thread
        listener.close()
        thread.join(5)
