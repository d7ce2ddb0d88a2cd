"""Where known task IDs are, by hash."""

from __future__ import annotations

import pyarrow as pa
import pytest

from connector.warehouse.homes import PLACES, SCANS, Homes


def places(numbers: range) -> pa.Table:
    rows = [{"task_id": f"task-{n}", "partition": f"2025-{n % 12 + 1:02}"} for n in numbers]
    return pa.Table.from_pylist(rows, PLACES)


@pytest.mark.parametrize("looked_up", [1, SCANS + 1])
def test_each_known_task_id_is_found_once_in_its_partition(looked_up: int) -> None:
    homes = Homes(places(range(1_000)))
    for start in range(1_000, 3_000, 100):
        homes.add(places(range(start, start + 100)))
    asked = pa.chunked_array([[f"task-{n}" for n in (*range(0, 4_000, 7), 7, 14)]])
    for _ in range(looked_up):
        found = homes.find(asked)
    expected = places(range(3_000)).to_pylist()[::7]
    assert found.sort_by("task_id").to_pylist() == sorted(expected, key=lambda row: row["task_id"])


def test_nothing_known_is_nothing_found() -> None:
    homes = Homes(PLACES.empty_table())
    homes.add(PLACES.empty_table())
    for _ in range(SCANS + 2):
        assert homes.find(pa.chunked_array([["a", "b"]])).num_rows == 0
