"""The two spellings of one protocol: `x-obs-` for OBS signatures, `x-amz-` for v2 and v4 signatures."""
from __future__ import annotations

from typing import Dict, NamedTuple


class Dialect(NamedTuple):
    """How headers and XML documents are spelt in one conversation."""

    prefix: str                # of the service's headers, with the exceptions below
    region_header: str         # where a bucket lives
    bucket_class_header: str   # storage class of a bucket
    namespace: str             # of the XML documents

    def header(self, name: str) -> str:
        return self.prefix + name


OBS = Dialect("x-obs-", "x-obs-bucket-location", "x-obs-storage-class",
              "http://obs.myhwclouds.com/doc/2015-06-30/")
AMZ = Dialect("x-amz-", "x-amz-bucket-region", "x-default-storage-class",
              "http://s3.amazonaws.com/doc/2006-03-01/")


def dialect_of(headers: Dict[str, str]) -> Dialect:
    """The dialect of a request, told by its signature; an unsigned request speaks OBS."""
    return AMZ if headers.get("authorization", "").startswith("AWS") else OBS
