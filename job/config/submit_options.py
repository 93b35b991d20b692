"""What `python -m job submit` takes besides settings: as flags, and in the part `submit:` of a configuration file.

A run skips that part of its file, but refuses a key that submit would not know.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from job.config.kinds import Kind, boolean, choice, optional, text, whole
from job.errors import ConfigError

PART = "submit"  # of a configuration file
MOST_HOURS = 8760  # a year
SHOWN = 120  # characters of a value in a message
JOB_NAME = re.compile(r"[\w-]{1,64}\Z", re.ASCII)
_TOPIC = re.compile(r"urn:smn:[^\s:]+(:[^\s:]+)*\Z")
_OBS_FOLDER = re.compile(r"(?:(?:obs|s3)://|/)([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?\Z", re.DOTALL)


def job_name() -> Kind:
    """What ModelArts takes as the name of a job."""

    def convert(value: Any) -> str:
        if not isinstance(value, str) or not JOB_NAME.match(value):
            raise ValueError
        return value

    return Kind("up to 64 of a-z, A-Z, 0-9, '_' and '-'", convert)


def topic() -> Kind:
    """A topic of SMN."""

    def convert(value: Any) -> str:
        if not isinstance(value, str) or not _TOPIC.match(value):
            raise ValueError
        return value

    return Kind("the URN of a topic, urn:smn:REGION:PROJECT:TOPIC", convert)


def obs_folder() -> Kind:
    """A folder in OBS as obs://bucket/folder/, from that form, s3://… or the console's /bucket/folder/."""

    def convert(value: Any) -> str:
        return obs_url(text().convert(value), folder=True)

    return Kind("a folder in OBS, obs://bucket/folder/ or /bucket/folder/", convert)


def obs_url(place: str, folder: bool) -> str:
    """``place`` as obs://bucket/key, with a slash at its end if it is a ``folder``. Raises ValueError."""
    match = _OBS_FOLDER.match(place)
    key = (match.group(2) or "") if match else ""
    if match is None or key.startswith("/") or "//" in key or not key.isprintable():
        raise ValueError
    return f"obs://{match.group(1)}/{key}" + ("/" if folder and key and not key.endswith("/") else "")


class Option(NamedTuple):
    """An option of submit. metavar: of its value in the help; None for a switch."""

    name: str
    default: Any
    kind: Kind
    metavar: Optional[str]
    help: str


def _option(default: Any, kind: Kind, metavar: Optional[str], help: str) -> Any:
    return field(default=default, metadata={"kind": kind, "metavar": metavar, "help": help})


@dataclass(frozen=True)
class SubmitOptions:
    """How a job is submitted."""

    flavor: Optional[str] = _option(
        None, optional(text()), "ID",
        "kind of node, such as modelarts.kat1.xlarge; `python -m job flavors` lists them")
    nodes: int = _option(1, whole(1), "N", "number of nodes")
    pool: Optional[str] = _option(
        None, optional(text()), "ID", "dedicated resource pool; by default the public pool")
    engine: Optional[str] = _option(
        None, optional(text()), "NAME:VERSION",
        "image that ModelArts provides, NAME:VERSION or its id; by default the Ascend image with TensorFlow 1.15; "
        "`python -m job engines` lists them")
    image: Optional[str] = _option(
        None, optional(text()), "ADDRESS", "image of your own in SWR, instead of --engine")
    region: Optional[str] = _option(
        None, optional(text()), "REGION",
        "region of ModelArts, such as cn-north-4; by default HUAWEICLOUD_SDK_REGION, or the region of OBS_SERVER")
    code_url: Optional[str] = _option(
        None, optional(obs_folder()), "URL",
        "folder in OBS for the code; by default masf-code/ beside train_url. The same code is uploaded once")
    log_url: Optional[str] = _option(
        None, optional(obs_folder()), "URL",
        "folder in OBS for the log of the job; by default masf-logs/ beside train_url")
    name: Optional[str] = _option(
        None, optional(job_name()), "NAME", "name of the job; by default the run name and some random characters")
    max_hours: Optional[int] = _option(
        None, optional(whole(1, MOST_HOURS)), "N", "hours after which ModelArts stops the job; by default never")
    retries: int = _option(0, whole(0, 3), "N", "how often ModelArts starts a failed job again, at most 3")
    notify: Optional[str] = _option(
        None, optional(topic()), "URN", "topic of SMN that is told when the job starts, ends, fails or restarts")
    copied_by: str = _option(
        "job", choice("job", "platform"), "WHO",
        "who copies data and results: job (the job reads and writes OBS itself), or platform (ModelArts copies "
        "data_url to the node before the start, and the results back to train_url)")
    requirements: Optional[str] = _option(
        None, optional(text()), "FILE",
        "file of pip requirements that ModelArts installs before the start, such as "
        "configs/modelarts/pip-requirements.txt")
    follow: bool = _option(False, boolean(), None, "follow the log until the job ends; the exit code is the job's")


def options() -> Dict[str, Option]:
    """Name → option, in the order of the class."""
    return {each.name: Option(each.name, each.default, each.metadata["kind"], each.metadata["metavar"],
                              each.metadata["help"]) for each in fields(SubmitOptions)}


def _short(text: str) -> str:
    """A text for a message: of thousands of digits, the first ones."""
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def resolve_options(sources: List[Mapping[str, Tuple[Any, str]]]) -> SubmitOptions:
    """The options of several sources, name → (value, where it stands), of which the later counts.

    Raises:
        ConfigError: names every bad value.
    """
    values: Dict[str, Any] = {}
    problems: List[str] = []
    for source in sources:
        for name, (value, where) in source.items():
            kind = options()[name].kind
            try:
                values[name] = kind.convert(value.strip() if isinstance(value, str) else value)
            except ValueError:
                problems.append(f"{_short(where)}: {name} cannot be {_short(repr(value))}; expected {kind.expected}")
    if values.get("engine") and values.get("image"):
        problems.append("--engine and --image are both given; a job has one image")
    if problems:
        raise ConfigError(problems)
    return SubmitOptions(**values)
