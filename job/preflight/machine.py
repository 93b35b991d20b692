"""Checks of the machine: versions, packages, devices, and this rank's place in the job. They send no request."""
from __future__ import annotations

import glob
import importlib
import importlib.util
import os
import platform
import re
import sys
from typing import Any, Callable, List, Mapping, Optional, Tuple

from job.environment import Environment
from job.preflight.rows import BAD, GOOD, NONE, Row
from job.ranks.table import read_rank_table
from masf_core.errors import TensorFlowError
from masf_core.words import plural

# Of each package: name of the distribution, module, oldest version that works, whether it is needed.
PACKAGES = (
    ("numpy", "numpy", (), True), ("Pillow", "PIL", (8,), True), ("PyYAML", "yaml", (5, 1), True),
    ("esdk-obs-python", "obs", (3, 22), True), ("moxing-framework", "moxing", (), False),
    ("tqdm", "tqdm", (4, 30), False))
# Where CANN states its version, newest layout first: below the folders that its set_env.sh exports, and its usual ones.
CANN_HOMES = ("ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME", "ASCEND_HOME")
CANN_PLACES = ("usr/local/Ascend/ascend-toolkit/latest", "usr/local/Ascend/nnae/latest", "usr/local/Ascend/cann",
               "usr/local/Ascend/latest", "usr/local/Ascend")
CANN_FILES = ("*-linux/ascend_toolkit_install.info", "ascend_toolkit_install.info", "*-linux/ascend_nnae_install.info",
              "ascend_nnae_install.info", "version.info", "*/version.info")
DRIVER = "usr/local/Ascend/driver/version.info"


def python_row() -> Row:
    version = sys.version_info[:2]
    fits = version == (3, 7) or (3, 9) <= version <= (3, 12)
    return Row("Python", GOOD if fits else BAD, f"{platform.python_version()} on {platform.system()} "
                                                f"{platform.machine()}",
        None if fits else "Use Python 3.7 with TensorFlow 1.15, or 3.9 to 3.12 with 2.x")


def tensorflow_row(load: Callable[[], str], device: str = "auto") -> Row:
    """load: imports TensorFlow and returns its version. device: the setting."""
    try:
        version = load()
    except TensorFlowError as error:
        return Row("TensorFlow", BAD, error.told, error.mend)
    except ImportError as error:
        return Row("TensorFlow", BAD, f"cannot be imported ({error})",
                   "pip install tensorflow==1.15.5 with Python 3.7, or any 2.16 to 2.21 with 3.9 to 3.12")
    if device == "ascend" and not version.startswith("1.15"):
        return Row("TensorFlow", BAD, f"{version}, and device=ascend: its adapter is built for 1.15",
                   "Choose an image with TensorFlow 1.15 and Python 3.7, or --device=auto")
    fits = version.startswith("1.15") or version.startswith("2.")
    return Row("TensorFlow", GOOD if fits else BAD, version, None if fits else "Install 1.15, or any 2.x")


def uses_adapter(device: str) -> bool:
    """Whether a run on this device, a setting, goes through the Ascend adapter."""
    return device in ("auto", "ascend") and importlib.util.find_spec("npu_bridge") is not None


def adapter_row(device: str, load_adapter: Callable[[], Any],
                check_options: Callable[[Any], Tuple[List[str], List[str]]] = lambda adapter: ([], [])) -> Row:
    """Whether the Ascend adapter is installed, and knows the options that a run would pass to it.

    Args:
        device: the setting. load_adapter: imports npu_bridge and returns its ``Adapter`` (see
            ``masf_core.devices.ascend.adapter``).
        check_options: takes an ``Adapter`` and returns (problems, doubts) of the settings: lists of sentences.
    """
    if importlib.util.find_spec("npu_bridge") is None:
        if device == "ascend":
            return Row("npu_bridge", BAD, "not installed, and device=ascend",
                       "Choose an image with the Ascend engine, or --device=auto")
        return Row("npu_bridge", NONE, "not installed; no Ascend is used")
    if device in ("cpu", "gpu"):
        return Row("npu_bridge", NONE, f"installed, but not used with device={device}")
    try:
        adapter = load_adapter()
    except Exception as error:  # its native code may raise anything on a machine without a driver
        return Row("npu_bridge", BAD, f"does not load ({type(error).__name__}: {error})",
                   "Source CANN's set_env.sh, and check that the adapter fits TensorFlow and CANN")
    problems, doubts = check_options(adapter)
    told = f"{adapter.about}, judged by what it exports"
    if problems:
        return Row("npu_bridge", BAD, "; ".join([told] + problems),
                   "Correct these settings, or choose an image whose adapter knows them")
    return Row("npu_bridge", GOOD, "; ".join([told] + doubts))


def cann_row(environ: Mapping[str, str], root: str = "/", device: str = "auto") -> Row:
    """root: of the file system. device: the setting."""
    homes = [environ[name] for name in CANN_HOMES if environ.get(name)]
    if environ.get("ASCEND_OPP_PATH"):
        homes.append(os.path.dirname(environ["ASCEND_OPP_PATH"].rstrip("/")))
    homes += [os.path.join(root, place) for place in CANN_PLACES]
    driver = version_in(os.path.join(root, DRIVER))
    aside = f", driver {driver}" if driver else ""
    for home in homes:
        for pattern in CANN_FILES:
            for path in sorted(glob.glob(os.path.join(glob.escape(home), pattern))):
                version = version_in(path)
                if version and not path.endswith(DRIVER):
                    return Row("CANN", GOOD, f"{version} ({path}){aside}")
    if any(map(os.path.isdir, homes)):
        return Row("CANN", NONE, f"installed, but its version is unknown{aside}")
    if device == "ascend":
        return Row("CANN", BAD, "not found, and device=ascend",
                   f"Choose an image with the Ascend engine, or set {CANN_HOMES[0]} to the folder of CANN")
    return Row("CANN", NONE, "not installed")


