"""Readers of `generations` while a writer commits without pause.

Each is its own process: `python -m chaos.readers ENGINE FOLDER SECONDS`. The writer updates and
inserts rows in several partitions; the reader checks after each read, filtered or not, that

- each task ID occurs once;
- no rows have disappeared since the last read;
- each row is whole: its prompt, estimate and counter are from the same answer.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from connector.record.answer import Answer, Outcome
from connector.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd

TESTS: Final = Path(__file__).parents[1]
NOON: Final = datetime(2026, 1, 2, 12, tzinfo=UTC)
MONTHS: Final = tuple(f"2025-{month:02}" for month in range(1, 7))
ROWS_BEFORE: Final = 3_000
# Rows that each commit inserts and updates.
NEW, NEWER = 6, 18

CHECKED: Final = ["task_id", "prompt", "estimate_wait_seconds", "fetches"]
MONTH: Final = MONTHS[2]

# Engines that open a file more than once: they may fail, with an error, if it is replaced.
MAY_FAIL: Final = ("duckdb", "polars")


@dataclass(slots=True)
class Reading:
    """Result of one way to read.

    Attributes:
        reads: Successful reads.
        failures: Reads that raised an error.
        rows: Rows of the last read.
        wrong: A sentence for each impossible result.
        example: The first error.
    """

    reads: int = 0
    failures: int = 0
    rows: int = 0
    wrong: list[str] = field(default_factory=list)
    example: str = ""

    @property
    def tried(self) -> int:
        """All reads."""
        return self.reads + self.failures


@dataclass(frozen=True, slots=True)
class Observed:
    """What readers and writer did in parallel.

    Attributes:
        readings: By engine and way to read.
        commits: Commits of the writer.
        replaced: Files of `generations` replaced by the writer.
        seconds: Duration.
    """

    readings: dict[str, dict[str, Reading]]
    commits: int
    replaced: int
    seconds: float


def read_while_writing(folder: Path, seconds: float, engines: tuple[str, ...]) -> Observed:
    """Let engines read while a writer commits."""
    root = folder / "warehouse"
    fill(root)
    writer = _start("writer", root, seconds)
    readers = {engine: _start(engine, root, seconds) for engine in engines}
    readings = {
        engine: {way: Reading(**found) for way, found in _result(engine, root, process).items()}
        for engine, process in readers.items()
    }
    # The writer stops when its stdin closes.
    return Observed(readings, **_result("writer", root, writer))


def _start(what: str, root: Path, seconds: float) -> subprocess.Popen[str]:
    path = os.pathsep.join(filter(None, (str(TESTS), os.environ.get("PYTHONPATH"))))
    # Not a pipe, which would fill up: an engine that panics prints a lot.
    with _log_of(what, root).open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "chaos.readers", what, str(root), str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )


def _log_of(what: str, root: Path) -> Path:
    return root.parent / f"{what}.log"


def _result(what: str, root: Path, process: subprocess.Popen[str]) -> dict[str, Any]:
    stdout, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{what} failed: {_log_of(what, root).read_text()[-2000:]}")
    result: dict[str, Any] = json.loads(stdout)
    return result


# The writer.


def answer(number: int, version: int) -> Answer:
    """An answer whose fields all hold the same version."""
    task_id = f"t{number:06}"
    body = {
        "id": task_id,
        "state": "completed",
        "created_at": f"{MONTHS[number % len(MONTHS)]}-{1 + number % 28:02}T08:00:00Z",
        "prompt": f"{task_id} {version}",
        "estimate_wait_seconds": version,
    }
    return Answer(
        task_id=task_id,
        outcome=Outcome.GENERATION,
        http_status=200,
        attempts=1,
        elapsed_seconds=0.1,
        fetched_at=NOON + timedelta(seconds=version),
        body=json.dumps(body).encode(),
    )


def fill(root: Path) -> None:
    """Make the initial warehouse."""
    with Warehouse.writing(root) as warehouse:
        warehouse.save("first", [answer(number, 1) for number in range(ROWS_BEFORE)], "run")
        warehouse.commit()


def write(root: Path, is_over: threading.Event) -> dict[str, float]:
    """Commit small batches without pause."""
    versions = dict.fromkeys(range(ROWS_BEFORE), 1)
    draw, replaced, started = random.Random(0), 0, time.monotonic()
    with Warehouse.writing(root) as warehouse:
        for number in count():
            if is_over.is_set():
                break
            chosen = {*draw.sample(range(len(versions)), NEWER)}
            chosen |= {len(versions) + new for new in range(NEW)}
            for task in chosen:
                versions[task] = versions.get(task, 0) + 1
            warehouse.save(f"{number:06}", [answer(t, versions[t]) for t in sorted(chosen)], "run")
            replaced += len({task % len(MONTHS) for task in chosen})
            warehouse.commit()
    return {"commits": number, "replaced": replaced, "seconds": time.monotonic() - started}


# The readers.


def ways(engine: str, root: Path) -> dict[str, Callable[[], Any]]:
    """An engine's ways to read the table; each returns a data frame or a number of rows."""
    folder = root / "generations"
    return {
        "pandas": _pandas,
        "pyarrow": _pyarrow,
        "duckdb": _duckdb,
        "polars": _polars,
        "connector": _connector,
    }[engine](folder)


