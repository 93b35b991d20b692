"""The variables that are given to ``make dry-run``; ``python -m job.config.make_variables NAME …`` complains of others.

Make calls it before there is an environment, with whichever Python it has found: nothing but the standard library.
"""

from __future__ import annotations

import os
import sys
from typing import List, Mapping, Sequence

from job.config.foreign_flags import port_answer
from job.config.near_miss import near_miss, suggestion
from job.config.settings import settings

DRY_RUN = ("LANE", "PACS_ROOT", "WEIGHTS", "CONFIG", "SET", "FAULTS", "FAULT_SEED", "ENVS", "RESULTS")


def problems_of(names: Sequence[str], environ: Mapping[str, str]) -> List[str]:
    """One sentence for each name that means nothing to ``make dry-run``.

    Args:
        environ: has the names' values, as make gives those of its command line to what it starts.
    """
    problems = []
    for name in names:
        given = "{}={}".format(name, environ.get(name, ""))
        if name in settings():
            problems.append(f"{given}: a setting is given with SET, as in make dry-run SET=\"{given}\"")
            continue
        answer, setting = port_answer(name), near_miss(name, settings())
        if answer is not None:
            mend = ", which is " + answer
        elif setting is not None:
            mend = "; did you mean SET=\"{}={}\"?".format(setting, environ.get(name, ""))
        else:
            mend = suggestion(name, DRY_RUN) or "; there are " + ", ".join(DRY_RUN)
        problems.append(f"{given}: make dry-run has no variable {name}{mend}")
    return problems


def main(names: Sequence[str]) -> int:
    """Returns the exit code."""
    problems = problems_of(names, os.environ)
    for problem in problems:
        print("error: " + problem, file=sys.stderr)
    return 2 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
