"""The control interface: what whoever runs the mocks reads and changes over HTTP while they run.

Every request has the header `Authorization: Bearer TOKEN`. Bodies and replies are JSON.

    GET  /_mock/                        what there is
    GET  /_mock/SERVICE/faults          rules, seed, and how many faults were injected
    PUT  /_mock/SERVICE/faults          {"rules": ["CreateTrainingJob reset=after"], "seed": 0}: from now on these
    GET  /_mock/SERVICE/requests        the journal: ?since=N skips the first N, ?operation=NAME picks
    DELETE /_mock/SERVICE/requests      empties it
    GET  /_mock/SERVICE/clock           {"now", "skew"}, and {"advanced"} for the jobs
    PUT  /_mock/SERVICE/clock           {"skew": 1000}: the clock that signatures are compared with is ahead;
                                        {"advance": 60}: the jobs' time goes on by a minute (modelarts)
    GET  /_mock/modelarts/jobs          id, name and phase of each job
    POST /_mock/modelarts/jobs/ID       {"strike": "kill"}: does to a running job at once what the fault does: kill,
                                        lose-node, preempt, abnormal

SERVICE is modelarts or obs.
"""
from __future__ import annotations

import hmac
import json
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

from job.modelarts.mocked.errors import ModelArtsError, json_response
from job.modelarts.mocked.faults.language import platform_faults
from obs_sync.mock.errors import ObsError
from obs_sync.mock.faults.effect import FaultError
from obs_sync.mock.faults.plan import FaultPlan, Faults
from obs_sync.mock.faults.transport import Skew
from obs_sync.mock.wire.messages import Request, Response

TOKEN_VARIABLE = "MOCK_CONTROL_TOKEN"   # under which serve prints the token
_STRIKES = ("kill", "lose-node", "preempt", "abnormal")


