"""What must hold for a warehouse: right after a crash, and after the next runs.

Losses are more than rows: an answer requested twice, a counter off by one, a leftover that stays.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from connector.record.answer import Concern, Outcome
from connector.record.schema import TERMINAL_STATUSES
from connector.storage.local import LocalStorage
from connector.warehouse.clocks import read_moved, with_right_times

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

Tables: TypeAlias = dict[str, pa.Table]

NOT_TABLES: Final = ("inbox", "damaged")
LEFTOVERS: Final = (".spill", ".rebuild", "damaged")
# Columns with the time, run and number of fetches: they differ from an undisturbed run's, because
# the killed run made requests too. `check_log` checks that they agree with the log.
OF_A_RUN: Final = {
    "generations": {
        "first_seen_at",
        "fetched_at",
        "last_unfinished_at",
        "first_finished_at",
        "fetches",
        "run_id",
        "sequence",
    },
    "rejects": {"fetched_at", "elapsed_seconds", "run_id", "sequence"},
}

# Tables that hold nothing else.
NOT_COMPARED: Final = ("answers", "runs", "timings")


class Lost(AssertionError):
    """A broken promise."""


def tables_of(root: Path, but: Iterable[str] = ()) -> dict[str, Path]:
    """The folder of each table."""
    folders = sorted(path for path in root.glob("[!.]*") if path.is_dir())
    return {path.name: path for path in folders if path.name not in {*NOT_TABLES, *but}}


def read_all(root: Path, but: Iterable[str] = ()) -> Tables:
    """Read each table."""
    return {name: pq.read_table(folder) for name, folder in tables_of(root, but).items()}


def check_readable(
    root: Path, before: Tables, *, unreadable: Iterable[str] = (), moving: Iterable[str] = ()
) -> None:
    """Pandas reads all tables, keys are unique, and no row is missing or older than before.

    Args:
        root: The warehouse, which may not exist yet.
        before: Its tables before the crash.
        unreadable: Tables that were unreadable before.
        moving: Task IDs that a rebuild moves, so that they are briefly in two places.
    """
    tables = {}
    for name, folder in tables_of(root, unreadable).items():
        try:
            tables[name] = pd.read_parquet(folder)
        except Exception as error:
            raise Lost(f"cannot read {name}: {error}") from error
    for name in {"generations", "rejects"} & set(tables):
        rows = tables[name]
        twice = set(rows.task_id[rows.task_id.duplicated()]) - set(moving) if len(rows) else None
        if twice:
            raise Lost(f"{name} has {min(twice)} twice")
    if "generations" in before and "generations" not in unreadable:
        _check_grown(before["generations"], tables["generations"])


def _check_grown(before: pa.Table, after: pd.DataFrame) -> None:
    old = before.select(["task_id", "fetched_at"]).to_pandas()
    fetched_at = after.groupby("task_id").fetched_at.max()
    missing = set(old.task_id) - set(fetched_at.index)
    if missing:
        raise Lost(f"{len(missing)} rows of generations are missing, such as {min(missing)}")
    if (fetched_at[old.task_id].to_numpy() < old.fetched_at.to_numpy()).any():
        raise Lost("a row of generations is older than before")


@dataclass(frozen=True, slots=True)
class Received:
    """The answers that are durable, in the inbox or in the log.

    Attributes:
        settled: Task IDs that are finished or finally rejected.
        by_run: Answers by run.
        by_task_id: Answers by task ID.
    """

    settled: frozenset[str]
    by_run: dict[str, int]
    by_task_id: dict[str, int]


def received(root: Path) -> Received:
    """Read the durable answers, straight from the files."""
    latest: dict[str, dict[str, Any]] = {}
    by_run: Counter[str] = Counter()
    by_task_id: Counter[str] = Counter()
    seen: set[tuple[str, Any]] = set()
    proving: set[str] = set()
    for answer in _answers(root):
        place = (answer["sequence"] or 0, answer["fetched_at"])
        key = (answer["task_id"], answer["fetched_at"])
        if key in seen:  # in two files of the log after a killed compaction
            continue
        seen.add(key)
        by_run[answer["run_id"]] += 1
        by_task_id[answer["task_id"]] += 1
        if answer["outcome"] == Outcome.GENERATION:
            proving.add(answer["run_id"])
        known = latest.get(answer["task_id"])
        if known is None or (known["sequence"] or 0, known["fetched_at"]) < place:
            latest[answer["task_id"]] = answer
    # The first run that proves that the gateway works: only then is a reject final.
    proven_in = min(proving, default=None)
    settled = frozenset(name for name, one in latest.items() if _is_settled(one, proven_in))
    return Received(settled, by_run, by_task_id)


def _answers(root: Path) -> Iterator[dict[str, Any]]:
    for folder in ("inbox", "answers"):
        for path in sorted((root / folder).rglob("*.parquet")):
            yield from pq.ParquetFile(path).read().to_pylist()


def _is_settled(answer: dict[str, Any], proven_in: str | None) -> bool:
    if Outcome(answer["outcome"]) is Outcome.GENERATION:
        return answer["status"] in TERMINAL_STATUSES
    is_of_task = answer["concerns"] == Concern.TASK
    return is_of_task and proven_in is not None and proven_in <= answer["run_id"]


def check_asked(asked: dict[str, int], given: Iterable[str], settled: frozenset[str]) -> None:
    """The next run asked once for each missing task ID, and for no other."""
    expected = set(given) - settled
    again = set(asked) - expected
    if again:
        raise Lost(f"{len(again)} task IDs were requested again, such as {min(again)}")
    if expected - set(asked):
        raise Lost(f"{len(expected - set(asked))} task IDs were not requested")
    if max(asked.values(), default=0) > 1:
        raise Lost("one run requested a task ID twice")


def check_final(root: Path, undisturbed: Tables, but: Iterable[str] = ()) -> None:
    """The tables equal an undisturbed run's, but for some, and agree with their log."""
    tables = read_all(root)
    # The log keeps times in the future as they came.
    moved = read_moved(LocalStorage(root))
    tables["answers"] = with_right_times(tables["answers"], moved)
    found = comparable(tables, but)
    if set(found) != set(undisturbed):
        raise Lost(f"the tables are {sorted(found)}, not {sorted(undisturbed)}")
    for name, rows in found.items():
        if not rows.equals(undisturbed[name]):
            raise Lost(
                f"{name} differs from an undisturbed run's: {_diff(rows, undisturbed[name])}"
            )
    check_log(tables)
    check_accounts(tables["runs"])
    check_tidy(root)


