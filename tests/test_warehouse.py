"""The tables on disk: durable, upserted, read by plain pandas, left alone when nothing is new."""

from __future__ import annotations

import json
import os
import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow.parquet as pq
import pytest
from builders import BASE_URL, NOON, answer, example, pending

from connector.errors import WarehouseError, WarehouseLocked
from connector.record.answer import Answer, Outcome
from connector.record.schema import GENERATIONS, TABLES
from connector.storage import parquet
from connector.storage.ahead import side_by_side
from connector.storage.local import LocalStorage
from connector.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from pathlib import Path

    from connector.warehouse.tables import Committed


def ingest(root: Path, *answers: Answer, batch: str = "batch", **options: str) -> Committed:
    with Warehouse.writing(root, **options) as warehouse:
        warehouse.save(batch, answers, "run")
        return warehouse.commit()


def created(task_id: str, day: str, state: str = "completed", **more: object) -> Answer:
    return answer(
        task_id, {"id": task_id, "state": state, "created_at": f"{day}T08:00:00Z"}, **more
    )


def files(root: Path) -> dict[str, tuple[int, int]]:
    """Every file of the tables, with what tells whether it was replaced."""
    return {
        str(path.relative_to(root)): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in root.rglob("*.*")
        if path.is_file() and not path.name.startswith(".")
    }


def test_pandas_reads_the_documented_example_with_exact_values(tmp_path: Path) -> None:
    ingest(tmp_path, answer("asked", example("completed")), pending("other"))
    rows = pd.read_parquet(tmp_path / "generations").set_index("task_id")
    one = rows.loc["asked"]
    assert (one.video_width, one.video_height) == (752, 1360)
    assert rows.video_width.dtype == "Int32"
    assert rows.watermarked.dtype == "boolean"
    assert one.created_at == pd.Timestamp("2024-10-15 08:56:19.325+00:00")
    assert str(rows.created_at.dtype) == "datetime64[us, UTC]"
    assert one.created_month == "2024-10"
    assert rows.loc["other"].created_month == "unknown"


def test_partitions_by_day(tmp_path: Path) -> None:
    ingest(tmp_path, created("a", "2025-03-01"), created("b", "2025-03-02"), partition_by="day")
    folders = sorted(path.name for path in (tmp_path / "generations").iterdir())
    days = ["created_day=2025-03-01", "created_day=2025-03-02"]
    assert folders == ["created_day=1970-01-01", *days]
    with (
        pytest.raises(WarehouseError, match="partitioned by day"),
        Warehouse.writing(tmp_path, "month"),
    ):
        pass


@pytest.mark.parametrize("year", ["0999", "1970", "2150", "9999"])
def test_a_nonsense_time_makes_no_partition_of_its_own(tmp_path: Path, year: str) -> None:
    ingest(tmp_path, created("a", f"{year}-01-01"))
    assert [path.name for path in (tmp_path / "generations").iterdir()] == ["created_month=unknown"]


def test_a_task_id_stays_in_its_first_partition(tmp_path: Path) -> None:
    ingest(tmp_path, pending("a"))
    ingest(tmp_path, created("a", "2025-03-01", minutes=5), batch="later")
    rows = pd.read_parquet(tmp_path / "generations")
    assert rows.created_month.tolist() == ["unknown"]
    assert rows.status.tolist() == ["completed"]


def test_two_answers_in_one_commit_share_the_first_ones_partition(tmp_path: Path) -> None:
    ingest(tmp_path, created("a", "2025-03-01", minutes=5), pending("a", minutes=1))
    rows = pd.read_parquet(tmp_path / "generations")
    assert (rows.created_month.tolist(), rows.fetches.tolist()) == (["unknown"], [2])


def test_a_commit_repeated_changes_no_file(tmp_path: Path) -> None:
    ingest(tmp_path, created("a", "2025-03-01"), created("b", "2025-04-01"))
    before = files(tmp_path)
    log = next((tmp_path / "answers").rglob("batch.parquet"))
    log.rename(tmp_path / "inbox" / log.name)
    with Warehouse.writing(tmp_path):
        pass
    assert files(tmp_path) == before


