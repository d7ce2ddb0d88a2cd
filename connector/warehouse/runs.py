"""The table `runs`: a file for each run, and those that `compact` has joined."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from connector.errors import DamagedFile
from connector.record.base_url import as_base_url
from connector.record.schema import RUNS
from connector.storage import parquet
from connector.version import VERSION
from connector.warehouse.damage import set_aside
from connector.warehouse.files import files_of
from connector.warehouse.sequence import number_in
from connector.words import plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector.storage.storage import Storage

COUNTS: Final = [
    name for name in RUNS.schema.names if RUNS[name].type in {pa.int64(), pa.float64()}
]


def record_run(storage: Storage, run: Mapping[str, Any]) -> None:
    """Add a row."""
    row = pa.Table.from_pylist([dict(run)], schema=RUNS.schema)
    parquet.write_table(storage, f"{RUNS.name}/{run['run_id']}.parquet", RUNS, [row], is_new=True)


def record_forgetting(storage: Storage, run_id: str, task_ids: int, rows: int) -> None:
    """Add a row for what was forgotten on request: how many task IDs, and rows about them."""
    now = datetime.now(UTC)
    note = f"forgot {plural(task_ids, 'task ID')} on request: {plural(rows, 'row')} removed"
    times = {"started_at": now, "finished_at": now}
    run = {"run_id": run_id, **times, "outcome": "done", "version": VERSION, "note": note}
    record_run(storage, run | dict.fromkeys(COUNTS, 0))


def latest_runs(storage: Storage, count: int) -> list[dict[str, Any]]:
    """The latest rows, newest first; damaged files are skipped."""
    rows: list[dict[str, Any]] = []
    for name in reversed(files_of(storage, RUNS)):
        if len(rows) >= count:
            break
        with contextlib.suppress(DamagedFile):
            rows += parquet.read_table(storage, name, RUNS.schema).to_pylist()
    return sorted(rows, key=lambda run: str(run["run_id"]), reverse=True)[:count]


def gateways_by_run(storage: Storage) -> dict[str, str]:
    """Base URL by run ID, which earlier versions kept only here; sets damaged files aside."""
    rows: list[dict[str, Any]] = []
    for name in files_of(storage, RUNS):
        try:
            rows += parquet.read_table(storage, name, RUNS.schema).to_pylist()
        except DamagedFile as error:
            set_aside(storage, name, error)
    return {row["run_id"]: as_base_url(row["base_url"]) for row in rows if row["base_url"]}


def highest_number(storage: Storage) -> int:
    """The last place in the log that the name of a run's file shows; 0 if none does."""
    names = (PurePosixPath(name).stem for name in files_of(storage, RUNS))
    return max((number_in(name) or 0 for name in names), default=0)
