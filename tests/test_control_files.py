"""Notes and statistics that are damaged or gone, files that are missing, and foreign ones."""

from __future__ import annotations

import json
import logging
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import NOON, answer
from test_recovery import logged, same, tables, warehouse  # noqa: F401  a fixture
from test_warehouse import created, files, ingest

import connector
from connector.errors import DamagedFile, WarehouseError
from connector.record.answer import Outcome
from connector.record.schema import RUNS
from connector.storage.local import LocalStorage
from connector.storage.parquet import ROW_GROUP_ROWS
from connector.warehouse.files import is_own
from connector.warehouse.overview import overview
from connector.warehouse.runs import latest_runs, record_run
from connector.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import CommandLine

DAMAGES = {
    "empty": b"",
    "nul": bytes(200),
    "binary": bytes(range(256)),
    "cut": b'{"format": 1, "ro',
    "list": b"[]",
    "null": b"null",
    "text": b'"text"',
    "deep": b"[" * 100_000,
    "types": b'{"format": [], "rows": 7, "walks": "x", "term_prompts": {}, "partition_by": []}',
    "shape": b'{"format": 1, "rows": {"../x": "y"}, "walks": {"a": 1}, "keep": [], "change": []}',
}


@pytest.fixture
def root(warehouse: Path) -> Path:  # noqa: F811  pytest's way
    """A warehouse with marts, a run, and a note of each kind."""
    with Warehouse.writing(warehouse) as opened:
        run = dict.fromkeys(RUNS.schema.names, 0) | {"started_at": NOON, "finished_at": NOON}
        texts = ("outcome", "message", "base_url", "version", "note")
        run |= {**dict.fromkeys(texts, "done"), "run_id": "20260101T000000000000Z-aaaaaa"}
        record_run(opened.storage, run)
        opened.refresh_marts()
    return warehouse


def read_all(root: Path, cli: CommandLine) -> None:
    """Every way to read; each must work."""
    for command in ("show", "report"):
        done = cli(command, "--warehouse", root)
        assert done.returncode == 0, done.stderr
    for name in ("generations", "rejects", "runs", "prompts"):
        connector.read(name, root)


