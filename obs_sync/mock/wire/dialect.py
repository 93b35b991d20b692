"""The two dialects of one protocol: `x-obs-` for OBS signatures, `x-amz-` for v2 and v4 signatures."""
from __future__ import annotations

from typing import Dict, NamedTuple


class Dialect(NamedTuple):
    """Names of headers, and the namespace of XML documents."""

    prefix: str                # of the service's headers, apart from the two below
    region_header: str         # region of a bucket
    bucket_class_header: str   # storage class of a bucket
    namespace: str             # of the XML documents

    def header(self, name: str) -> str:
        return self.prefix + name


OBS = Dialect("x-obs-", "x-obs-bucket-location", "x-obs-storage-class",
              "http://obs.myhwclouds.com/doc/2015-06-30/")
AMZ = Dialect("x-amz-", "x-amz-bucket-region", "x-default-storage-class",
              "http://s3.amazonaws.com/doc/2006-03-01/")


def dialect_of(headers: Dict[str, str]) -> Dialect:
    """The dialect of a request, which its signature tells; OBS if it has none."""
    return AMZ if headers.get("authorization", "").startswith("AWS") else OBS
