"""How long generations take: the estimator against another's, and against the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from histories import MEDIAN, SCENARIOS, quantile, share_finished, timings_of

from connector.marts import curves
from connector.marts.curves import EDGES, turnarounds
from connector.marts.turnbull import Intervals, band, estimate
from connector.record.schema import TIMINGS, TURNAROUND, TURNAROUND_QUANTILES


def intervals(*pairs: tuple[int, int]) -> Intervals:
    start, end = np.array(pairs).T
    return Intervals(start, end, np.ones(len(pairs)))


def quantiles_of(*pieces: pa.Table) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = turnarounds(pieces).quantiles.to_pylist()
    return found


def test_exact_times_give_the_share_that_was_finished() -> None:
    curve = estimate(intervals(*((n, n + 1) for n in (3, 3, 5, 8))))
    assert dict(zip(curve.cuts.tolist(), curve.share.tolist(), strict=True)) == pytest.approx(
        {3: 0, 4: 0.5, 5: 0.5, 6: 0.75, 8: 0.75, 9: 1}
    )


def test_turnbulls_own_kind_of_example() -> None:
    """Worked out by hand: (0,2] and (1,3] can share (1,2]; (4,∞) has the rest."""
    curve = estimate(intervals((0, 2), (1, 3), (4, 9)))
    assert np.interp([1, 2, 4, 9], curve.cuts, curve.share) == pytest.approx([0, 2 / 3, 2 / 3, 1])


@pytest.mark.parametrize("scenario", ["1 min", "15 min", "late"])
def test_no_other_shares_are_likelier_than_the_estimate(scenario: str) -> None:
    """Where polls are far apart EM alone stops long before; 1.92 would be the 95% band."""
    found = curves.intervals(timings_of(3, 20_000, scenario))
    given = Intervals.counted(
        found["start"].to_numpy(), found["end"].to_numpy(), np.ones(len(found))
    )
    curve = estimate(given)
    start, end = (np.searchsorted(curve.cuts, one) for one in (given.start, given.end))
    each = given.weight / (curve.share[end] - curve.share[start])
    size = len(curve.cuts)
    growth = (np.bincount(start, each, size) - np.bincount(end, each, size)).cumsum()
    # What a little more mass anywhere would bring bounds what any other masses would.
    assert growth.max() - given.weight.sum() < 0.1


def test_the_estimate_is_that_of_surpyval() -> None:
    surpyval = pytest.importorskip("surpyval")
    draw = np.random.default_rng(5)
    start = draw.integers(0, 30, 60)
    end = start + draw.integers(1, 12, 60)
    curve = estimate(Intervals(start, end, np.ones(60)))
    theirs = surpyval.Turnbull.fit(
        xl=start.astype(float), xr=end.astype(float), turnbull_estimator="Kaplan-Meier"
    )
    at = np.arange(1, 42)
    # Between the ends of an innermost interval both may put the mass where they like.
    edges = [x for x in at if x in curve.cuts]
    ours = np.interp(edges, curve.cuts, curve.share)
    low, high = theirs.ff(np.array(edges) - 1e-6), theirs.ff(np.array(edges) + 1e-6)
    assert np.all(ours >= np.minimum(low, high) - 0.02)
    assert np.all(ours <= np.maximum(low, high) + 0.02)


def test_the_band_of_exact_times_is_that_of_the_likelihood_ratio() -> None:
    """Of 20 of 50, as of any binomial share: 0.2710–0.5382."""
    given = intervals(*((10, 11),) * 20, *((20, 21),) * 30)
    lower, upper = band(given, estimate(given), np.array([15]))
    assert lower[0] == pytest.approx(0.2710, abs=0.003)
    assert upper[0] == pytest.approx(0.5382, abs=0.003)


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("count", [400, 4_000])
def test_the_band_holds_the_truth(
    scenario: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In 93% of cases; benchmarks/prompts_and_timing.py has more histories."""
    monkeypatch.setattr(curves, "GROUPED_BY", ("all",))
    held, times = [], []
    for seed in range(6):
        found = turnarounds([timings_of(1_000 * count + seed, count, scenario)])
        (row,) = found.quantiles.to_pylist()
        for level in (10, 50, 90):
            low, high = row[f"p{level}_lower"], row[f"p{level}_upper"]
            held.append(low <= quantile(level / 100) <= (np.inf if high is None else high))
        points = found.turnaround
        truth = share_finished(points["seconds"].to_numpy())
        is_in = (points["share_lower"].to_numpy() <= truth) & (
            truth <= points["share_upper"].to_numpy()
        )
        held.append(bool(is_in.mean() >= 0.5))
        times.append(row["p50"])
        if count > 1_000 and scenario in {"reported", "10 s"}:
            assert row["p50"] == pytest.approx(MEDIAN, rel=0.05)
    assert np.mean(held) >= 0.87, "24 cases: more misses than three are no accident"


