"""What the averaging optimisers know of the job."""
import os


class JobInfo:
    def __init__(self, job_id, rank_size):
        self._job_id = job_id
        self._rank_size = rank_size


class NPUBasics:
    """The job by its environment; without JOB_ID there is none."""

    def __init__(self, file_name):
        self._job_info = self._read_job_info(file_name)

    def size(self):
        return self._job_info._rank_size

    def _read_job_info(self, file_name):
        job_id = os.environ.get("JOB_ID", "")
        return JobInfo(job_id, int(os.environ.get("RANK_SIZE") or 1)) if job_id else None
