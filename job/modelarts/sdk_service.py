"""``JobService`` over ``huaweicloudsdkmodelarts``, Huawei's own client, which is used unmodified.

The SDK signs and sends. What it lacks is here: retries with delays, time-outs, and errors that say what to do. Nothing
of the SDK leaves this file. It is an extra (`submit`), and a submitted job never imports it.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import logging
import os
from typing import Any, Callable, Dict, Iterator, List, Mapping
from urllib.parse import quote, urlsplit

from job.config.near_miss import suggestion
from job.errors import ConfigError, ModelArtsError
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
from job.modelarts.service import MOST_LINES, Engine, Event, Flavor, Job, JobService, LogPart
from job.printable import printable
from obs_sync.http.proxies import read_proxy
from obs_sync.retry import Retry

INSTALL = "pip install 'masf-modelarts[submit]', or: pip install huaweicloudsdkmodelarts==3.1.219"
CONNECT_SECONDS, READ_SECONDS = 10.0, 60.0
PAGE = 50  # jobs in a reply, the most that ModelArts allows
EVENTS_PAGE = 100
RETRIED = (ModelArtsUnavailable, TooManyRequests)
DEFAULT_RETRY = Retry(attempts=6, first_delay=0.5, longest_delay=16.0, deadline=120.0)
_LONGEST_MESSAGE = 600  # characters of what ModelArts says


def connect(environ: Mapping[str, str] = os.environ, region: str = "", retry: Retry = DEFAULT_RETRY) -> JobService:
    """ModelArts, with the access key and in the region that ``environ`` and ``region`` say. No job is asked for yet.

    Raises:
        SdkMissing, AccessRefused. ConfigError: ModelArts has no such region.
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
        self.endpoint = _endpoint(region)
        client = self._safely(lambda: _build(access, region, self.endpoint, environ), "")
        self._client = client
        self.project = client.get_credentials().project_id or ""

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

        # From one position before: whether the line at base_line is part of the reply is nowhere said.
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

    def _unreadable(self, why: str) -> ModelArtsUnavailable:
        return ModelArtsUnavailable(f"ModelArts sent a reply {why}", self.endpoint,
                                    "Check that no proxy answers in its place")

    def _repeated(self, call: Callable[[], Any], where: str) -> Dict[str, Any]:
        return self._retry.call(lambda: self._ask(call, where), RETRIED)

    def _ask(self, call: Callable[[], Any], where: str) -> Dict[str, Any]:
        """The reply of one call as plain values."""
        document = self._safely(lambda: call().to_json_object(), where)
        if not isinstance(document, dict):
            raise self._unreadable("that is no JSON object")
        return document

    def _safely(self, call: Callable[[], Any], where: str) -> Any:
        """``call()``, with the errors of the SDK and of the HTTP library in our words."""
        from huaweicloudsdkcore.exceptions import exceptions
        from requests.exceptions import RequestException

        try:
            return call()
        except exceptions.ServiceResponseException as error:
            raise self._translated(error, where) from None
        except exceptions.SslHandShakeException as error:
            raise ModelArtsError(f"the certificate of the server is not accepted ({_said(error.error_msg)})",
                                 self.endpoint, "With a private authority, set SSL_CERT_FILE") from None
        except exceptions.ConnectionException as error:
            raise ModelArtsUnavailable(f"ModelArts cannot be reached ({_said(error.error_msg)})", self.endpoint,
                                       "Check the network, the proxy and the region") from None
        except exceptions.RequestTimeoutException as error:
            raise ModelArtsUnavailable(f"ModelArts did not answer in time ({_said(error.error_msg)})", self.endpoint,
                                       "Try again later") from None
        except exceptions.SdkException as error:
            raise AccessRefused(f"the project of this access key could not be found ({_said(error.error_msg)})",
                                self.region, "Export HUAWEICLOUD_SDK_PROJECT_ID; the console shows it under My "
                                             "Credentials") from None
        except RequestException as error:  # such as a read time-out, which the SDK lets through
            raise ModelArtsUnavailable(f"the connection to ModelArts broke ({type(error).__name__})", self.endpoint,
                                       "Try again later") from None
        except ValueError as error:  # the body of the reply is no JSON
            raise self._unreadable(f"that cannot be read ({type(error).__name__})") from None

    def _translated(self, error: Any, where: str) -> Exception:
        """One of our errors for a reply with an error status."""
        status, code = int(error.status_code or 0), str(error.error_code or "")
        request = f", request {_said(error.request_id)}" if error.request_id else ""
        said = f"{_said(error.error_msg)} ({_said(code)}{request})"
        if status == 401:
            return AccessRefused(
                f"ModelArts does not accept the access key from {self._access.source}: {said}", None,
                "Check that key and secret are whole and belong together, that a temporary key comes with its security "
                "token and has not expired, and that the clock of this machine is right")
        if status == 403:
            if "quota" in said.lower():
                return QuotaExceeded(f"a quota of the account is used up: {said}", where or None, _MORE_QUOTA)
            return AccessRefused(
                f"the access key from {self._access.source} may not do this: {said}", where or None,
                "The user needs the permissions of ModelArts CommonOperations and of OBS OperateAccess, and ModelArts "
                "needs an agency (console: ModelArts, Settings, Global Configuration)")
        if status == 429:
            return TooManyRequests(f"ModelArts refuses because there were too many requests: {said}", where or None,
                                   "Try again later")
        if status >= 500:
            return ModelArtsUnavailable(f"ModelArts failed: {said}", self.endpoint, "Try again later")
        if "quota" in said.lower():
            return QuotaExceeded(f"a quota of the account is used up: {said}", where or None, _MORE_QUOTA)
        if status == 404:
            return NoSuchJob(f"ModelArts in {self.region} knows no job {where!r}: {said}. `python -m job jobs` lists "
                             "the jobs; check --region and the project")
        return RequestRefused(f"ModelArts refused the request: {said}", where or None, None, status, code)


