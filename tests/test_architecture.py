"""The rules of the layers, held by reading the source: who imports whom, and what no module does."""

from __future__ import annotations

import ast
import fnmatch
import os

import pytest

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LONGEST_MODULE, LONGEST_TEST = 350, 500  # lines

# Each layer, and those of our packages that it may import.
LAYERS = {
    "boot_modelarts.py": {"job"},
    "job": {"job", "masf_core", "obs_sync"},
    "masf_core": {"masf_core"},
    "obs_sync": {"obs_sync"},
}
OURS = {"boot_modelarts", "job", "masf_core", "obs_sync", "tests", "benchmarks"}

# Packages that belong to one place: the files that may import them, as patterns. All but TensorFlow are imported only
# inside a function, so that our packages can be imported where these are not installed.
ADAPTERS = {
    "tensorflow": {"masf_core/tf1.py"},
    "obs": {"obs_sync/esdk/*.py"},
    "moxing": {"obs_sync/moxing_store.py", "obs_sync/opening.py"},
    "tqdm": {"job/console.py"},
    "yaml": {"job/config/*.py"},
    "tf2onnx": {"masf_core/export/formats.py"},
    "onnxruntime": {"masf_core/export/loading.py"},
    "matplotlib": {"job/reports/page/*.py"},
    "sklearn": {"job/reports/page/embeddings.py"},
    "mlflow": {"job/tracking/mlflow_tracker.py"},
    "npu_bridge": {"masf_core/devices/ascend/*.py"},
    "huaweicloudsdkcore": {"job/modelarts/sdk_client.py", "job/modelarts/sdk_service.py"},
    "huaweicloudsdkmodelarts": {"job/modelarts/sdk_client.py", "job/modelarts/sdk_service.py"},
}
AT_THE_TOP = {"tensorflow"}

# JSON that comes from a store is read by the first; the others read files of their own machine and messages of ranks.
# progress.json and the header of a safetensors file are masf_core's, which may not import obs_sync.
JSON_READERS = ("obs_sync/json_document.py", "obs_sync/mock/*.py", "job/modelarts/mocked/*.py",
                "masf_core/records/progress.py",
                "masf_core/data/*.py", "masf_core/parity/*.py", "masf_core/devices/ascend/*.py", "job/ranks/*.py",
                "job/reports/show.py", "masf_core/network/formats/safetensors.py")

CALLS_NOT_MADE = {"os.system", "os.popen", "eval", "exec", "pickle.load", "pickle.loads", "yaml.load", "__import__"}


def sources(*folders):
    """(path relative to the repository, text) of every module in ``folders``, which may be files."""
    for folder in folders:
        if folder.endswith(".py"):
            yield folder, read(folder)
        for directory, _, names in os.walk(os.path.join(REPOSITORY, folder)):
            for name in sorted(names):
                if name.endswith(".py"):
                    path = os.path.relpath(os.path.join(directory, name), REPOSITORY).replace(os.sep, "/")
                    yield path, read(path)


def read(path):
    with open(os.path.join(REPOSITORY, path), encoding="utf-8") as stream:
        return stream.read()


