"""The shapes of the seven classes, a few polygons each, and how they vary from image to image.

Coordinates: the unit square, with y downwards. A part's tone says how a style draws it.
"""

from __future__ import annotations

from typing import Callable, Dict, List, NamedTuple, Tuple

import numpy as np

TONES = ("body", "dark", "light", "accent")


class Part(NamedTuple):
    tone: str  # one of TONES
    points: np.ndarray  # float64 [k, 2], a closed polygon


def silhouette(name: str, rng: np.random.RandomState) -> List[Part]:
    """The parts of one object of a class, from back to front.

    Each part is placed with small random differences. Then the whole object is turned, mirrored, scaled and moved; most
    of it stays in the unit square.
    """
    shape = _Shape(rng)
    _CLASSES[name](shape)
    angle = np.radians(rng.uniform(-1, 1) * _TURN.get(name, 10.0))
    scale = rng.uniform(0.72, 1.0) * np.array([rng.choice((-1.0, 1.0)) * rng.uniform(0.9, 1.1), rng.uniform(0.9, 1.1)])
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * scale
    centre = 0.5 + rng.uniform(-0.09, 0.09, 2)
    return [Part(part.tone, (part.points - 0.5).dot(matrix.T) + centre) for part in shape.parts]


class _Shape:
    """Collects parts, and moves each of their coordinates a little at random."""

    def __init__(self, rng: np.random.RandomState, looseness: float = 0.012) -> None:
        self.parts: List[Part] = []
        self._rng = rng
        self._looseness = looseness

    def polygon(self, tone: str, *points: Tuple[float, float]) -> None:
        self._add(tone, np.array(points) + self._jitter(len(points)) * 0.5)

    def ellipse(self, tone: str, x: float, y: float, rx: float, ry: float, degrees: float = 0.0) -> None:
        turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        rx, ry = (radius * self._rng.uniform(0.9, 1.1) for radius in (rx, ry))
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        u, v = rx * np.cos(turn), ry * np.sin(turn)
        self._add(tone, np.stack([u * c - v * s, u * s + v * c], axis=1) + (x, y) + self._jitter(1))

    def limb(self, tone: str, start: Tuple[float, float], end: Tuple[float, float], width: float,
             end_width: float = 0.0) -> None:
        """A bar from start to end. width: at its start. end_width: at its end; 0 means as wide as at its start."""
        a, b = np.array(start), np.array(end) + self._jitter(1)[0] * 1.5
        along = (b - a) / np.linalg.norm(b - a)
        across = np.array([-along[1], along[0]])
        wide, narrow = width / 2, (end_width or width) / 2
        self._add(tone, np.array([
            a + across * wide, b + across * narrow, b + along * narrow * 0.7, b - across * narrow, a - across * wide]))

    def _add(self, tone: str, points: np.ndarray) -> None:
        self.parts.append(Part(tone, points))

    def _jitter(self, count: int) -> np.ndarray:
        return self._rng.uniform(-1, 1, (count, 2)) * self._looseness


def _dog(s: _Shape) -> None:
    s.limb("body", (0.25, 0.52), (0.10, 0.33), 0.05, 0.03)
    for x in (0.30, 0.38, 0.58, 0.66):
        s.limb("body", (x, 0.58), (x, 0.84), 0.07, 0.055)
    s.ellipse("body", 0.47, 0.55, 0.25, 0.115)
    s.limb("body", (0.64, 0.52), (0.76, 0.38), 0.15, 0.13)
    s.ellipse("body", 0.77, 0.36, 0.115, 0.105)
    s.ellipse("light", 0.88, 0.40, 0.085, 0.05, 10)
    s.ellipse("dark", 0.95, 0.38, 0.022, 0.022)
    s.ellipse("dark", 0.70, 0.40, 0.045, 0.11, 12)
    s.ellipse("dark", 0.81, 0.33, 0.016, 0.018)


def _elephant(s: _Shape) -> None:
    s.limb("dark", (0.16, 0.42), (0.10, 0.66), 0.025)
    for x in (0.24, 0.36, 0.54, 0.64):
        s.limb("body", (x, 0.58), (x, 0.87), 0.115, 0.105)
    s.ellipse("body", 0.43, 0.47, 0.31, 0.22)
    s.limb("body", (0.85, 0.42), (0.91, 0.64), 0.11, 0.08)
    s.limb("body", (0.91, 0.62), (0.85, 0.83), 0.08, 0.05)
    s.ellipse("body", 0.77, 0.37, 0.15, 0.15)
    s.limb("light", (0.82, 0.50), (0.97, 0.58), 0.035, 0.015)
    s.ellipse("accent", 0.65, 0.38, 0.105, 0.155, -10)
    s.ellipse("dark", 0.82, 0.33, 0.016, 0.018)


