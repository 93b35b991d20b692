"""The file of a study: YAML, read as nodes, so that every message can name the line.

    config: configs/dry_run.yaml        a configuration file, as of --config
    settings: {data_url: pacs, …}       further settings of every run
    targets: all                        or a domain, or a list of domains
    seeds: [0, 1, 2]
    variants:
      masf:                             no settings of its own
      deepall: {method: deepall}
      global: {config: configs/table3/global.yaml}
    runner: modelarts                   or local, the default
    submit: {flavor: modelarts.kat1.xlarge}  for ModelArts, as of `python -m job submit`
    random:
      samples: 20
      seed: 0
      settings:
        outer_lr: {log_uniform: [1e-6, 1e-4]}
        margin: {choice: [5, 10, 20]}
"""
from __future__ import annotations

import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from job.config.files import (
    MAPPING, NULL_TAG, SCALAR, SEQUENCE, Given, compose_file, find_config_file, read_config_file, read_options,
    read_settings, read_submit_part,
)
from job.config.foreign_flags import unknown
from job.config.kinds import choice, folder_name, is_plain_name, whole
from job.config.loading import shown_path
from job.config.settings import settings
from job.errors import ConfigError, NoSuchFolder
from job.shipped import CONFIG_HOME
from job.sweep.draws import KINDS, Draw, draw_problem

KEYS = ("config", "settings", "targets", "seeds", "variants", "random", "runner", "submit")
PER_RUN = {  # settings that a sweep chooses for each run: what to do instead of giving one
    "target_domain": "list the domains below `targets`", "seed": "list the seeds below `seeds`",
    "run_name": "leave it out", "logdir": "leave it out"}
PER_JOB = {  # options of submit that a study cannot have
    "name": "each job is called after its run", "follow": "the sweep itself waits for the jobs"}
RUNNERS = ("local", "modelarts")
LONGEST_VARIANT = 24  # characters, so that domain, seed and digest fit into a run name
MOST_RUNS = 10_000

Settings = Dict[str, Given]


class Random(NamedTuple):
    """Random search. samples: how many. seed: of the draws."""

    samples: int
    seed: int
    draws: Tuple[Draw, ...]


class StudyFile(NamedTuple):
    """What the file says. targets: None for all domains. variants: name → its settings, of which the later counts.
    runner: one of ``RUNNERS``. submit: options of submit: of the file of ``config``, and of this one.
    """

    path: str
    base: List[Settings]
    targets: Optional[Tuple[str, ...]]
    seeds: Tuple[int, ...]
    variants: Dict[str, List[Settings]]
    random: Optional[Random]
    runner: str
    submit: List[Settings]


def read_study(path: str) -> StudyFile:
    """Read the file, which is looked for in the current directory and then in the folder of the code.

    Raises:
        NoSuchFolder: there is no such file. ConfigError: names everything that is wrong with it.
    """
    shipped = os.path.join(CONFIG_HOME, path)
    if not os.path.isfile(path):
        if not os.path.isfile(shipped):
            raise NoSuchFolder(f"there is no file {path}; expected the YAML file of a study")
        path = shipped
    root = compose_file(path, path)
    if root is None or root.id != MAPPING:
        raise ConfigError(f"{path}: expected the file of a study, with variants, targets and seeds")
    reader = _Reader(path)
    found = reader.study(root)
    if reader.problems:
        raise (NoSuchFolder if reader.problems == reader.missing else ConfigError)(reader.problems)
    return found