def test_the_same_rows_give_the_same_tables_in_any_pieces() -> None:
    rows = timings_of(1, 3_000, "mixed")
    at_once = turnarounds([rows])
    in_pieces = turnarounds(rows.slice(start, 700) for start in range(0, 3_000, 700))
    assert at_once.turnaround.equals(in_pieces.turnaround)
    assert at_once.quantiles.equals(in_pieces.quantiles)
    assert at_once.turnaround.schema.equals(TURNAROUND.schema, check_metadata=True)
    assert at_once.quantiles.schema.equals(TURNAROUND_QUANTILES.schema, check_metadata=True)


def test_a_model_that_is_twice_as_slow_shows() -> None:
    rows = timings_of(3, 9_000, "1 min", models=3, slower=2)
    models = {row["group"]: row for row in quantiles_of(rows) if row["group_by"] == "model"}
    slow, others = models.pop("model 2"), models.values()
    assert all(slow["p50_lower"] > other["p50_upper"] for other in others)
    assert slow["p50"] == pytest.approx(2 * MEDIAN, rel=0.1)


def test_groups_are_all_models_resolutions_and_months() -> None:
    found = quantiles_of(timings_of(1, 500, "reported", models=2))
    assert [(row["group_by"], row["group"]) for row in found] == [
        ("all", None),
        *(("model", row["group"]) for row in found if row["group_by"] == "model"),
        ("resolution", "720p"),
        *(("month", month) for month in ("2025-10", "2025-11", "2025-12")),
    ]
    assert all(row["exact"] == row["generations"] for row in found)


def known(basis: str, upper: float, fetched: float, lower: float = 0) -> dict[str, Any]:
    """A generation: bounds, and when a fetch found it finished; in seconds."""
    created = 1_760_000_000
    moments = {"created_at": created, "finished_after_at": created + lower}
    moments["first_finished_at"] = created + fetched
    row: dict[str, Any] = {name: int(at * 1e6) for name, at in moments.items()}
    return row | {"seconds_lower": lower, "seconds_upper": upper, "basis": basis}


def table(*rows: dict[str, Any]) -> pa.Table:
    names = curves.READ
    schema = pa.schema([TIMINGS[name].field for name in names])
    return pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows], schema)


def test_what_was_first_seen_long_finished_has_bounds_but_no_estimate() -> None:
    draw = np.random.default_rng(2)
    late = [known("backfilled", x + 5, x) for x in draw.uniform(3_600, 90_000, 200)]
    row = quantiles_of(table(*late))[0]
    assert (row["p50"], row["exact"], row["generations"]) == (None, 0, 200)
    assert row["p50_lower"] == 0
    assert 3_600 <= row["p50_upper"] < 10_000, "half are finished by then, or chance is odd"


def test_a_signature_bounds_but_is_never_taken_for_the_finish() -> None:
    draw = np.random.default_rng(2)
    signed = [known("signed", x, 86_400) for x in draw.uniform(40, 80, 500)]
    row = quantiles_of(table(*signed))[0]
    assert row["p50"] is None
    assert (row["p50_lower"], row["p50_upper"]) == (0, pytest.approx(62, abs=4))


def test_what_nobody_knows_says_nothing() -> None:
    assert quantiles_of(table()) == []
    unknown = [known("contradictory", 5, 5), {"basis": "undated"}]
    assert quantiles_of(table(*unknown)) == []


def test_unfinished_ones_make_the_rest_slower() -> None:
    done = [known("reported", x, x) | {"seconds_lower": x} for x in np.linspace(10, 50, 50)]
    waiting = [
        known("unfinished", None, 0, lower=60) | {"first_finished_at": None} for _ in range(50)
    ]
    alone, both = quantiles_of(table(*done))[0], quantiles_of(table(*done, *waiting))[0]
    assert alone["p50"] == pytest.approx(30, rel=0.05)
    assert both["p10"] > alone["p10"]
    assert both["p90"] is None
    assert both["p90_upper"] is None


def test_edges_are_two_percent_apart() -> None:
    assert EDGES[0] == 0
    assert EDGES[2] / EDGES[1] == pytest.approx(1.02)
    assert EDGES[-2] > 10 * 365 * 86_400
