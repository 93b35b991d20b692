"""The body of a request for a new job: checked as the service checks it."""
from __future__ import annotations

import re
from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple, Union

from job.modelarts.mocked.catalogue import Catalogue, Engine, Flavor
from job.modelarts.mocked.errors import ModelArtsError, wrong
from job.modelarts.mocked.jobs.places import AnyPlaces, Places

JOB_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
RETRIES = "fault-tolerance/job-retry-num"
UNCONDITIONAL = "fault-tolerance/job-unconditional-retry"
NOTIFICATIONS = ("JobStarted", "JobCompleted", "JobFailed", "JobTerminated", "JobRestarted", "JobHanged",
                 "JobPreempted")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MOST_VARIABLES = 100
_MOST_DESCRIPTION = 256

Pairs = Tuple[Tuple[str, str], ...]


class JobRequest(NamedTuple):
    """A job that the service accepts."""

    body: Dict[str, Any]         # as it was sent
    name: str
    description: str
    annotations: Dict[str, str]
    code_dir: str                # "/bucket/code/"
    boot_file: str               # "/bucket/code/boot.py"
    engine: Dict[str, Any]       # as a reply shows it
    parameters: Pairs
    inputs: Pairs                # (name, "/bucket/prefix/")
    outputs: Pairs
    environments: Dict[str, str]
    flavor: Flavor
    nodes: int
    pool: Optional[str]
    log_url: Optional[str]       # "/bucket/prefix/"
    retries: int                 # how often the platform may restart the job
    unconditional: bool          # whether it does so after any failure, and not only after one of the platform
    most_hours: Optional[int]    # after which the platform stops the job


def read_job(body: object, catalogue: Catalogue, places: Union[Places, AnyPlaces]) -> JobRequest:
    """The job that a body describes.

    Args:
        body: the JSON document.
        catalogue: flavors, engines and pools.
        places: what there is in OBS.

    Raises:
        ModelArtsError: the service would refuse the body.
    """
    content = _object(body, "the body")
    if content.get("kind") != "job":
        raise wrong(f"kind must be job, not {content.get('kind')!r}")
    metadata = _part(content, "metadata")
    algorithm = _part(content, "algorithm")
    spec = _part(content, "spec")
    name = metadata.get("name")
    if not isinstance(name, str) or JOB_NAME.fullmatch(name) is None:
        raise wrong(f"metadata.name {name!r} must have 1 to 64 letters, digits, underscores and hyphens")
    description = _text(metadata, "metadata.description") or ""
    if len(description) > _MOST_DESCRIPTION:
        raise wrong(f"metadata.description has more than {_MOST_DESCRIPTION} characters")
    annotations = _texts(metadata.get("annotations"), "metadata.annotations")
    flavor, nodes, pool = _resource(_part(spec, "resource", "spec.resource"), catalogue)
    code_dir, boot_file = _code(algorithm, places)
    engine = _engine(_part(algorithm, "engine", "algorithm.engine"), algorithm, flavor, catalogue)
    inputs = _channels(algorithm.get("inputs"), "algorithm.inputs")
    outputs = _channels(algorithm.get("outputs"), "algorithm.outputs")
    for _, url in inputs:
        places.require_folder(url)
    for _, url in outputs:
        places.require_bucket(url)
    parameters = _parameters(algorithm.get("parameters"))
    names = [pair[0] for pair in parameters + inputs + outputs]
    if len(set(names)) < len(names):
        raise ModelArtsError("ModelArts.2767")
    _check_notification(spec.get("notification"))
    return JobRequest(content, name, description, annotations, code_dir, boot_file, engine, parameters, inputs, outputs,
                      _environments(algorithm.get("environments")), flavor, nodes, pool,
                      _log_url(spec.get("log_export_path"), places), _retries(annotations),
                      annotations.get(UNCONDITIONAL) == "true", _most_hours(spec.get("auto_stop")))


def _resource(resource: Mapping[str, Any], catalogue: Catalogue) -> Tuple[Flavor, int, Optional[str]]:
    pool = _text(resource, "spec.resource.pool_id")
    if pool is not None and pool not in catalogue.pools:
        raise wrong(f"resource pool {pool} not found")
    flavor_id = _text(resource, "spec.resource.flavor_id") or ""
    flavor = catalogue.flavor(flavor_id)
    if flavor is None or flavor.pool != (pool is not None):
        raise ModelArtsError("ModelArts.2781", flavor_id)
    nodes = resource.get("node_count", 1)
    if not _is_count(nodes):
        raise wrong(f"spec.resource.node_count {nodes!r} must be 1 or more")
    if nodes > flavor.most_nodes:
        raise ModelArtsError("ModelArts.2793", nodes, flavor.most_nodes)
    return flavor, nodes, pool


def _code(algorithm: Mapping[str, Any], places: Union[Places, AnyPlaces]) -> Tuple[str, str]:
    if algorithm.get("id") or algorithm.get("subscription_id"):
        raise wrong("the mocked ModelArts has no algorithms: give algorithm.code_dir and algorithm.boot_file")
    if algorithm.get("command"):
        raise wrong("the mocked ModelArts runs no algorithm.command: give algorithm.code_dir and algorithm.boot_file")
    code_dir = _text(algorithm, "algorithm.code_dir") or ""
    boot_file = _text(algorithm, "algorithm.boot_file") or ""
    places.require_code(code_dir)
    if not (boot_file.startswith(code_dir) and boot_file.endswith(".py") and places.has(boot_file)):
        raise ModelArtsError("ModelArts.2758")
    return code_dir, boot_file