def engines() -> tuple[str, ...]:
    """The installed engines."""
    import connector  # noqa: PLC0415  only to look for `read`

    optional = [name for name in ("duckdb", "polars") if find_spec(name)]
    own = ["connector"] if hasattr(connector, "read") else []
    return ("pandas", "pyarrow", *optional, *own)


def _pandas(folder: Path) -> dict[str, Callable[[], Any]]:
    import pandas as pd  # noqa: PLC0415  each process imports only its engine

    read = partial(pd.read_parquet, folder)
    return {
        "whole": read,
        "by column": partial(read, columns=CHECKED),
        "by row filter": partial(read, filters=[("status", "==", "completed")]),
        "by partition filter": partial(read, filters=[("created_month", "==", MONTH)]),
    }


def _pyarrow(folder: Path) -> dict[str, Callable[[], Any]]:
    import pyarrow.compute as pc  # noqa: PLC0415  as above
    import pyarrow.dataset as ds  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    def dataset() -> Any:
        return ds.dataset(folder, partitioning="hive")

    month = pc.field("created_month") == MONTH
    done = pc.field("status") == "completed"
    return {
        "read_table": lambda: pq.read_table(folder).to_pandas(),
        "dataset by column": lambda: dataset().to_table(columns=CHECKED).to_pandas(),
        "dataset by row filter": lambda: dataset().to_table(filter=done).to_pandas(),
        "dataset by partition": lambda: dataset().to_table(filter=month).to_pandas(),
        "count_rows": lambda: dataset().count_rows(),
    }


def _duckdb(folder: Path) -> dict[str, Callable[[], Any]]:
    import duckdb  # noqa: PLC0415  as above

    rows = f"from read_parquet('{folder}/*/*.parquet', hive_partitioning = true)"

    def ask(query: str) -> pd.DataFrame:
        with duckdb.connect() as connection:
            return connection.sql(query).df()

    return {
        "whole": lambda: ask(f"select * {rows}"),
        "by column": lambda: ask(f"select {', '.join(CHECKED)} {rows}"),
        "by row filter": lambda: ask(f"select * {rows} where status = 'completed'"),
        "by partition filter": lambda: ask(f"select * {rows} where created_month = '{MONTH}'"),
        "count": lambda: int(ask(f"select count(*) as rows {rows}").rows[0]),
    }


def _polars(folder: Path) -> dict[str, Callable[[], Any]]:
    import polars as pl  # noqa: PLC0415  as above

    def scan() -> pl.LazyFrame:
        return pl.scan_parquet(folder, hive_partitioning=True)

    return {
        "whole": lambda: pl.read_parquet(folder).to_pandas(),
        "by column": lambda: scan().select(CHECKED).collect().to_pandas(),
        "by row filter": lambda: scan().filter(status="completed").collect().to_pandas(),
        "by partition filter": lambda: scan().filter(created_month=MONTH).collect().to_pandas(),
        "count": lambda: int(scan().select(pl.len()).collect().item()),
    }


def _connector(folder: Path) -> dict[str, Callable[[], Any]]:
    import connector  # noqa: PLC0415  as above

    read: Any = getattr(connector, "read")  # noqa: B009  may be missing
    return {
        "whole": lambda: read("generations", folder.parent),
        "by column": lambda: read("generations", folder.parent, columns=CHECKED),
    }


def read_repeatedly(engine: str, root: Path, seconds: float) -> dict[str, Any]:
    """Read in every way, again and again."""
    reads = ways(engine, root)
    readings = {way: Reading() for way in reads}
    end = time.monotonic() + seconds
    while time.monotonic() < end or not readings[max(reads)].tried:
        for way, read in reads.items():
            _read_once(read, readings[way])
    return {way: asdict(reading) for way, reading in readings.items()}


def _read_once(read: Callable[[], Any], reading: Reading) -> None:
    try:
        found = read()
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001  a panic in Polars is not an Exception
        reading.failures += 1
        reading.example = reading.example or f"{type(error).__name__}: {error}"[:300]
        return
    reading.reads += 1
    rows = found if isinstance(found, int) else len(found)
    if rows < reading.rows:
        reading.wrong.append(f"{rows} rows after {reading.rows}")
    reading.rows = rows
    if not isinstance(found, int):
        reading.wrong.extend(wrong_in(found))


def wrong_in(rows: pd.DataFrame) -> Iterator[str]:
    """Sentences about impossible rows."""
    if not rows.task_id.is_unique:
        yield f"{rows.task_id.duplicated().sum()} task IDs twice"
    version = rows.estimate_wait_seconds.astype("int64")
    if (rows.prompt != rows.task_id + " " + version.astype("str")).any():
        yield "a row from two answers"
    if (rows.fetches.astype("int64") != version).any():
        yield "an answer counted twice or never"


def main() -> None:
    """Run the writer or a reader."""
    what, root, seconds = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
    result = _run_writer(root) if what == "writer" else read_repeatedly(what, root, seconds)
    print(json.dumps(result))  # noqa: T201  the answer


def _run_writer(root: Path) -> dict[str, float]:
    is_over = threading.Event()

    def await_end_of_stdin() -> None:
        sys.stdin.buffer.raw.read()  # type: ignore[attr-defined]  # avoids the wrapper's lock
        is_over.set()

    threading.Thread(target=await_end_of_stdin, daemon=True).start()
    return write(root, is_over)


if __name__ == "__main__":
    main()
