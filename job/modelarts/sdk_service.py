"""``JobService`` over ``huaweicloudsdkmodelarts``, Huawei's own client, which is used unmodified.

The SDK signs and sends. What it lacks is here: retries with delays, and errors that say what to do; ``sdk_client`` sets
its time-outs, proxy and certificates. Nothing of the SDK leaves these two files. It is an extra (`submit`), and a
submitted job never imports it.
"""

from __future__ import annotations

import importlib.util
import os
from typing import Any, Callable, Dict, Iterator, List, Mapping

from job.errors import ModelArtsError
from job.modelarts.access import Access, read_access, read_region
from job.modelarts.errors import (
    AccessRefused,
    ModelArtsUnavailable,
    NoSuchJob,
    QuotaExceeded,
    RequestRefused,
    SdkMissing,
    TooManyRequests,
)
from job.modelarts.replies import engine_of, event_of, flavor_of, job_of, log_part
from job.modelarts.request import JobRequest
from job.modelarts.sdk_client import endpoint_of, find_project, iam_endpoint, make_client
from job.modelarts.service import MOST_LINES, Engine, Event, Flavor, Job, JobService, LogPart
from job.printable import printable
from obs_sync.retry import Retry

INSTALL = "pip install 'masf-modelarts[submit]', or: pip install huaweicloudsdkmodelarts==3.1.219"
PAGE = 50  # jobs in a reply, the most that ModelArts allows
EVENTS_PAGE = 100
UNKNOWN_JOB = "ModelArts.2775"  # comes with status 400
OF_GATEWAY = "APIG."  # begins the codes of the gateway before ModelArts, whose 404 says nothing about a job
MODELARTS, IAM = "ModelArts", "IAM"
RETRIED = (ModelArtsUnavailable, TooManyRequests)
DEFAULT_RETRY = Retry(attempts=6, first_delay=0.5, longest_delay=16.0, deadline=120.0)
_LONGEST_MESSAGE = 600  # characters of what ModelArts says


def connect(environ: Mapping[str, str] = os.environ, region: str = "", retry: Retry = DEFAULT_RETRY) -> JobService:
    """ModelArts, with the access key and in the region that ``environ`` and ``region`` say. No job is asked for yet.

    Raises:
        SdkMissing, AccessRefused. ConfigError: ModelArts has no such region, or a variable names no usable address.
    """
    if importlib.util.find_spec("huaweicloudsdkmodelarts") is None:
        raise SdkMissing("Huawei's SDK of ModelArts is not installed", None, f"Install it with: {INSTALL}")
    return SdkJobService(read_access(environ), read_region(environ, region), environ, retry)


