"""`connector.read`: tables by name, in pandas' own types, right also while a run writes."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections import Counter
from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
import pyarrow.parquet as pq
import pytest
from builders import answer, ingest, pending

from connector.errors import DamagedFile, UsageError, WarehouseError
from connector.record.answer import Outcome
from connector.record.schema import MARTS, TABLES
from connector.storage.storage import LocalStorage
from connector.warehouse.founding import ZERO_ROWS
from connector.warehouse.reading import read
from connector.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from pathlib import Path

    from connector.record.answer import Answer


PARTITIONS = ["created_month", "received_month"]


def made(task_id: str, created_at: str, *, minutes: float = 0, **fields: object) -> Answer:
    body = {"id": task_id, "state": "completed", "created_at": created_at, **fields}
    return answer(task_id, body, minutes=minutes)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generations of three months, one of them without a time, and a reject."""
    root = tmp_path_factory.mktemp("built") / "warehouse"
    ingest(
        root,
        made("august", "2025-08-31T23:59:59.999999Z", video={"width": 752, "height": 1360}),
        made("september", "2025-09-15T12:00:00Z", prompt="a cat"),
        made("october", "2025-10-01T00:00:00Z", liked=True),
        pending("undated"),
        answer("gone", b"", outcome=Outcome.NOT_FOUND, status=404),
    )
    return root


@pytest.fixture
def root(built: Path, tmp_path: Path) -> Path:
    """That, for one test alone."""
    return shutil.copytree(built, tmp_path / "warehouse")


def plain_read(root: Path, name: str, **options: Any) -> pd.DataFrame:
    """What pandas makes of a table by itself; of the partitions, those that have rows."""
    frame = pd.read_parquet(root / name, **options)
    for column in frame.columns[frame.dtypes == "category"]:
        frame[column] = frame[column].cat.remove_unused_categories()
    return frame


@pytest.mark.parametrize("partition_by", ["month", "day"])
@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_as_pandas_reads_it(root: Path, name: str, partition_by: str) -> None:
    """The same rows, columns (the partition's too), order and types."""
    if partition_by == "day":
        again = [answer(task_id) for task_id in ("one", "two")]
        root = root.with_name("by-day")
        with Warehouse.writing(root, partition_by="day") as warehouse:
            warehouse.save("batch", again, "run")
            warehouse.commit()
            warehouse.refresh_marts()
    pd.testing.assert_frame_equal(read(name, root), plain_read(root, name))
    if partition_by == "month":
        arrow = read(name, root, dtype_backend="pyarrow").drop(columns=PARTITIONS, errors="ignore")
        assert list(arrow.dtypes) == [pd.ArrowDtype(field.type) for field in TABLES[name].schema]


@pytest.mark.parametrize("backend", [None, "pyarrow"])
def test_what_was_never_written_is_empty_and_has_its_types(
    tmp_path: Path, backend: Literal["pyarrow"] | None
) -> None:
    with Warehouse.writing(tmp_path / "new"):
        pass
    for name, table in TABLES.items():
        frame = read(name, tmp_path / "new", dtype_backend=backend)
        assert (len(frame) == 0) == (name != "columns")
        known = [name for name in frame.columns if name not in PARTITIONS]
        assert known == table.schema.names
        if backend:
            types = [pd.ArrowDtype(field.type) for field in table.schema]
            assert list(frame[known].dtypes) == types
        elif name != "columns":
            plain = plain_read(tmp_path / "new", name)
            assert list(frame[known].dtypes) == list(plain[known].dtypes)


def test_values_and_nulls_are_exact(root: Path) -> None:
    rows = read("generations", str(root)).set_index("task_id")
    assert rows.loc["august", "video_width"] == 752
    assert rows.loc["august", "created_at"] == pd.Timestamp("2025-08-31T23:59:59.999999Z")
    assert rows.video_width.isna().sum() == 3
    assert rows.video_width.sum() == 752
    assert rows.loc["october", "liked"]
    assert rows.loc["undated", "liked"] is pd.NA
    assert rows.loc["undated", "created_at"] is pd.NaT


