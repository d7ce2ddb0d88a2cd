"""What stands out: found where it was planted, silent where it was not, the same in all places."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from conftest import KEY
from histories import NIGHT, history

from connector import ingest
from connector.marts.findings import failing_terms, failure_trend, hidden_prompts, slow_hours
from connector.marts.hours import FOLDED, by_model_and_hour, gehan
from connector.marts.turnbull import EDGES, NO_END
from connector.record.schema import GENERATIONS
from connector.sandbox import task_ids
from connector.storage import parquet
from connector.warehouse import refresh
from connector.warehouse.overview import Overview, overview
from connector.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from pathlib import Path

    from connector.sandbox import Sandbox


def shown(root: Path, **planted: Any) -> Overview:
    """What `show` has of a made history."""
    sizes = {"uses": 12_000, "prompts": 4_000} | planted
    with Warehouse.writing(root) as warehouse:
        name = "generations/created_month=2025-10/generations.parquet"
        parquet.write_table(warehouse.storage, name, GENERATIONS, history(3, **sizes))
        refresh.rebuild(warehouse.storage, warehouse.generations.files().values())
        return overview(warehouse, timedelta(days=7))


def test_what_was_planted_is_told_at_the_top_and_nothing_else(tmp_path: Path) -> None:
    found = shown(
        tmp_path,
        uses=30_000,
        phrase="glass dragon",
        slow_at_night=True,
        variants=(60, 400),
    ).stands_out
    term, hours, families = found
    assert term.startswith("Failing term: “glass dragon” fails in ")
    assert hours.startswith("Slow hours: “ray-1” takes 2.")
    assert "from 22:00 to 04:59 UTC" in hours
    assert families.startswith("Near-duplicates: 4")
    # The tables say the same in their first rows.
    terms, slow = (
        parquet.read_table(Warehouse.existing(tmp_path).storage, refresh.WHOLE[name], schema)
        for name, schema in (
            ("terms", refresh.TERMS.schema),
            ("turnaround_hours", refresh.TURNAROUND_HOURS.schema),
        )
    )
    assert terms["term"][0].as_py() == "glass dragon"
    first = slow.slice(0, len(NIGHT)).to_pylist()
    assert {(row["model"], row["created_hour"]) for row in first} == {("ray-1", h) for h in NIGHT}
    assert all(row["is_sure"] and row["times_slower"] > 1.5 for row in first)


def test_nothing_stands_out_where_nothing_was_planted(tmp_path: Path) -> None:
    found = shown(tmp_path)
    assert found.stands_out == ()
    failed, term, took = found.facts
    assert failed.startswith("Failed: 7.")
    assert " in the last 30 days, " in failed
    assert term == "Words and phrases: none surely goes with more or fewer failures"
    assert took.startswith("Turnaround: half within about ")


def test_marts_that_are_left_out_are_worked_out_for_it(tmp_path: Path) -> None:
    before = shown(tmp_path, uses=600, prompts=50)
    (tmp_path / refresh.STATE).unlink()
    with Warehouse.writing(tmp_path) as warehouse:
        after = overview(warehouse, timedelta(days=7))
    assert (after.facts, after.estimated) == (before.facts, before.estimated)


def days_of(*shares: float, finished: int = 100) -> dict[date, tuple[int, int]]:
    """A day for each share."""
    counts = [(round(finished * (1 - share)), round(finished * share)) for share in shares]
    return {date(2026, 1, 1) + timedelta(days=n): day for n, day in enumerate(counts)}


def test_failures_are_compared_with_the_longest_period_of_which_there_are_two() -> None:
    found = failure_trend(days_of(*[0.1] * 30, *[0.3] * 30), (5, 5))
    assert (found.days, found.failed, found.failed_before) == (30, 900, 300)
    assert found.is_sure
    assert found.lower is not None
    assert 0.16 < found.lower < 0.2
    assert failure_trend(days_of(*[0.1] * 59), (0, 0)).days == 7
    alone = failure_trend(days_of(0.1), (5, 5))
    assert (alone.days, alone.failed, alone.finished, alone.is_sure) == (None, 15, 110, False)
    assert failure_trend({}, (0, 0)).finished == 0


def test_a_bad_day_now_and_then_is_no_trend() -> None:
    """Days that differ by more than chance make a difference of periods less sure."""
    calm, wild = [0.1] * 7, [0.02, 0.02, 0.02, 0.5, 0.02, 0.02, 0.6]
    assert sum(wild) > sum(calm)
    assert not failure_trend(days_of(*calm, *wild, finished=1000), (0, 0)).is_sure


def test_pairs_of_intervals_that_overlap_tell_nothing() -> None:
    # (0, 1], (1, 2], (0, 5] and (3, 4]: worked out by hand, pair by pair.
    start, end = np.array([0, 1, 0, 3]), np.array([1, 2, 5, 4])
    assert gehan(start, end, np.ones(4, int)).tolist() == [-2, 0, 0, 2]
    assert gehan(start, end, np.array([1, 1, 1, 3])).tolist() == [-4, -2, 0, 2]


def test_an_hour_whose_generations_were_lost_is_not_a_slow_one() -> None:
    """Nor does it say anything that many more were first seen when long finished."""
    day = int(np.searchsorted(EDGES, 86_400.0))
    parts = {
        "exact": ([n % 24 for n in range(600)], lambda n: (300 + n % 97, 301 + n % 97)),
        "lost": ([5] * 40, lambda n: (day + 150 + n, NO_END)),
        "first seen too late": ([5] * 400, lambda n: (0, day + 200 + n % 9)),
    }
    rows = [
        {"model": "m", "hour": hour, "start": start, "end": end, "generations": 1}
        for hours, interval in parts.values()
        for n, hour in enumerate(hours)
        for start, end in (interval(n),)
    ]
    found = by_model_and_hour(pa.Table.from_pylist(rows, schema=FOLDED)).to_pylist()
    assert [row for row in found if row["is_sure"]] == []
    (five,) = (row for row in found if row["created_hour"] == 5)
    assert five["generations"] == 25 + 400
    assert 0.8 < five["times_slower"] < 1.25


def hour(model: str, number: int, p50: float, *, is_sure: bool) -> dict[str, Any]:
    return {
        "model": model,
        "created_hour": number,
        "generations": 100,
        "p50": p50,
        "times_slower": p50 / 100,
        "is_sure": is_sure,
    }


@pytest.mark.parametrize(
    ("slow", "told"), [({23, 0, 1}, (23, 1)), ({5}, (5, 5)), ({2, 9, 10}, (9, 10))]
)
def test_hours_go_over_midnight(slow: set[int], told: tuple[int, int]) -> None:
    rows = [hour("m", n, 200 if n in slow else 100, is_sure=n in slow) for n in range(24)]
    (found,) = slow_hours(rows)
    assert (found.first, found.last) == told
    assert (round(found.seconds), round(found.seconds_else)) == (200, 100)


def test_a_little_slower_is_not_told() -> None:
    assert slow_hours([hour("m", n, 120 if n == 3 else 100, is_sure=n == 3) for n in (2, 3)]) == []


def test_of_terms_that_share_words_the_surest_is_told() -> None:
    def term(text: str, difference: float, *, is_sure: bool = True) -> dict[str, Any]:
        return {"term": text, "failure_difference": difference, "is_sure": is_sure}

    rows = [term("glass dragon", 0.2), term("dragon", 0.1), term("safe", -0.1), term("knife", 0.1)]
    found = failing_terms([*rows, term("never", 0.5, is_sure=False)])
    assert [row["term"] for row in found] == ["glass dragon", "knife"]


def test_pairs_of_wordings_hide_nothing() -> None:
    assert hidden_prompts([2] * 50 + [1] * 50, {"prompts": 2}) is None
    assert hidden_prompts([3] * 5 + [1] * 50, {"prompts": 3}) is None
    found = hidden_prompts([30] + [3] * 10 + [1] * 50, {"prompts": 30})
    assert found is not None
    assert (found.families, found.prompts, found.distinct) == (11, 60, 110)


def test_days_that_differ_for_no_reason_are_hardly_ever_a_trend() -> None:
    """Of 200 histories of ten days at most one in a hundred, however bad single days are."""
    draw = np.random.default_rng(5)
    alarms = 0
    for _ in range(200):
        failed = draw.binomial(200, draw.beta(1.9, 17.1, 10))
        days = {date(2026, 1, 1) + timedelta(n): (200 - k, int(k)) for n, k in enumerate(failed)}
        alarms += failure_trend(days, (0, 0)).is_sure
    assert alarms <= 2


def test_a_turnaround_that_is_half_known_is_half_told(tmp_path: Path, sandbox: Sandbox) -> None:
    """Of a few generations, nobody can say within which time nine in ten are ready."""
    ingest(task_ids(8), warehouse=str(tmp_path), base_url=sandbox.base_url, key=KEY)
    took = overview(Warehouse.existing(tmp_path), timedelta(days=7)).facts[-1]
    assert re.fullmatch(r"Turnaround: half within at most [\d.]+ d", took)
