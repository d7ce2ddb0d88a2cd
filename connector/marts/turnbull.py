"""How long things take, estimated from exact times and intervals together.

- The share finished by a time: Turnbull's self-consistent estimator (1976), by EM.
- Its band at each time: all shares that a likelihood ratio test does not reject at 95% (Thomas and
  Grunkemeier 1975; Banerjee and Wellner 2001, whose own limit for intervals is narrower). Where
  intervals leave open where the mass lies, the band covers all of it.

An interval is a pair of bins, the first one and the one after the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

# From a tenth of a second to ten years, in steps of 2%; the last bin has no end.
SHORTEST, STEP = 0.1, 1.02
EDGES: Final = np.concatenate([[0.0], SHORTEST * STEP ** np.arange(1110), [np.inf]])
NO_END: Final = len(EDGES) - 1

# A quantile that is open by more than this factor is not known.
MOST_OPEN: Final = 2.0

CHI_SQUARE: Final = 3.8415  # 95%, one degree of freedom
ITERATIONS, PRECISE = 3_000, 1e-6
BAND_ITERATIONS, BAND_STEPS = 250, 8

# EM may step nearly twice as far and still arrive.
STRIDE: Final = 1.8
# What moving the ends to the nearest cut does to a share, of the mass around the cut; measured.
MOVED: Final = 0.05
TINY: Final = 1e-300


@dataclass(frozen=True, slots=True)
class Intervals:
    """Intervals (edges[start], edges[end]], each observed `weight` times."""

    start: Ints
    end: Ints
    weight: Floats

    def at(self, cuts: Ints) -> Intervals:
        """The same by these edges alone, counted.

        What is known to the bin lies in the one that holds it. The ends of others are moments at
        which someone looked: each moves to the nearest edge, so that intervals which meet still do.
        """
        start = np.searchsorted(cuts, self.start, side="right") - 1
        end = np.searchsorted(cuts, self.end, side="left")
        is_wide = self.end - self.start > 1
        middles = (cuts[:-1] + cuts[1:]) / 2
        near_start, near_end = (np.searchsorted(middles, one) for one in (self.start, self.end))
        is_kept = is_wide & (near_end > near_start)
        start, end = np.where(is_kept, near_start, start), np.where(is_kept, near_end, end)
        key, inverse = np.unique(start * (len(cuts) + 1) + end, return_inverse=True)
        weight = np.bincount(inverse, self.weight).astype(float)
        return Intervals(key // (len(cuts) + 1), key % (len(cuts) + 1), weight)


@dataclass(frozen=True, slots=True)
class Curve:
    """The share finished by each edge of `cuts`; in between, where it lies is open."""

    cuts: Ints
    share: Floats

    def quantile(self, level: float) -> float | None:
        """Seconds within which this share is finished; None if not known to a factor of two."""
        before = int(np.searchsorted(self.share, level, side="left")) - 1
        if not 0 <= before < len(self.cuts) - 1:
            return None
        low, high = EDGES[self.cuts[before]], EDGES[self.cuts[before + 1]]
        if high > max(MOST_OPEN * low, 2 * SHORTEST):
            return None
        return float(np.interp(level, self.share[before : before + 2], (low, high)))


def estimate(given: Intervals, iterations: int = ITERATIONS) -> Curve:
    """Turnbull's estimate; its mass lies where no interval begins or ends."""
    cuts = np.unique(np.concatenate([given.start, given.end]))
    of = given.at(cuts)
    is_start = np.bincount(of.start, minlength=len(cuts)) > 0
    is_end = np.bincount(of.end, minlength=len(cuts)) > 0
    mass = (is_start[:-1] & is_end[1:]).astype(float)
    mass /= mass.sum()
    total = of.weight.sum()
    for _ in range(iterations):
        summed = np.concatenate([[0.0], np.cumsum(mass)])
        each = of.weight / np.maximum(summed[of.end] - summed[of.start], TINY)
        change = np.bincount(of.start, each, len(cuts)) - np.bincount(of.end, each, len(cuts))
        new = mass * np.cumsum(change)[:-1] / total
        is_done = np.abs(new - mass).sum() < PRECISE
        mass = np.maximum(new, 0)
        if is_done:
            break
    return Curve(cuts, np.minimum(np.concatenate([[0.0], np.cumsum(mass)]), 1))


