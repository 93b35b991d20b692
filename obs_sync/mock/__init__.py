"""A mocked OBS: a real HTTP server on loopback that the unmodified OBS client talks to as in production.

    with mock_obs(buckets=["data"]) as obs:
        client = ObsClient(**obs.client_arguments())
        client.putContent("data", "key", "content")
        assert obs.get("data", "key") == b"content"

    @mock_obs(buckets=["data"])
    def test_something():            # os.environ points at the mock; current_mock() is the mock
        subprocess.run([sys.executable, "job.py", "--data_url=obs://data/"], check=True)

    $ python -m obs_sync.mock serve --root bucket_directory --bucket data

Under a host name, which this process and its children resolve to 127.0.0.1, it speaks the production dialect
(signature "OBS", headers x-obs-*, bucket in the host name, version negotiation). By address it speaks the older v2
and v4 dialects. It verifies signatures and digests. A call that it does not know gets a 501 and is listed in
`unknown_requests`; with `strict=True` such a call makes the end of the `with` block raise `UnknownRequests`. A
malformed request gets a 4xx. The mock injects faults at the moments that you choose: `faults/plan.py`.

ACLs have no effect. There are no versions and no TLS. Encryption at rest (`encryption="kms"`) changes only what
clients see: a header and the ETags.

Read `mocked` first, then `service`:

    mocked       one mocked OBS: server, content, and how clients are pointed at it
    mock_server  what every mocked service is: context manager, decorator, journal, plan of faults
    activation   sets os.environ while mocks run
    resolver     makes this process and its children resolve the mock's host name
    service      from a request to its reply
    journal      what the mock was asked
    http         a folder: sockets and HTTP/1.1
    faults       a folder: injected faults
    protocol     a folder: calls, listings, signatures
    shelf        a folder: what is stored
    wire         a folder: requests and replies
    errors       the error replies of OBS
    clock        dates as the protocol writes them
    __main__     `python -m obs_sync.mock serve`
"""
from __future__ import annotations

from typing import Any, Callable, Optional, Union

from obs_sync.mock.activation import current_mock
from obs_sync.mock.errors import ObsError
from obs_sync.mock.faults.answers import (
    ErrorBody, ETag, ExpiredToken, IgnoredRange, PartialDelete, StaleListing, Status,
)
from obs_sync.mock.faults.effect import Effect, FaultError
from obs_sync.mock.faults.plan import FaultPlan, Faults
from obs_sync.mock.faults.rules import Rule
from obs_sync.mock.faults.text import PRESETS, describe_injected
from obs_sync.mock.faults.transport import Call, Cut, Flip, Latency, Reset, Skew, Stall
from obs_sync.mock.journal import RequestRecord
from obs_sync.mock.mocked import DEFAULT_HOST_NAME, MockObs, UnknownRequests
from obs_sync.mock.protocol.signature import Credentials
from obs_sync.mock.shelf.disk import RootInUse
from obs_sync.mock.wire.messages import Request, Response

__all__ = ["Call", "Credentials", "Cut", "DEFAULT_HOST_NAME", "ETag", "Effect", "ErrorBody", "ExpiredToken",
           "FaultError", "FaultPlan", "Faults", "Flip", "IgnoredRange", "Latency", "MockObs", "ObsError", "PRESETS",
           "PartialDelete", "Request", "RequestRecord", "Reset", "Response", "RootInUse", "Rule", "Skew",
           "StaleListing", "Stall", "Status", "UnknownRequests", "current_mock",
           "describe_injected", "mock_obs"]


def mock_obs(function: Optional[Callable[..., Any]] = None, **options: Any) -> Union[MockObs, Callable[..., Any]]:
    """`@mock_obs`, `@mock_obs(...)` or `with mock_obs(...) as obs`: a `MockObs` with these keyword arguments."""
    mock = MockObs(**options)
    if function is not None and not callable(function):
        raise TypeError(f"mock_obs takes keyword arguments, such as root={function!r}")
    return mock if function is None else mock(function)
