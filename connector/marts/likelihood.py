"""The likelihood of shares between cuts, and the masses that make it greatest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

# An estimate whose logarithm of the likelihood is short of the best by no more is the best.
SHORT: Final = 1e-3

# Weight of the barrier that keeps masses positive, in generations, and how fast it falls to that.
BARRIER, FALL = 2e-4, 0.1
NEWTON_STEPS: Final = 40
TINY: Final = 1e-300


class _Best(NamedTuple):
    """For each row: masses, slack, and the logarithm of the likelihood.

    Attributes:
        slack: What it would bring to let each cell have less than nothing.
        share: Before the row's cut.
        variance: Of that share; nothing if it was given.
    """

    mass: Floats
    slack: Floats
    likelihood: Floats
    share: Floats
    variance: Floats


class Likelihood:
    """The likelihood of masses between cuts: a row for each of many at once.

    Args:
        weight: Of each row what begins at one cut and ends at another.
        at: A cut of each row, neither the first nor the last.
    """

    def __init__(self, weight: Floats, at: Ints) -> None:
        self._weight, self._at = weight, at
        self._rows, self._size = np.arange(len(weight)), weight.shape[1]

    def maximize(self, mass: Floats | None = None, slack: Floats | None = None) -> _Best:
        """The greatest likelihood, by a primal-dual interior point method.

        Args:
            mass: Positive; the share before the row's cut stays. If None, all is free.
            slack: To begin with, positive.
        """
        is_free, cells = mass is None, self._size - 1
        total = self._weight.sum(axis=(1, 2))[:, None]
        mass = np.full((len(total), cells), 1 / cells) if mass is None else mass.copy()
        slack = np.repeat(total / 10, cells, axis=1) if slack is None else slack.copy()
        variance, left = np.zeros(len(total)), self._rows
        for _ in range(NEWTON_STEPS):
            of, over = mass[left], slack[left]
            barrier = np.maximum(BARRIER, FALL * (of * over).mean(axis=1))[:, None]
            slope, bend = self._derivatives(left, of, barrier / of, over / of)
            rows, at = np.arange(len(left)), self._at[left]
            here = np.zeros_like(slope)
            here[rows, at] = 1
            if not is_free:
                bend[rows, at], bend[rows, :, at], slope[rows, at] = 0, 0, 0
                bend[rows, at, at] = 1
            sides = np.stack([slope, here], axis=2)[:, 1:-1]
            solved = np.linalg.solve(bend[:, 1:-1, 1:-1], sides)
            step = solved[:, :, 0]
            variance[left] = solved[rows, at - 1, 1]
            change = np.diff(step, prepend=0, append=0)
            more = (barrier - over * change) / of - over
            mass[left] = of + _inside(of, change) * change
            slack[left] = over + _inside(over, more) * more
            gain = (step * slope[:, 1:-1]).sum(axis=1)
            left = left[(gain >= SHORT) | (barrier[:, 0] > BARRIER)]
            if not len(left):
                break
        likelihood = (self._weight * np.log(self._probability(self._rows, mass))).sum(axis=(1, 2))
        return _Best(mass, slack, likelihood, _summed(mass)[self._rows, self._at], variance)

    def _derivatives(
        self, rows: Ints, mass: Floats, push: Floats, stiffness: Floats
    ) -> tuple[Floats, Floats]:
        """By the share at each cut, with what keeps masses positive."""
        unit, inner = np.arange(self._size - 1), np.arange(self._size)
        probability = self._probability(rows, mass)
        each = self._weight[rows] / probability
        bent = each / probability
        each[:, unit, unit + 1] += push
        bent[:, unit, unit + 1] += stiffness
        bend = -(bent + bent.transpose(0, 2, 1))
        bend[:, inner, inner] = bent.sum(axis=1) + bent.sum(axis=2)
        return each.sum(axis=1) - each.sum(axis=2), bend

    def _probability(self, rows: Ints, mass: Floats) -> Floats:
        """Of each interval; 1 where there is none."""
        shares = _summed(mass)
        between = shares[:, None, :] - shares[:, :, None]
        found: Floats = np.where(self._weight[rows] > 0, np.maximum(between, TINY), 1)
        return found


def _summed(mass: Floats) -> Floats:
    """The share before each cut."""
    shares = np.zeros((len(mass), mass.shape[1] + 1))
    np.cumsum(mass, axis=1, out=shares[:, 1:])
    return shares


def _inside(values: Floats, change: Floats) -> Floats:
    """How much of the change keeps all values of a row positive: at most all of it."""
    with np.errstate(divide="ignore", invalid="ignore"):
        most = np.where(change < 0, -0.99 * values / change, np.inf).min(axis=1)
    found: Floats = np.minimum(most, 1)[:, None]
    return found


def with_share(mass: Floats, position: Ints, wanted: Floats) -> Floats:
    """Masses scaled so that each row has the wanted share before its cut."""
    before = np.where(np.arange(mass.shape[1]) < position[:, None], mass, 0)
    after = mass - before
    before *= (wanted / np.maximum(before.sum(axis=1), TINY))[:, None]
    after *= ((1 - wanted) / np.maximum(after.sum(axis=1), TINY))[:, None]
    both: Floats = before + after
    return both
