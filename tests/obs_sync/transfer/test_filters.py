"""Which keys the patterns take."""

from __future__ import annotations

import pytest

from obs_sync.transfer.filters import Filters, PatternError, Rule


def filters(text):
    """'+a -b' -> include a, exclude b."""
    return Filters([Rule(word[0] == "+", word[1:]) for word in text.split()])


@pytest.mark.parametrize("rules, key, taken", [
    # rules                  key                 taken?
    ("",                     "a/b.jpg",          True),
    ("-*.tmp",               "a/b.jpg",          True),
    ("-*.tmp",               "a/b.tmp",          False),   # without '/': the name, in any folder
    ("-*.tmp",               "b.tmp",            False),
    ("-*.tmp",               "b.tmp/c",          True),    # a folder's name is no file's name
    ("+*.jpg",               "a/b.jpg",          True),
    ("+*.jpg",               "a/b.png",          False),   # ends in an include: the rest is left out
    ("+photo/cat/* -photo/**", "photo/cat/1",    True),    # the first that matches decides
    ("+photo/cat/* -photo/**", "photo/dog/1",    False),
    ("+photo/cat/* -photo/**", "art/1",          True),    # ends in an exclude: the rest is taken
    ("-*.tmp +photo/**",     "photo/a.tmp",      False),
    ("-*.tmp +photo/**",     "photo/a",          True),
    ("-*.tmp +photo/**",     "art/a",            False),
    ("+photo/*",             "photo/1",          True),
    ("+photo/*",             "photo/dog/1",      False),   # '*' stays within a segment
    ("+photo/*",             "x/photo/1",        False),   # with '/': from the beginning
    ("+photo/**",            "photo/dog/1",      True),
    ("+photo/**/1",          "photo/1",          True),    # '**/' may be no folder
    ("+photo/**/1",          "photo/a/b/1",      True),
    ("+photo/**/1",          "photo/a/b1",       False),
    ("+**/dog/*",            "x/y/dog/1",        True),
    ("-.git/",               ".git/a/b",         False),   # ends in '/': everything in a folder of that name
    ("-.git/",               "x/.git/a",         False),
    ("-.git/",               "x/a.git/b",        True),
    ("-/.git/",              "x/.git/a",         True),
    ("-/a.txt",              "a.txt",            False),
    ("-/a.txt",              "b/a.txt",          True),
    ("-a/b/",                "a/b/c",            False),
    ("-a/b/",                "x/a/b/c",          True),
    ("+?.jpg",               "1.jpg",            True),
    ("+?.jpg",               "12.jpg",           False),
    ("+[0-9].jpg",           "7.jpg",            True),
    ("+[!0-9].jpg",          "7.jpg",            False),
    ("+a[!b]c",              "a/c",              False),   # a class is no '/'
    ("+[]].jpg",             "].jpg",            True),
    ("+a.b+(c)$",            "a.b+(c)$",         True),    # everything else stands for itself
    ("+a.b",                 "axb",              False),
    ("-*",                   "line\nbreak",      False),
    ("-//a.jpg",             "/a.jpg",           False),   # keys that can be no files have patterns as well
    ("-//a.jpg",             "a.jpg",            True),
    ("-a//*",                "a//b",             False),
    ("-/../*",               "../b",             False),
    ("-a\\b",                "a\\b",             False),
])
def test_a_key_is_taken_or_not(rules, key, taken):
    assert filters(rules).selects(key) is taken


@pytest.mark.parametrize("pattern", ["", "/", "//", "[a", "[z-a]"])
def test_a_pattern_that_can_match_nothing_is_refused(pattern):
    with pytest.raises(PatternError, match="--exclude"):
        Filters([Rule(False, pattern)])


def test_patterns_that_decide_about_no_key_are_known():
    rules = filters("-*.tmp -*.gz -*.tm* +a")
    for key in ("x.tmp", "a", "b"):
        rules.selects(key)
    assert [str(rule) for rule in rules.idle] == ["--exclude *.gz", "--exclude *.tm*"]
