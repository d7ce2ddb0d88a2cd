"""How long things take, estimated from exact times and intervals together.

- The share finished by a time: Turnbull's self-consistent estimator (1976), by EM that is sped up
  by SQUAREM (Varadhan and Roland 2008).
- Its band at each time: all shares that a likelihood ratio test does not reject at 95% (Thomas and
  Grunkemeier 1975; Banerjee and Wellner 2001, whose own limit for intervals is narrower). Where
  intervals leave open where the mass lies, the band covers all of it. All shares are held against
  the data at once, by a primal-dual interior point method.

An interval is a pair of bins, the first one and the one after the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from connector.marts.likelihood import SHORT, TINY, Likelihood, with_share

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
Z: Final = 1.96  # 95%: twice the loss of likelihood is the square of it
CYCLES, MOST_CYCLES = 12, 1_000

# Cells that may have any mass, of which all are found at once after the first cycles.
CELLS: Final = 300
# Shares that are tried for each end of the band.
TRIES: Final = 4

# How many cuts away from a share the likelihood has one, either way.
NEAR: Final = (0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 17, 22, 28, 36)

# What sharing ends out to cuts does to a share, of the mass around the cut; measured.
MOVED: Final = 0.05
LEAST_SHARE: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Intervals:
    """Intervals (edges[start], edges[end]], each observed `weight` times."""

    start: Ints
    end: Ints
    weight: Floats

    @classmethod
    def counted(cls, start: Ints, end: Ints, weight: NDArray[Any], coarse: int = 1) -> Intervals:
        """Each different one once, in order: the same figures however the rows come.

        Args:
            start: First bin of each.
            end: Bin after the last.
            weight: How often it was observed.
            coarse: So many bins become one: ends move to the nearest, and no closer than it.
        """
        size = NO_END + 1
        if coarse > 1:
            is_wide = (end - start >= coarse) & (end < NO_END)
            end = np.where(is_wide, end + coarse // 2, end + coarse - 1) // coarse * coarse
            start = np.where(is_wide, start + coarse // 2, start) // coarse * coarse
            end = np.minimum(end, NO_END)
        key, inverse = np.unique(start * size + end, return_inverse=True)
        return cls(key // size, key % size, np.bincount(inverse, weight).astype(float))

    def between(self, cuts: Ints, curve: Curve) -> Floats:
        """The same by fewer edges: the weight that begins at one and ends at another.

        What lies between two edges becomes all between them. An end within a longer one is shared
        by the edges around it, so that on average its share of the estimate stays.
        """
        places = []
        for end in (self.start, self.end):
            below = np.clip(np.searchsorted(cuts, end, side="right") - 1, 0, len(cuts) - 2)
            share, edges = (np.interp(x, curve.cuts, curve.share) for x in (end, cuts))
            height = edges[below + 1] - edges[below]
            width = cuts[below + 1] - cuts[below]
            part = np.where(
                height > 0,
                (share - edges[below]) / np.maximum(height, TINY),
                (end - cuts[below]) / width,
            )
            places.append(((below, 1 - part), (below + 1, part)))
        first = np.searchsorted(cuts, self.start, side="right") - 1
        last = np.searchsorted(cuts, self.end)
        found = np.zeros(len(cuts) ** 2)
        for start, of_start in places[0]:
            for end, of_end in places[1]:
                is_none = start >= end
                at = np.where(is_none, first, start) * len(cuts) + np.where(is_none, last, end)
                found += np.bincount(at, self.weight * of_start * of_end, len(found))
        return found.reshape(len(cuts), len(cuts))


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


def estimate(given: Intervals) -> Curve:
    """Turnbull's estimate; its mass lies where no interval begins or ends."""
    cuts = np.unique(np.concatenate([given.start, given.end]))
    start, end = (np.searchsorted(cuts, ends) for ends in (given.start, given.end))
    is_start = np.bincount(start, minlength=len(cuts)) > 0
    is_end = np.bincount(end, minlength=len(cuts)) > 0
    mass = (is_start[:-1] & is_end[1:]).astype(float)
    mass /= mass.sum()
    total = given.weight.sum()

    def growth(mass: Floats) -> tuple[Floats, float]:
        """By which factor EM changes each mass, and the logarithm of the likelihood."""
        summed = np.concatenate([[0.0], np.cumsum(mass)])
        probability = np.maximum(summed[end] - summed[start], TINY)
        each = given.weight / probability
        change = np.bincount(start, each, len(cuts)) - np.bincount(end, each, len(cuts))
        grown = np.maximum(np.cumsum(change)[:-1] / total, 0)
        return grown, float(given.weight @ np.log(probability))

    factor, reached = growth(mass)
    for cycle in range(MOST_CYCLES):
        # No masses have a likelihood that is better by more.
        if total * (factor.max(initial=0, where=mass > 0) - 1) < SHORT:
            break
        if cycle == CYCLES and np.count_nonzero(mass) <= CELLS:
            mass = _at_once(given.weight, start, end, mass > 0)
            break
        once = mass * factor
        twice = once * growth(once)[0]
        step, bend = once - mass, twice - 2 * once + mass
        length = np.sqrt((step @ step) / max(bend @ bend, TINY))
        far = np.maximum(mass + 2 * length * step + length**2 * bend, twice / 100)
        far /= far.sum()
        (factor, likelihood), mass = growth(far), far
        if length <= 1 or likelihood < reached:
            mass = twice
            factor, likelihood = growth(mass)
        reached = likelihood
    return Curve(cuts, np.minimum(np.concatenate([[0.0], np.cumsum(mass)]), 1))


