"""Check the variables of ``make dry-run``: ``python -m job.config.make_variables NAME...`` refuses unknown names.

The Makefile runs this module before an environment exists, with the interpreter that it found. So this module needs
nothing but the standard library.
"""

from __future__ import annotations

import os
import sys
from typing import List, Mapping, Sequence

from job.config.foreign_flags import port_answer
from job.config.near_miss import near_miss, suggestion
from job.config.settings import settings
from job.printable import printable

DRY_RUN = ("LANE", "PACS_ROOT", "WEIGHTS", "CONFIG", "SET", "FAULTS", "PLATFORM_FAULTS", "FAULT_SEED", "ENVS",
           "RESULTS")

# Variables of programs that make starts. People may give them to make, too.
OF_OTHER_PROGRAMS = ("SHELL", "MAKEFLAGS", "HOME", "PATH", "TMPDIR", "http_proxy", "https_proxy", "no_proxy",
                     "PYENV_ROOT")
PREFIXES_OF_OTHERS = ("PIP_", "PYTHON", "OMP_", "TF_")

# The environment holds names of every other program as well. A misspelt FAULTS, FAULT_SEED or PACS_ROOT was meant for
# this command, because no other program has such a name. WEIGHT or RESULT may belong to another program, so these two
# only cause a warning. ENV, which sh reads, CONFIGS, LANES and the like are ordinary names and cause nothing.
CERTAIN = ("FAULTS", "PLATFORM_FAULTS", "FAULT_SEED", "PACS_ROOT")
POSSIBLE = ("WEIGHTS", "RESULTS")


def problems_of(names: Sequence[str], environ: Mapping[str, str]) -> List[str]:
    """One sentence for each name on make's command line that ``make dry-run`` does not know.

    Args:
        names: the names of the variables on make's command line.
        environ: environment variables. Make exports the variables of its command line, so these are among them.
    """
    problems = []
    for name in names:
        if name in DRY_RUN or name in OF_OTHER_PROGRAMS or name.startswith(PREFIXES_OF_OTHERS):
            continue
        given = _shown(name, environ)
        if name in settings():
            problems.append(f"{given}: a setting is given with SET, as in make dry-run SET=\"{given}\"")
            continue
        answer, setting = port_answer(name), near_miss(name, settings())
        if answer is not None:
            mend = ", which is " + answer
        elif setting is not None:
            mend = f"; did you mean SET=\"{setting}={printable(environ.get(name, ''))}\"?"
        else:
            mend = suggestion(name, DRY_RUN) or "; there are " + ", ".join(DRY_RUN)
        problems.append(f"{given}: make dry-run has no variable {printable(name)}{mend}")
    return problems


def misspelt_in_environment(environ: Mapping[str, str], meant: Sequence[str]) -> List[str]:
    """One sentence for each environment variable whose name is a near miss of a name in ``meant``."""
    told = []
    for name in sorted(environ):
        near = None if name in DRY_RUN else near_miss(name, DRY_RUN)
        if near in meant and name[:1].upper() == near[:1]:
            told.append(f"environment variable {_shown(name, environ)}: make dry-run has no variable {name}; did you "
                        f"mean '{near}'? If it belongs to another program, unset it for this command: "
                        f"env -u {name} make dry-run")
    return told


def _shown(name: str, environ: Mapping[str, str]) -> str:
    return printable(f"{name}={environ.get(name, '')}")


def main(names: Sequence[str]) -> int:
    """Returns the exit code."""
    others = {name: value for name, value in os.environ.items() if name not in names}
    problems = problems_of(names, os.environ) + misspelt_in_environment(others, CERTAIN)
    for warning in misspelt_in_environment(others, POSSIBLE):
        print("warning: " + warning, file=sys.stderr)
    for problem in problems:
        print("error: " + problem, file=sys.stderr)
    return 2 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
