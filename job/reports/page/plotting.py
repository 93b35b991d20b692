"""Figures as SVG by matplotlib, which is imported here alone, and only when a figure is drawn.

The SVG of the same numbers is the same to the last byte with one version of matplotlib: it holds no date, and its
identifiers come from its name. It holds text as text, so that a browser finds fonts for names in any script.
"""
from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from typing import Any, Callable, Iterator, List, NamedTuple, Sequence, Tuple

from job.printable import as_html, printable
from job.reports.page.colours import GRID, INK, MUTED

log = logging.getLogger(__name__)

WITHOUT = ("This page has no figures, because matplotlib is not installed where it was written. With matplotlib "
           "(pip install 'masf-modelarts[report]'), python -m job report RUN writes the page again, with figures.")
FAILED = "A figure could not be drawn. The log of the run says why. The tables hold its numbers."
SIZE = (5.2, 3.5)  # inches
LONGEST_NAME = 26  # characters of a name in a figure
WHOLE_WIDTH = 56  # characters of a name that has the width of a figure for itself
_STYLE = {
    "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10.0, "axes.spines.top": False,
    "axes.spines.right": False, "axes.edgecolor": MUTED, "axes.labelcolor": INK, "text.color": INK,
    "xtick.color": INK, "ytick.color": INK, "axes.grid": True, "grid.color": GRID, "axes.axisbelow": True,
    "legend.frameon": False, "legend.fontsize": 9.0, "lines.linewidth": 1.8, "figure.facecolor": "none",
    "axes.facecolor": "none", "savefig.facecolor": "none", "axes.formatter.useoffset": False,
}
_IDENTIFIERS = re.compile(r'<g id="[A-Za-z0-9_.]+_\d+"')  # each figure counts its parts from 1: twice on a page
_HEAD = re.compile(r"^.*?(?=<svg )|<metadata>.*?</metadata>\s*", re.DOTALL)

Draw = Callable[[Any], None]  # draws on axes of matplotlib


class Plan(NamedTuple):
    """A figure to draw. name: of its file, without suffix. caption: plain text. size: inches."""

    name: str
    caption: str
    draw: Draw
    size: Tuple[float, float] = SIZE


class Figure(NamedTuple):
    """A figure. svg: an element for a page; ``file_text`` makes a file of it."""

    name: str
    caption: str
    svg: str

    @property
    def file_text(self) -> str:
        """The content of its own file."""
        return '<?xml version="1.0" encoding="utf-8"?>\n' + self.svg

    @property
    def html(self) -> str:
        """The figure with its caption."""
        return f"<figure>{self.svg}<figcaption>{as_html(self.caption)}</figcaption></figure>"


class Drawn(NamedTuple):
    """What came of several plans. told: why figures are missing, as a sentence, or ""."""

    figures: List[Figure]
    told: str = ""

    def html(self, *names: str) -> str:
        """The figures with these names side by side, as far as they are there."""
        found = [each.html for name in names for each in self.figures if each.name == name]
        return f'<div class="figures">{"".join(found)}</div>' if found else ""


def draw_all(plans: Sequence[Plan], wanted: Callable[[], bool] = lambda: True) -> Drawn:
    """Draw. A figure that cannot be drawn is left out, and a warning says why: it is never a reason to fail.

    Args:
        wanted: asked before each figure; once it is false, none is drawn any more.
    """
    figures: List[Figure] = []
    told = ""
    for plan in plans:
        if not wanted():
            return Drawn(figures, "The run was asked to stop before all figures were drawn. python -m job report RUN "
                                  "draws them.")
        try:
            figures.append(Figure(plan.name, plan.caption, draw_svg(plan)))
        except ImportError as error:
            if getattr(error, "name", None) != "matplotlib":
                log.warning("figures are left out: matplotlib cannot be loaded (%s)", printable(str(error)))
            return Drawn([], WITHOUT)
        except Exception as error:  # another version of matplotlib, strange numbers: the tables are there
            log.warning("the figure %s is left out (%s: %s)", plan.name, type(error).__name__, printable(str(error)))
            told = FAILED
    return Drawn(figures, told)


def draw_svg(plan: Plan) -> str:
    """The ``<svg>`` element.

    Raises:
        ImportError: matplotlib is not installed.
    """
    with _quiet():
        import matplotlib
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure as Canvas

        with matplotlib.rc_context():
            matplotlib.rcdefaults()  # whatever the matplotlibrc of this machine says
            matplotlib.rcParams.update(_STYLE)
            matplotlib.rcParams["svg.hashsalt"] = plan.name
            canvas = Canvas(figsize=plan.size, constrained_layout=True)
            FigureCanvasSVG(canvas)
            plan.draw(canvas.subplots())
            stream = io.StringIO()
            canvas.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return _IDENTIFIERS.sub("<g", _HEAD.sub("", stream.getvalue())).strip() + "\n"


def label(name: object, longest: int = LONGEST_NAME) -> str:
    """A name as matplotlib shows it letter by letter: short, in one line, and without mathematics.

    Args:
        longest: characters.
    """
    text = printable(str(name))
    if len(text) > longest:
        text = text[:longest - 1] + "…"
    return text.replace("$", r"\$")


def legend_below(axes: Any, columns: int = 2) -> None:
    """A legend below the axes, where it hides nothing."""
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.21), ncol=columns, handlelength=1.6, columnspacing=1.2)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No words of matplotlib about fonts, its cache or its folder of settings."""
    logger = logging.getLogger("matplotlib")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
