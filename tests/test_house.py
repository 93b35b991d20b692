"""The house: the folders of each package have an order, no two files import each other in a circle, and each folder
has a map. `test_architecture` holds the rules between the packages."""

from __future__ import annotations

import ast
import os
import re

import pytest

from tests.test_architecture import REPOSITORY, read, sources

# The floors of each package, the ground first: a folder or file imports only from lower floors, or from its own folder.
FLOORS = {
    "obs_sync": (
        ("errors", "json_document", "parallel", "records"),
        ("http", "keys", "refusals", "retry", "store", "urls"),
        ("folder_markers", "odd_keys"),
        ("confirm", "lease", "local", "throttle"),
        ("esdk", "moxing_store", "packs"),
        ("opening", "probing", "transfer"),
        ("checkpoints",),
    ),
    "obs_sync.mock": (
        ("clock", "errors", "journal", "resolver"),
        ("wire",),
        ("shelf",),
        ("protocol",),
        ("faults",),
        ("activation", "service"),
        ("http",),
        ("mock_server",),
        ("mocked",),
        ("__main__",),
    ),
    "masf_core": (
        ("errors", "memory", "randomness", "words"),
        ("tf1",),
        ("data", "records"),
        ("graph_check", "network", "ranks"),
        ("method",),
        ("devices", "evaluation", "export"),
        ("model",),
        ("parity", "trainer"),
    ),
    "job": (
        ("errors", "printable", "shipped", "start_times", "stopping", "streams", "utf8"),
        ("console", "environment", "exits", "standard_output", "workspace"),
        ("config", "publication"),
        ("best_interval", "cann_logs", "sync"),
        ("inputs", "observer", "ranks", "reports", "tracking"),
        ("card_paths", "opened_run"),
        ("compilation",),
        ("cli", "final_report", "preparation"),
        ("evaluation", "export", "follower", "prediction", "preflight", "published_measure", "training"),
        ("averaging", "modelarts"),
        ("dry_run", "run"),
        ("sweep",),
        ("commands",),
        ("__main__",),
    ),
    "job.modelarts.mocked": (
        ("catalogue", "errors"),
        ("container", "signature"),
        ("faults",),
        ("jobs",),
        ("activation", "calls"),
        ("service",),
        ("control",),
        ("mocked",),
        ("program",),
    ),
}
# Rooms that stand apart: nothing else of their package imports them, and they import nothing else of it.
APART = {"obs_sync": ("mock",)}
# A house that stands apart inside another one, and the rooms of that one which may import it, at its door.
GUESTS = {"job.modelarts.mocked": ("commands", "dry_run")}
NO_ROOMS = ("obs_sync/mock/resolver_path/",)  # holds a sitecustomize for other processes


def module_of(path):
    """The dotted name of a source file."""
    name = path[:-len(".py")].replace("/", ".")
    return name[:-len(".__init__")] if name.endswith(".__init__") else name


def house_of(module):
    """The package whose floors the module stands on; None of what has none."""
    for package in sorted(FLOORS, key=len, reverse=True):
        if module.startswith(package + "."):
            return package
    return None


def room_of(module, package):
    """The folder or file right below the package in which the module is."""
    return module[len(package) + 1:].split(".")[0]


def imported_modules(text, known):
    """(line, module, whether it is imported when the file is) of every import of a module in ``known``."""
    found = []

    def visit(node, at_once):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                found.append((node.lineno, name if name in known else node.module, at_once))
        elif isinstance(node, ast.Import):
            found.extend((node.lineno, alias.name, at_once) for alias in node.names)
        inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            visit(child, at_once and not inside)

    visit(ast.parse(text), True)
    return [item for item in found if item[1] in known]


def floor_breaches(texts):
    """Imports, also those inside functions, that do not go down. texts: {path: source}."""
    known = {module_of(path) for path in texts}
    found = []
    for path, text in sorted(texts.items()):
        module = module_of(path)
        package = house_of(module)
        if package is None or path.startswith(NO_ROOMS) or module in GUESTS:
            continue
        floors = {room: number for number, rooms in enumerate(FLOORS[package]) for room in rooms}
        room = room_of(module, package)
        if room in APART.get(package, ()):
            continue
        if room not in floors:
            found.append(f"{path} has no floor; give {room} one in FLOORS")
            continue
        for line, target, _ in imported_modules(text, known):
            if target in GUESTS and target != package and room not in GUESTS[target]:
                found.append(f"{path}:{line} imports {target}, which stands apart")
            elif target == package:
                if room != "__main__":
                    found.append(f"{path}:{line} imports {target} itself; import the module")
            elif house_of(target) not in (package, None) and target.startswith(package.split(".")[0] + "."):
                found.append(f"{path}:{line} imports {target}, which stands apart")
            elif house_of(target) == package:
                other = room_of(target, package)
                if other != room and floors.get(other, len(floors)) >= floors[room]:
                    found.append(f"{path}:{line} imports {target}, which is not on a lower floor")
    return found