def _giraffe(s: _Shape) -> None:
    s.limb("dark", (0.22, 0.55), (0.15, 0.74), 0.025)
    for x in (0.27, 0.34, 0.50, 0.57):
        s.limb("body", (x, 0.58), (x, 0.95), 0.048, 0.038)
    s.ellipse("body", 0.41, 0.56, 0.20, 0.10, -8)
    s.limb("body", (0.54, 0.54), (0.72, 0.13), 0.13, 0.07)
    s.limb("dark", (0.73, 0.12), (0.72, 0.03), 0.02)
    s.ellipse("body", 0.78, 0.13, 0.09, 0.045, 15)
    for x, y in ((0.30, 0.55), (0.38, 0.51), (0.42, 0.60), (0.50, 0.54), (0.58, 0.43), (0.63, 0.34), (0.67, 0.24)):
        s.ellipse("accent", x, y, 0.030, 0.026)
    s.ellipse("dark", 0.76, 0.115, 0.014, 0.014)


def _guitar(s: _Shape) -> None:
    s.polygon("dark", (0.44, 0.02), (0.56, 0.02), (0.55, 0.13), (0.45, 0.13))
    s.ellipse("body", 0.5, 0.52, 0.155, 0.13)
    s.ellipse("body", 0.5, 0.74, 0.215, 0.19)
    s.polygon("body", (0.38, 0.58), (0.62, 0.58), (0.66, 0.66), (0.34, 0.66))
    s.polygon("accent", (0.47, 0.12), (0.53, 0.12), (0.535, 0.54), (0.465, 0.54))
    s.ellipse("dark", 0.5, 0.60, 0.07, 0.07)
    s.polygon("dark", (0.41, 0.79), (0.59, 0.79), (0.59, 0.83), (0.41, 0.83))


def _horse(s: _Shape) -> None:
    s.limb("dark", (0.22, 0.42), (0.11, 0.74), 0.06, 0.085)
    for x in (0.27, 0.35, 0.56, 0.63):
        s.limb("body", (x, 0.54), (x, 0.93), 0.066, 0.045)
    s.ellipse("body", 0.43, 0.49, 0.24, 0.125)
    s.limb("body", (0.60, 0.48), (0.75, 0.20), 0.19, 0.12)
    s.limb("dark", (0.58, 0.40), (0.70, 0.13), 0.07, 0.05)
    s.limb("body", (0.72, 0.18), (0.91, 0.35), 0.13, 0.075)
    s.polygon("body", (0.70, 0.15), (0.73, 0.05), (0.77, 0.15))
    s.ellipse("dark", 0.79, 0.21, 0.015, 0.016)


def _house(s: _Shape) -> None:
    s.polygon("dark", (0.66, 0.14), (0.76, 0.14), (0.76, 0.44), (0.66, 0.44))
    s.polygon("body", (0.19, 0.44), (0.81, 0.44), (0.81, 0.88), (0.19, 0.88))
    s.polygon("accent", (0.10, 0.47), (0.50, 0.13), (0.90, 0.47))
    s.polygon("dark", (0.44, 0.62), (0.57, 0.62), (0.57, 0.88), (0.44, 0.88))
    for x in (0.25, 0.64):
        s.polygon("light", (x, 0.55), (x + 0.12, 0.55), (x + 0.12, 0.68), (x, 0.68))


def _person(s: _Shape) -> None:
    s.limb("dark", (0.45, 0.55), (0.42, 0.94), 0.11, 0.08)
    s.limb("dark", (0.55, 0.55), (0.59, 0.94), 0.11, 0.08)
    s.limb("light", (0.40, 0.32), (0.26, 0.56), 0.08, 0.055)
    s.limb("light", (0.60, 0.32), (0.74, 0.56), 0.08, 0.055)
    s.polygon("accent", (0.37, 0.28), (0.63, 0.28), (0.60, 0.60), (0.40, 0.60))
    s.ellipse("dark", 0.5, 0.13, 0.095, 0.10)
    s.ellipse("light", 0.5, 0.17, 0.082, 0.10)
    for x in (0.47, 0.53):
        s.ellipse("dark", x, 0.16, 0.012, 0.012)


_CLASSES: Dict[str, Callable[[_Shape], None]] = {
    "dog": _dog, "elephant": _elephant, "giraffe": _giraffe, "guitar": _guitar, "horse": _horse, "house": _house,
    "person": _person}
CLASSES = tuple(sorted(_CLASSES))

# Degrees that a class may be turned by, where it is not 10: guitars lie at any slant, houses stand.
_TURN = {"guitar": 55.0, "house": 4.0}