def _at_once(weight: Floats, start: Ints, end: Ints, is_held: NDArray[np.bool_]) -> Floats:
    """Masses of the greatest likelihood where EM is slow, of the cells that may have any."""
    held = np.concatenate([[0], np.cumsum(is_held)])
    size = held[-1] + 1
    found: Floats = np.bincount(held[start] * size + held[end], weight, size**2).astype(float)
    mass = np.zeros(len(is_held))
    mass[is_held] = Likelihood(found.reshape(1, size, size), np.array([1])).maximize().mass[0]
    return mass


def band(given: Intervals, curve: Curve, at: Ints) -> tuple[Floats, Floats]:
    """The 95% band of the share finished by each of these edges."""
    # With one more between any two, the likelihood is free enough around each.
    between = (at[1:] + at[:-1]) // 2
    cuts = np.unique(np.concatenate([[0, NO_END], at, between]))
    share = np.interp(cuts, curve.cuts, curve.share)
    weight, position = _around(given.between(cuts, curve), np.searchsorted(cuts, at), share)
    lower, upper = _bounds(weight, position)
    middle = np.interp(at, curve.cuts, curve.share)
    lower, upper = np.minimum(lower, middle), np.maximum(upper, middle)
    if (given.end - given.start > 1).any():
        around = np.concatenate([[0.0], middle, [1.0]])
        moved = MOVED * (around[2:] - around[:-2])
        lower, upper = np.maximum(lower - moved, 0), np.minimum(upper + moved, 1)
    return np.maximum.accumulate(lower), np.minimum.accumulate(upper[::-1])[::-1]


def _around(weight: Floats, position: Ints, share: Floats) -> tuple[Floats, Ints]:
    """For each position the same by fewer cuts, which are closest around it; and where it is then.

    What happens far away hardly matters to the share here. An end far away moves to the cut that
    is left and has the nearest share.
    """
    count = len(weight)
    share = share + 1e-6 * np.arange(count)  # of those with the same share, the nearest one
    away = np.abs(np.arange(count) - position[:, None])
    rank = away + np.where(np.isin(away, NEAR), 0, count)
    rank[:, [0, -1]] = -1
    kept = np.sort(np.argsort(rank, axis=1, kind="stable")[:, : len(NEAR) * 2], axis=1)
    size = kept.shape[1]
    start, end = np.nonzero(weight)
    found = np.zeros((len(position), size, size))
    for row, cuts in enumerate(kept):
        nearest = np.searchsorted((share[cuts[1:]] + share[cuts[:-1]]) / 2, share)
        first, last = nearest[start], nearest[end]
        is_none = first >= last
        first = np.where(is_none, np.searchsorted(cuts, start, side="right") - 1, first)
        last = np.where(is_none, np.searchsorted(cuts, end), last)
        flat = np.bincount(first * size + last, weight[start, end], size**2)
        found[row] = flat.reshape(size, size)
    return found, (kept < position[:, None]).sum(axis=1)


def _bounds(weight: Floats, position: Ints) -> tuple[Floats, Floats]:
    """The least and the greatest share at each position that is not rejected at 95%."""
    free = Likelihood(weight, position).maximize()
    # Both ends at once. Shares as angles: their chance error hardly depends on them.
    both = np.concatenate([position, position])
    twice = Likelihood(np.concatenate([weight, weight]), both)
    sign = np.repeat([-1, 1], len(position))
    mass, slack, best, share, variance = (np.concatenate([each, each]) for each in free)
    start = np.arcsin(np.sqrt(np.clip(share, 0, 1)))
    room = np.where(sign > 0, np.pi / 2 - start, start)
    usual = Z * np.sqrt(variance) / np.maximum(np.sin(2 * start), TINY)
    tried = np.minimum(usual, room * 0.9)
    inside, outside = np.zeros(len(both)), room
    loss, much = np.zeros(len(both)), np.full(len(both), np.inf)
    for _ in range(TRIES):
        wanted = np.clip(np.sin(start + sign * tried) ** 2, LEAST_SHARE, 1 - LEAST_SHARE)
        mass, slack, found, _, _ = twice.maximize(with_share(mass, both, wanted), slack)
        lost = np.sqrt(np.maximum(2 * (best - found), 0))
        is_in = lost <= Z
        inside, loss = np.where(is_in, tried, inside), np.where(is_in, lost, loss)
        outside, much = np.where(is_in, outside, tried), np.where(is_in, much, lost)
        with np.errstate(invalid="ignore", divide="ignore"):
            between = inside + (outside - inside) * (Z - loss) / (much - loss)
            beyond = np.minimum(inside * np.clip(Z / loss, 1.1, 4), (inside + 9 * room) / 10)
        tried = np.where(np.isinf(much), beyond, between)
    ends = np.sin(start + sign * np.where(np.isinf(much), room, tried)) ** 2
    return ends[: len(position)], ends[len(position) :]
