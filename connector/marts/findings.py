"""What stands out in the tables, as plain values: only what chance hardly explains.

- a term with which failures surely go: `terms.is_sure`, 95% for all terms together;
- hours of the day at which a model is surely slower: `turnaround_hours.is_sure`, 99% for all
  together;
- a share of failures that is surely not what it was in the period before: 99.5%;
- prompts that are near-duplicates of others, where they are many; there is nothing to test.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from math import exp, log
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from connector.marts.shares import Z, newcombe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    Counts = Sequence[tuple[int, int]]

# Periods that are compared with the one before, in days: the longest of which there are two.
PERIODS: Final = (90, 30, 7, 1)
SURE_OF_TREND: Final = 2.807  # standard errors: 99.5%

# Slower by less is nothing to tell at the top of a page.
MUCH_SLOWER: Final = 1.25

# A family of two may be two wordings; families matter where they hide many prompts.
LEAST_OF_FAMILY, LEAST_HIDDEN, LEAST_SHARE = 3, 20, 0.01

MOST_TERMS: Final = 2
MOST_MODELS: Final = 2


@dataclass(frozen=True, slots=True)
class Trend:
    """Failures in the last days, and in as many before.

    Attributes:
        days: Length of either period; None if the history is too short to compare: then the
            counts are of all, and nothing is before.
        lower: Lower end of the 95% interval of the difference of shares; None likewise.
        upper: Upper end.
        is_sure: Whether the share has changed, at 99.5%.
    """

    days: int | None
    failed: int
    finished: int
    failed_before: int = 0
    finished_before: int = 0
    lower: float | None = None
    upper: float | None = None
    is_sure: bool = False


@dataclass(frozen=True, slots=True)
class SlowHours:
    """Hours at which a model is slower than at its other hours.

    Attributes:
        first: First hour (UTC).
        last: Last hour, before `first` if the hours go over midnight.
        seconds: Median of these hours.
        seconds_else: Median of all others.
    """

    model: str | None
    first: int
    last: int
    seconds: float
    seconds_else: float


@dataclass(frozen=True, slots=True)
class Hidden:
    """Prompts that are near-duplicates.

    Attributes:
        families: Families of at least three prompts.
        prompts: Prompts in them.
        distinct: All distinct prompts.
        largest: Row of `families`: the largest one.
    """

    families: int
    prompts: int
    distinct: int
    largest: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Findings:
    """What stands out, each kind surest first; empty where nothing does.

    Attributes:
        terms: Rows of `terms` with which failures go.
        changed: The trend, if it is sure.
    """

    terms: list[Mapping[str, Any]] = field(default_factory=list)
    slow: list[SlowHours] = field(default_factory=list)
    changed: Trend | None = None
    hidden: Hidden | None = None


def failure_trend(days: Mapping[date, tuple[int, int]], undated: tuple[int, int]) -> Trend:
    """Compare the last period with the one before.

    Days differ by more than chance, as gateways have bad days: what they differ by widens the
    interval.

    Args:
        days: Completed and failed generations by day of creation.
        undated: Those without a day.
    """
    known = {day: counts for day, counts in days.items() if sum(counts)}
    for length in PERIODS if known else ():
        newest, span = max(known), timedelta(days=length)
        if min(known) > newest - 2 * span + timedelta(days=1):
            continue
        last = [counts for day, counts in known.items() if day > newest - span]
        before = [c for day, c in known.items() if newest - 2 * span < day <= newest - span]
        if last and before:
            earlier = [counts for day, counts in known.items() if day <= newest - span]
            return _compared(length, last, before, before if length > 1 else earlier)
    completed, failed = (sum(each) for each in zip(undated, *known.values(), strict=True))
    return Trend(None, failed, completed + failed)


def _compared(days: int, last: Counts, before: Counts, like_before: Counts) -> Trend:
    """Compare both periods; `like_before` are the days that say how much days differ."""
    excess, freedom = _excess(last, like_before)
    (p1, n1, failed, finished), (p2, n2, failed_before, finished_before) = (
        _sample(period, excess) for period in (last, before)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        _, lower, upper = newcombe(p1, n1, p2, n2, _student(Z, freedom))
        _, least, most = newcombe(p1, n1, p2, n2, _student(SURE_OF_TREND, freedom))
    return Trend(
        days,
        failed,
        finished,
        failed_before,
        finished_before,
        float(lower),
        float(upper),
        bool(least > 0 or most < 0),
    )


def _excess(*periods: Counts) -> tuple[float, int]:
    """How many times as much as by chance days of a period differ, and the degrees of freedom."""
    freedom, squares = 0, 0.0
    for period in periods:
        completed, failed = np.array(period, float).T
        finished = completed + failed
        share = failed.sum() / finished.sum()
        spread = share * (1 - share) * finished
        if len(period) > 1 and spread.sum() > 0:
            squares += float(((failed - share * finished) ** 2 / spread).sum())
            freedom += len(period) - 1
    return (max(squares / freedom, 1.0) if freedom else 1.0), freedom


def _student(z: float, freedom: int) -> float:
    """Student's t for the level that standard errors have: few days tell their spread badly."""
    if not freedom:
        return z
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + first / freedom + second / freedom**2


