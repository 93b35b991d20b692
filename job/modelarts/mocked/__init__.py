"""A mocked ModelArts: a real HTTP server on loopback that the unmodified SDK talks to, and that runs the jobs.

    with mock_modelarts(buckets=["bucket"]) as platform:
        client = ModelArtsClient.new_builder().with_region(ModelArtsRegion.value_of("cn-north-4")).build()
        job = client.create_training_job(CreateTrainingJobRequest(body=Job(...)))
        assert platform.wait(job.metadata.id) == "Completed"

    @mock_modelarts(buckets=["bucket"])
    def test_something():          # os.environ points at the mock; current_modelarts() is the mock

    $ python -m job mock serve --root DIR

It has a mocked OBS of its own (`platform.obs`) and IAM's look-up of the project. It verifies signatures and checks
bodies as the service does. A call that it does not know gets a 404 and makes the end of the `with` block raise
`UnknownCalls`. Jobs go from Creating to their end by a clock, which tests can move by hand (`frozen=True`, `advance`).

This folder stands apart: it imports nothing else of `job`.

Read `mocked` first, then `service` and `jobs/`:

    mocked                one mocked ModelArts: servers, jobs, and how clients are pointed at it
    program               what `python -m job mock serve` runs
    activation            sets os.environ while mocks run
    control               what is read and changed over HTTP while the mocks run
    service               from a request to its reply
    calls                 the calls that the mock knows
    signature             verifies SDK-HMAC-SHA256
    jobs/                 what happens to a job
    container/            the container in which a job runs
    catalogue             flavors, engines, pools
    faults/               injected faults
    errors                the error replies of ModelArts
"""
from __future__ import annotations

from typing import Any, Callable, Optional, Union

from job.modelarts.mocked.activation import current_modelarts
from job.modelarts.mocked.catalogue import Catalogue, Engine, Flavor
from job.modelarts.mocked.faults.language import PRESETS, platform_faults
from job.modelarts.mocked.jobs.progress import Delays
from job.modelarts.mocked.mocked import DEFAULT_PROJECT, DEFAULT_REGION, MockModelArts, UnknownCalls
from job.modelarts.mocked.program import serve

__all__ = ["Catalogue", "DEFAULT_PROJECT", "DEFAULT_REGION", "Delays", "Engine", "Flavor", "MockModelArts", "PRESETS",
           "UnknownCalls", "current_modelarts", "mock_modelarts", "platform_faults", "serve"]


def mock_modelarts(function: Optional[Callable[..., Any]] = None,
                   **options: Any) -> Union[MockModelArts, Callable[..., Any]]:
    """`@mock_modelarts`, `@mock_modelarts(...)` or `with mock_modelarts(...) as platform`."""
    mock = MockModelArts(**options)
    if function is not None and not callable(function):
        raise TypeError(f"mock_modelarts takes keyword arguments, such as root={function!r}")
    return mock if function is None else mock(function)
