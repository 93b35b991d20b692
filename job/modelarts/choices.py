"""The flavor and the image of a job: those that are asked for, if they exist and fit each other."""

from __future__ import annotations

import logging
import re
from typing import Iterable, Optional

from job.config.near_miss import suggestion, with_expected
from job.config.submit_options import SubmitOptions
from job.errors import ConfigError
from job.modelarts.service import Engine, Flavor, JobService
from masf_core.words import plural, some

log = logging.getLogger(__name__)

ENGINE_NAME = "Ascend-Powered-Engine"
OTHER_ENGINE = "TensorFlow"  # of processors and GPUs
ENGINE_VERSION = re.compile(r"tensorflow_1\.15-.*py_3\.7")  # of the images that this job is made for
ASCEND = "Ascend"
NAMED = 8  # flavors or engines that a message lists
_FOR_ASCEND = ("ascend", "cann")  # one of these is in the name or the version of an image for Ascend cards


def on_ascend(flavor: Optional[Flavor]) -> bool:
    """Whether a job on such nodes runs on Ascend cards.

    flavor: None where ModelArts does not list it, as of a dedicated pool; it is then assumed to have Ascend cards.
    """
    return flavor is None or flavor.kind == ASCEND


def choose_flavor(service: JobService, options: SubmitOptions) -> Optional[Flavor]:
    """The flavor with the id that is asked for; None where only the dedicated pool can know it.

    Raises:
        ConfigError: there is none, or it does not have so many nodes.
    """
    flavors = service.flavors()
    found = [flavor for flavor in flavors if flavor.id == options.flavor]
    if not options.flavor or (not found and not options.pool):
        ids = [flavor.id for flavor in flavors]
        ascend = [flavor.id for flavor in flavors if on_ascend(flavor)] or ids
        what = ("--flavor is missing" if not options.flavor else
                f"--flavor={options.flavor}: ModelArts in {service.region} has no such flavor"
                f"{suggestion(options.flavor, ids)}")
        raise ConfigError(with_expected(what, f"one of {some(ascend, NAMED)} (`python -m job flavors` lists them all)"))
    if not found:
        log.info("flavor %s is not in the public pool; whether pool %s has it, ModelArts will say", options.flavor,
                 options.pool)
        return None
    if options.nodes > found[0].most_nodes:
        raise ConfigError(f"--nodes={options.nodes}: a job of flavor {options.flavor} has at most "
                          f"{plural(found[0].most_nodes, 'node')}")
    return found[0]


def choose_engine(service: JobService, given: Optional[str], flavor: Optional[Flavor]) -> str:
    """The image for the job, ``name:version`` or an id: the given one, or else the one that this job is made for.

    Raises:
        ConfigError: ModelArts has no such image, or it is for other nodes, or has no TensorFlow.
    """
    engines = service.engines()
    ascend = on_ascend(flavor)
    if given:
        chosen = next((engine for engine in engines if given in (_name_of(engine), engine.id)), None)
        if chosen is None:
            names = sorted(map(_name_of, engines))
            raise ConfigError(with_expected(
                f"--engine={given}: ModelArts in {service.region} has no such image{suggestion(given, names)}",
                f"one of {some(names, NAMED)} (`python -m job engines` lists them all)"))
        if flavor is not None and is_for_ascend(chosen) != ascend:
            kind = "Ascend cards" if ascend else f"no Ascend cards ({flavor.kind})"
            raise ConfigError(f"--engine={given}: this image does not fit --flavor={flavor.id}, which has {kind}; "
                              f"expected {_fitting(engines, ascend)}")
        if not _has_tensorflow(chosen):
            raise ConfigError(f"--engine={given}: this image has no TensorFlow, which the job needs; expected "
                              f"{_fitting(engines, ascend)}")
        return given
    if not ascend:
        raise ConfigError(f"--flavor={flavor.id if flavor else ''} has no Ascend card, so give the image with --engine "
                          f"or --image: one with TensorFlow 1.15 and Python 3.7, or with TensorFlow 2. Of ModelArts' "
                          f"images: {_fitting(engines, ascend)}")
    made_for = [_name_of(engine) for engine in engines if _fits(engine)]
    if not made_for:
        raise ConfigError(f"ModelArts in {service.region} has no {ENGINE_NAME} with TensorFlow 1.15 and Python 3.7; "
                          "give one with --engine or --image (`python -m job engines` lists them)")
    return max(made_for)  # the newest CANN


def is_for_ascend(engine: Engine) -> bool:
    """Whether the image is for nodes with Ascend cards, as its name and version say."""
    told = f"{engine.name} {engine.version}".lower()
    return any(word in told for word in _FOR_ASCEND)


def _fitting(engines: Iterable[Engine], ascend: bool) -> str:
    """The images with TensorFlow for such nodes, in words."""
    names = sorted(_name_of(each) for each in engines if is_for_ascend(each) == ascend and _has_tensorflow(each))
    return (f"--engine={some(names, NAMED)}" if names else "an image of your own with --image") + \
        " (`python -m job engines` lists all)"


def _has_tensorflow(engine: Engine) -> bool:
    return "tensorflow" in f"{engine.name} {engine.version}".lower()


def _name_of(engine: Engine) -> str:
    return f"{engine.name}:{engine.version}"


def _fits(engine: Engine) -> bool:
    return engine.name == ENGINE_NAME and ENGINE_VERSION.search(engine.version) is not None
