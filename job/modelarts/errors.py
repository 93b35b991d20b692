"""The errors of ModelArts' control plane. Each message says what is wrong, where, and how to mend it."""

from __future__ import annotations

from typing import Optional

from job.errors import ConfigError, ModelArtsError


class SdkMissing(ModelArtsError):
    """Huawei's SDK of ModelArts is not installed."""


class AccessRefused(ModelArtsError):
    """ModelArts refused the access key, or the key may not do this. Also: there is no key."""


class QuotaExceeded(ModelArtsError):
    """The account, or the pool, may not have more of something."""


class ModelArtsUnavailable(ModelArtsError):
    """The network or ModelArts failed. Whether the request had an effect is not known."""


class TooManyRequests(ModelArtsError):
    """ModelArts refused the request because there were too many. It had no effect."""


class RequestRefused(ModelArtsError):
    """ModelArts understood the request and refused it.

    status: of HTTP. code: ModelArts' own, such as ModelArts.2758.
    """

    def __init__(self, what: str, where: Optional[str] = None, mend: Optional[str] = None,
                 status: int = 0, code: str = "") -> None:
        super().__init__(what, where, mend)
        self.status = status
        self.code = code


class NoSuchJob(ConfigError):
    """ModelArts has no job of this name or id."""