def test_a_time_can_be_compared_with_text_and_cut_into_periods(root: Path) -> None:
    """What is usual in a notebook, and what Arrow's types refuse."""
    generations = read("generations", root)
    recent = generations[generations.created_at >= "2025-09-01"]
    assert sorted(recent.task_id) == ["october", "september"]
    months = generations.created_at.dt.tz_localize(None).dt.to_period("M").value_counts()
    assert months["2025-08"] == 1
    by_month = generations.groupby("created_month").size()
    assert by_month.to_dict() == {"2025-08": 1, "2025-09": 1, "2025-10": 1, "unknown": 1}


def test_the_partition_is_a_column_like_others(root: Path) -> None:
    frame = read("generations", root, columns=["created_month", "task_id"], since="2025-09-15")
    assert list(frame.columns) == ["created_month", "task_id"]
    assert dict(frame.astype(str).values) == {"2025-09": "september", "2025-10": "october"}


def test_columns_come_in_the_order_asked_for(root: Path) -> None:
    frame = read("generations", root, columns=["status", "task_id", "status"], since="2025-09-01")
    assert list(frame.columns) == ["status", "task_id"]
    assert sorted(frame.task_id) == ["october", "september"]
    assert list(read("generations", root, columns="prompt").columns) == ["prompt"]


SINCES = {
    "2025-09-15T12:00:00Z": ["october", "september"],
    "2025-09-15T14:00:00.000001+02:00": ["october"],
    "2025-09-15": ["october", "september"],
    "2025-08-31T23:59:59.999999": ["august", "october", "september"],
    "2025-10-01T00:00:00.000001Z": [],
}


@pytest.mark.parametrize("since", SINCES)
def test_since_is_inclusive_and_leaves_out_what_has_no_time(root: Path, since: str) -> None:
    assert sorted(read("generations", root, since=since).task_id) == SINCES[since]


@pytest.mark.parametrize(
    "since",
    [
        date(2025, 9, 15),
        datetime(2025, 9, 15),  # noqa: DTZ001  naive on purpose: it stands for UTC
        datetime(2025, 9, 15, 9, tzinfo=timezone(timedelta(hours=9))),
        pd.Timestamp("2025-09-15"),
        datetime.now(UTC) - datetime(2025, 9, 15, tzinfo=UTC),
    ],
    ids=["day", "naive time", "time with a zone", "pandas time", "time span"],
)
def test_since_in_every_form(root: Path, since: datetime | date | timedelta) -> None:
    assert sorted(read("generations", root, since=since).task_id) == ["october", "september"]


def test_since_opens_no_data_of_older_partitions(root: Path) -> None:
    old = root / "generations/created_month=2025-08/generations.parquet"
    ends = pq.read_metadata(old).row_group(0).column(0).data_page_offset
    with old.open("r+b") as file:
        file.seek(ends)
        file.write(b"\xff" * 64)
    assert sorted(read("generations", root, since="2025-09-01").task_id) == ["october", "september"]
    with pytest.raises(DamagedFile, match="2025-08"):
        read("generations", root)


def test_since_finds_what_lives_in_another_months_partition(root: Path) -> None:
    ingest(root, made("august", "2025-10-02T00:00:00Z", minutes=5), batch="later")
    ingest(root, made("undated", "2025-10-03T00:00:00Z", minutes=5), batch="later still")
    recent = read("generations", root, since="2025-10-01")
    assert sorted(recent.task_id) == ["august", "october", "undated"]