@pytest.mark.parametrize("note", ["tables.json", "marts.json", "walks.json"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_note_stops_nothing_and_is_made_again(root: Path, note: str, damage: str) -> None:
    before = tables(root)
    (root / note).write_bytes(DAMAGES[damage])
    overview(Warehouse.existing(root), pd.Timedelta(days=7).to_pytimedelta())
    with Warehouse.writing(root) as opened:
        opened.refresh_marts()
    same(before, tables(root))
    if note != "walks.json":
        json.loads((root / note).read_bytes())


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_note_of_a_rebuild_has_the_tables_rebuilt(
    root: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    """Some of the files were replaced when the power went."""
    before = tables(root)
    (root / ".rebuild").mkdir()
    (root / ".rebuild/ready.json").write_bytes(DAMAGES[damage])
    next(root.glob("generations/created_month=2025-03/*")).unlink()
    with caplog.at_level(logging.WARNING), Warehouse.writing(root):
        same(before, tables(root))
    assert "ready.json is damaged" in caplog.text
    caplog.clear()
    with Warehouse.writing(root):
        pass
    assert not caplog.text


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_marker_is_an_error_with_the_remedy(
    root: Path, cli: CommandLine, damage: str
) -> None:
    (root / "warehouse.json").write_bytes(DAMAGES[damage])
    remedy = "another version.*install" if damage == "types" else r"json is damaged: restore it"
    with pytest.raises(WarehouseError, match=remedy):
        Warehouse.existing(root)
    if damage == "empty":
        (root / "warehouse.json").unlink()
        for command in ("rebuild", "check"):
            done = cli(command, "--warehouse", root)
            assert "warehouse.json is missing" in " ".join((done.stderr + done.stdout).split())
            assert "Traceback" not in done.stderr


def test_a_warehouse_of_a_later_release_is_refused_with_its_name(root: Path) -> None:
    marker = json.loads((root / "warehouse.json").read_text())
    later = {**marker, "tables_version": 99, "version": "7.1"}
    (root / "warehouse.json").write_text(json.dumps(later))
    before = files(root)
    for opening in (Warehouse.existing, lambda at: Warehouse.writing(at).__enter__()):
        with pytest.raises(WarehouseError, match=r"install 7\.1 or later"):
            opening(root)
    assert files(root) == before


def add_a_column(path: Path) -> None:
    table = pq.read_table(path, partitioning=None)
    pq.write_table(table.append_column("mood", pa.array(["good"] * len(table))), path)


@pytest.mark.parametrize("table", ["generations", "rejects"])
def test_columns_of_a_later_release_in_tables_are_refused(root: Path, table: str) -> None:
    for path in root.glob(f"{table}/**/*.parquet"):
        add_a_column(path)
    before = files(root)
    assert len(connector.read(table, root))
    with (
        pytest.raises(WarehouseError, match=r"does not know \(mood\).*Update luma-to-parquet"),
        Warehouse.writing(root),
    ):
        pass
    assert files(root) == before


def test_columns_of_a_later_release_in_the_log_are_kept(root: Path) -> None:
    """Moved as they are by a commit, read by a rebuild, and refused where they would be lost."""
    with Warehouse.writing(root) as opened:
        opened.save("5", [answer("new")], "run")
    add_a_column(root / "inbox/5.parquet")
    with Warehouse.writing(root) as opened:
        opened.rebuild()
        with pytest.raises(WarehouseError, match="does not know"):
            opened.compact()
    (kept,) = root.glob("answers/*/5.parquet")
    assert pq.read_table(kept, partitioning=None)["mood"].to_pylist() == ["good"]
    assert "new" in tables(root)["generations"].task_id.to_list()


@pytest.mark.parametrize(
    "pattern",
    ["rejects/*", "generations/created_month=2025-03/*", "generations/*/*"],
)
@pytest.mark.parametrize("is_noted", [True, False])
def test_a_missing_file_of_a_table_is_made_again_from_the_log(
    root: Path, caplog: pytest.LogCaptureFixture, pattern: str, *, is_noted: bool
) -> None:
    before = tables(root)
    for path in root.glob(pattern):
        path.unlink()
    if not is_noted:
        if "2025-03" in pattern:
            pytest.skip("nothing says that there was such a month")
        (root / "tables.json").unlink()
    with caplog.at_level(logging.WARNING):
        Warehouse.existing(root)
        assert "missing" in caplog.text
        with Warehouse.writing(root) as opened:
            assert "a" in opened.settled().to_pylist()
    same(before, tables(root))
    caplog.clear()
    with Warehouse.writing(root):
        pass
    assert not caplog.text


def test_an_older_copy_of_a_partition_is_made_up_to_date(root: Path) -> None:
    path = root / "generations/created_month=2025-03/generations.parquet"
    older = path.read_bytes()
    ingest(root, created("d", "2025-03-04", minutes=20), batch="4")
    before = tables(root)
    path.write_bytes(older)
    with Warehouse.writing(root):
        same(before, tables(root))


@pytest.mark.parametrize("damage", ["empty", "nul"])
def test_a_damaged_file_of_runs_stops_nothing(root: Path, cli: CommandLine, damage: str) -> None:
    path = next(root.glob("runs/2026*"))
    path.write_bytes(DAMAGES[damage])
    done = cli("show" if damage == "empty" else "report", "--warehouse", root)
    assert done.returncode == 0, done.stderr
    with pytest.raises(DamagedFile, match="rebuild` mends it"):
        connector.read("runs", root)
    with Warehouse.writing(root) as opened:
        assert latest_runs(opened.storage, 1) == []
        opened.rebuild()
    assert len(connector.read("runs", root)) == 0
    assert (root / "damaged" / path.name).read_bytes() == DAMAGES[damage]


def test_rebuild_mends_a_mart_that_its_note_takes_for_sound(root: Path) -> None:
    path = root / "prompts/prompts.parquet"
    sound, state = path.read_bytes(), path.stat()
    path.write_bytes(bytes(len(sound)))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    with Warehouse.writing(root) as opened:
        opened.rebuild()
    assert path.read_bytes() == sound


@pytest.mark.parametrize("written", [{"write_statistics": False}, {}])
def test_since_does_not_trust_statistics(root: Path, written: dict[str, Any]) -> None:
    """A program may write none, or wrong ones: here, those of the rows before."""
    path = root / "generations/created_month=2025-03/generations.parquet"
    table = pq.read_table(path, partitioning=None)
    pq.write_table(table, path, **written)
    if not written:
        content, new = path.read_bytes(), "2025-03-03T08:00:00Z"
        micros = pd.Timestamp(new).value // 1000
        lie = pd.Timestamp("2020-01-01", tz="UTC").value // 1000
        assert micros.to_bytes(8, "little") in content
        head, tail = content[: len(content) // 2], content[len(content) // 2 :]
        path.write_bytes(
            head + tail.replace(micros.to_bytes(8, "little"), lie.to_bytes(8, "little"))
        )
    found = connector.read("generations", root, since="2025-03-03")
    assert set(found.task_id) == {"b", "c"}


FOREIGN = (
    "generations/created_month=2025-03/generations (conflicted copy 2026-01-01).parquet",
    "generations/created_month=2025-03 (1)/generations.parquet",
    "generations/old/generations.parquet",
    "rejects/rejects-DESKTOP.parquet",
    "answers/received_month=2026-01/1 (conflicted copy 2026-01-01).parquet",
    "answers/received_month=2026-01/20260101T000000000000Z-abcdef-000001-LAPTOP.parquet",
    "inbox/1.sync-conflict-20260101-120000-ABCDEFG.parquet",
    "runs/.DS_Store",
    "prompts/Thumbs.db",
    "terms/~$x.xlsx",
    "timings/x.tmp",
)


def test_foreign_files_are_named_and_neither_read_nor_removed(
    root: Path, caplog: pytest.LogCaptureFixture, cli: CommandLine
) -> None:
    before = connector.read("generations", root)
    for name in FOREIGN:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"not Parquet")
    with caplog.at_level(logging.WARNING), Warehouse.writing(root) as opened:
        opened.compact()
        opened.rebuild()
    assert "conflicted copy" in caplog.text
    assert f"and {len(FOREIGN) - 5} more" in caplog.text
    assert "move them elsewhere" in caplog.text
    read_all(root, cli)
    pd.testing.assert_frame_equal(before, connector.read("generations", root))
    for name in FOREIGN:
        assert not is_own(name)
        assert (root / name).read_bytes() == b"not Parquet"


@pytest.mark.parametrize("how", ["footer", "page"])
def test_a_damaged_file_of_the_log_is_copied_and_its_readable_rows_stay(
    tmp_path: Path, how: str
) -> None:
    root = tmp_path / "warehouse"
    ingest(root, *(created(f"t{n}", "2025-03-01", minutes=n) for n in range(17_000)))
    (path,) = logged(root)
    content = bytearray(path.read_bytes())
    if how == "footer":
        del content[-40:]
    else:
        where = pq.read_metadata(path).row_group(0).column(0)
        content[where.data_page_offset + where.total_compressed_size - 9] ^= 1
    path.write_bytes(content)
    with Warehouse.writing(root) as opened:
        opened.rebuild(may_shrink=True)
    assert (root / "damaged" / path.name).read_bytes() == content
    log = pd.read_parquet(root / "answers")
    assert len(log) == (0 if how == "footer" else 17_000 - ROW_GROUP_ROWS)
    assert set(tables(root)["generations"].task_id) == set(log.task_id)
    with Warehouse.writing(root) as opened:
        assert opened.rebuild().changed_files == 0
    assert len(list((root / "damaged").iterdir())) == 1


def test_two_damaged_files_of_one_name_are_both_kept(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    for number, month in enumerate(("2026-01", "2026-02")):
        ingest(tmp_path, created(f"t{number}", month, minutes=number * 60 * 24 * 31), batch=month)
    with Warehouse.writing(tmp_path) as opened:
        opened.compact()
        for path in logged(tmp_path):
            path.rename(path.with_name("0-compacted.parquet"))
        for number, path in enumerate(logged(tmp_path)):
            path.write_bytes(bytes([number] * 100))
        opened.rebuild(may_shrink=True)
    assert len(storage.list("damaged")) == 2


def test_a_folder_in_the_place_of_a_file_is_a_missing_file(
    root: Path, cli: CommandLine, caplog: pytest.LogCaptureFixture
) -> None:
    path = max((root / "generations").rglob("*=2025-*/*.parquet"))
    path.unlink()
    path.mkdir()
    overview(Warehouse.existing(root), timedelta(days=7))
    assert f"{path}: missing" in caplog.text
    done = cli("rebuild", "--warehouse", root)
    assert done.returncode == 4
    assert "Is a directory. What was saved before is kept: remove or rename what is" in done.stderr
    path.rmdir()
    assert cli("rebuild", "--warehouse", root).returncode == 0
    assert path.is_file()


def test_an_odd_file_ends_a_command_with_one_message(root: Path, cli: CommandLine) -> None:
    loop = root / "inbox" / "x.parquet"
    loop.parent.mkdir(exist_ok=True)
    loop.symlink_to(loop.name)
    done = cli("show", "--warehouse", root)
    assert done.returncode == 4
    assert done.stderr.startswith("error: cannot use ")
    assert "Too many levels of symbolic links" in done.stderr
    assert "Traceback" not in done.stderr


MARCH = "generations/created_month=2025-03/generations.parquet"
TIME = pa.timestamp("us", tz="UTC")


def alter(path: Path, column: str, values: Callable[[int], pa.Array]) -> None:
    """Write a file again with another column, as another program may."""
    rows = pq.read_table(path, partitioning=None)
    place = rows.schema.get_field_index(column)
    pq.write_table(rows.set_column(place, column, values(len(rows))), path)


def not_utf8(rows: int) -> pa.Array:
    found = pa.array([b"\xff"] * rows)
    return pa.StringArray.from_buffers(rows, *found.buffers()[1:])


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("task_id", lambda rows: pa.nulls(rows, pa.string())),
        ("created_at", lambda rows: pa.array(["x"] * rows)),
        ("fetched_at", lambda rows: pa.array([2**62] * rows, TIME)),
        ("prompt", lambda rows: pa.array([{"a": 1}] * rows)),
        ("prompt", not_utf8),
    ],
    ids=["no-id", "text", "year-148000", "struct", "bytes"],
)
def test_values_that_no_column_can_hold_are_damage_and_are_mended(
    root: Path, column: str, values: Callable[[int], pa.Array]
) -> None:
    before = tables(root)
    alter(root / MARCH, column, values)
    with pytest.raises(DamagedFile, match="2025-03"):
        overview(Warehouse.existing(root), timedelta(days=7))
    with Warehouse.writing(root) as opened:
        opened.refresh_marts()
    same(before, tables(root))
    assert not (root / "damaged").exists()


@pytest.mark.parametrize("place", [MARCH, MARCH.replace("2025", "2019")], ids=["same", "copied"])
def test_rows_that_are_there_twice_are_there_once_after_the_next_run(
    root: Path, caplog: pytest.LogCaptureFixture, place: str
) -> None:
    """A folder copied by hand, or a backup laid over a warehouse that was rebuilt since."""
    before = tables(root)
    rows = pq.read_table(root / MARCH, partitioning=None)
    (root / place).parent.mkdir(exist_ok=True)
    pq.write_table(pa.concat_tables([rows] * (2 if place == MARCH else 1)), root / place)
    with caplog.at_level(logging.WARNING), Warehouse.writing(root) as opened:
        assert opened.rebuild().changed_files == 0
    after = tables(root)
    for found in (before, after):  # an emptied file stays, and with it a category
        found["generations"] = found["generations"].astype({"created_month": str})
    same(before, after)
    assert "in the tables twice" in caplog.text


def test_a_damaged_table_takes_no_sound_rows_with_it_when_the_log_lacks_files(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for path in logged(root):
        if path.stem != "3":
            path.unlink()
    (root / MARCH).write_bytes(b"")
    with caplog.at_level(logging.WARNING), Warehouse.writing(root):
        pass
    # One is of another month, the other in what is left of the log.
    assert tables(root)["generations"].task_id.tolist() == ["b", "c"]
    assert tables(root)["rejects"].task_id.tolist() == ["gone"]
    assert "The log of answers lacks files" in caplog.text
    assert [path.name for path in (root / "damaged").iterdir()] == ["generations.parquet"]


def test_an_outcome_of_a_later_release_waits_as_one_that_passes(root: Path) -> None:
    with Warehouse.writing(root) as opened:
        opened.save("4", [answer("later", {}, outcome=Outcome.TIMEOUT, status=None)], "run")
        alter(root / "inbox/4.parquet", "outcome", lambda rows: pa.array(["new"] * rows))
        alter(root / "inbox/4.parquet", "concerns", lambda rows: pa.nulls(rows, pa.string()))
        opened.commit()
        assert "later" not in opened.settled().to_pylist()
    assert "new" in set(tables(root)["rejects"].reason)


def test_compacting_sets_a_file_of_runs_aside_that_has_another_type(root: Path) -> None:
    (path,) = root.glob("runs/2*.parquet")
    alter(path, "started_at", lambda rows: pa.array([{"a": 1}] * rows))
    with Warehouse.writing(root) as opened:
        opened.compact()
    connector.read("runs", root)
    assert (root / "damaged" / path.name).exists()
