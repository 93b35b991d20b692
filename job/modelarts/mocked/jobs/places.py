"""What there is in OBS, as the service looks it up before it accepts a job. Places are written "/bucket/key"."""
from __future__ import annotations

from typing import Callable, Tuple

from job.modelarts.mocked.container.transfers import MOST_CODE_FILES
from job.modelarts.mocked.errors import ModelArtsError
from obs_sync.mock.errors import ObsError
from obs_sync.mock.mocked import MockObs

MOST_CODE_BYTES = 5 * 1024 ** 3


def split(place: str) -> Tuple[str, str]:
    """Bucket and key of "/bucket/key". Both are "" for a text of another form."""
    if not place.startswith("/") or place.startswith("//"):
        return "", ""
    bucket, _, key = place[1:].partition("/")
    return bucket, key


class AnyPlaces:
    """Has every place: for jobs that were accepted before."""

    def has(self, place: str) -> bool:
        return True

    def require_bucket(self, place: str) -> None:
        """Accepts it."""

    require_folder = require_code = require_bucket


class Places:
    """Looks places up in a mocked OBS, without requests."""

    def __init__(self, obs: MockObs):
        self._obs = obs

    def has(self, place: str) -> bool:
        """Whether there is such an object."""
        bucket, key = split(place)
        try:
            self._obs.info(bucket, key)
        except ObsError:
            return False
        return True

    def require_bucket(self, place: str) -> None:
        """Raises ModelArtsError unless this is a folder, "/bucket/…/", whose bucket exists."""
        self._folder(place, lambda reason: ModelArtsError("ModelArts.2791", place, reason))

    def require_folder(self, place: str) -> None:
        """Raises ModelArtsError unless this is a folder, "/bucket/…/", with at least one object."""
        bucket, key = self._folder(place, lambda reason: ModelArtsError("ModelArts.2791", place, reason))
        if not self._obs.keys(bucket, key):
            raise ModelArtsError("ModelArts.2791", place, "the path does not exist")

    def require_code(self, place: str) -> None:
        """Raises ModelArtsError unless this is a folder of code that is not too large."""
        bucket, key = self._folder(place, lambda reason: ModelArtsError("ModelArts.2802", f"{place}, {reason}"))
        keys = [found for found in self._obs.keys(bucket, key) if not found.endswith("/")]
        if not keys:
            raise ModelArtsError("ModelArts.2802", f"{place}, the path does not exist")
        if len(keys) > MOST_CODE_FILES:
            raise ModelArtsError("ModelArts.2759", MOST_CODE_FILES)
        if sum(self._obs.info(bucket, found).size for found in keys) > MOST_CODE_BYTES:
            raise ModelArtsError("ModelArts.2761", MOST_CODE_BYTES // 1024 ** 3)

    def _folder(self, place: str, refusal: Callable[[str], ModelArtsError]) -> Tuple[str, str]:
        bucket, key = split(place)
        if not bucket or not place.endswith("/"):
            raise refusal("expected the form /bucket/folder/")
        if bucket not in self._obs.buckets():
            raise refusal(f"the bucket {bucket} does not exist")
        return bucket, key
