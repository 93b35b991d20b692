"""Which requests the faults of the mocked OBS befall: rules, their text, presets, seeds, and what is told of them."""
from __future__ import annotations

import threading

import pytest

from obs_sync import open_store
from obs_sync.mock import (
    PRESETS, Call, Cut, Effect, ErrorBody, ETag, ExpiredToken, FaultError, FaultPlan, Faults, Flip, IgnoredRange,
    Latency, PartialDelete, Reset, Rule, Skew, Stall, StaleListing, Status, describe_injected,
)
from obs_sync.retry import Retry
from tests.obs_sync.mock.support import BUCKET, request

REFUSED, SERVED = 503, 404  # no key exists: what is not refused is not found


def statuses(mock, count, path="/key", method="GET"):
    return [request(mock, method, path).status for _ in range(count)]


def refused(mock, count, **conditions):
    """The numbers, from 1, of the requests that a rule with these conditions refuses."""
    mock.faults = Faults([Rule(Status(503), **conditions)])
    return [number for number, status in enumerate(statuses(mock, count), start=1) if status == REFUSED]


# --- which of the requests that match

@pytest.mark.parametrize("conditions, picked", [
    ({}, [1, 2, 3, 4, 5, 6]), ({"nth": 3}, [3]), ({"every": 2}, [2, 4, 6]), ({"first": 2}, [1, 2]),
    ({"since": 5}, [5, 6]), ({"limit": 4}, [1, 2, 3, 4]), ({"every": 2, "limit": 2}, [2, 4]),
    ({"since": 2, "first": 3}, [2, 3]), ({"probability": 0.0}, [])])
def test_a_rule_picks_by_number(mock, conditions, picked):
    assert refused(mock, 6, **conditions) == picked


def test_only_requests_that_match_are_numbered(mock):
    mock.faults = Faults(["GetObject nth=2 key=*.jpg status=503"])
    paths = ["/a.jpg", "/b.png", "/b.png", "/c/d.jpg", "/e.jpg"]
    assert [request(mock, "GET", path).status for path in paths] == [SERVED, SERVED, SERVED, REFUSED, SERVED]


@pytest.mark.parametrize("rule, refusals", [
    ("status=503", "GetObject HeadObject ListObjects"), ("GetObject status=503", "GetObject"),
    ("*Object status=503", "GetObject HeadObject"), ("GetObject,ListObjects status=503", "GetObject ListObjects"),
    ("method=head status=503", "HeadObject"), ("key=a/* status=503", "GetObject HeadObject ListObjects"),
    ("key=a/b status=503", "GetObject HeadObject"), ("bucket=buck* status=503", "GetObject HeadObject ListObjects"),
    ("bucket=other status=503", "")])
def test_a_rule_picks_by_operation_method_key_and_bucket(mock, rule, refusals):
    mock.faults = Faults([rule])
    for method, path in [("GET", "/a/b"), ("HEAD", "/a/b"), ("GET", "/?prefix=a/")]:
        request(mock, method, path)
    assert " ".join(record.operation for record in mock.requests if record.status == REFUSED) == refusals


def test_one_seed_draws_the_same_again_and_another_seed_draws_others(mock):
    def drawn(seed):
        mock.faults = Faults([Rule(Status(503), probability=0.5), Rule(Status(429), probability=0.3)], seed=seed)
        return statuses(mock, 40)

    first = drawn(1)
    assert drawn(1) == first != drawn(2)
    assert 10 <= first.count(503) <= 30 and 1 <= first.count(429) <= 15


def test_the_draws_of_a_rule_do_not_hang_on_the_rules_behind_it(mock):
    rules = [Rule(Status(503), probability=0.3), Rule(Latency(0), probability=0.5)]
    mock.faults = Faults(rules[:1], seed=3)
    alone = statuses(mock, 20)
    mock.faults = Faults(rules, seed=3)
    assert statuses(mock, 20) == alone