def test_only_partitions_with_news_are_replaced(tmp_path: Path) -> None:
    ingest(tmp_path, created("a", "2025-03-01"), created("b", "2025-04-01"))
    before = files(tmp_path)
    ingest(tmp_path, created("c", "2025-04-09", minutes=1), created("a", "2025-03-01"), batch="b2")
    changed = {name for name, state in files(tmp_path).items() if before.get(name) != state}
    assert {name for name in changed if name.startswith("generations")} == {
        "generations/created_month=2025-04/generations.parquet"
    }


def test_a_commit_reads_only_the_partition_that_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    months = [
        answer(f"{month}-{number}", {"id": "x", "created_at": f"2025-{month:02}-01T00:00:00Z"})
        for month in (1, 2, 3)
        for number in range(3)
    ]
    with Warehouse.writing(tmp_path) as warehouse:
        warehouse.save("first", months[:-1], "run")
        warehouse.commit()
        warehouse.settled()
        opened = []
        kept = LocalStorage.open_file
        monkeypatch.setattr(
            LocalStorage, "open_file", lambda self, name: opened.append(name) or kept(self, name)
        )
        warehouse.save("second", months[-1:], "run")
        warehouse.commit()
        assert {name for name in opened if name.startswith("generations/")} == {MARCH}
        assert warehouse.size() == len(months)
        assert warehouse.generations.rows_by_file()[MARCH] == 3


MARCH = "generations/created_month=2025-03/generations.parquet"


def test_what_fits_into_memory_is_worked_on_in_twos_and_the_rest_alone() -> None:
    in_work: list[float] = []
    most: dict[float, float] = {}

    def work(share: float) -> float:
        in_work.append(share)
        most[share] = max(most.get(share, 0), sum(in_work))
        time.sleep(0.05)
        in_work.remove(share)
        return share

    shares = [0.4, 0.4, 0.6, 0.7, 1, 0.4, 2, 2, 0.4, 0.4]
    assert list(side_by_side(work, shares, lambda share: share)) == shares
    assert most.pop(0.6) <= 1
    assert most == {0.4: 0.8, 0.7: 0.7, 1: 1, 2: 2}


def test_what_a_dead_run_left_in_the_inbox_is_committed_first(tmp_path: Path) -> None:
    with Warehouse.writing(tmp_path) as warehouse:
        warehouse.save("left", [answer("a")], "run")
    assert pd.read_parquet(tmp_path / "generations").empty
    with Warehouse.writing(tmp_path):
        assert pd.read_parquet(tmp_path / "generations").task_id.tolist() == ["a"]


def test_partitions_larger_than_a_row_group_stay_sorted_and_whole(tmp_path: Path) -> None:
    count = parquet.ROW_GROUP_ROWS + 100
    days = [f"2025-03-{1 + i % 28:02}" for i in range(count)]
    ingest(tmp_path, *(created(f"t{i:06}", day) for i, day in enumerate(days)))
    late = [created(f"t{i:06}", days[i], minutes=1) for i in range(0, count, 997)]
    ingest(tmp_path, *late, created("new", "2025-03-01"), batch="late")
    (name,) = (tmp_path / "generations").rglob("*=2025-03/*.parquet")
    rows = pq.read_table(name, columns=["created_at", "task_id", "fetches"]).to_pandas()
    assert rows.equals(rows.sort_values(["created_at", "task_id"], ignore_index=True))
    assert len(rows) == rows.task_id.nunique() == count + 1
    assert (rows.fetches == 2).sum() == len(late)


def test_the_file_is_described_sorted_and_indexed(tmp_path: Path) -> None:
    ingest(tmp_path, created("a", "2025-03-01"))
    (name,) = (tmp_path / "generations").rglob("*=2025-03/*.parquet")
    file = pq.ParquetFile(name)
    for column in GENERATIONS.columns:
        field = file.schema_arrow.field(column.name)
        assert field.type == column.type
        assert field.metadata[b"description"].decode() == column.description
    group = file.metadata.row_group(0)
    assert group.column(0).compression == "ZSTD"
    assert group.column(0).has_column_index
    assert [key.column_index for key in group.sorting_columns] == [
        GENERATIONS.schema.get_field_index(name) for name in GENERATIONS.sort
    ]


