"""From the log alone: rebuilding, compacting, and damage that is told and mended."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from builders import answer, pending
from test_warehouse import created, files, ingest

from connector.errors import DamagedFile, StorageFailed
from connector.record.answer import Outcome
from connector.storage import local
from connector.warehouse.founding import ZERO_ROWS
from connector.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from pathlib import Path

TABLES = ("generations", "rejects", "answers", "runs", "columns")


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    """Three commits: tasks that progress, fail, are rejected and come back."""
    no = {"detail": "no"}
    ingest(
        tmp_path,
        pending("a", created_at="2025-03-01T08:00:00Z"),
        created("b", "2025-04-01"),
        answer("gone", no, outcome=Outcome.NOT_FOUND, status=404),
        answer("back", no, outcome=Outcome.TIMEOUT, status=None),
        batch="1",
    )
    ingest(
        tmp_path,
        created("a", "2025-03-01", minutes=5),
        created("back", "2025-03-02", minutes=5),
        batch="2",
    )
    ingest(tmp_path, created("c", "2025-03-03", "failed", minutes=9), batch="3")
    return tmp_path


def logged(root: Path) -> list[Path]:
    """Files of the log that hold answers."""
    return [path for path in (root / "answers").rglob("*.parquet") if path.name != ZERO_ROWS]


def tables(root: Path) -> dict[str, pd.DataFrame]:
    return {
        name: pd.read_parquet(root / name).sort_values("task_id", ignore_index=True)
        for name in ("generations", "rejects")
    }


def same(one: dict[str, pd.DataFrame], other: dict[str, pd.DataFrame]) -> None:
    for name, table in one.items():
        pd.testing.assert_frame_equal(table, other[name])


def test_rebuild_changes_no_file_when_nothing_is_amiss(warehouse: Path) -> None:
    with Warehouse.writing(warehouse) as open_warehouse:
        open_warehouse.refresh_marts()
    before = files(warehouse)
    with Warehouse.writing(warehouse) as open_warehouse:
        assert open_warehouse.rebuild().changed_files == 0
    assert files(warehouse) == before


def test_rebuild_from_answers_alone_gives_equal_tables(warehouse: Path) -> None:
    before = tables(warehouse)
    for table in ("generations", "rejects", "columns"):
        for path in (warehouse / table).rglob("*.parquet"):
            path.unlink()
    with Warehouse.writing(warehouse) as open_warehouse:
        open_warehouse.rebuild()
    same(before, tables(warehouse))
    assert len(pd.read_parquet(warehouse / "columns"))


def test_rebuild_moves_what_was_filed_before_its_time_was_known(tmp_path: Path) -> None:
    ingest(tmp_path, pending("a"))
    ingest(tmp_path, created("a", "2025-03-01", minutes=5), batch="later")
    assert (tmp_path / "generations/created_month=unknown").exists()
    with Warehouse.writing(tmp_path) as open_warehouse:
        open_warehouse.rebuild()
    rows = pd.read_parquet(tmp_path / "generations")
    assert (rows.created_month.tolist(), rows.fetches.tolist()) == (["2025-03"], [2])


def test_a_column_that_old_files_lack_is_null_until_rebuilt(warehouse: Path) -> None:
    for path in (warehouse / "generations").rglob("*.parquet"):
        pd.read_parquet(path, partitioning=None).drop(columns="status").to_parquet(path)
    ingest(warehouse, created("d", "2025-03-04", minutes=20), batch="4")
    march = pd.read_parquet(warehouse / "generations/created_month=2025-03/generations.parquet")
    assert march.set_index("task_id").status.isna().to_dict() == {
        "a": True,
        "back": True,
        "c": True,
        "d": False,
    }
    with Warehouse.writing(warehouse) as open_warehouse:
        open_warehouse.rebuild()
    assert pd.read_parquet(warehouse / "generations").status.notna().all()


def test_compacting_joins_files_and_loses_nothing(warehouse: Path) -> None:
    before = tables(warehouse)
    log = pd.read_parquet(warehouse / "answers").sort_values(["task_id", "fetched_at"])
    with Warehouse.writing(warehouse) as open_warehouse:
        assert open_warehouse.compact() == 3
        assert open_warehouse.compact() == 0
    (only,) = logged(warehouse)
    joined = pd.read_parquet(warehouse / "answers").sort_values(["task_id", "fetched_at"])
    pd.testing.assert_frame_equal(
        log.reset_index(drop=True), joined.reset_index(drop=True), check_categorical=False
    )
    ingest(warehouse, created("e", "2025-03-05", minutes=30), batch="5")
    with Warehouse.writing(warehouse) as open_warehouse:
        assert open_warehouse.compact() == 1
        open_warehouse.rebuild()
    assert only.exists()
    assert len(pd.read_parquet(warehouse / "generations")) == len(before["generations"]) + 1


def test_a_compaction_that_died_half_way_is_finished_by_the_next_run(warehouse: Path) -> None:
    kept = {path: path.read_bytes() for path in logged(warehouse)}
    with Warehouse.writing(warehouse) as open_warehouse:
        open_warehouse.compact()
    for path, content in kept.items():
        path.write_bytes(content)
    with Warehouse.writing(warehouse):
        pass
    assert len(logged(warehouse)) == 1


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut_short, lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("table", ["generations", "rejects"])
def test_a_damaged_table_is_rebuilt_and_that_is_said(
    warehouse: Path, caplog: pytest.LogCaptureFixture, table: str, damage: object
) -> None:
    before = tables(warehouse)
    damage(next((warehouse / table).rglob("*.parquet")))
    with caplog.at_level(logging.WARNING), Warehouse.writing(warehouse):
        same(before, tables(warehouse))
    assert "Rebuilding all tables from the log" in caplog.text


def test_a_damaged_page_is_noticed_when_it_is_merged(
    warehouse: Path, caplog: pytest.LogCaptureFixture
) -> None:
    flip_a_bit(warehouse / "generations/created_month=2025-03/generations.parquet")
    with caplog.at_level(logging.WARNING):
        ingest(warehouse, created("d", "2025-03-04", minutes=20), batch="4")
    assert "Rebuilding all tables from the log" in caplog.text
    assert len(pd.read_parquet(warehouse / "generations")) == 5


def test_a_damaged_inbox_file_is_set_aside_and_said(
    warehouse: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = tables(warehouse)
    with Warehouse.writing(warehouse) as open_warehouse:
        open_warehouse.save("4", [created("d", "2025-03-04")], "run")
        open_warehouse.save("5", [created("e", "2025-03-04")], "run")
    cut_short(warehouse / "inbox/4.parquet")
    with caplog.at_level(logging.WARNING), Warehouse.writing(warehouse) as open_warehouse:
        assert "d" not in open_warehouse.settled().to_pylist()
    assert "requests its task IDs again" in caplog.text
    assert (warehouse / "damaged/4.parquet").exists()
    assert set(tables(warehouse)["generations"].task_id) == {*before["generations"].task_id, "e"}


def test_a_damaged_compacted_file_is_told_and_stops_no_run(
    warehouse: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Warehouse.writing(warehouse) as open_warehouse:
        open_warehouse.compact()
    before = tables(warehouse)
    cut_short(next((warehouse / "answers").rglob("0-compacted.parquet")))
    ingest(warehouse, created("e", "2025-03-05", minutes=30), batch="5")
    with (
        caplog.at_level(logging.WARNING),
        Warehouse.writing(warehouse) as open_warehouse,
        pytest.raises(DamagedFile, match=r"0-compacted\.parquet cannot be read"),
    ):
        open_warehouse.compact()
    assert "run `rebuild --may-shrink`" in caplog.text
    assert set(tables(warehouse)["generations"].task_id) == {*before["generations"].task_id, "e"}
    with Warehouse.writing(warehouse) as open_warehouse:
        open_warehouse.rebuild(may_shrink=True)
    assert (warehouse / "damaged/0-compacted.parquet").exists()


def test_leftovers_of_dead_writers_are_swept(warehouse: Path) -> None:
    left = [
        warehouse / ".tmp/generations+created_month=2025-03+generations.parquet.99",
        warehouse / ".spill/2025-03",
        warehouse / ".rebuild/generations/created_month=2025-03/generations.parquet",
    ]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    before = tables(warehouse)
    with Warehouse.writing(warehouse):
        pass
    assert not [path for path in left if path.exists()]
    same(before, tables(warehouse))


def test_moves_are_durable_on_return(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each folder is synced after its last rename, new places first: a cut must not lose both."""
    done: list[str] = []
    rename, sync = os.replace, local.sync_folder

    def replace(source: Path, target: Path) -> None:
        done.append(f"{source.name} -> {target.parent.name}")
        rename(source, target)

    def sync_folder(folder: Path) -> None:
        done.append(folder.name)
        sync(folder)

    for name in ("old/1", "old/2", "old/3"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    monkeypatch.setattr(local.os, "replace", replace)
    monkeypatch.setattr(local, "sync_folder", sync_folder)
    storage = local.LocalStorage(tmp_path)
    storage.move_all([("old/1", "one/1"), ("old/2", "two/2")])
    assert done == ["1 -> one", "2 -> two", "one", "two", "old"]
    done.clear()
    with pytest.raises(StorageFailed):
        storage.move_all([("old/3", "two/3"), ("old/none", "two/none")])
    assert done[-2:] == ["two", "old"]
    assert storage.read("two/3") == b"old/3"
