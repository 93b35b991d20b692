"""Faults on purpose: a mocked OBS that fails as a real one does, at the moments that you choose.

    with mock_obs(buckets=["data"]) as obs:
        obs.faults = Faults([
            Rule(Cut(0.5), operation="GetObject", key="*.jpg", nth=3),   # half of the third image
            Rule(Status(503, retry_after=1), probability=0.05),          # one request in twenty, from the seed
            "PutObject first=2 reset=after",                             # the same as text
            "storm",                                                     # a preset: several rules
        ], seed=7)
        ...
        assert obs.injected["cut"] == 1
        assert [record.key for record in obs.requests if "cut" in record.faults] == ["a.jpg"]

    $ python -m obs_sync.mock serve --bucket data --fault "GetObject key=*.jpg nth=3 cut=0.5" --faults storm
    $ make dry-run FAULTS=storm

Set a plan any time while the mock runs, also from another thread; `obs.faults = FaultPlan()` makes an end of it.
Requests that a plan never saw are not numbered by it. One plan serves one mock; its rules may be used again.

A rule is an effect and when it happens (`fault_rules.Rule`; all conditions given must hold):

    operation   "GetObject", "PutObject,UploadPart", "*MultipartUpload"; as text, the first word. The names are those
                of `obs.counts`; "GetApiVersion" is the question that the OBS client asks of each bucket first
    method      HTTP verb
    key         pattern of the key; of a listing, of its prefix; of a batch deletion, of ""
    bucket      pattern of the bucket
    nth=3       the third request that matches; every=3: each third; first=3: the first three; since=3: all from it on
    probability 0 to 1, drawn from the plan's seed and the rule's place in it. Requests in the same order have the same
                faults; requests that race each other may change places
    limit       most requests that the rule picks in all

Effects, in Python and as text. An amount is a number of bytes (keys), or a share with a point: 1000, 0.5.

    Status(503, code, retry_after)   status=503 code=SlowDown retry-after=1   an error instead of handling the request
    ErrorBody(code, applied)         error-body=InternalError applied=yes     200 with an <Error> document, the request
                                                                              carried out or (usually) not
    ExpiredToken()                   expired-token          with since=n: from then on 403 ExpiredToken, until clients
                                                            come with another token (`obs.credentials = Credentials(…)`)
    PartialDelete(kept, code)        partial-delete=0.5     a batch deletion keeps its last keys and reports errors
    StaleListing(seconds=2)          stale=2                a listing of the bucket as it was 2 s ago
    StaleListing(changes=3)          stale-changes=3        ... as it was before the last three writes and deletions
    ETag("wrong"), ETag("missing")   etag=wrong             in the reply's header and document
    IgnoredRange()                   ignored-range          200 with the whole object instead of 206 with the range
    Cut(0.5, ending)                 cut=0.5 ending=reset   the body ends early, with the connection (ending: close)
    Reset("before")                  reset=before           RST instead of handling the request, its body unread
    Reset("after")                   reset=after            RST instead of the reply, with the request carried out
    Stall(5, at)                     stall=5 at=0.5         carried out, then silence before the reply or in its body
    Flip(0.5, of)                    flip=0.5 of=upload     one bit of the reply, or of the upload before any digest
    Latency(0.02)                    latency=0.02           a wait before the request is handled
    Skew(1000)                       skew=1000              the server's clock is ahead; beyond 900 s it refuses
    Call(function, when)                                    function(request), in the serving thread, before it is
                                                            handled or after; e.g. to kill the client right then

Where several rules pick one request their effects add up in the order of the rules; one that answers instead of
handling the request makes an end of it, so put waits first. An effect that finds nothing to do (a cut of an empty
body, a stale answer to something else than a listing) does nothing and is not counted, though its rule has picked.

What was done stands in `RequestRecord.faults`, and summed up in `MockObs.injected`, both by kind: the effect's word,
with the value where it makes a difference ("status=503", "reset=after", "flip=upload", "etag=wrong").

Presets: `storm`, a bit of everything that a client with sound retries gets over; `slow`, which loses nothing; `flaky`,
connections that break. Other trouble: derive from `Effect`, or from `FaultPlan` for a plan of your own.
"""
from __future__ import annotations

import threading
from typing import Callable, Iterable, List, Optional, Tuple, Union

from obs_sync.mock.faults.effect import Effect
from obs_sync.mock.faults.rules import Rule
from obs_sync.mock.faults.text import parse_rules
from obs_sync.mock.wire.messages import Request, Response


class FaultPlan:
    """Called for every request. This one makes no trouble; derive from it and set it as `mock.faults`.

    Both methods run in the thread that serves the request, so they may sleep, and many run at once. What they call
    `request.note_fault(kind)` for stands in the journal.
    """

    def before_handling(self, request: Request) -> Optional[Response]:
        """After the headers were read, before the signature is checked and anything is done.

        Returns:
            a reply to send instead of handling the request, or None.
        """
        return None

    def before_reply(self, request: Request, response: Response) -> Response:
        """After the request was handled, so that what it stores is stored, before anything is sent.

        Returns:
            the reply to send: `response` itself, changed or not, or another.
        """
        return response


class Faults(FaultPlan):
    """The plan that rules make.

    Args:
        rules: each a `Rule`, its text, or the name of a preset.
        seed: of everything that is drawn.

    Raises:
        FaultError: a text that is no rule.
    """

    def __init__(self, rules: Iterable[Union[Rule, str]] = (), seed: int = 0):
        self.rules: List[Rule] = []
        for rule in rules:
            self.rules.extend(parse_rules(rule) if isinstance(rule, str) else [rule])
        self.seed = seed
        self._lock = threading.Lock()
        self._pickers: List[Tuple[Effect, Callable[[Request], bool]]] = [
            (rule.effect, rule.picker(f"{seed}/{place}")) for place, rule in enumerate(self.rules)]

    def __repr__(self) -> str:
        return f"Faults({self.rules!r}, seed={self.seed})"

    def before_handling(self, request: Request) -> Optional[Response]:
        with self._lock:
            effects = [effect for effect, picks in self._pickers if picks(request)]
        for place, effect in enumerate(effects, start=1):
            response = effect.before_handling(request)
            if response is not None:
                request.effects = effects[:place]
                return response
        if effects:
            request.effects = effects
        return None

    def before_reply(self, request: Request, response: Response) -> Response:
        for effect in request.effects:
            response = effect.before_reply(request, response)
        return response