class ControlError(Exception):
    """A request of the control interface that cannot be done."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


class SkewedPlan(FaultPlan):
    """Another plan, on a server whose clock is ahead."""

    def __init__(self, plan: FaultPlan, seconds: float):
        self.plan = plan
        self.skew = seconds
        self._effect = Skew(seconds)

    def before_handling(self, request: Request) -> Optional[Response]:
        request.clock_offset = self.skew
        return self.plan.before_handling(request)

    def before_reply(self, request: Request, response: Response) -> Response:
        return self._effect.before_reply(request, self.plan.before_reply(request, response))


class Control:
    """Answers requests below `/_mock/`. mock: a running `MockModelArts`."""

    def __init__(self, mock: Any):
        self._mock = mock
        self._texts: Dict[str, Tuple[FaultPlan, List[str]]] = {}  # plans that were set here, as they were written

    def answer(self, request: Request) -> Response:
        """The reply. Every exception becomes an error reply, {"error": …}."""
        try:
            if not hmac.compare_digest(request.headers.get("authorization", "").encode("utf-8"),
                                       f"Bearer {self._mock.token}".encode("utf-8")):
                raise ControlError(401, "the header Authorization: Bearer TOKEN is missing or wrong; serve prints the "
                                        "token")
            return json_response(self._run(request))
        except ControlError as error:
            return json_response({"error": str(error)}, error.status)
        except (FaultError, ModelArtsError, ObsError, ValueError) as error:
            return json_response({"error": getattr(error, "message", str(error))}, 400)

    def _run(self, request: Request) -> object:
        words = [word for word in request.path.split("/") if word][1:]
        if not words:
            return self._overview()
        if words[0] in ("modelarts", "obs") and len(words) == 2:
            calls: Dict[Tuple[str, str], Callable[[Request, str], object]] = {
                ("GET", "faults"): self._faults, ("PUT", "faults"): self._set_faults,
                ("GET", "requests"): self._requests, ("DELETE", "requests"): self._forget,
                ("GET", "clock"): self._clock, ("PUT", "clock"): self._set_clock}
            if (request.method, words[1]) in calls:
                return calls[(request.method, words[1])](request, words[0])
        if request.method == "GET" and words == ["modelarts", "jobs"]:
            return self._jobs()
        if request.method == "POST" and words[:2] == ["modelarts", "jobs"] and len(words) == 3:
            return self._strike(request, words[2])
        raise ControlError(404, f"there is no {request.method} {request.path} here; GET /_mock/ lists what there is")

    def _overview(self) -> object:
        return {"modelarts": self._mock.endpoint, "obs": self._mock.obs.endpoint, "project_id": self._mock.project_id,
                "region": self._mock.region, "help": (__doc__ or "").splitlines()}

    def _service(self, name: str) -> Any:
        return self._mock if name == "modelarts" else self._mock.obs

    def _plan(self, name: str) -> FaultPlan:
        plan = self._service(name).faults
        return plan.plan if isinstance(plan, SkewedPlan) else plan

    def _faults(self, request: Request, name: str) -> object:
        plan = self._plan(name)
        known, texts = self._texts.get(name, (None, []))
        rules = texts if known is plan else [repr(rule) for rule in getattr(plan, "rules", [])]
        return {"rules": rules, "seed": getattr(plan, "seed", 0),
                "injected": {kind: count for kind, count in self._service(name).injected.items() if count}}

    def _set_faults(self, request: Request, name: str) -> object:
        content = _object(request)
        rules, seed = content.get("rules", []), content.get("seed", 0)
        if not isinstance(rules, list) or any(not isinstance(rule, str) for rule in rules) or not isinstance(seed, int):
            raise ControlError(400, 'expected {"rules": [texts], "seed": whole number}')
        plan = platform_faults(rules, seed) if name == "modelarts" else Faults(rules, seed)
        self._set_plan(name, plan)
        self._texts[name] = plan, rules
        return self._faults(request, name)

    def _set_plan(self, name: str, plan: FaultPlan) -> None:
        service = self._service(name)
        skew = service.faults.skew if isinstance(service.faults, SkewedPlan) else 0.0
        service.faults = SkewedPlan(plan, skew) if skew else plan

    def _requests(self, request: Request, name: str) -> object:
        since = request.query.get("since", "0")
        if not since.isdecimal():
            raise ControlError(400, f"since={since}: expected a whole number")
        records = self._service(name).requests
        wanted = request.query.get("operation")
        return {"total": len(records), "requests": [
            record._asdict() for record in records[int(since):] if wanted in (None, record.operation)]}

    def _forget(self, request: Request, name: str) -> object:
        service = self._service(name)
        service.forget_requests()
        return {"total": len(service.requests)}

    def _clock(self, request: Request, name: str) -> object:
        if name == "modelarts":
            clock = self._mock.clock
            return {"now": clock.now(), "skew": clock.skew, "advanced": clock.advanced, "frozen": clock.frozen}
        plan = self._service(name).faults
        skew = plan.skew if isinstance(plan, SkewedPlan) else 0.0
        return {"now": time.time() + skew, "skew": skew}

    def _set_clock(self, request: Request, name: str) -> object:
        content = _object(request)
        for field, value in content.items():
            if field not in (("skew", "advance") if name == "modelarts" else ("skew",)):
                raise ControlError(400, f"the clock of {name} has no {field}")
            if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 10**9:
                raise ControlError(400, f"{field} is {value!r}: expected seconds")
        if "skew" in content and name == "modelarts":
            self._mock.clock.skew = float(content["skew"])
        elif "skew" in content:
            self._service(name).faults = SkewedPlan(self._plan(name), float(content["skew"]))
        if "advance" in content:
            self._mock.advance(float(content["advance"]))
        return self._clock(request, name)

    def _jobs(self) -> object:
        return {"jobs": [{"id": job.id, "name": job.request.name, "phase": job.phase} for job in self._mock.jobs]}

    def _strike(self, request: Request, job_id: str) -> object:
        kind = _object(request).get("strike")
        if kind not in _STRIKES:
            raise ControlError(400, f"strike is {kind!r}: expected one of {', '.join(_STRIKES)}")
        platform = self._mock.platform
        platform.strike(platform.find(job_id), kind)
        return self._jobs()


def _object(request: Request) -> Dict[str, Any]:
    try:
        content = json.loads(request.body.read().decode("utf-8"))
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise ControlError(400, "the body is not a JSON object")
    return content