def imports(text):
    """(line, top-level package, whether the import stands outside any function) of every import."""
    found = []

    def visit(node, top):
        if isinstance(node, ast.Import):
            found.extend((node.lineno, alias.name.split(".")[0], top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.append((node.lineno, "." if node.level else node.module.split(".")[0], top))
        elif isinstance(node, ast.Call) and dotted(node.func) == "importlib.import_module":
            name = literal(node.args[0])
            found.append((node.lineno, name.split(".")[0] if isinstance(name, str) else "?", top))
        inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            visit(child, top and not inside)

    visit(ast.parse(text), True)
    return found


def layer_breaches(path, text):
    """Imports of our packages that go the wrong way."""
    allowed = LAYERS[path.split("/")[0]]
    return [f"{path}:{line} imports {package}" for line, package, _ in imports(text)
            if package == "." or (package in OURS and package not in allowed)]


def adapter_breaches(path, text):
    """Imports of a package outside its adapter, or at the top of it."""
    found = []
    for line, package, top in imports(text):
        if package in ADAPTERS:
            if not any(fnmatch.fnmatch(path, pattern) for pattern in ADAPTERS[package]):
                found.append(f"{path}:{line} imports {package}")
            elif top and package not in AT_THE_TOP:
                found.append(f"{path}:{line} imports {package} outside a function")
    return found


def call_breaches(path, text):
    """Calls that run a shell, execute text, or unpickle."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            name = dotted(node.func)
            shell = any(word.arg == "shell" and getattr(word.value, "value", True) for word in node.keywords)
            if name in CALLS_NOT_MADE or shell:
                found.append("{}:{} calls {}{}".format(path, node.lineno, name, " with shell=True" if shell else ""))
    return found


def json_breaches(path, text):
    """Reads of JSON outside the places that check what they read."""
    if any(fnmatch.fnmatch(path, pattern) for pattern in JSON_READERS):
        return []
    return [f"{path}:{node.lineno} calls {dotted(node.func)}" for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Call) and dotted(node.func) in ("json.load", "json.loads", "json.JSONDecoder")]


def dotted(node):
    """``a.b.c`` of a name or an attribute of one; otherwise an empty string."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def literal(node):
    """The value of a constant, of which Python 3.7 has a kind for texts alone; None of anything else."""
    return node.s if type(node).__name__ == "Str" else getattr(node, "value", None)


def length_breaches(path, text):
    lines = text.count("\n")
    most = LONGEST_TEST if path.startswith("tests/") else LONGEST_MODULE
    return [f"{path} has {lines} lines"] if lines > most else []


def name_breaches(path, text):
    """A drawer for everything is no module; a fake has the names of what it stands in for."""
    if path.startswith("tests/fakes/"):
        return []
    name = os.path.basename(path)[:-len(".py")]
    return [path] if name in ("utils", "util", "helpers", "misc", "common") else []


PACKAGES = tuple(LAYERS)
RULES = [
    (layer_breaches, PACKAGES),
    (adapter_breaches, PACKAGES),
    (call_breaches, PACKAGES + ("benchmarks",)),
    (json_breaches, PACKAGES),
    (length_breaches, PACKAGES + ("tests", "benchmarks")),
    (name_breaches, PACKAGES + ("tests", "benchmarks")),
]


@pytest.mark.parametrize("rule, folders", RULES, ids=[rule.__name__ for rule, _ in RULES])
def test_the_source_keeps_the_rule(rule, folders):
    read_modules = list(sources(*folders))
    assert len(read_modules) > 20
    assert [breach for path, text in read_modules for breach in rule(path, text)] == []


@pytest.mark.parametrize("rule, path, text", [
    (layer_breaches, "masf_core/a.py", "from job.config.settings import Config"),
    (layer_breaches, "masf_core/a.py", "def f():\n    import obs_sync.store"),
    (layer_breaches, "obs_sync/a.py", "import masf_core"),
    (layer_breaches, "obs_sync/a.py", "from .store import Store"),
    (layer_breaches, "job/a.py", "import boot_modelarts"),
    (layer_breaches, "boot_modelarts.py", "import masf_core"),
    (layer_breaches, "job/a.py", "from tests.fakes import moxing"),
    (adapter_breaches, "masf_core/method/losses.py", "import tensorflow as tf"),
    (adapter_breaches, "masf_core/method/losses.py", "def f():\n    from tensorflow.compat import v1"),
    (adapter_breaches, "obs_sync/esdk/client.py", "from obs import ObsClient"),
    (adapter_breaches, "obs_sync/esdk/client.py", "try:\n    import obs\nexcept ImportError:\n    obs = None"),
    (adapter_breaches, "job/run.py", "def f():\n    import moxing as mox"),
    (adapter_breaches, "job/run.py", "def f():\n    importlib.import_module('npu_bridge.npu_init')"),
    (call_breaches, "job/a.py", "import os\nos.system('ls')"),
    (call_breaches, "job/a.py", "subprocess.run('ls', shell=True)"),
    (call_breaches, "job/a.py", "subprocess.run('ls', shell=flag)"),
    (call_breaches, "job/a.py", "pickle.load(stream)"),
    (json_breaches, "obs_sync/packs/index.py", "content = json.loads(data)"),
    (length_breaches, "job/a.py", "\n" * 351),
    (length_breaches, "tests/job/test_a.py", "\n" * 501),
    (name_breaches, "job/utils.py", ""),
])
def test_a_breach_of_the_rule_is_found(rule, path, text):
    assert len(rule(path, text)) == 1


@pytest.mark.parametrize("rule, path, text", [
    (layer_breaches, "job/a.py", "import obs_sync\nfrom masf_core.errors import DataError\nimport json"),
    (adapter_breaches, "masf_core/tf1.py", "import tensorflow"),
    (adapter_breaches, "masf_core/method/losses.py", "from masf_core.tf1 import tf"),
    (adapter_breaches, "obs_sync/esdk/client.py", "def client():\n    from obs import ObsClient"),
    (call_breaches, "job/a.py", "subprocess.run(['ls'], shell=False)\nmodel.eval()"),
    (name_breaches, "tests/fakes/npu_bridge/estimator/npu/util.py", ""),
    (json_breaches, "obs_sync/json_document.py", "json.loads(data)"),
    (json_breaches, "obs_sync/packs/index.py", "json.dumps(content)"),
    (length_breaches, "job/a.py", "\n" * 350),
])
def test_what_keeps_the_rule_is_left_alone(rule, path, text):
    assert rule(path, text) == []
