"""Made histories of how long generations took: the truth, and what `timings` would know of it."""

from __future__ import annotations

from statistics import NormalDist
from typing import Final

import numpy as np
import pyarrow as pa

from connector.record.schema import TIMINGS

MEDIAN, SPREAD = 100.0, 0.5
SCENARIOS: Final = ("reported", "10 s", "1 min", "15 min", "late", "mixed")
POLLS: Final = {"10 s": 10.0, "1 min": 60.0, "15 min": 900.0, "late": 900.0}
START, SECOND = 1_760_000_000_000_000, 1_000_000


def share_finished(seconds: np.ndarray) -> np.ndarray:
    """The true share that is finished by then: durations are lognormal."""
    normal = NormalDist(np.log(MEDIAN), SPREAD)
    return np.array([normal.cdf(x) for x in np.log(seconds)])


def quantile(share: float) -> float:
    """The true quantile."""
    return float(np.exp(NormalDist(np.log(MEDIAN), SPREAD).inv_cdf(share)))


def timings_of(
    seed: int, count: int, scenario: str, models: int = 1, slower: float = 1
) -> pa.Table:
    """Rows of `timings`: polled at a regular distance, from some moment on, until done or given up.

    Args:
        seed: Of the draws.
        count: Of generations.
        scenario: One of `SCENARIOS`.
        models: How many there are; the last one takes longer by `slower`.
        slower: As a factor.
    """
    draw = np.random.default_rng(seed)
    model = draw.integers(0, models, count)
    took = np.exp(draw.normal(np.log(MEDIAN), SPREAD, count))
    took = np.where(model == models - 1, took * slower, took)
    poll = POLLS.get(scenario) or draw.choice(list(POLLS.values()), count)
    first = draw.random(count) * poll
    is_late = (scenario in {"late", "mixed"}) & (draw.random(count) < 0.5)
    first = np.where(is_late, draw.exponential(3 * 3600, count), first)
    found = first + np.ceil(np.maximum(took - first, 0) / poll) * poll
    given_up = np.where(draw.random(count) < 0.05, draw.random(count) * 300, np.inf)
    is_given_up = found > given_up
    ends = np.where(is_given_up, np.where(is_given_up, given_up, 0), found - poll / 2)
    before = first + np.floor((ends - first) / poll) * poll
    before = np.where((before < first) | (took <= first), -np.inf, before)
    found = np.where(is_given_up, np.inf, found)
    is_reported = (scenario == "reported") | ((scenario == "mixed") & (draw.random(count) < 0.3))
    is_reported &= np.isfinite(found) | (scenario == "reported")
    said = np.floor(took + draw.random(count))
    basis = np.where(np.isfinite(before), "observed", "backfilled")
    basis = np.where(is_given_up, "unfinished", basis)
    created = START + np.sort(draw.integers(0, 60 * 86_400 * SECOND, count))
    columns = {
        "created_at": _moments(created),
        "finished_after_at": _moments(created, np.maximum(before - 5, 0)),
        "first_finished_at": _moments(created, found),
        "seconds_lower": pa.array(np.where(is_reported, said - 1, np.maximum(before - 6, 0))),
        "seconds_upper": _known(np.where(is_reported, said + 1, found + 5)),
        "basis": pa.array(np.where(is_reported, "reported", basis)),
        "model": pa.array([f"model {number}" for number in model]),
        "resolution": pa.array(["720p"] * count),
    }
    gaps = {field.name: pa.nulls(count, field.type) for field in TIMINGS.schema}
    return pa.table({**gaps, **columns})


def _known(seconds: np.ndarray) -> pa.Array:
    return pa.array(seconds, mask=~np.isfinite(seconds))


def _moments(created: np.ndarray, seconds: np.ndarray | float = 0.0) -> pa.Array:
    is_known = np.isfinite(seconds) & np.ones(len(created), bool)
    micros = created + np.where(is_known, seconds, 0) * SECOND
    moments = pa.array(micros.astype(np.int64), mask=~is_known)
    return moments.cast(TIMINGS["created_at"].type)
