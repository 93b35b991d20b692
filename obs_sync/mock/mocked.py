"""One mocked OBS: its server, its host name, its content, and the settings that point clients at it."""
from __future__ import annotations

import io
import os
from typing import BinaryIO, Dict, Iterable, List, Mapping, Optional, Tuple, Union

from obs_sync.mock import activation, resolver
from obs_sync.mock.http.link import Link
from obs_sync.mock.http.server import Server
from obs_sync.mock.journal import Journal, RequestRecord
from obs_sync.mock.mock_server import MockServer
from obs_sync.mock.protocol.signature import Credentials
from obs_sync.mock.service import Service
from obs_sync.mock.shelf.bodies import CHUNK
from obs_sync.mock.shelf.disk import DiskShelf
from obs_sync.mock.shelf.memory import MemoryShelf
from obs_sync.mock.shelf.objects import DEFAULT_TYPE, ObjectStore, Properties, StoredObject
from obs_sync.mock.wire.fields import check_key

DEFAULT_HOST_NAME = "obs.fake-obs.test"  # .test is reserved for tests and never resolves (RFC 6761)


class UnknownRequests(AssertionError):
    """A strict mocked OBS received requests that it does not know."""

    def __init__(self, records: List[RequestRecord]):
        super().__init__(f"the mocked OBS does not know {len(records)} requests, such as " + "; ".join(
            f"{record.method} /{record.bucket}/{record.key} {sorted(record.query)}" for record in records[:3]))
        self.records = records


