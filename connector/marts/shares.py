"""Shares, compared: intervals, an exact test, and how alike uses of one family end."""

from __future__ import annotations

from math import lgamma
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ALPHA: Final = 0.05
Z: Final = NormalDist().inv_cdf(1 - ALPHA / 2)


def correlation(finished: Floats, failed: Floats) -> float:
    """How alike uses of one family end, from 0 to 1: the intraclass correlation."""
    is_used = finished > 0
    sizes, share = finished[is_used], failed[is_used] / finished[is_used]
    total, families = sizes.sum(), len(sizes)
    if families < 2 or total <= families:  # noqa: PLR2004  nothing to compare
        return 0.0
    mean = (sizes * share).sum() / total
    between = (sizes * (share - mean) ** 2).sum() / (families - 1)
    within = (sizes * share * (1 - share)).sum() / (total - families)
    usual = (total - (sizes**2).sum() / total) / (families - 1)
    spread = between + (usual - 1) * within
    return float(np.clip((between - within) / spread, 0, 1)) if spread > 0 else 0.0


def wilson(p: Floats, n: Floats, z: float) -> tuple[Floats, Floats]:
    """Wilson's interval of a share."""
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return middle - half, middle + half


def newcombe(
    p1: Floats, n1: Floats, p2: Floats, n2: Floats, z: float
) -> tuple[Floats, Floats, Floats]:
    """The difference of two shares with Newcombe's interval (method 10)."""
    (l1, u1), (l2, u2) = wilson(p1, n1, z), wilson(p2, n2, z)
    difference = p1 - p2
    lower = difference - np.sqrt((p1 - l1) ** 2 + (u2 - p2) ** 2)
    return difference, lower, difference + np.sqrt((u1 - p1) ** 2 + (p2 - l2) ** 2)


def fisher(p1: Floats, n1: Floats, p2: Floats, n2: Floats) -> Floats:
    """Twice the smaller tail of Fisher's exact test; counts that are no integers lose their rest.

    The tail is summed away from the expected count, where each addend is smaller than the last.
    """
    n1, n2 = np.floor(n1 + 1e-9), np.floor(n2 + 1e-9)
    is_more = p1 > p2
    # The other tail is that of the uses which did not fail.
    x1 = np.floor(np.where(is_more, p1, 1 - p1) * n1 + 1e-9)
    total = x1 + np.ceil(np.where(is_more, p2, 1 - p2) * n2 - 1e-9)
    log_p = _log_choose(n1, x1) + _log_choose(n2, total - x1) - _log_choose(n1 + n2, total)
    addend = np.exp(log_p)
    tail = addend.copy()
    x, active = x1.copy(), np.arange(len(x1))
    while len(active):
        a, top, below = x[active], n1[active], n2[active]
        addend[active] *= (
            (total[active] - a)
            * (top - a)
            / ((a + 1) * np.maximum(below - total[active] + a + 1, 1))
        )
        x[active] += 1
        tail[active] += addend[active]
        active = active[addend[active] > tail[active] * 1e-9]
    both: Floats = np.minimum(2 * tail, 1)
    return both


def _log_choose(n: Floats, k: Floats) -> Floats:
    def log_factorial(of: Floats) -> Floats:
        return np.array([lgamma(one) for one in (of + 1).tolist()])

    return log_factorial(n) - log_factorial(k) - log_factorial(n - k)