def test_every_table_is_in_the_dictionary(tmp_path: Path) -> None:
    ingest(tmp_path, created("a", "2025-03-01"))
    rows = pd.read_parquet(tmp_path / "columns")
    for table in TABLES.values():
        listed = rows[rows.table == table.name].sort_values("position")
        assert listed.column.tolist() == table.schema.names
    assert (rows.description.str.len() > 0).all()


def settled(root: Path, base_url: str = BASE_URL, **options: object) -> set[str]:
    with Warehouse.writing(root) as warehouse:
        return set(warehouse.settled(base_url=base_url, **options).to_pylist())


def test_which_task_ids_need_no_asking(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    recent = (now - timedelta(days=1)).isoformat()
    no = {"detail": "no"}
    ingest(
        tmp_path,
        created("done", "2025-03-01"),
        created("failed", "2025-03-01", "failed"),
        created("given up", "2025-03-01", "pending"),
        pending("young", created_at=recent),
        answer("gone", no, outcome=Outcome.NOT_FOUND, status=404),
        answer("slow", no, outcome=Outcome.TIMEOUT, status=None),
    )
    week = timedelta(days=7)
    assert settled(tmp_path) == {"done", "failed", "gone"}
    assert settled(tmp_path, give_up_after=week) == {"done", "failed", "gone", "given up"}
    assert settled(tmp_path, give_up_after=week, retry_rejected=True) == {"done", "failed"}
    assert settled(tmp_path, give_up_after=week, refresh=True) == {"gone", "given up"}
    # What one gateway does not have, another one may.
    assert settled(tmp_path, base_url="https://another.example") == {"done", "failed"}


def test_the_second_writer_is_told_who_the_first_is(tmp_path: Path) -> None:
    with (
        Warehouse.writing(tmp_path),
        pytest.raises(WarehouseLocked, match=f"process {os.getpid()}"),
        Warehouse.writing(tmp_path),
    ):
        pass


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(WarehouseError, match="is not a warehouse"), Warehouse.writing(tmp_path):
        pass


@pytest.mark.parametrize("text", ["", '{"form', "[]", '{"format": 1}', "\xff"])
def test_a_damaged_marker_is_named_with_the_way_to_restore_it(tmp_path: Path, text: str) -> None:
    ingest(tmp_path, answer("a"))
    marker = tmp_path / "warehouse.json"
    marker.write_bytes(text.encode("latin-1"))
    for opening in (Warehouse.existing, Warehouse.probe):
        with pytest.raises(WarehouseError, match=r"warehouse\.json is damaged") as caught:
            opening(tmp_path)
    assert marker.read_bytes() == text.encode("latin-1")
    (restored,) = re.findall(r"write (\{.*?\}) to it", str(caught.value))
    marker.write_text(restored)
    with Warehouse.writing(tmp_path) as warehouse:
        assert warehouse.size() == 1


def test_a_file_is_not_a_warehouse(tmp_path: Path) -> None:
    (path := tmp_path / "file").write_text("precious")
    with pytest.raises(WarehouseError, match="is a file"):
        Warehouse.existing(path)
    with pytest.raises(WarehouseError, match="is a file"), Warehouse.writing(path):
        pass
    assert path.read_text() == "precious"


def test_a_warehouse_of_another_version_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "warehouse.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(WarehouseError, match="another version"), Warehouse.writing(tmp_path):
        pass


def test_the_log_keeps_each_body_byte_for_byte(tmp_path: Path) -> None:
    odd = b'{"id":"x",\r\n "state" : "completed"}  \xff'
    ingest(tmp_path, answer("a", odd), answer("b", example("completed"), minutes=1))
    log = pd.read_parquet(tmp_path / "answers").set_index("task_id")
    assert log.loc["a"].body == odd
    assert log.loc["b"].body == example("completed")
    assert log.loc["a"].fetched_at == NOON
    assert log.received_month.tolist() == ["2026-01", "2026-01"]