_MORE_QUOTA = ("Stop a job, choose a smaller flavor or fewer nodes, or ask for more in the console under My Quotas")


def _said(text: Any) -> str:
    """What another party wrote, in one line and not too long."""
    return printable(" ".join(str(text or "").split()))[:_LONGEST_MESSAGE]


def _endpoint(region: str) -> str:
    """The address of ModelArts in a region, or what HUAWEICLOUD_SDK_REGION_MODELARTS_<REGION> puts in its place."""
    from huaweicloudsdkmodelarts.v1.region.modelarts_region import ModelArtsRegion

    try:
        endpoint = ModelArtsRegion.value_of(region).endpoints[0]
    except KeyError:
        known = sorted(ModelArtsRegion.static_fields)
        raise ConfigError(f"--region={region}: ModelArts has no such region{suggestion(region, known)}; expected one "
                          f"of {', '.join(known)}") from None
    if urlsplit(endpoint).scheme != "https" and not is_loopback(endpoint):
        raise ConfigError(f"the address of ModelArts in {region} is {_said(endpoint)}: expected https://, because a "
                          "security token must not be readable on the way")
    return endpoint


def is_loopback(url: str) -> bool:
    """Whether the server of a URL is this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _build(access: Access, region: str, endpoint: str, environ: Mapping[str, str]) -> Any:
    """The SDK's client. Without a project id the SDK asks IAM for it, which is one request."""
    from huaweicloudsdkcore.auth.credentials import BasicCredentials
    from huaweicloudsdkcore.http.http_config import HttpConfig
    from huaweicloudsdkmodelarts.v1 import ModelArtsClient

    if not access.project and is_loopback(endpoint) and not environ.get("HUAWEICLOUD_SDK_IAM_ENDPOINT"):
        # The key of a mocked platform is not for Huawei's IAM.
        raise AccessRefused("the project is not known, and ModelArts is on this machine", endpoint,
                            "Export HUAWEICLOUD_SDK_PROJECT_ID, or HUAWEICLOUD_SDK_IAM_ENDPOINT")
    logger = logging.getLogger("HuaweiCloud-SDK-ModelArtsClient")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())  # else Python prints its errors, which are told here in our words
    config = HttpConfig.get_default_config()
    config.timeout = (CONNECT_SECONDS, READ_SECONDS)
    config.ssl_ca_cert = environ.get("SSL_CERT_FILE") or environ.get("REQUESTS_CA_BUNDLE") or None
    proxy = read_proxy(environ, endpoint)
    if proxy is not None:
        config.proxy_protocol, config.proxy_host, config.proxy_port = "http", proxy.host, proxy.port
        if proxy.username:
            config.proxy_user, config.proxy_password = quote(proxy.username, safe=""), proxy.password or ""
    credentials = BasicCredentials(access.key_id, access.secret, access.project)
    if access.token:
        credentials = credentials.with_security_token(access.token)
    client = ModelArtsClient.new_builder().with_http_config(config).with_credentials(credentials) \
        .with_endpoint(endpoint).build()
    # Otherwise the HTTP library would send requests to this machine through a proxy, and take keys from ~/.netrc.
    client.get_http_client()._session.trust_env = False
    credentials.process_auth_params(client.get_http_client(), region)
    return client