def _sample(days: Counts, excess: float) -> tuple[Any, Any, int, int]:
    """Share that failed, what number of independent generations it is worth, and the counts."""
    completed, failed = (int(sum(each)) for each in zip(*days, strict=True))
    total = completed + failed
    return np.float64(failed / total), np.float64(total / excess), failed, total


def failing_terms(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Terms with which more failures surely go; of those that share words, the surest."""
    found: list[Mapping[str, Any]] = []
    for row in rows:
        if not row["is_sure"]:
            break
        words = set(row["term"].split())
        is_new = not any(words & set(one["term"].split()) for one in found)
        if row["failure_difference"] > 0 and is_new:
            found.append(row)
    return found[:MOST_TERMS]


def slow_hours(rows: Sequence[Mapping[str, Any]]) -> list[SlowHours]:
    """Runs of hours at which a model is surely slower; of each model the longest run.

    Args:
        rows: Of `turnaround_hours`, surest first.
    """
    found = []
    sure = [row for row in rows if row["is_sure"] and (row["times_slower"] or 0) >= MUCH_SLOWER]
    for model in dict.fromkeys(row["model"] for row in sure):
        of_model = {row["created_hour"]: row for row in rows if row["model"] == model}
        slow = {row["created_hour"] for row in sure if row["model"] == model}
        run = _longest_run(slow)
        seconds = _mean(of_model[hour] for hour in run)
        others = _mean(row for hour, row in of_model.items() if hour not in slow)
        if seconds and others and seconds >= MUCH_SLOWER * others:
            found.append(SlowHours(model, run[0], run[-1], seconds, others))
    return found[:MOST_MODELS]


def _longest_run(hours: set[int]) -> list[int]:
    """Hours of the clock that follow each other."""
    runs = []
    for first in sorted(hours):
        run = [first]
        while len(run) < len(hours) and (run[-1] + 1) % 24 in hours:
            run.append((run[-1] + 1) % 24)
        runs.append(run)
    return max(runs, key=len)


def _mean(rows: Iterable[Mapping[str, Any]]) -> float | None:
    """The usual median of several hours: their geometric mean, by generations."""
    known = [(log(row["p50"]), row["generations"]) for row in rows if row["p50"]]
    weight = sum(count for _, count in known)
    return exp(sum(value * count for value, count in known) / weight) if weight else None


def hidden_prompts(sizes: Iterable[int], largest: Mapping[str, Any] | None) -> Hidden | None:
    """Whether near-duplicates hide many prompts.

    Args:
        sizes: `prompts` of all families.
        largest: The first row of `families`.
    """
    counts = np.fromiter(sizes, np.int64)
    of_many = counts[counts >= LEAST_OF_FAMILY]
    held, distinct = int(of_many.sum()), int(counts.sum())
    if largest is None or held < max(LEAST_HIDDEN, LEAST_SHARE * distinct):
        return None
    return Hidden(len(of_many), held, distinct, largest)
