"""Makes a mocked OBS reachable by its host name. Python runs this when it starts with this directory on PYTHONPATH.

Then it runs the `sitecustomize` that this one hides, if there is one.
"""
import os


def _load(name, path):
    from importlib import util

    spec = util.spec_from_file_location(name, path)
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _run_next(here):
    import sys
    from importlib import util
    from importlib.machinery import PathFinder

    others = [path for path in sys.path if os.path.abspath(path or ".") != here]
    spec = PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        module = util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


_here = os.path.dirname(os.path.abspath(__file__))
if os.environ.get("MOCK_OBS_RESOLVE"):
    _load("mock_obs_resolver", os.path.join(os.path.dirname(_here), "resolver.py")).resolve_from(os.environ)
_run_next(_here)