def circles(texts):
    """Pairs of files of which each imports the other, directly or through others, and each such file once."""
    known = {module_of(path) for path in texts}
    to = {module_of(path): {target for _, target, _ in imported_modules(text, known)} - {module_of(path)}
          for path, text in texts.items()}
    reached = {}
    for start in to:
        seen, waiting = set(), list(to[start])
        while waiting:
            module = waiting.pop()
            if module not in seen:
                seen.add(module)
                waiting.extend(to.get(module, ()))
        reached[start] = seen
    return sorted(module for module, seen in reached.items() if module in seen)


def map_breaches(folder, files, text):
    """Files that the map of a folder does not name, and names in it that are no file."""
    told = ast.get_docstring(ast.parse(text), clean=False) or ""
    named = set(re.findall(r"^ +`?(\w+)/?`? {2,}\S", told, re.MULTILINE))
    if not named:
        return [f"{folder} has no map: its docstring has no line a file"]
    return [f"{folder}: the map lacks {name}" for name in sorted(files - named)] + [
        f"{folder}: the map has {name}, which is not there" for name in sorted(named - files)]


def rooms():
    """(folder, names in it, text of its __init__) of every folder below the packages that holds several files."""
    for package in ("job", "masf_core", "obs_sync"):
        for folder, folders, files in os.walk(os.path.join(REPOSITORY, package)):
            folders[:] = sorted(name for name in folders if name not in ("__pycache__", "resolver_path"))
            path = os.path.relpath(folder, REPOSITORY).replace(os.sep, "/")
            names = {name[:-len(".py")] for name in files if name.endswith(".py")} - {"__init__"}
            names |= {name for name in folders if os.path.exists(os.path.join(folder, name, "__init__.py"))}
            if names and path not in ("job", "masf_core", "obs_sync", "job/commands"):  # these tell it floor by floor
                yield path, names, read(path + "/__init__.py")


def all_texts():
    return dict(sources("job", "masf_core", "obs_sync"))


def test_every_import_goes_to_a_lower_floor():
    texts = all_texts()
    assert len(texts) > 150
    assert floor_breaches(texts) == []


def test_no_two_files_import_each_other_in_a_circle():
    texts = {path: text for path, text in all_texts().items() if not path.endswith("__init__.py")}
    assert circles(texts) == []


def test_every_room_has_a_map_of_its_files():
    found = list(rooms())
    assert len(found) > 20
    assert [breach for room in found for breach in map_breaches(*room)] == []


@pytest.mark.parametrize("path, text", [
    ("obs_sync/local/store.py", "from obs_sync.transfer.plan import make_plan"),
    ("obs_sync/local/store.py", "def late():\n    from obs_sync.transfer import plan"),
    ("obs_sync/esdk/store.py", "from obs_sync.packs.index import Index"),  # the same floor
    ("obs_sync/errors.py", "import obs_sync.keys"),
    ("obs_sync/errors.py", "from obs_sync.mock.mocked import MockObs"),
    ("obs_sync/mock/wire/messages.py", "from obs_sync.mock.http.server import Server"),
    ("obs_sync/mock/wire/messages.py", "from obs_sync.keys import check"),
    ("obs_sync/lease/claims.py", "from obs_sync import Lease"),
    ("job/modelarts/sdk_service.py", "from job.modelarts.mocked import mock_modelarts"),
    ("job/commands/show.py", "from job.modelarts.mocked.mocked import MockModelArts"),
    ("job/modelarts/mocked/service.py", "from job.modelarts import errors"),
    ("job/modelarts/mocked/service.py", "from job.modelarts.mocked import mock_modelarts"),
    ("obs_sync/attic.py", ""),
])
def test_a_breach_of_the_floors_is_found(path, text):
    texts = {other: "" for other in all_texts()}
    assert floor_breaches(texts) == []
    texts[path] = text
    assert len(floor_breaches(texts)) == 1


def test_a_circle_is_found():
    texts = {"job/a.py": "from job.b import f", "job/b.py": "def f():\n    from job import c",
             "job/c.py": "import job.a", "job/d.py": "from job import a"}
    assert circles(texts) == ["job.a", "job.b", "job.c"]


def test_a_map_that_is_wrong_is_found():
    assert map_breaches("r", {"a", "b"}, '"""Title.\n\n    a    first\n    b    second\n"""') == []
    assert map_breaches("r", {"a", "b"}, '"""Title.\n\n    a    first\n"""') == ["r: the map lacks b"]
    assert map_breaches("r", {"a"}, '"""Title.\n\n    a    first\n    b    second\n"""') == [
        "r: the map has b, which is not there"]
    assert map_breaches("r", {"a"}, '"""Title."""') == ["r has no map: its docstring has no line a file"]
