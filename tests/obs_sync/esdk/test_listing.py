"""Documents of a listing, as servers write them and as they should not."""
from __future__ import annotations

import pytest

from obs_sync.errors import StoreError, StoreUnavailable
from obs_sync.esdk.listing import Listed, Page, parse_page, utc_time

ENTRY = ("<Contents><Key>{}</Key><LastModified>2026-11-27T01:02:03.456Z</LastModified><ETag>\"abc\"</ETag>"
         "<Size>12</Size><StorageClass>STANDARD</StorageClass><Owner><ID>id</ID></Owner></Contents>")


def page_of(inner, namespace="", truncated="false"):
    document = (f"<ListBucketResult{namespace}><Name>bucket</Name><IsTruncated>{truncated}</IsTruncated>{inner}"
                "</ListBucketResult>")
    return parse_page(document.encode("utf-8"), "obs://bucket/")


@pytest.mark.parametrize("namespace", [
    "", ' xmlns="http://obs.myhwclouds.com/doc/2015-06-30/"', ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'])
def test_objects_are_read_whatever_the_namespace(namespace):
    page = page_of(ENTRY.format("folder/a") + "<NextMarker>b</NextMarker>", namespace, "true")
    assert page == Page([Listed("folder/a", 12, '"abc"', 1795741323.0)], True, "b")


@pytest.mark.parametrize("told, written, key", [
    ("<EncodingType>url</EncodingType>", "a%2Fwith+space%2Bplus%0A%C3%BC", "a/with space+plus\nü"),
    ("", "a%2Fwith+plus", "a%2Fwith+plus"), ("<EncodingType/>", "&lt;ü&gt;", "<ü>")])
def test_keys_are_decoded_only_where_the_server_says_that_they_are_encoded(told, written, key):
    page = page_of(told + ENTRY.format(written) + f"<NextMarker>{written}</NextMarker>")
    assert page.objects[0].key == page.next_marker == key and not page.is_truncated


@pytest.mark.parametrize("document", [
    b"", b"<ListBucketResult><Name>bucket</Name>", b"no XML", b"\xff\xfe", b"<?xml version='1.0' encoding='none'?><R/>",
    b"<!DOCTYPE r [<!ENTITY a 'aaaa'>]><R><Name>&a;</Name></R>",
    b"<ListBucketResult><Name>bucket</Name></ListBucketResult>",
    b"<ListBucketResult><Name>bucket</Name><IsTruncated>maybe</IsTruncated></ListBucketResult>",
    b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>",
    b"<Error><Code>InternalError</Code></Error>", b"<html><body>a portal</body></html>"])
def test_what_is_no_listing_is_asked_for_again(document):
    with pytest.raises(StoreUnavailable):
        parse_page(document, "obs://bucket/")


@pytest.mark.parametrize("size", ["", "-1", "1.5", "many", "٣x"])
def test_an_object_without_a_size_is_an_error(size):
    with pytest.raises(StoreError, match="the listing holds 'a' with a size of "):
        page_of(f"<Contents><Key>a</Key><Size>{size}</Size></Contents>")


@pytest.mark.parametrize("text, seconds", [
    ("1970-01-02T00:00:01Z", 86401.0), ("2024-02-29T12:00:00.999Z", 1709208000.0), ("0000-01-01T00:00:00Z", None),
    ("2024-13-01T00:00:00Z", None), ("2024-02-29 12:00:00", None), ("", None)])
def test_times_are_utc(text, seconds):
    assert utc_time(text) == seconds
