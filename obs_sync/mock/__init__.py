"""A mocked OBS: a real HTTP server on loopback that the unmodified OBS client talks to as in production.

    with mock_obs(buckets=["data"]) as obs:
        client = ObsClient(**obs.client_arguments())
        client.putContent("data", "key", "content")
        assert obs.get("data", "key") == b"content"

    @mock_obs(buckets=["data"])
    def test_something():            # os.environ points at the mock; current_mock() is the mock
        subprocess.run([sys.executable, "job.py", "--data_url=obs://data/"], check=True)

    $ python -m obs_sync.mock serve --root bucket_directory --bucket data

It speaks the production dialect (signature "OBS", headers x-obs-*, bucket in the host name, version
negotiation) under a host name that this process and its children resolve to 127.0.0.1, and the older
v2 and v4 dialects by address. It verifies signatures and digests; a call that it does not know gets a
501 and is listed in `unknown_requests`; with `strict=True` leaving the context raises then. It fails on
purpose, at the moments that you choose: `faults.py`. ACLs have no effect; there are no versions and no
TLS, and of encryption at rest there is what clients see of it (`encryption="kms"`).
"""
from __future__ import annotations

from obs_sync.mock.activation import current_mock
from obs_sync.mock.disk import RootInUse
from obs_sync.mock.errors import ObsError
from obs_sync.mock.fault_answers import ErrorBody, ETag, ExpiredToken, IgnoredRange, PartialDelete, StaleListing, Status
from obs_sync.mock.fault_effect import Effect, FaultError
from obs_sync.mock.fault_rules import Rule
from obs_sync.mock.fault_text import PRESETS, describe_injected
from obs_sync.mock.fault_transport import Call, Cut, Flip, Latency, Reset, Skew, Stall
from obs_sync.mock.faults import FaultPlan, Faults
from obs_sync.mock.journal import RequestRecord
from obs_sync.mock.messages import Request, Response
from obs_sync.mock.mocked import DEFAULT_HOST_NAME, MockObs, UnknownRequests
from obs_sync.mock.signature import Credentials

__all__ = ["Call", "Credentials", "Cut", "DEFAULT_HOST_NAME", "ETag", "Effect", "ErrorBody", "ExpiredToken",
           "FaultError", "FaultPlan", "Faults", "Flip", "IgnoredRange", "Latency", "MockObs", "ObsError", "PRESETS",
           "PartialDelete", "Request", "RequestRecord", "Reset", "Response", "RootInUse", "Rule", "Skew",
           "StaleListing", "Stall", "Status", "UnknownRequests", "current_mock",
           "describe_injected", "mock_obs"]


def mock_obs(function=None, **options):
    """`@mock_obs`, `@mock_obs(...)` or `with mock_obs(...) as obs`: a `MockObs` with these keyword arguments."""
    mock = MockObs(**options)
    if function is not None and not callable(function):
        raise TypeError(f"mock_obs takes keyword arguments, such as root={function!r}")
    return mock if function is None else mock(function)
