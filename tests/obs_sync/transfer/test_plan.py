"""The plan of a pull, case by case: one object, the local file, what is known of it -> what to do."""

from __future__ import annotations

import pytest

from obs_sync import ObjectInfo
from obs_sync.local.files import LocalFile
from obs_sync.transfer.plan import Fetched, Plan, make_plan

MD5 = "0" * 32
WITH_MD5 = ObjectInfo("k", 5, etag=MD5, md5=MD5)
IN_PARTS = ObjectInfo("k", 5, etag="abc-2")
NAMELESS = ObjectInfo("k", 5)

CASES = [
    # object    local file         known                        decision
    (WITH_MD5, None,               None,                        "fetch"),    # new
    (WITH_MD5, None,               Fetched(5, MD5, 70),         "fetch"),    # removed locally
    (WITH_MD5, LocalFile(5, 70),   Fetched(5, MD5, 70),         "present"),  # nothing changed
    (WITH_MD5, LocalFile(5, 71),   Fetched(5, MD5, 70),         "compare"),  # touched
    (WITH_MD5, LocalFile(5, 70),   Fetched(5, "older", 70),     "compare"),  # same size, other version
    (WITH_MD5, LocalFile(5, 70),   None,                        "compare"),  # the index is lost
    (WITH_MD5, LocalFile(4, 70),   Fetched(4, "older", 70),     "fetch"),    # other size
    (WITH_MD5, LocalFile(4, 70),   Fetched(5, MD5, 70),         "fetch"),    # cut short locally
    (IN_PARTS, LocalFile(5, 70),   Fetched(5, "abc-2", 70),     "present"),
    (IN_PARTS, LocalFile(5, 70),   Fetched(5, "abd-2", 70),     "fetch"),    # no MD5 to compare by
    (IN_PARTS, LocalFile(5, 70),   None,                        "fetch"),
    (NAMELESS, LocalFile(5, 70),   Fetched(5, None, 70),        "fetch"),    # no version to trust
]


@pytest.mark.parametrize("info, file, known, decision", CASES)
def test_plan(info, file, known, decision):
    plan = make_plan([info], {} if file is None else {"k": file}, {} if known is None else {"k": known})
    expected = {"present": (), "compare": (), "fetch": (), decision: (info,)}
    assert plan == Plan(**expected)


def test_files_that_are_not_listed_do_not_matter():
    assert make_plan([], {"mine": LocalFile(1, 1)}, {"gone": Fetched(1, "e", 1)}) == Plan((), (), ())