class SdkJobService(JobService):
    """The jobs of one project."""

    def __init__(self, access: Access, region: str, environ: Mapping[str, str], retry: Retry = DEFAULT_RETRY) -> None:
        self._access = access
        self._retry = retry
        self.region = region
        self.endpoint = endpoint_of(region)
        self._addresses = {MODELARTS: self.endpoint}
        self._client = make_client(access, self.endpoint, environ)
        if not access.project:
            self._addresses[IAM] = iam_endpoint(region)
            self._safely(lambda: find_project(self._client, region), "", IAM)
        self.project = self._client.get_credentials().project_id or ""

    def create(self, request: JobRequest) -> Job:
        from huaweicloudsdkmodelarts.v1 import CreateTrainingJobRequest

        body = request.body()
        return self._job(self._ask(lambda: self._client.create_training_job(CreateTrainingJobRequest(body=body)),
                                   request.name))

    def get(self, job_id: str) -> Job:
        from huaweicloudsdkmodelarts.v1 import ShowTrainingJobDetailsRequest

        return self._job(self._repeated(lambda: self._client.show_training_job_details(
            ShowTrainingJobDetailsRequest(training_job_id=job_id)), job_id))

    def jobs(self, name: str = "") -> Iterator[Job]:
        from huaweicloudsdkmodelarts.v1 import Filter, JobSearches, ListTrainingJobsRequest

        filters = [Filter(key="name", operator="like", value=[name])] if name else None
        seen = set()
        page = 0
        while True:
            body = JobSearches(offset=page, limit=PAGE, sort_by="create_time", order="desc", filters=filters)
            reply = self._repeated(lambda body=body: self._client.list_training_jobs(
                ListTrainingJobsRequest(body=body)), name)
            items = [job_of(each) for each in reply.get("items") or []]
            for job in items:
                if job.id not in seen:  # a job that was created meanwhile has moved the others to a later page
                    seen.add(job.id)
                    yield job
            page += 1
            if len(items) < PAGE or page * PAGE >= int(reply.get("total") or 0):
                return

    def stop(self, job_id: str) -> Job:
        from huaweicloudsdkmodelarts.v1 import JobActionType, StopTrainingJobRequest

        return self._job(self._repeated(lambda: self._client.stop_training_job(
            StopTrainingJobRequest(training_job_id=job_id, body=JobActionType(action_type="terminate"))), job_id))

    def lines(self, job_id: str, task: str, first: int, most: int = MOST_LINES) -> LogPart:
        from huaweicloudsdkmodelarts.v1 import ShowTrainingJobLogsFromAomRequest

        # One position earlier, because the documentation does not say whether the reply holds the line at base_line.
        base = max(0, first - 1)
        return log_part(self._repeated(lambda: self._client.show_training_job_logs_from_aom(
            ShowTrainingJobLogsFromAomRequest(training_job_id=job_id, task_id=task, base_line=str(base),
                                              lines=min(most, MOST_LINES), order="asc")), job_id), first)

    def flavors(self, kind: str = "") -> List[Flavor]:
        from huaweicloudsdkmodelarts.v1 import ShowTrainingJobFlavorsRequest

        reply = self._repeated(lambda: self._client.show_training_job_flavors(
            ShowTrainingJobFlavorsRequest(flavor_type=kind or None)), "")
        return [flavor_of(each) for each in reply.get("flavors") or []]

    def engines(self) -> List[Engine]:
        from huaweicloudsdkmodelarts.v1 import ShowTrainingJobEnginesRequest

        reply = self._repeated(lambda: self._client.show_training_job_engines(ShowTrainingJobEnginesRequest()), "")
        return [engine_of(each) for each in reply.get("items") or []]

    def events(self, job_id: str) -> List[Event]:
        from huaweicloudsdkmodelarts.v1 import ListTrainingJobEventsRequest

        found: List[Event] = []
        page = 0
        while True:
            reply = self._repeated(lambda page=page: self._client.list_training_job_events(
                ListTrainingJobEventsRequest(training_job_id=job_id, offset=page, limit=EVENTS_PAGE, order="asc")),
                job_id)
            items = [event_of(each) for each in reply.get("events") or []]
            found += items
            page += 1
            if len(items) < EVENTS_PAGE or page * EVENTS_PAGE >= int(reply.get("total") or 0):
                return found

    def is_name_free(self, name: str) -> bool:
        from huaweicloudsdkmodelarts.v1 import ValidateTrainingJobNameRequest

        reply = self._repeated(lambda: self._client.validate_training_job_name(
            ValidateTrainingJobNameRequest(job_name=name)), name)
        return not reply.get("is_duplicate")

    def _job(self, document: Mapping[str, Any]) -> Job:
        job = job_of(document)
        if not job.id:
            raise self._unreadable("which describes no job")
        return job

    def _unreadable(self, why: str, server: str = MODELARTS) -> ModelArtsUnavailable:
        return ModelArtsUnavailable(f"{server} sent a reply {why}", self._addresses[server],
                                    "Check that no proxy answers in its place")

    def _repeated(self, call: Callable[[], Any], where: str) -> Dict[str, Any]:
        return self._retry.call(lambda: self._ask(call, where), RETRIED)

    def _ask(self, call: Callable[[], Any], where: str) -> Dict[str, Any]:
        """The reply of one call as plain values."""
        document = self._safely(lambda: call().to_json_object(), where)
        if not isinstance(document, dict):
            raise self._unreadable("that is no JSON object")
        return document

    def _safely(self, call: Callable[[], Any], where: str, server: str = MODELARTS) -> Any:
        """``call()``, with the errors of the SDK and of the HTTP library in our words. server: that is asked."""
        from huaweicloudsdkcore.exceptions import exceptions
        from requests.exceptions import RequestException

        address = self._addresses[server]
        try:
            return call()
        except exceptions.ServiceResponseException as error:
            raise self._translated(error, where, server) from None
        except exceptions.SslHandShakeException as error:
            raise ModelArtsError(f"the certificate of the server is not accepted ({_said(error.error_msg)})",
                                 address, "With a private authority, set SSL_CERT_FILE") from None
        except exceptions.ConnectionException as error:
            raise ModelArtsUnavailable(f"{server} cannot be reached ({_said(error.error_msg)})", address,
                                       "Check the network, the proxy and the region") from None
        except exceptions.RequestTimeoutException as error:
            raise ModelArtsUnavailable(f"{server} did not answer in time ({_said(error.error_msg)})", address,
                                       "Try again later") from None
        except exceptions.SdkException as error:
            raise AccessRefused(f"the project of this access key could not be found ({_said(error.error_msg)})",
                                self.region, _PROJECT_MEND) from None
        except RequestException as error:  # such as a read time-out, which the SDK lets through
            raise ModelArtsUnavailable(f"the connection to {server} broke ({type(error).__name__})", address,
                                       "Try again later") from None
        except ValueError as error:  # the body of the reply is no JSON
            raise self._unreadable(f"that cannot be read ({type(error).__name__})", server) from None

    def _translated(self, error: Any, where: str, server: str) -> Exception:
        """One of our errors for a reply with an error status."""
        status, code = int(error.status_code or 0), str(error.error_code or "")
        request = f", request {_said(error.request_id)}" if error.request_id else ""
        said = f"{_said(error.error_msg)} ({_said(code)}{request})"
        if status == 401:
            return AccessRefused(
                f"{server} does not accept the access key from {self._access.source}: {said}", None,
                "Check that key and secret are whole and belong together, that a temporary key comes with its security "
                "token and has not expired, and that the clock of this machine is right")
        if status == 429:
            return TooManyRequests(f"{server} refuses because there were too many requests: {said}", where or None,
                                   "Try again later")
        if status >= 500:
            return ModelArtsUnavailable(f"{server} failed: {said}", self._addresses[server], "Try again later")
        if server == IAM:  # which is asked for the project alone
            return AccessRefused(f"IAM did not tell the project of this access key: {said}", self.region, _PROJECT_MEND)
        if "quota" in said.lower():
            return QuotaExceeded(f"a quota of the account is used up: {said}", where or None, _MORE_QUOTA)
        if status == 403:
            return AccessRefused(
                f"the access key from {self._access.source} may not do this: {said}", where or None,
                "The user needs the permissions of ModelArts CommonOperations and of OBS OperateAccess, and ModelArts "
                "needs an agency (console: ModelArts, Settings, Global Configuration)")
        if where and (code == UNKNOWN_JOB or (status == 404 and not code.startswith(OF_GATEWAY))):
            return NoSuchJob(f"ModelArts in {self.region} knows no job {where!r}: {said}. `python -m job jobs` lists "
                             "the jobs; check --region and the project")
        return RequestRefused(f"ModelArts refused the request: {said}", where or None, None, status, code)


_PROJECT_MEND = "Export HUAWEICLOUD_SDK_PROJECT_ID; the console shows it under My Credentials"
_MORE_QUOTA = ("Stop a job, choose a smaller flavor or fewer nodes, or ask for more in the console under My Quotas")


def _said(text: Any) -> str:
    """What another party wrote, in one line and not too long."""
    return printable(" ".join(str(text or "").split()))[:_LONGEST_MESSAGE]