def _engine(engine: Mapping[str, Any], algorithm: Mapping[str, Any], flavor: Flavor,
            catalogue: Catalogue) -> Dict[str, Any]:
    engine_id, name, version, image = (_text(engine, f"algorithm.engine.{field}")
                                       for field in ("engine_id", "engine_name", "engine_version", "image_url"))
    if image is not None:
        if name is None and not algorithm.get("command"):
            raise ModelArtsError("ModelArts.2806")
        return {"image_url": image, "engine_name": name}
    if (engine_id is None) == (version is None):
        raise wrong("algorithm.engine needs one of engine_id, engine_name with engine_version, and image_url")
    if version is not None and name is None:
        raise wrong("algorithm.engine has an engine_version but no engine_name")
    found: Optional[Engine] = catalogue.engine(engine_id or version or "", name)
    if found is None:
        raise ModelArtsError("ModelArts.2780", engine_id or f"{name} {version}")
    if found.type != flavor.type:
        raise ModelArtsError("ModelArts.2763")
    return {"engine_id": found.version, "engine_name": found.name, "engine_version": found.version}


def _parameters(value: object) -> Pairs:
    pairs = []
    for item in _list(value, "algorithm.parameters"):
        name, text = item.get("name"), item.get("value")
        if not isinstance(name, str) or not name:
            raise wrong("a parameter has no name")
        if not isinstance(text, str):
            raise wrong(f"the value of the parameter {name} is not a string")
        pairs.append((name, text))
    return tuple(pairs)


def _channels(value: object, where: str) -> Pairs:
    pairs = []
    for item in _list(value, where):
        name = item.get("name")
        if not isinstance(name, str) or not name:
            raise wrong(f"a channel of {where} has no name")
        remote = _object(item.get("remote") or {}, f"{where}.remote")
        if remote.get("dataset"):
            raise wrong("the mocked ModelArts has no data sets: give remote.obs.obs_url")
        obs = _object(remote.get("obs") or {}, f"{where}.remote.obs")
        url = _text(obs, f"{where}.remote.obs.obs_url")
        if url is None:
            raise wrong(f"the channel {name} of {where} has no remote.obs.obs_url")
        pairs.append((name, url))
    return tuple(pairs)


def _environments(value: object) -> Dict[str, str]:
    variables = _texts(value, "algorithm.environments")
    if len(variables) > _MOST_VARIABLES:
        raise wrong(f"algorithm.environments has more than {_MOST_VARIABLES} variables")
    for name in variables:
        if _VARIABLE.fullmatch(name) is None:
            raise wrong(f"algorithm.environments has a variable {name!r}, which is not a name")
    return variables


def _log_url(value: object, places: Union[Places, AnyPlaces]) -> Optional[str]:
    url = _text(_object(value or {}, "spec.log_export_path"), "spec.log_export_path.obs_url")
    if url is not None:
        places.require_bucket(url)
    return url


def _retries(annotations: Mapping[str, str]) -> int:
    text = annotations.get(RETRIES, "0")
    if RETRIES in annotations and text not in ("1", "2", "3"):
        raise wrong(f"{RETRIES} must be 1, 2 or 3, not {text}")
    return int(text)


def _most_hours(value: object) -> Optional[int]:
    if value is None:
        return None
    stop = _object(value, "spec.auto_stop")
    if stop.get("time_unit") != "HOURS" or not _is_count(stop.get("duration")):
        raise wrong("spec.auto_stop needs the time_unit HOURS and a duration of 1 or more")
    return int(stop["duration"])


def _check_notification(value: object) -> None:
    if value is None:
        return
    notification = _object(value, "spec.notification")
    if not _text(notification, "spec.notification.topic_urn"):
        raise wrong("spec.notification has no topic_urn")
    events = notification.get("events")
    if not isinstance(events, list) or not events or any(event not in NOTIFICATIONS for event in events):
        raise wrong(f"spec.notification.events must be some of {' '.join(NOTIFICATIONS)}")


# -- the shapes of JSON


def _object(value: object, where: str) -> Dict[str, Any]:
    if not isinstance(value, dict):
        raise wrong(f"{where} is not an object")
    return value


def _part(content: Mapping[str, Any], name: str, where: str = "") -> Dict[str, Any]:
    if content.get(name) is None:
        raise wrong(f"{where or name} is missing")
    return _object(content[name], where or name)


def _list(value: object, where: str) -> Tuple[Dict[str, Any], ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise wrong(f"{where} is not a list")
    return tuple(_object(item, f"an item of {where}") for item in value)


def _text(content: Mapping[str, Any], where: str) -> Optional[str]:
    """The text that the last word of `where` names; None if there is none or an empty one."""
    value = content.get(where.rpartition(".")[2])
    if value is not None and not isinstance(value, str):
        raise wrong(f"{where} is not a string")
    return value or None


def _texts(value: object, where: str) -> Dict[str, str]:
    texts = _object(value if value is not None else {}, where)
    for name, text in texts.items():
        if not isinstance(text, str):
            raise wrong(f"{name} of {where} is not a string")
    return texts


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
