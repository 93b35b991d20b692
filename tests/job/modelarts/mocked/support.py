"""The SDK pointed at a mock, bodies of jobs, and bare HTTP where the SDK would be in the way."""
from __future__ import annotations

import http.client
import json
from typing import NamedTuple

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkmodelarts.v1 import (
    AutoStop, CreateTrainingJobRequest, Input, InputDataInfo, InputDataInfoObs, Job, JobAlgorithm, JobEngine,
    JobMetadata, LogExportPath, ModelArtsClient, Notification, Output, Parameters, Remote, RemoteObs,
    ShowTrainingJobDetailsRequest, Spec, SpecResource,
)

BUCKET = "bucket"
ENGINE = {"engine_name": "Ascend-Powered-Engine",
          "engine_version": "tensorflow_1.15-cann_5.1.0-py_3.7-euler_2.8.3-aarch64"}


def put_code(obs):
    """Code and data for a job."""
    obs.put(BUCKET, "code/boot.py", b"print(1)\n")
    obs.put(BUCKET, "data/one.jpg", b"1")


def make_client(platform, access_key=None, secret_key=None, token=None, project=None):
    """The unmodified SDK with the mock's credentials, or with others."""
    known = platform.credentials
    credentials = BasicCredentials(access_key or known.access_key, secret_key or known.secret_key,
                                   project or platform.project_id)
    if token is not None:
        credentials = credentials.with_security_token(token)
    return ModelArtsClient.new_builder().with_credentials(credentials).with_endpoint(platform.endpoint).build()


def make_job(name="first", annotations=None, log_url=f"/{BUCKET}/log/", flavor="modelarts.kat1.xlarge", nodes=1,
             **spec):
    """A job that the service accepts."""
    return Job(
        kind="job", metadata=JobMetadata(name=name, description="a job", annotations=annotations),
        algorithm=JobAlgorithm(
            code_dir=f"/{BUCKET}/code/", boot_file=f"/{BUCKET}/code/boot.py", engine=JobEngine(**ENGINE),
            parameters=[Parameters(name="seed", value="3")],
            inputs=[Input(name="data_url", remote=InputDataInfo(obs=InputDataInfoObs(obs_url=f"/{BUCKET}/data/")))],
            outputs=[Output(name="train_url", remote=Remote(obs=RemoteObs(obs_url=f"/{BUCKET}/out/")))],
            environments={"KEY": "value"}),
        spec=Spec(resource=SpecResource(flavor_id=flavor, node_count=nodes),
                  log_export_path=LogExportPath(obs_url=log_url) if log_url else None,
                  auto_stop=AutoStop(time_unit="HOURS", duration=24),
                  notification=Notification(topic_urn="urn:smn:mock", events=["JobFailed"]), **spec))


def create(client, **changes):
    """The id of a new job."""
    return client.create_training_job(CreateTrainingJobRequest(body=make_job(**changes))).metadata.id


def show(client, job_id):
    return client.show_training_job_details(ShowTrainingJobDetailsRequest(training_job_id=job_id))


def run(platform, client, **changes):
    """A new job, which is Running; its id."""
    job_id = create(client, **changes)
    platform.advance(10)
    platform.advance(10)
    assert platform.wait(job_id, "Running", seconds=1) == "Running"
    return job_id


class Reply(NamedTuple):
    status: int
    headers: dict
    body: bytes

    @property
    def document(self):
        return json.loads(self.body.decode("utf-8"))

    @property
    def code(self):
        return self.document.get("error_code")


def request(platform, method, path, body=b"", headers=None):
    """One request through nothing but http.client."""
    address = platform.endpoint.rpartition("/")[2]
    connection = http.client.HTTPConnection(address, timeout=20)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def control(platform, method, path, content=None):
    """One request to the control interface; the document of the reply."""
    body = b"" if content is None else json.dumps(content).encode("utf-8")
    reply = request(platform, method, "/_mock/" + path, body, {"Authorization": f"Bearer {platform.token}"})
    assert reply.status == 200, reply.body
    return reply.document