class _Reader:
    """Walks the nodes of one file, and collects what is wrong."""

    def __init__(self, path: str) -> None:
        self.problems: List[str] = []
        self.missing: List[str] = []  # those of the problems that are files which do not exist
        self._path = path

    def study(self, root: Any) -> StudyFile:
        parts = self._members(root, KEYS)
        base = []
        if "config" in parts:
            base.append(self._config_file(parts["config"]))
        if "settings" in parts:
            base.append(self._settings(parts["settings"], "settings"))
            self._refuse_per_run(base[-1])
        targets = None
        if "targets" in parts and getattr(parts["targets"], "value", None) != "all":
            targets = tuple(self._list(parts["targets"], "targets", "all, or a list of domains", _domain))
        seeds = tuple(self._list(parts["seeds"], "seeds", "a list of whole numbers", whole(0, 2 ** 31 - 1).convert)
                      if "seeds" in parts else [0])
        variants = self._variants(parts.get("variants"))
        random = self._random(parts["random"]) if "random" in parts else None
        if random is not None:
            self._refuse_twice(variants, random)
        runner = self._one(parts.get("runner"), "runner", "local or modelarts", choice(*RUNNERS).convert, "local")
        return StudyFile(self._path, base, targets, seeds, variants, random, runner, self._submit(parts))

    def _where(self, node: Any) -> str:
        return f"{self._path}, line {node.start_mark.line + 1}"

    def _members(self, node: Any, known: Tuple[str, ...], of: str = "") -> Dict[str, Any]:
        """key → node of a mapping whose keys are all ``known``, each once. Keys without a value are left out."""
        found: Dict[str, Any] = {}
        if node.id != MAPPING:
            self.problems.append(f"{self._where(node)}: {of}: expected {', '.join(known)} below it, indented")
            return found
        for key_node, value in node.value:
            key, where = key_node.value, self._where(key_node)
            if not isinstance(key, str) or key not in known:
                self.problems.append(unknown(f"{where}: unknown key {key!r}", str(key), known))
            elif key in found:
                self.problems.append(f"{where}: {key} is given a second time")
            elif value.tag != NULL_TAG:
                found[key] = value
        return found

    def _list(self, node: Any, name: str, expected: str, convert: Callable[[str], Any]) -> List[Any]:
        """The values of a sequence of scalars, each once, or of a single scalar."""
        nodes = node.value if node.id == SEQUENCE else [node]
        found: List[Any] = []
        try:
            for each in nodes:
                if each.id != SCALAR:
                    raise ValueError
                value = convert(each.value)
                if value in found:
                    self.problems.append(f"{self._where(each)}: {name}: {each.value} is given a second time")
                found.append(value)
        except ValueError:
            self.problems.append(f"{self._where(node)}: {name}: expected {expected}")
        if not nodes:
            self.problems.append(f"{self._where(node)}: {name}: the list is empty; expected {expected}")
        return found

    def _one(self, node: Any, name: str, expected: str, convert: Callable[[str], Any], default: Any) -> Any:
        """The value of a scalar. ``default`` where there is no node, or it is wrong."""
        if node is None:
            return default
        try:
            if node.id != SCALAR:
                raise ValueError
            return convert(node.value)
        except ValueError:
            self.problems.append(f"{self._where(node)}: {name}: expected {expected}")
            return default

    def _submit(self, parts: Dict[str, Any]) -> List[Settings]:
        """The options of submit, of the configuration file and of this one."""
        found: List[Settings] = [{}, {}]
        if "config" in parts and parts["config"].id == SCALAR and not self.problems:
            found[0] = read_submit_part(self._config_path(parts["config"]))
        if "submit" in parts and parts["submit"].id != MAPPING:
            self.problems.append(f"{self._where(parts['submit'])}: submit: expected options below it, indented")
        elif "submit" in parts:
            given, problems = read_options(parts["submit"], self._path)
            self.problems += problems
            for name, why in PER_JOB.items():
                self._refuse(given, name, why)
            found[1] = given
        return found

    def _config_path(self, node: Any) -> str:
        return find_config_file(node.value, [os.path.dirname(self._path) or os.curdir, os.curdir, CONFIG_HOME])

    def _config_file(self, node: Any) -> Settings:
        """The settings of the configuration file that a node names."""
        where = self._where(node)
        if node.id != SCALAR:
            self.problems.append(f"{where}: config: expected the path of a configuration file")
            return {}
        try:
            path = self._config_path(node)
            given, problems = read_config_file(path, shown_path(path))
        except ConfigError as error:
            found = [problem.replace("--config=", "config: ", 1) for problem in error.problems]
            given, problems = {}, [f"{where}: {problem}" for problem in found]
            self.missing += problems if isinstance(error, NoSuchFolder) else []
        self.problems += problems
        return {name: value for name, value in given.items() if name not in PER_RUN}

    def _settings(self, node: Any, name: str) -> Settings:
        if node.id != MAPPING:
            self.problems.append(f"{self._where(node)}: {name}: expected settings below it, indented")
            return {}
        given, problems = read_settings(node, self._path)
        self.problems += problems
        return given

    def _refuse(self, given: Settings, name: str, why: str) -> None:
        if name in given:
            self.problems.append(f"{given[name].where}: {name} cannot stand here: {why}")

    def _refuse_per_run(self, given: Settings) -> None:
        for name, instead in PER_RUN.items():
            self._refuse(given, name, f"the sweep chooses it for each run; {instead}")

    def _variants(self, node: Any) -> Dict[str, List[Settings]]:
        if node is None:
            return {"masf": []}
        if node.id != MAPPING or not node.value:
            self.problems.append(f"{self._where(node)}: variants: expected names below it, each with its settings")
            return {}
        found: Dict[str, List[Settings]] = {}
        for key_node, value in node.value:
            name, where = key_node.value, self._where(key_node)
            if not isinstance(name, str) or not is_plain_name(name) or len(name) > LONGEST_VARIANT:
                self.problems.append(f"{where}: a variant cannot be called {name!r}; expected up to {LONGEST_VARIANT} "
                                     "letters, digits, '.', '_' and '-', not beginning with '.' or '-'")
            elif name in found:
                self.problems.append(f"{where}: variant {name} is given a second time")
            else:
                found[name] = [] if value.tag == NULL_TAG else self._variant(value, name)
        return found

    def _variant(self, node: Any, name: str) -> List[Settings]:
        """The settings of one variant: those of its configuration file, then its own."""
        if node.id != MAPPING:
            self.problems.append(f"{self._where(node)}: {name}: expected settings below it, indented")
            return []
        files = [value for key, value in node.value if key.value == "config"]
        own = type(node)(node.tag, [pair for pair in node.value if pair[0].value != "config"],
                         node.start_mark, node.end_mark)
        found = [self._config_file(each) for each in files[:1]] + [self._settings(own, name)]
        for given in found:
            self._refuse_per_run(given)
            for setting in given:
                if setting not in PER_RUN and not may_vary(setting):
                    self._refuse(given, setting, "the runs of a study differ only in settings that change the result; "
                                                 "give it below settings")
        return found

    def _random(self, node: Any) -> Optional[Random]:
        parts = self._members(node, ("samples", "seed", "settings"), "random")
        if "samples" not in parts or "settings" not in parts:
            self.problems.append(f"{self._where(node)}: random: expected samples, a number, and settings")
            return None
        samples = self._one(parts["samples"], "samples", "a whole number from 1 to 1000", whole(1, 1000).convert, 1)
        seed = self._one(parts.get("seed"), "seed", "a whole number", whole(0).convert, 0)
        draws = []
        if parts["settings"].id != MAPPING:
            self.problems.append(f"{self._where(parts['settings'])}: random: expected settings below it, indented")
            return None
        for key_node, value in parts["settings"].value:
            draw = self._draw(key_node, value)
            if draw is not None:
                draws.append(draw)
        return Random(samples, seed, tuple(draws))

    def _draw(self, key_node: Any, node: Any) -> Optional[Draw]:
        name, where = key_node.value, self._where(key_node)
        if name not in settings():
            self.problems.append(unknown(f"{where}: unknown setting {name!r}", str(name), settings()))
            return None
        if not may_vary(name):
            why = f"the sweep chooses it for each run; {PER_RUN[name]}" if name in PER_RUN else \
                "it does not change the result"
            self.problems.append(f"{where}: {name} cannot be drawn: {why}")
            return None
        expected = f"{name}: expected one of {', '.join(KINDS)} with a list, such as {{log_uniform: [1e-6, 1e-4]}}"
        if node.id != MAPPING or len(node.value) != 1:
            self.problems.append(f"{where}: {expected}")
            return None
        kind, values = node.value[0][0].value, node.value[0][1]
        scalars = values.id == SEQUENCE and all(each.id == SCALAR for each in values.value)
        if kind == "choice" and values.id == SEQUENCE and not scalars:
            self.problems.append(f"{where}: {name}: choice: expected single values; write several names as one text, "
                                 "such as 'conv1,conv2', and none as ''")
            return None
        if kind not in KINDS or not scalars:
            self.problems.append(f"{where}: {expected}")
            return None
        draw = Draw(name, kind, tuple(None if each.tag == NULL_TAG else each.value for each in values.value), where)
        problem = draw_problem(draw)
        if problem is not None:
            self.problems.append(f"{where}: {name}: {problem}")
            return None
        return draw

    def _refuse_twice(self, variants: Dict[str, List[Settings]], random: Random) -> None:
        for draw in random.draws:
            for name, sources in variants.items():
                for given in sources:
                    if draw.name in given:
                        self.problems.append(f"{draw.where}: {draw.name} is drawn, but variant {name} sets it in "
                                             f"{given[draw.name].where}; remove one of them")


def may_vary(name: str) -> bool:
    """Whether the runs of a study may differ in this setting, by variant or by draw."""
    return name not in PER_RUN and (settings()[name].affects_result or name == "train_iterations")


def _domain(text: str) -> str:
    """The name of one domain. Raises ValueError also for ``a,b``, which is the list of a flag and not that of a file.
    """
    if "," in text:
        raise ValueError
    return folder_name().convert(text)
