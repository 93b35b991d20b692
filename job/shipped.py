"""Where the files are that come with the code: configurations, and the reference's numbers for ``parity``.

In a checkout they lie in ``configs/`` and ``tests/golden/``; an installed package has them inside itself.
"""
from __future__ import annotations

import glob
import os
from typing import List

PACKAGE = os.path.dirname(os.path.abspath(__file__))
CODE_FOLDER = os.path.dirname(PACKAGE)
INSTALLED = os.path.isdir(os.path.join(PACKAGE, "configs"))
# Where --config=configs/… is looked for, when it is not in the present folder.
CONFIG_HOME = PACKAGE if INSTALLED else CODE_FOLDER


def parity_cases() -> List[str]:
    """Paths of the cases that come with the code, in order of their names."""
    folder = os.path.join(PACKAGE, "golden") if INSTALLED else os.path.join(CODE_FOLDER, "tests", "golden")
    return sorted(glob.glob(os.path.join(glob.escape(folder), "*.json")))