class MockObs(MockServer, activation.Announced):
    """A mocked OBS as a context manager or a decorator; `start` and `stop` do the same by hand.

    Every instance has its own server, port and content, also inside another one. As a decorator it makes a new
    instance for each call of the function, which finds it with `current_mock()`.

    While it runs, its host name and all names below it resolve to 127.0.0.1 in this process, and os.environ has the
    `variables()` of the instance that started last. Afterwards the resolver and os.environ are as they were before.

    Args:
        root: directory of the objects; None keeps them in memory.
        buckets: created at the start and after `reset`, unless they exist.
        credentials: the only identity that is accepted; by default `Credentials()`, which is public.
        host_name: name of the service; buckets are sub-domains of it.
        port: 0 for any free one.
        journal_size: number of requests that are remembered.
        link_bytes_per_second: limit of all connections together, in both directions; None for no limit.
        encryption: such as "kms": the mock behaves like a bucket that encrypts all objects at rest. A header of the
            replies says so, and ETags look like MD5s but are not. None: only for objects whose upload asks for it.
        strict: whether the end of the `with` block, or of the decorated function, raises UnknownRequests if there
            were any.
    """

    decorator = "mock_obs"
    unknown = UnknownRequests

    def __init__(self, root: Optional[str] = None, buckets: Iterable[str] = (),
                 credentials: Optional[Credentials] = None, host_name: str = DEFAULT_HOST_NAME, port: int = 0,
                 journal_size: int = 100000, link_bytes_per_second: Optional[float] = None,
                 encryption: Optional[str] = None, strict: bool = False):
        options = dict(root=root, buckets=tuple(buckets), credentials=credentials, host_name=host_name, port=port,
                       journal_size=journal_size, link_bytes_per_second=link_bytes_per_second, encryption=encryption,
                       strict=strict)
        super().__init__(options, Journal(journal_size))
        self.root = root
        self._credentials = credentials or Credentials()
        self.host_name = host_name.lower()
        self._port = port
        self._link = None if link_bytes_per_second is None else Link(link_bytes_per_second)
        self._shelf: Union[DiskShelf, MemoryShelf, None] = None
        self._service: Optional[Service] = None

    # --- life

    def start(self) -> "MockObs":
        """Starts the server.

        Raises:
            OSError: the port is in use, or the root cannot be used.
            RootInUse: another mocked OBS serves the root.
            RuntimeError: this one runs already.
        """
        if self._server is not None:
            raise RuntimeError("this mocked OBS is running already; create another one")
        self._shelf = MemoryShelf() if self.root is None else DiskShelf(self.root)
        try:
            store = ObjectStore(self._shelf, self._options["encryption"])
            self._service = Service(store, self._credentials, self._journal)
            self._create_buckets()
            self._server = Server(self._service, self.host_name, self._port, self._link)
        except BaseException:
            self._shelf.close()
            raise
        self._server.start()
        resolver.resolve(self.host_name)
        activation.activate(self)
        return self

    def stop(self) -> None:
        """Stops the server and closes its connections. Does nothing if it is not running."""
        if self._server is None:
            return
        activation.deactivate(self)
        resolver.forget(self.host_name)
        self._server.stop()
        self._server = None
        self._shelf.close()

    def __repr__(self) -> str:
        return f"<MockObs {self.endpoint if self._server else '(not running)'} root={self.root!r}>"

    # --- settings of clients

    @property
    def credentials(self) -> Credentials:
        """The only identity that is accepted. It may be replaced at any time, as when credentials rotate. From then
        on only the new one is accepted, and os.environ has it; clients and child processes keep the old one."""
        return self._credentials

    @credentials.setter
    def credentials(self, credentials: Credentials) -> None:
        self._credentials = credentials
        if self._server is not None:
            self._service.signature.credentials = credentials
            activation.refresh()

    @property
    def port(self) -> int:
        if self._server is None:
            raise RuntimeError("this mocked OBS is not running")
        return self._server.port

    @property
    def endpoint(self) -> str:
        """URL of the service by name: production dialect, bucket in the host name."""
        return f"http://{self.host_name}:{self.port}"

    @property
    def path_style_endpoint(self) -> str:
        """URL of the service by address: v2 or v4 signatures, bucket in the path."""
        return f"http://127.0.0.1:{self.port}"

    def variables(self, environ: Optional[Mapping[str, str]] = None) -> Dict[str, str]:
        """The environment variables that point a process and its OBS client at this server.

        Args:
            environ: its PYTHONPATH and NO_PROXY are kept and extended; by default os.environ.
        """
        return activation.variables_of(self, os.environ if environ is None else environ)

    def environment(self, environ: Optional[Mapping[str, str]] = None) -> Dict[str, str]:
        """The whole environment of a child process: `environ`, by default os.environ, with `variables()` set."""
        base = dict(os.environ if environ is None else environ)
        variables = self.variables(base)
        for name in activation.NAMES:
            base.pop(name, None)
        base.update(variables)
        return base

    def client_arguments(self, path_style: bool = False) -> Dict[str, str]:
        """Keyword arguments for `obs.ObsClient`."""
        arguments = {"access_key_id": self.credentials.access_key,
                     "secret_access_key": self.credentials.secret_key,
                     "server": self.path_style_endpoint if path_style else self.endpoint}
        if self.credentials.security_token is not None:
            arguments["security_token"] = self.credentials.security_token
        return arguments

    # --- content, read and changed without a request; ObsError where OBS would reply with an error

    def create_bucket(self, name: str) -> None:
        self._store.create_bucket(name)

    def buckets(self) -> List[str]:
        return [bucket.name for bucket in self._store.buckets()]

    def put(self, bucket: str, key: str, data: Union[bytes, BinaryIO], content_type: str = DEFAULT_TYPE,
            metadata: Optional[Dict[str, str]] = None) -> StoredObject:
        """Stores an object without a request. Raises ObsError when OBS would refuse the key or the bucket."""
        check_key(key)
        stream = io.BytesIO(data) if isinstance(data, (bytes, bytearray, memoryview)) else data
        spool = self._store.spool().write(iter(lambda: stream.read(CHUNK), b""))
        return self._store.put(bucket, key, spool, Properties(content_type, {}, dict(metadata or {})))

    def get(self, bucket: str, key: str) -> bytes:
        _, content = self._store.open(bucket, key)
        try:
            return content.read()
        finally:
            content.close()

    def info(self, bucket: str, key: str) -> StoredObject:
        """Size, ETag, time, content type and metadata of an object."""
        return self._store.head(bucket, key)

    def keys(self, bucket: str, prefix: str = "") -> List[str]:
        """Sorted."""
        found = self._store.bucket(bucket)
        with found.lock:
            return [key for key in found.keys if key.startswith(prefix)]

    def delete(self, bucket: str, key: str) -> None:
        self._store.delete(bucket, key)

    def uploads(self, bucket: str) -> List[Tuple[str, str]]:
        """(key, upload id) of every multipart upload that was neither completed nor aborted."""
        found = self._store.bucket(bucket)
        with found.lock:
            return sorted((upload.key, upload.id) for upload in found.uploads.values())

    def reset(self) -> None:
        """Deletes all objects, also those in `root`, and all buckets but the initial ones, and forgets all requests."""
        self._store.clear()
        self._create_buckets()
        self._journal.clear()

    # --- requests

    @property
    def unknown_requests(self) -> List[RequestRecord]:
        """Requests that got a 501 because the mock does not know the call, a parameter or a header."""
        return [record for record in self.requests if record.code == "NotImplemented"]

    @property
    def _running_service(self) -> Service:
        if self._service is None:
            raise RuntimeError("this mocked OBS was not started")
        return self._service

    @property
    def _store(self) -> ObjectStore:
        return self._running_service.store

    def _create_buckets(self) -> None:
        for name in self._options["buckets"]:
            self._service.store.create_bucket(name)
