"""Quantiles of Student's t distribution, for confidence intervals of few values."""
from __future__ import annotations

import functools
import math

_TINY = 1e-300  # instead of 0 in a denominator
_STEPS = 200  # of the continued fraction; it converges in fewer


@functools.lru_cache(maxsize=None)
def t_quantile(probability: float, freedom: int) -> float:
    """The t with P(T <= t) = probability.

    Args:
        probability: above 0.5 and below 1. freedom: degrees of freedom, at least 1.
    """
    if not 0.5 < probability < 1.0 or freedom < 1:
        raise ValueError(f"no quantile of probability {probability} with {freedom} degrees of freedom")
    low, high = 0.0, 1.0
    while t_probability(high, freedom) < probability:
        low, high = high, 2.0 * high
    for _ in range(100):
        middle = (low + high) / 2.0
        if t_probability(middle, freedom) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


def t_probability(t: float, freedom: int) -> float:
    """P(T <= t) for t >= 0: 1 − I_x(ν/2, 1/2)/2 with x = ν/(ν + t²)."""
    return 1.0 - incomplete_beta(freedom / (freedom + t * t), freedom / 2.0, 0.5) / 2.0


def incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b), for 0 <= x <= 1."""
    if x <= 0.0 or x >= 1.0:
        return float(x >= 1.0)
    if x > (a + 1.0) / (a + b + 2.0):  # the fraction converges fast on the other side
        return 1.0 - incomplete_beta(1.0 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    return front * _fraction(x, a, b)


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of I_x(a, b), by the modified method of Lentz."""
    value, c, d = 1.0, 1.0, 0.0
    for step in range(_STEPS):
        m = step // 2
        if step == 0:
            numerator = 1.0
        elif step % 2 == 0:
            numerator = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            numerator = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1.0 / (1.0 + numerator * d or _TINY)
        c = 1.0 + numerator / c or _TINY
        value *= c * d
        if step and abs(c * d - 1.0) < 1e-15:
            break
    return value - 1.0
