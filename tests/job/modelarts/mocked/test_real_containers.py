"""Jobs in real containers: restarts in place and in a new container, and a stop, as the SDK sees them."""
from __future__ import annotations

import time

from job.modelarts.mocked import Delays, mock_modelarts, platform_faults
from tests.job.modelarts.mocked.support import BUCKET, create, make_client, put_code, show
from tests.job.modelarts.mocked.test_calls import stop
from tests.job.modelarts.mocked.test_logs import follow

QUICK = Delays(creating=0.0, pending=0.0, log_upload=0.1, grace=5.0)
# Each start adds a line to a file on the local disk, and shows how many there are; the third one ends.
STARTS = b"""
import os, time
path = os.path.join(os.environ["DLS_LOCAL_CACHE_PATH"], "starts")
os.makedirs(os.path.dirname(path), exist_ok=True)
with open(path, "a") as stream:
    stream.write("start\\n")
print("starts on this disk:", open(path).read().count("start"), flush=True)
if os.path.exists(os.path.join(os.environ["MA_JOB_DIR"], "code", "endless")):
    time.sleep(60)
"""
STOPPED = b"""
import signal, sys, time
def stop(number, frame):
    print("saved", flush=True)
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
time.sleep(60)
"""


def test_a_restart_in_place_keeps_the_disk_and_a_new_container_has_a_new_one():
    with mock_modelarts(buckets=[BUCKET], delays=QUICK) as platform:
        put_code(platform.obs)
        platform.obs.put(BUCKET, "code/boot.py", STARTS)
        platform.obs.put(BUCKET, "code/endless", b"")
        platform.faults = platform_faults(["RunJob nth=1 kill=0 log='this disk: 1'",
                                           "RunJob nth=2 lose-node=0 log='this disk: 2'",
                                           "RunJob nth=3 abnormal=0 log='this disk: 1'"])
        client = make_client(platform)
        job_id = create(client, annotations={"fault-tolerance/job-retry-num": "2"})
        assert platform.wait(job_id) == "Abnormal"
        lines = follow(client, job_id)
        assert [line[-1] for line in lines if line.startswith("starts on this disk")] == ["1", "2", "1"]
        records = show(client, job_id).status.running_records
        assert [record.end_recover for record in records] == ["proc_restart", "job_reschedule", None]
        stored = platform.obs.get(BUCKET, f"log/modelarts-job-{job_id}-worker-0.log")
        assert stored.decode("utf-8").splitlines() == lines


def test_a_stopped_job_hears_sigterm_and_its_last_lines_are_in_the_log():
    with mock_modelarts(buckets=[BUCKET], delays=QUICK) as platform:
        put_code(platform.obs)
        platform.obs.put(BUCKET, "code/boot.py", STOPPED)
        client = make_client(platform)
        job_id = create(client)
        platform.wait(job_id, "Running")
        deadline = time.monotonic() + 20
        while "ready" not in follow(client, job_id):
            assert time.monotonic() < deadline, "the job does not start"
            time.sleep(0.05)
        stop(client, job_id)
        assert platform.wait(job_id) == "Terminated"
        status = show(client, job_id).status
        assert (status.task_statuses[0].exit_code, "saved" in follow(client, job_id)) == (143, True)
