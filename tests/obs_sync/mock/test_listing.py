"""Listings: pages, prefixes, delimiters, encodings."""
from __future__ import annotations

import random

import pytest

from obs_sync.mock.protocol.listing import page_of_keys
from tests.obs_sync.mock.support import BUCKET, request


def put(mock, *keys):
    for key in keys:
        mock.put(BUCKET, key, key.encode("utf-8"))


def all_pages(client, **arguments):
    """(keys, prefixes, number of pages), following next_marker."""
    keys, prefixes, pages, marker = [], [], 0, None
    while True:
        body = client.listObjects(BUCKET, marker=marker, **arguments).body
        keys += [item.key for item in body.contents]
        prefixes += [item.prefix for item in body.commonPrefixs]
        pages += 1
        if not body.is_truncated:
            return keys, prefixes, pages
        assert body.next_marker > (marker or "")
        marker = body.next_marker


def test_a_listing_says_what_each_object_is(client, mock):
    stored = mock.put(BUCKET, "a/b", b"content")
    body = client.listObjects(BUCKET).body
    assert (body.name, body.max_keys, body.is_truncated, body.location) == (BUCKET, 1000, False, "mock-region-1")
    item = body.contents[0]
    assert (item.key, item.size, item.etag, item.storageClass) == ("a/b", 7, f'"{stored.etag}"', "STANDARD")
    assert len(item.lastModified) == len("2024/01/31 12:00:00")


def test_an_empty_bucket_has_an_empty_listing(client):
    assert all_pages(client) == ([], [], 1)


def test_pages_join_to_the_whole(client, mock):
    expected = sorted(f"k{number:03d}" for number in range(25))
    put(mock, *reversed(expected))
    assert all_pages(client, max_keys=10) == (expected, [], 3)
    assert all_pages(client, max_keys=25) == (expected, [], 1)


def test_a_page_has_at_most_a_thousand_keys(client, mock):
    put(mock, *(f"{number:04d}" for number in range(1001)))
    body = client.listObjects(BUCKET, max_keys=5000).body
    assert (len(body.contents), body.is_truncated, body.next_marker) == (1000, True, "0999")


def test_a_prefix_selects_and_a_marker_goes_on_behind_itself(client, mock):
    put(mock, "a", "b/1", "b/2", "b/3", "c")
    assert all_pages(client, prefix="b/") == (["b/1", "b/2", "b/3"], [], 1)
    body = client.listObjects(BUCKET, prefix="b/", marker="b/1").body
    assert [item.key for item in body.contents] == ["b/2", "b/3"]


def test_a_delimiter_rolls_up_what_lies_deeper(client, mock):
    put(mock, "a/1", "a/2", "b", "c/d/1", "c/e", "f")
    assert all_pages(client, delimiter="/") == (["b", "f"], ["a/", "c/"], 1)
    assert all_pages(client, prefix="c/", delimiter="/") == (["c/e"], ["c/d/"], 1)
    assert all_pages(client, delimiter="/", max_keys=1) == (["b", "f"], ["a/", "c/"], 4)


def test_an_encoded_listing_means_the_same(client, mock):
    put(mock, "a b/ü&<>", "c+d/%", "e/f", "\x01control")
    keys, prefixes, _ = all_pages(client, encoding_type="url", max_keys=1)
    assert (keys, prefixes) == (["\x01control", "a b/ü&<>", "c+d/%", "e/f"], [])
    keys, prefixes, _ = all_pages(client, encoding_type="url", delimiter="/", prefix="a b/")
    assert (keys, prefixes) == (["a b/ü&<>"], [])


def test_keys_are_sorted_as_their_utf8_bytes(client, mock):
    keys = ["z", "ä", "\uffff", "\U0001f600", "Z", "a.b", "a/b", "a-b"]
    put(mock, *keys)
    assert all_pages(client, encoding_type="url")[0] == sorted(keys, key=lambda key: key.encode("utf-8"))


@pytest.mark.parametrize("query, code", [
    ("max-keys=ten", "InvalidArgument"), ("encoding-type=base64", "InvalidArgument"),
    ("list-type=2", "NotImplemented")])
def test_nonsense_and_the_unknown_are_refused(mock, query, code):
    assert request(mock, "GET", "/?" + query).code == code


def reference_page(keys, prefix, marker, delimiter, limit):
    """The rules, one key at a time."""
    entries = []
    for key in sorted(keys):
        if key.startswith(prefix) and key > marker:
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            entry = (key[:cut + len(delimiter)], True) if cut >= 0 else (key, False)
            if entry not in entries and entry != (marker, True):
                entries.append(entry)
    page = entries[:limit]
    return ([name for name, rolled_up in page if not rolled_up], [name for name, rolled_up in page if rolled_up],
            page[-1][0] if len(entries) > limit else None)


def test_pages_agree_with_the_rules_for_many_random_listings():
    chance = random.Random(0)
    for _ in range(2000):
        keys = sorted({"".join(chance.choice("ab/\U0010ffff") for _ in range(chance.randrange(1, 5)))
                       for _ in range(chance.randrange(12))})
        arguments = (chance.choice(["", "a", "a/"]), chance.choice(["", "a", "a/", "b\U0010ffff"]),
                     chance.choice(["", "/", "a", "\U0010ffff"]), chance.randrange(1, 4))
        assert tuple(page_of_keys(keys, *arguments)) == reference_page(keys, *arguments), (keys, arguments)
