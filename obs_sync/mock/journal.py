"""The requests that a mocked OBS received, and its replies."""
from __future__ import annotations

import collections
import threading
from typing import Deque, Dict, List, NamedTuple, Optional, Tuple


class RequestRecord(NamedTuple):
    """One request. The record is written before the first byte of the reply is sent, so a client that has its reply
    finds the record."""

    operation: str            # e.g. "PutObject"; "Unknown" for a call that the mock does not know
    method: str
    bucket: str
    key: str
    query: Dict[str, str]
    status: int               # of the reply; 0 if the connection was reset and the request was not handled
    code: Optional[str]       # error code of the reply
    bytes_in: int             # of the request's body
    bytes_out: int            # of the reply's body, sent or not
    seconds: float            # from the end of the request's headers to the start of the reply
    faults: Tuple[str, ...] = ()  # kinds of the injected faults, e.g. "cut", "status=503"


class Journal:
    """The latest requests, the number of requests for each operation, and the number of faults of each kind."""

    def __init__(self, size: int):
        self._lock = threading.Lock()
        self._records: Deque[RequestRecord] = collections.deque(maxlen=size)
        self._counts: Dict[str, int] = collections.Counter()
        self._injected: Dict[str, int] = collections.Counter()

    def add(self, record: RequestRecord) -> None:
        with self._lock:
            self._records.append(record)
            self._counts[record.operation] += 1
            for kind in record.faults:
                self._injected[kind] += 1

    def records(self) -> List[RequestRecord]:
        with self._lock:
            return list(self._records)

    def counts(self) -> Dict[str, int]:
        """Operation to number of requests; 0 for an operation that was never called."""
        with self._lock:
            return collections.Counter(self._counts)

    def injected(self) -> Dict[str, int]:
        """Kind of fault to the number of times it was injected; 0 for any other kind."""
        with self._lock:
            return collections.Counter(self._injected)

    def clear(self) -> None:
        with self._lock:
            self._records.clear()
            self._counts.clear()
            self._injected.clear()