def band(given: Intervals, curve: Curve, at: Ints) -> tuple[Floats, Floats]:
    """The 95% band of the share finished by each of these edges."""
    # Ends move to the nearest cut: with one more between any two, they move half as far.
    between = (at[1:] + at[:-1]) // 2
    cuts = np.unique(np.concatenate([curve.cuts[[0, -1]], at, between]))
    likelihood = _Likelihood(given.at(cuts), len(cuts))
    position = np.searchsorted(cuts, at)
    middle = np.interp(at, curve.cuts, curve.share)
    # Both ends at once: the lower one lies between 0 and the estimate, the upper up to 1.
    position = np.concatenate([position, position])
    inside = np.clip(np.concatenate([middle, middle]), 1e-9, 1 - 1e-9)
    outside = np.concatenate([np.zeros(len(at)), np.ones(len(at))])
    free, best = likelihood.maximize(likelihood.first(1))
    mass = np.repeat(free, len(position), axis=1)
    for _ in range(BAND_STEPS):
        share = (inside + outside) / 2
        mass, found = likelihood.maximize(mass, position, share)
        is_kept = 2 * (best[0] - found) <= CHI_SQUARE
        inside, outside = np.where(is_kept, share, inside), np.where(is_kept, outside, share)
    lower, upper = outside[: len(at)], outside[len(at) :]
    if (given.end - given.start > 1).any():
        around = np.concatenate([[0.0], middle, [1.0]])
        moved = MOVED * (around[2:] - around[:-2])
        lower, upper = np.maximum(lower - moved, 0), np.minimum(upper + moved, 1)
    return np.maximum.accumulate(lower), np.minimum.accumulate(upper[::-1])[::-1]


class _Likelihood:
    """The likelihood of masses between cuts: a column for each of many at once."""

    def __init__(self, of: Intervals, cuts: int) -> None:
        order = np.argsort(of.end, kind="stable")
        self._of, self._cuts, self._by_end = of, cuts, order
        self._starts, self._first = np.unique(of.start, return_index=True)
        self._ends, self._last = np.unique(of.end[order], return_index=True)
        self._weight, self._total = of.weight[:, None], of.weight.sum()

    def first(self, columns: int) -> Floats:
        """Equal masses."""
        return np.full((self._cuts - 1, columns), 1 / (self._cuts - 1))

    def maximize(
        self, mass: Floats, position: Ints | None = None, share: Floats | None = None
    ) -> tuple[Floats, Floats]:
        """Masses of the greatest likelihood, with this share before that cut, and its logarithm."""
        is_before = None
        if position is not None:
            is_before = np.arange(self._cuts - 1)[:, None] < position
        mass = _held(mass, is_before, share)
        for _ in range(BAND_ITERATIONS if is_before is not None else 2000):
            each = self._weight / self._probability(mass)
            change = np.zeros((self._cuts, mass.shape[1]))
            change[self._starts] += np.add.reduceat(each, self._first)
            change[self._ends] -= np.add.reduceat(each[self._by_end], self._last)
            growth = np.maximum(np.cumsum(change, axis=0)[:-1] / self._total, 0)
            last, mass = mass, _held(mass * growth**STRIDE, is_before, share)
            if np.abs(mass - last).max() < PRECISE / 10:
                break
        return mass, (self._weight * np.log(self._probability(mass))).sum(axis=0)

    def _probability(self, mass: Floats) -> Floats:
        summed = np.zeros((self._cuts, mass.shape[1]))
        np.cumsum(mass, axis=0, out=summed[1:])
        found: Floats = np.maximum(summed[self._of.end] - summed[self._of.start], TINY)
        return found


def _held(mass: Floats, is_before: NDArray[np.bool_] | None, share: Floats | None) -> Floats:
    """Masses scaled to one, with this share before the cut."""
    mass = mass + 1e-7  # what is zero would stay so
    if is_before is None or share is None:
        scaled: Floats = mass / mass.sum(axis=0)
        return scaled
    before = np.where(is_before, mass, 0)
    after = mass - before
    before *= share / np.maximum(before.sum(axis=0), TINY)
    after *= (1 - share) / np.maximum(after.sum(axis=0), TINY)
    both: Floats = before + after
    return both
