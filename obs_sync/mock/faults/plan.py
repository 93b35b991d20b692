"""Faults: a mocked OBS that fails as a real one does, at the moments that you choose.

    with mock_obs(buckets=["data"]) as obs:
        obs.faults = Faults([
            Rule(Cut(0.5), operation="GetObject", key="*.jpg", nth=3),   # half of the third image
            Rule(Status(503, retry_after=1), probability=0.05),          # one request in twenty, from the seed
            "PutObject first=2 reset=after",                             # a rule as text
            "storm",                                                     # a preset: several rules
        ], seed=7)
        ...
        assert obs.injected["cut"] == 1
        assert [record.key for record in obs.requests if "cut" in record.faults] == ["a.jpg"]

    $ python -m obs_sync.mock serve --bucket data --fault "GetObject key=*.jpg nth=3 cut=0.5" --faults storm
    $ make dry-run FAULTS=storm

A plan may be set at any time while the mock runs, also from another thread; `obs.faults = FaultPlan()` ends all faults.
A plan numbers only the requests that it sees. One plan serves one mock; its rules may be used in other plans.

A rule is an effect and its conditions (`rules.Rule`). All conditions that are given must hold:

    operation   "GetObject", "PutObject,UploadPart", "*MultipartUpload"; in text, the first word. The names are those of
                `obs.counts`; "GetApiVersion" is the request that the OBS client sends first for each bucket
    method      HTTP verb
    key         pattern of the key; for a listing, of its prefix; for a batch deletion, of ""
    bucket      pattern of the bucket
    nth=3       the third request that matches; every=3: every third one; first=3: the first three; since=3: the third
                and all that follow
    probability 0 to 1, drawn from the plan's seed and the rule's position in the plan. The same requests in the same
                order have the same faults; requests that race each other may change places
    limit       most requests that the rule picks in all

Effects, in Python and as text. An amount is a number of bytes (or keys) such as 1000, or a share such as 0.5.

    Status(503, code, retry_after)   status=503 code=SlowDown retry-after=1   an error, and the request is not handled
    ErrorBody(code, applied)         error-body=InternalError applied=yes     200 with an <Error> document; done only
                                                                              with applied=yes
    ExpiredToken()                   expired-token          with since=n: from then on 403 ExpiredToken, until clients
                                                            send another token (`obs.credentials = Credentials(…)`)
    PartialDelete(kept, code)        partial-delete=0.5     a batch deletion keeps its last keys and reports errors
    StaleListing(seconds=2)          stale=2                a listing of the bucket as it was 2 s ago
    StaleListing(changes=3)          stale-changes=3        a listing from before the last three writes and deletions
    ETag("wrong"), ETag("missing")   etag=wrong             in the reply's header and document
    IgnoredRange()                   ignored-range          200 with the whole object instead of 206 with the range
    Cut(0.5, ending)                 cut=0.5 ending=reset   the body ends early, with the connection (default: close)
    Reset("before")                  reset=before           RST, and the request is not handled; its body is not read
    Reset("after")                   reset=after            RST instead of the reply; the request is carried out
    Stall(5, at)                     stall=5 at=0.5         carried out, then silence: before the reply or in its body
    Flip(0.5, of)                    flip=0.5 of=upload     one bit of the reply, or of the upload before its digests
    Latency(0.02)                    latency=0.02           a wait before the request is handled
    Skew(1000)                       skew=1000              the server's clock is ahead; from 900 s on it refuses
    Call(function, when)                                    function(request), in the serving thread, before it is
                                                            handled or after; e.g. to kill the client just then

If several rules pick one request, their effects happen in the order of the rules. An effect that replies instead of
handling the request is the last one, so put waits first. An effect that does not apply (a cut of an empty body, a stale
reply to a request that is not a listing) does nothing and is not counted, but its rule has picked the request.

`RequestRecord.faults` has the injected faults of a request, and `MockObs.injected` their sums, both by kind: the word
of the effect, with its value if that matters ("status=503", "reset=after", "flip=upload", "etag=wrong").

Presets: `storm` has faults of every kind that a client with sound retries survives; `slow` delays and loses nothing;
`flaky` breaks connections. For other faults, derive from `Effect`, or write your own plan by deriving from `FaultPlan`.
"""
from __future__ import annotations

import threading
from typing import Callable, Iterable, List, Optional, Tuple, Union

from obs_sync.mock.faults.effect import Effect
from obs_sync.mock.faults.rules import Rule
from obs_sync.mock.faults.text import OBS, Language, parse_rules
from obs_sync.mock.wire.messages import Request, Response


class FaultPlan:
    """Called for every request. This plan injects no faults. Derive from it, and set the result as `mock.faults`.

    Both methods run in the thread that serves the request, so they may sleep, and many may run at the same time. They
    call `request.note_fault(kind)` for each fault that the journal shall record.
    """

    def before_handling(self, request: Request) -> Optional[Response]:
        """Called when the headers were read, before the signature is verified and anything else is done.

        Returns:
            a reply to send instead of handling the request, or None.
        """
        return None

    def before_reply(self, request: Request, response: Response) -> Response:
        """Called when the request was carried out, before anything of the reply is sent.

        Returns:
            the reply to send: `response` itself, changed or not, or another one.
        """
        return response


class Faults(FaultPlan):
    """A plan made of rules.

    Args:
        rules: each one a `Rule`, a rule as text, or the name of a preset.
        seed: of everything that is drawn.
        language: in which rules as text are written.

    Raises:
        FaultError: a text is not a rule.
    """

    def __init__(self, rules: Iterable[Union[Rule, str]] = (), seed: int = 0, language: Language = OBS):
        self.rules: List[Rule] = []
        for rule in rules:
            self.rules.extend(parse_rules(rule, language) if isinstance(rule, str) else [rule])
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