def comparable(tables: Tables, but: Iterable[str] = ()) -> Tables:
    """Tables without the columns that may differ between runs, sorted by key.

    Args:
        tables: By name.
        but: Further tables that may differ, and columns as `table.column`.
    """
    left_out = {*NOT_COMPARED, *but}
    return {
        name: _sorted(
            rows.drop_columns(
                [
                    column
                    for column in rows.column_names
                    if column in OF_A_RUN.get(name, ()) or f"{name}.{column}" in left_out
                ]
            )
        )
        for name, rows in tables.items()
        if name not in left_out
    }


def _sorted(rows: pa.Table) -> pa.Table:
    fields = [
        field.with_type(pa.string()) if pa.types.is_dictionary(field.type) else field
        for field in rows.schema.remove_metadata()
    ]
    keys = [(name, "ascending") for name in rows.column_names[:3]]
    return rows.cast(pa.schema(fields)).sort_by(keys).combine_chunks()


def _diff(found: pa.Table, expected: pa.Table) -> str:
    if len(found) != len(expected) or found.column_names != expected.column_names:
        return f"{found.shape} instead of {expected.shape} rows and columns"
    names = [name for name in found.column_names if not found[name].equals(expected[name])]
    return ", ".join(names) or "types"


def check_log(tables: Tables) -> None:
    """`generations` and `rejects` agree with the log, which has each answer once."""
    log = tables["answers"].select(["task_id", "fetched_at", "outcome"]).to_pandas()
    if log.duplicated(["task_id", "fetched_at"]).any():
        raise Lost("an answer is in the log twice")
    good = log[log.outcome == Outcome.GENERATION.value].groupby("task_id").fetched_at
    expected = {"first_seen_at": good.min(), "fetched_at": good.max(), "fetches": good.count()}
    rows = tables["generations"].select(["task_id", *expected]).to_pandas()
    rows = rows.set_index("task_id").sort_index()
    for name, column in expected.items():
        if rows[name].to_dict() != column.to_dict():
            raise Lost(f"generations.{name} disagrees with the log")
    latest = log.sort_values("fetched_at").drop_duplicates("task_id", keep="last")
    reasons = latest[latest.outcome != Outcome.GENERATION.value].set_index("task_id").outcome
    rejects = tables["rejects"].select(["task_id", "reason"]).to_pandas().set_index("task_id")
    if rejects.reason.to_dict() != reasons.to_dict():
        raise Lost("rejects is not what the log says")


def check_accounts(runs: pa.Table) -> None:
    """Each run's account adds up, and no run is recorded twice."""
    rows = runs.to_pylist()
    if len({run["run_id"] for run in rows}) != len(rows):
        raise Lost("a run is recorded twice")
    ends = ("blank", "duplicate", "invalid", "forgotten", "already_terminal", "fetched", "rejected")
    for run in rows:
        if run["given"] != sum(run[name] or 0 for name in ends) + run["not_reached"]:
            raise Lost(f"the account of run {run['run_id']} does not add up")


def check_tidy(root: Path) -> None:
    """The inbox is empty, nothing is set aside, and no leftover remains."""
    left = [name for name in LEFTOVERS if (root / name).exists()]
    left += [str(path.relative_to(root)) for path in (root / "inbox").glob("*")]
    left += [str(path.relative_to(root)) for path in (root / ".tmp").glob("*")]
    if left:
        raise Lost(f"left behind: {', '.join(left)}")