def test_every_table_with_a_time_takes_since(root: Path) -> None:
    for name in ("rejects", "answers", "prompts", "timings"):
        assert len(read(name, root)) > 0, name
        assert len(read(name, root, since="2099-01-01")) == 0


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"table": "generation"}, "did you mean generations.*there are generations, rejects"),
        ({"columns": ["promt"]}, "no column 'promt'.*did you mean prompt"),
        ({"columns": ["created_day"]}, "no column 'created_day'.*did you mean created_at"),
        ({"dtype_backend": "arrow"}, "'arrow' is unknown.*write pyarrow"),
        ({"since": "yesterday"}, "'yesterday' is not a time"),
        ({"since": 2025}, "since is a int"),
        ({"table": "resolutions", "since": "2025-01-01"}, "resolutions has no time"),
    ],
)
def test_a_wrong_name_or_time_is_told_with_what_there_is(
    root: Path, wrong: dict[str, object], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        read(**{"table": "generations", "warehouse": root, **wrong})


def test_no_warehouse_is_told(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="no warehouse"):
        read("generations", tmp_path / "none")


def test_a_mart_that_was_left_out_is_told_rather_than_empty(root: Path) -> None:
    for mart in MARTS:
        shutil.rmtree(root / mart.name)
        with pytest.raises(WarehouseError, match=f"no {mart.name} yet"):
            read(mart.name, root)


def test_the_folder_comes_from_the_settings(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUMA_WAREHOUSE", str(root))
    assert len(read("generations")) == 4


def test_a_column_that_older_files_lack_is_null(root: Path) -> None:
    path = root / "generations/created_month=2025-09/generations.parquet"
    pq.write_table(pq.read_table(path, partitioning=None).drop_columns(["liked"]), path)
    liked = read("generations", root).set_index("task_id").liked
    assert liked["october"]
    assert liked["september"] is pd.NA


def test_files_that_go_between_listing_and_opening_are_looked_for_anew(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        ingest(root, made(f"more-{number}", "2025-10-01T00:00:00Z"), batch=f"batch-{number}")
    original, compacted = LocalStorage.list, []

    def list_then_compact(self: LocalStorage, *args: str) -> list[str]:
        found = original(self, *args)
        if not compacted:
            compacted.append(True)
            with Warehouse.writing(root) as warehouse:
                assert warehouse.compact() == 4
        return found

    monkeypatch.setattr(LocalStorage, "list", list_then_compact)
    assert len(read("answers", root)) == 8


def test_a_compaction_that_was_killed_half_way_doubles_no_row(root: Path) -> None:
    ingest(root, made("more", "2025-10-01T00:00:00Z"), batch="more")
    answers = root / "answers"
    shutil.copytree(answers, root / "before")
    with Warehouse.writing(root) as warehouse:
        warehouse.compact()
    shutil.copytree(root / "before", answers, dirs_exist_ok=True)
    assert len([path for path in answers.rglob("*.parquet") if path.name != ZERO_ROWS]) == 3
    assert Counter(read("answers", root).task_id).most_common(1)[0][1] == 1


def test_readers_never_notice_a_writer(root: Path) -> None:
    """One row a task ID, never fewer rows, never an error, while runs commit and compact."""
    stop, seen = threading.Event(), Counter[str]()

    def write() -> None:
        for number in range(8):
            again = made("august", "2025-08-31T23:59:59Z", minutes=number + 1, prompt=str(number))
            ingest(root, again, made(f"new-{number}", "2025-10-02T00:00:00Z"), batch=str(number))
            if number % 3 == 0:
                with Warehouse.writing(root) as warehouse:
                    warehouse.compact()
        stop.set()

    writer = threading.Thread(target=write)
    writer.start()
    fewest: Counter[str] = Counter()
    while not stop.is_set():
        for name in ("generations", "answers", "timings", "columns"):
            frame = read(name, root)
            assert not frame.duplicated(list(TABLES[name].key)).any()
            assert len(frame) >= fewest[name]
            fewest[name] = len(frame)
            seen[name] += 1
    writer.join()
    assert seen["generations"] > 3
    assert len(read("generations", root)) == 12
    assert len(read("answers", root)) == 5 + 16


def test_importing_it_does_not_import_pandas() -> None:
    code = "import connector.warehouse.reading, sys; sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
