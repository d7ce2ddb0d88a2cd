"""Every table, by every reader, with the same types from the first run on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from builders import answer, ingest, pending
from case_gateway import Case, CaseGateway
from conftest import KEY
from engines import ENGINES, declared
from servers import free_port

from connector.record.answer import Outcome
from connector.record.schema import COLUMNS, TABLES
from connector.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from pathlib import Path

    from connector.record.column import Table

# Readers that have one type for both.
BYTES_AS_TEXT = ("pandas", "fastparquet", "ClickHouse")

# What a day in a folder's name is to readers; to all others it is a date.
DATES = {"pandas": "text", "pyarrow": "text", "fastparquet": "time"}

SIZED = {"int32": "Int32", "int64": "Int64", "bool": "boolean"}


def partition_of(table: Table, by: str) -> str | None:
    spans = {"created": by, "received": "month", None: None}
    return f"{table.partition}_{spans[table.partition]}" if table.partition else None


def check(root: Path, engine: str, by: str, rows: dict[str, int], **partitions: list[str]) -> None:
    """Have every table read."""
    for name, table in TABLES.items():
        partition = partition_of(table, by)
        found = ENGINES[engine](root / name, partition)
        kinds = declared(table.schema)
        if engine in BYTES_AS_TEXT:
            kinds = {key: "text" if one == "bytes" else one for key, one in kinds.items()}
        if partition:
            kinds[partition] = DATES.get(engine, "date") if partition.endswith("day") else "text"
        assert found.kinds == kinds, name
        if name != COLUMNS.name:
            assert found.rows == rows.get(name, 0), name
        if name in partitions:
            assert found.partitions == partitions[name], name


@pytest.fixture(scope="module", params=["all rejected", "key refused", "stopped"])
def nothing_fetched(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, int]]:
    """The warehouse of a first run that fetched nothing, and how many rows its tables have."""
    root = tmp_path_factory.mktemp("first") / "warehouse"
    refusal = Case(401, json.dumps({"detail": "Not authenticated"}).encode())
    with CaseGateway({"refused": refusal}) as gateway:
        dead = f"http://127.0.0.1:{free_port()}"
        task_ids, url, exit_code = {
            "all rejected": (["missing"], gateway.base_url, 4),
            "key refused": (["refused"], gateway.base_url, 3),
            "stopped": ([f"task-{number}" for number in range(200)], dead, 4),
        }[request.param]
        result = subprocess.run(
            [sys.executable, "-m", "connector", "ingest", "-", "--partition-by", "day"],
            env={
                **os.environ,
                "LUMAAI_API_KEY": KEY,
                "LUMA_BASE_URL": url,
                "LUMA_WAREHOUSE": str(root),
                "LUMA_MAX_ATTEMPTS": "1",
            },
            cwd=root.parent,
            input="\n".join(task_ids),
            capture_output=True,
            text=True,
            check=False,
        )
    assert result.returncode == exit_code, result.stderr
    rejected = len(pd.read_parquet(root / "rejects"))
    return root, {"answers": rejected, "rejects": rejected, "runs": 1}


@pytest.mark.parametrize("engine", ENGINES)
def test_every_table_is_there_after_a_first_run_that_fetched_nothing(
    nothing_fetched: tuple[Path, dict[str, int]], engine: str
) -> None:
    root, rows = nothing_fetched
    check(root, engine, "day", rows, generations=[], timings=[])


@pytest.mark.parametrize("by", ["month", "day"])
@pytest.mark.parametrize("engine", ENGINES)
def test_every_table_is_there_before_the_first_answer(tmp_path: Path, engine: str, by: str) -> None:
    with Warehouse.writing(tmp_path, by):
        check(tmp_path, engine, by, {}, generations=[], timings=[], answers=[])


@pytest.mark.parametrize("by", ["month", "day"])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_generation_without_a_time_changes_no_type(tmp_path: Path, engine: str, by: str) -> None:
    def made(task_id: str, day: str) -> object:
        body = {"id": task_id, "state": "completed", "created_at": f"{day}T12:00:00Z"}
        return answer(task_id, {**body, "video": {"width": 752, "height": 1360}, "liked": True})

    with Warehouse.writing(tmp_path, by):
        pass
    ingest(tmp_path, made("a", "2025-01-31"), made("b", "2025-02-01"), pending("undated"))
    gone = answer("gone", {"detail": "no"}, outcome=Outcome.NOT_FOUND, status=404)
    ingest(tmp_path, gone, batch="second")
    names = {
        "month": ["2025-01", "2025-02", "unknown"],
        "day": ["1970-01-01", "2025-01-31", "2025-02-01"],
    }[by]
    rows = {"generations": 3, "timings": 3, "answers": 4, "rejects": 1, "resolutions": 2}
    rows["turnaround_hours"] = 1
    # All, no known model, one resolution, two months; the undated one has no turnaround.
    rows |= {"turnaround": len(pd.read_parquet(tmp_path / "turnaround")), "turnaround_quantiles": 5}
    check(tmp_path, engine, by, rows, generations=names, timings=names, answers=["2026-01"])


@pytest.mark.parametrize("engine", ["pyarrow", "fastparquet"])
@pytest.mark.parametrize("is_empty", [True, False])
def test_integers_and_booleans_are_nullable_in_plain_pandas(
    tmp_path: Path, engine: str, *, is_empty: bool
) -> None:
    pytest.importorskip(engine)
    if is_empty:
        with Warehouse.writing(tmp_path):
            pass
    else:
        ingest(tmp_path, pending("a"))
    for name, table in TABLES.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pandas 4 will do without fastparquet
            dtypes = pd.read_parquet(tmp_path / name, engine=engine).dtypes
        for field in table.schema:
            if str(field.type) in SIZED:
                assert str(dtypes[field.name]) == SIZED[str(field.type)], (name, field.name)


@pytest.mark.parametrize("name", TABLES)
def test_what_the_files_tell_pandas_is_whole(name: str) -> None:
    schema = TABLES[name].schema
    told = json.loads(schema.metadata[b"pandas"])
    assert [column["name"] for column in told["columns"]] == schema.names


def test_nothing_new_changes_no_file_of_a_warehouse_without_rows(
    nothing_fetched: tuple[Path, dict[str, int]],
) -> None:
    root, _ = nothing_fetched

    def files() -> dict[Path, tuple[int, int]]:
        stats = {path: path.stat() for path in root.rglob("*.*") if path.is_file()}
        return {
            path: (stat.st_ino, stat.st_mtime_ns)
            for path, stat in stats.items()
            if not path.name.startswith(".")
        }

    before = files()
    with Warehouse.writing(root) as warehouse:
        warehouse.refresh_marts()
        warehouse.compact()
        assert warehouse.rebuild().changed_files == 0
    assert files() == before