def test_a_limit_holds_for_requests_at_once(mock):
    mock.faults = Faults(["limit=5 status=503"])
    threads = [threading.Thread(target=statuses, args=(mock, 5)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (mock.injected["status=503"], mock.counts["GetObject"]) == (5, 40)


def test_a_rule_serves_several_plans(mock):
    rule = Rule(Status(503), first=1)
    for _ in range(2):
        mock.faults = Faults([rule])
        assert statuses(mock, 2) == [REFUSED, SERVED]


# --- several rules, and what is told of them

def test_effects_add_up_until_one_answers(mock):
    called = []
    mock.faults = Faults([Rule(Call(lambda item: called.append(item.key))), Rule(Status(429)),
                          Rule(Call(lambda item: called.append("too late"))), Rule(Status(503)),
                          Rule(Call(lambda item: called.append("too late"), "after"))])
    assert statuses(mock, 1) == [429]
    assert (called, mock.requests[0].faults) == (["key"], ("call", "status=429"))


def test_the_journal_and_the_counts_tell_of_faults(mock):
    mock.put(BUCKET, "key", b"content")
    mock.faults = Faults(["GetObject nth=2 etag=wrong", "GetObject since=2 latency=0"])
    assert statuses(mock, 3) == [200, 200, 200]
    assert [record.faults for record in mock.requests] == [(), ("latency", "etag=wrong"), ("latency",)]
    assert mock.injected == {"etag=wrong": 1, "latency": 2} and mock.injected["cut"] == 0
    assert describe_injected(mock.injected) == "faults injected: 3 (etag=wrong 1, latency 2)"
    mock.faults = FaultPlan()
    statuses(mock, 1)
    assert sum(mock.injected.values()) == 3
    mock.reset()
    assert (mock.injected, describe_injected(mock.injected)) == ({}, "faults injected: 0")


@pytest.mark.parametrize("rule", ["cut=0.5", "flip=0.5", "flip=0.5 of=upload", "etag=wrong", "ignored-range", "stale=9",
                                  "partial-delete=1", "stall=9 at=0.5", "expired-token", "error-body=InternalError"])
def test_an_effect_that_finds_nothing_to_do_is_not_counted(mock, rule):
    mock.put(BUCKET, "key", b"")
    mock.faults = Faults([rule])
    assert request(mock, "HEAD", "/?apiversion").status == 200
    assert (mock.injected, mock.requests[0].faults) == ({}, ())


def test_an_effect_of_ones_own_and_a_plan_of_ones_own_are_told_of_too(mock):
    class Renamed(Effect):
        kind = "renamed"

        def before_reply(self, request, response):
            request.note_fault(self.kind)
            response.headers["Server"] = "another"
            return response

    class Own(FaultPlan):
        def before_handling(self, request):
            request.note_fault("own")

    mock.faults = Faults([Rule(Renamed(), method="GET")])
    assert request(mock, "GET", "/key").headers["server"] == "another"
    mock.faults = Own()
    statuses(mock, 1)
    assert mock.injected == {"renamed": 1, "own": 1}


# --- rules as text

@pytest.mark.parametrize("text, rule", [
    ("GetObject key=*.jpg nth=3 cut=0.5", Rule(Cut(0.5), operation="GetObject", key="*.jpg", nth=3)),
    ("cut=1000 ending=reset", Rule(Cut(1000, "reset"))),
    ("PutObject,Head* status=503 code=SlowDown retry-after=1.5 probability=0.1 limit=4",
     Rule(Status(503, "SlowDown", 1.5), operation="PutObject,Head*", probability=0.1, limit=4)),
    ("method=PUT bucket=b* every=2 first=9 since=3 reset=after",
     Rule(Reset("after"), method="PUT", bucket="b*", every=2, first=9, since=3)),
    ("'key=a b/*' stall=2 at=0.25", Rule(Stall(2.0, 0.25), key="a b/*")),
    ("flip=0 of=upload", Rule(Flip(0, "upload"))), ("stale=2", Rule(StaleListing(seconds=2.0))),
    ("stale-changes=3", Rule(StaleListing(changes=3))), ("etag=missing", Rule(ETag("missing"))),
    ("ignored-range", Rule(IgnoredRange())), ("latency=0.02", Rule(Latency(0.02))),
    ("error-body=Busy applied=yes", Rule(ErrorBody("Busy", True))), ("skew=-1000", Rule(Skew(-1000.0))),
    ("partial-delete=2 code=AccessDenied", Rule(PartialDelete(2, "AccessDenied"))),
    ("expired-token since=5", Rule(ExpiredToken(), since=5))])
def test_text_spells_a_rule(text, rule):
    assert Faults([text]).rules == [rule]


@pytest.mark.parametrize("text, told", [
    ("GetObjekt cut=0.5", "no operation 'GetObjekt'"), ("GetObject", "expected one effect"),
    ("", "expected one effect"), ("cut=0.5 status=503", "found cut, status"), ("cut", "cut=…"), ("cut=", "a share"),
    ("ignored-range=yes", "takes no value"), ("cut=1.5", "0.0 to 1.0"), ("cut=half", "a whole number or a share"),
    ("cut=0.5 ending=slowly", "close or reset"), ("status=200", "300 to 599"), ("status=busy", "a whole number"),
    ("status=503 retry-after=soon", "a number"), ("reset=never", "before or after"), ("etag=odd", "wrong or missing"),
    ("stale-changes=0", "1 or more"), ("flip=0.5 of=head", "reply or upload"), ("latency=-1", "0 or more"),
    ("error-body=X applied=maybe", "yes or no"), ("nth=0 cut=0.5", "nth=0: expected 1 or more"),
    ("probability=2 cut=0.5", "0 to 1"), ("cut=0.5 colour=red", "'colour'"), ("key='a cut=0.5", "quotation"),
    ("cut=0.5 at=3", "ending of cut"), ("hurricane", "preset (storm, slow, flaky)"), ("stall=nan", "0 or more")])
def test_text_that_is_no_rule_is_refused_and_told_why(text, told):
    with pytest.raises(FaultError) as caught:
        Faults([text])
    assert told in str(caught.value) and repr(text) in str(caught.value)


@pytest.mark.parametrize("make", [
    lambda: StaleListing(), lambda: StaleListing(1, 1), lambda: Call(print, "never"), lambda: Rule("cut=0.5"),
    lambda: Rule(Cut(), limit=0), lambda: Stall(float("inf"))])
def test_a_rule_that_makes_no_sense_is_refused(make):
    with pytest.raises(FaultError, match="expected|has an effect|before or after"):
        make()


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_is_its_rules(name):
    assert Faults([name]).rules == Faults(PRESETS[name]).rules
    assert len(Faults([name, "cut=0.5"]).rules) == len(PRESETS[name]) + 1


@pytest.mark.parametrize("name, size, kinds", [("storm", 60, 8), ("slow", 5, 1), ("flaky", 20, 3)])
def test_a_client_with_sound_retries_gets_over_a_preset(mock, name, size, kinds):
    contents = {f"k{number:02d}": bytes([number]) * 5000 for number in range(size)}
    mock.faults = Faults([name], seed=1)
    with open_store(f"obs://{BUCKET}/", mock.environment(), "esdk",
                    Retry(attempts=8, sleep=lambda seconds: None)) as store:
        for key, content in contents.items():
            store.write(key, content)
        assert [info.key for info in store.list()] == sorted(contents)
        assert {key: store.read(key) for key in contents} == contents
        store.delete(sorted(contents)[:3])
    assert mock.keys(BUCKET) == sorted(contents)[3:]
    assert len(mock.injected) >= kinds