def version_in(path: str) -> Optional[str]:
    """The version in a file with a line ``version=…``, or None."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            found = re.search(r"^\s*[vV]ersion\s*[=:]\s*\[?([\w.+-]+)", stream.read(1 << 16), re.MULTILINE)
    except OSError:
        return None
    return found.group(1) if found else None


def packages_row() -> Row:
    there, problems = [], []
    for name, module, oldest, needed in PACKAGES:
        present, version = importlib.util.find_spec(module) is not None, version_of(name)
        if present:
            there.append(f"{name} {version or '(version unknown)'}")
        if needed and not present:
            problems.append(name)
        elif present and version and oldest and numbers(version) < oldest:
            problems.append(f"{name}>={'.'.join(map(str, oldest))}")
    return Row("packages", BAD if problems else GOOD, ", ".join(there) or "none",
               "pip install " + " ".join(f"'{problem}'" for problem in problems) if problems else None)


def version_of(distribution: str) -> Optional[str]:
    """Installed version, or None."""
    try:
        return importlib.import_module("importlib.metadata").version(distribution)
    except ImportError:  # Python 3.7; or the package is missing, since PackageNotFoundError is an ImportError
        pass
    try:
        return importlib.import_module("pkg_resources").get_distribution(distribution).version
    except Exception:  # the package is missing, or its metadata cannot be read
        return None


def numbers(version: str) -> Tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def devices_row(device: str, environ: Mapping[str, str], root: str = "/") -> Row:
    """device: the setting."""
    cards = [os.path.basename(path) for path in sorted(glob.glob(os.path.join(root, "dev/davinci[0-9]*")))]
    gpus = [os.path.basename(path) for path in sorted(glob.glob(os.path.join(root, "dev/nvidia[0-9]*")))]
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    told = plural(threads, "processor thread")
    for what, found in (("Ascend", cards), ("GPU", gpus)):
        told += f", {what} {' '.join(found)}" if found else ""
    if environ.get("ASCEND_DEVICE_ID"):
        told += f", ASCEND_DEVICE_ID={environ['ASCEND_DEVICE_ID']}"
    if device == "ascend" and not cards:
        return Row("devices", BAD, told + "; no /dev/davinci*, and device=ascend",
                   "Choose a flavour with an Ascend 910, or --device=auto")
    if device == "gpu" and not gpus:
        return Row("devices", BAD, told + "; no /dev/nvidia*, and device=gpu",
                   "Choose a flavour with a GPU, or --device=auto")
    return Row("devices", GOOD, told)


def platform_row(environ: Mapping[str, str], read: Callable[[], Environment]) -> Row:
    """read: reads ``Environment`` and may raise ConfigError."""
    found = read()
    kinds = [kind for kind, prefixes in (("v1", ("DLS_",)), ("v2", ("MA_JOB_DIR", "MA_VJ_NAME", "MA_TASK_NAME")))
             if any(name.startswith(prefixes) and environ[name] for name in environ)]
    place = f"rank {found.rank_id} of {found.rank_size}, host {found.host_index} of {found.host_count}"
    kind = f"ModelArts {' and '.join(kinds)} job" if kinds else "not a ModelArts job (a notebook, or another machine)"
    return Row("platform", GOOD, f"{kind}; {place}")


def rank_table_row(found: Environment, device: str = "auto") -> Row:
    """found: ``Environment``. device: the setting.

    Raises:
        ConfigError: what a run of several ranks would refuse.
    """
    if found.rank_size == 1:
        return Row("rank table", NONE, "not needed: there is one rank")
    from job.ranks.group import control_address

    host, port = control_address(found)
    place = f"rank 0 listens at {host}:{port}"
    if found.rank_table is None and device == "ascend":
        return Row("rank table", BAD, f"missing, and HCCL finds the cards there; {place}",
                   "Let the platform start the boot file for each card, or set RANK_TABLE_FILE and JOB_ID")
    if found.rank_table is None:
        return Row("rank table", NONE, f"none; only Ascend needs one; {place}")
    cards = read_rank_table(found.rank_table)
    own = cards[found.rank_id]
    # A container with some of a machine's cards numbers them from 0; the table numbers all cards of the machine.
    here = sorted(card.device_id for card in cards if card.server == own.server).index(own.device_id)
    if found.device_id not in (None, here, own.device_id):
        return Row(
            "rank table", BAD, f"{found.rank_table}: rank {own.rank} has card {own.device_id} there, number {here} of "
                               f"its server, but ASCEND_DEVICE_ID is {found.device_id}",
            "Let the platform start the boot file for each card")
    return Row("rank table", GOOD, f"{len(cards)} ranks on {len({card.server for card in cards})} servers; this is "
                                   f"rank {own.rank} on card {own.device_id}; {place}")
